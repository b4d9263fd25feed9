"""Samplers: from a random start back to a label.

A sampler sees the denoiser only as ``predict_label(y_t, t) -> y_0``, whatever the network was
trained to predict, and yields its guess of the clean label at each step. The last guess is the
sample.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from skdiffusion_label.diffusion._forward import add_noise, noise_from_label
from skdiffusion_label.diffusion._schedule import NoiseSchedule

PredictLabel = Callable[[Tensor, Tensor], Tensor]


def sampling_timesteps(
    schedule: NoiseSchedule, n_steps: int, *, start: int | None = None
) -> list[int]:
    """Return exactly ``n_steps`` timesteps, evenly from ``start`` down to 0; one is ``start``."""
    start = schedule.n_timesteps - 1 if start is None else start
    n_steps = min(n_steps, start + 1)
    if n_steps == 1:
        return [start]
    return [int(t) for t in torch.linspace(start, 0, n_steps, dtype=torch.float64).round()]


def first_timestep_with_signal(schedule: NoiseSchedule, min_signal: float) -> int:
    """Return the last timestep at which the label's coefficient is at least ``min_signal``."""
    return int((schedule.alphas_cumprod.sqrt() >= min_signal).sum().clamp(min=1)) - 1


def ddim_steps(
    predict_label: PredictLabel,
    y_t: Tensor,
    timesteps: list[int],
    schedule: NoiseSchedule,
    prior_mean: Tensor | None = None,
    noise: Tensor | None = None,
) -> Iterator[Tensor]:
    """Step deterministically (Song et al. 2021, eta = 0) from ``y_t`` (..., k), yielding labels."""
    del noise  # deterministic: only the start is random
    for t, t_next in _pairs(timesteps, y_t.device):
        y_0 = predict_label(y_t, t)
        yield y_0
        if t_next is not None:
            # The noise that goes with this label, also where the network predicted another one and
            # the label had to be clamped.
            direction = noise_from_label(y_t, y_0, t, schedule, prior_mean)
            y_t = add_noise(y_0, direction, t_next, schedule, prior_mean)


def ddpm_steps(
    predict_label: PredictLabel,
    y_t: Tensor,
    timesteps: list[int],
    schedule: NoiseSchedule,
    prior_mean: Tensor | None = None,
    noise: Tensor | None = None,
) -> Iterator[Tensor]:
    """Step by the posterior of the forward process (Ho et al. 2020), yielding labels.

    ``noise`` (n_steps - 1, ...) broadcasts against ``y_t`` (..., k). With skipped timesteps the
    posterior is that of the process watched only at the kept ones.
    """
    for step, (t, t_next) in enumerate(_pairs(timesteps, y_t.device)):
        y_0 = predict_label(y_t, t)
        yield y_0
        if t_next is not None:
            if noise is None:
                raise ValueError("noise must be given to ddpm_steps with more than one step.")
            mean, variance = forward_posterior(y_0, y_t, t, t_next, schedule, prior_mean)
            y_t = mean + variance.sqrt() * noise[step]


def forward_posterior(
    y_0: Tensor,
    y_t: Tensor,
    t: Tensor,
    t_next: Tensor,
    schedule: NoiseSchedule,
    prior_mean: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return mean (..., k) and variance of ``y_{t_next}`` given ``y_0`` and ``y_t``, t_next < t."""
    a_t, a_next = schedule.alphas_cumprod[t], schedule.alphas_cumprod[t_next]
    alpha = a_t / a_next
    label_share = (1 - alpha) * a_next.sqrt() / (1 - a_t)
    state_share = (1 - a_next) * alpha.sqrt() / (1 - a_t)
    mean = label_share.to(y_0.dtype) * y_0 + state_share.to(y_0.dtype) * y_t
    if prior_mean is not None:
        prior_share = 1 + (a_t.sqrt() - 1) * (alpha.sqrt() + a_next.sqrt()) / (1 - a_t)
        mean = mean + prior_share.to(y_0.dtype) * prior_mean
    variance = (1 - alpha) * (1 - a_next) / (1 - a_t)
    return mean, variance.to(y_0.dtype)


def _pairs(timesteps: list[int], device: torch.device) -> Iterator[tuple[Tensor, Tensor | None]]:
    tensors = list(torch.tensor(timesteps, device=device))
    return zip(tensors, [*tensors[1:], None], strict=True)

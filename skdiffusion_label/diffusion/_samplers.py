"""Sampling: from a random start back to a label.

The denoiser is seen only as ``predict_label(y_t, t) -> y_0``, whatever the network was trained to
predict; its guess of the clean label at each step is yielded. The last guess is the sample.
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
) -> Iterator[Tensor]:
    """Step deterministically (Song et al. 2021, eta = 0) from ``y_t`` (..., k), yielding labels."""
    tensors = list(torch.tensor(timesteps, device=y_t.device))
    for t, t_next in zip(tensors, [*tensors[1:], None], strict=True):
        y_0 = predict_label(y_t, t)
        yield y_0
        if t_next is not None:
            # The noise that goes with this label, also where the network predicted another one and
            # the label had to be clamped.
            direction = noise_from_label(y_t, y_0, t, schedule, prior_mean)
            y_t = add_noise(y_0, direction, t_next, schedule, prior_mean)

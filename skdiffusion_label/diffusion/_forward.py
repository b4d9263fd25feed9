"""The forward process and the algebra between label, noise and diffused label.

With a prior mean f_q the process drifts from the label to N(f_q, I); without, to N(0, I):
``y_t = sqrt(a) y_0 + (1 - sqrt(a)) f_q + sqrt(1 - a) noise`` with ``a = alphas_cumprod[t]``.
"""

from torch import Tensor

from skdiffusion_label.diffusion._schedule import NoiseSchedule


def add_noise(
    y_0: Tensor, noise: Tensor, t: Tensor, schedule: NoiseSchedule, prior_mean: Tensor | None = None
) -> Tensor:
    """Diffuse clean labels ``y_0`` (..., k) to timesteps ``t`` (...,)."""
    signal, sigma = schedule.signal_and_noise(t, y_0)
    return signal * y_0 + sigma * noise + _drift(signal, prior_mean)


def label_from_noise(
    y_t: Tensor, noise: Tensor, t: Tensor, schedule: NoiseSchedule, prior_mean: Tensor | None = None
) -> Tensor:
    """Return the clean labels (..., k) of which ``y_t`` was made with ``noise``."""
    signal, sigma = schedule.signal_and_noise(t, y_t)
    return (y_t - _drift(signal, prior_mean) - sigma * noise) / signal


def noise_from_label(
    y_t: Tensor, y_0: Tensor, t: Tensor, schedule: NoiseSchedule, prior_mean: Tensor | None = None
) -> Tensor:
    """Return the noise (..., k) with which ``y_t`` was made of ``y_0``."""
    signal, sigma = schedule.signal_and_noise(t, y_t)
    return (y_t - _drift(signal, prior_mean) - signal * y_0) / sigma


def label_evidence(
    y_t: Tensor, t: Tensor, schedule: NoiseSchedule, prior_mean: Tensor | None = None
) -> Tensor:
    """Return log p(y_t | class) (..., k) up to a constant: what ``y_t`` says about its label."""
    signal, sigma = schedule.signal_and_noise(t, y_t)
    return signal * (y_t - _drift(signal, prior_mean)) / sigma.square()


def _drift(signal: Tensor, prior_mean: Tensor | None) -> Tensor | float:
    return 0.0 if prior_mean is None else (1 - signal) * prior_mean

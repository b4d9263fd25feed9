"""Noise schedules."""

import math

import torch
from torch import Tensor

NOISE_SCHEDULES = ("linear", "cosine")

# All without unit. Ho et al. (2020) let the share of noise added in a step run from the first to
# the second of these in 1,000 steps.
_LINEAR_BETAS = (1e-4, 0.02)
# In as few steps as this the last of a linear process adds nothing but noise; in fewer several did.
_MIN_LINEAR_TIMESTEPS = 20
# Nichol and Dhariwal (2021): keeps the first steps of the cosine from adding next to no noise ...
_COSINE_OFFSET = 0.008
# ... and the last one from leaving no signal at all, by which one could not divide.
_MAX_BETA = 0.999


class NoiseSchedule(torch.nn.Module):
    """How much of the label is left at each timestep.

    "cosine" is the published schedule (Nichol and Dhariwal 2021). "linear" is that of Ho et al.
    (2020) at 1,000 timesteps; for fewer the steps grow in proportion, down to 20, and those of an
    even shorter process are some of these 20. Both end close to pure noise, however few timesteps
    there are.

    ``alphas_cumprod`` (n_timesteps,) is float64 and strictly decreasing.
    """

    alphas_cumprod: Tensor

    def __init__(self, name: str = "cosine", n_timesteps: int = 1000):
        super().__init__()
        # float64 throughout: the last values of the cosine schedule are about 1e-9. Made on the CPU
        # explicitly, as a module may be built under torch.device("meta").
        with torch.device("cpu"):
            alphas_cumprod = _alphas_cumprod(name, n_timesteps)
        self.register_buffer("alphas_cumprod", alphas_cumprod, persistent=False)

    @property
    def n_timesteps(self) -> int:
        """Number of timesteps."""
        return len(self.alphas_cumprod)

    @property
    def log_odds(self) -> Tensor:
        """Log-odds (n_timesteps,) of its own class against another in a mean diffused label."""
        return self.alphas_cumprod / (1 - self.alphas_cumprod)

    def signal_and_noise(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coefficients of label and noise at ``t`` (...,) as columns (..., 1)."""
        alphas_cumprod = self.alphas_cumprod[t].unsqueeze(-1)
        return alphas_cumprod.sqrt().to(like.dtype), (1 - alphas_cumprod).sqrt().to(like.dtype)


def _alphas_cumprod(name: str, n_timesteps: int) -> Tensor:
    if name == "linear":
        n_steps = max(n_timesteps, _MIN_LINEAR_TIMESTEPS)
        start, end = (beta * 1000 / n_steps for beta in _LINEAR_BETAS)
        betas = start + (end - start) * torch.linspace(0, 1, n_steps, dtype=torch.float64)
        kept = torch.arange(1, n_timesteps + 1) * n_steps // n_timesteps - 1
    elif name == "cosine":
        edges = torch.linspace(0, 1, n_timesteps + 1, dtype=torch.float64)
        signal = ((edges + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * math.pi / 2).cos().square()
        betas, kept = 1 - signal[1:] / signal[:-1], torch.arange(n_timesteps)
    else:
        raise ValueError(f"noise_schedule must be one of {NOISE_SCHEDULES}, got {name!r}.")
    return (1 - betas.clamp(max=_MAX_BETA)).cumprod(dim=0)[kept]

"""Noise schedules."""

import math

import torch
from torch import Tensor

_MAX_BETA = 0.999
_COSINE_OFFSET = 0.008
NOISE_SCHEDULES = ("cosine", "linear", "const", "quad", "sigmoid", "jsd", "cosine_anneal")


class NoiseSchedule(torch.nn.Module):
    """How much of the label is left at each timestep.

    The published schedule is "cosine" (Nichol and Dhariwal 2021). The other names are those of CARD
    (Han et al. 2022); their betas run from 1e-4 to 0.02 at 1,000 timesteps and grow in proportion
    for fewer, so that from ten timesteps on each process ends close to pure noise ("const": 0.02
    throughout).

    ``alphas_cumprod`` (n_timesteps,) is float64 and strictly decreasing.
    """

    betas: Tensor
    alphas_cumprod: Tensor

    def __init__(self, name: str = "cosine", n_timesteps: int = 1000):
        super().__init__()
        # float64 throughout: the last values of the cosine schedule are about 1e-9. Made on the CPU
        # explicitly, as a module may be built under torch.device("meta").
        betas = _betas(name, n_timesteps).clamp(max=_MAX_BETA)
        self.register_buffer("betas", betas, persistent=False)
        self.register_buffer("alphas_cumprod", (1 - betas).cumprod(dim=0), persistent=False)

    @property
    def n_timesteps(self) -> int:
        """Number of timesteps."""
        return len(self.betas)

    @property
    def log_odds(self) -> Tensor:
        """Log-odds (n_timesteps,) of its own class against another in a mean diffused label."""
        return self.alphas_cumprod / (1 - self.alphas_cumprod)

    def signal_and_noise(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coefficients of label and noise at ``t`` (...,) as columns (..., 1)."""
        alphas_cumprod = self.alphas_cumprod[t].unsqueeze(-1)
        return alphas_cumprod.sqrt().to(like.dtype), (1 - alphas_cumprod).sqrt().to(like.dtype)


def _betas(name: str, n_timesteps: int) -> Tensor:
    scale = 1000 / n_timesteps
    start, end = 1e-4 * scale, 0.02 * scale
    grid = torch.linspace(0, 1, n_timesteps, dtype=torch.float64, device="cpu")
    if name == "cosine":
        edges = torch.linspace(0, 1, n_timesteps + 1, dtype=torch.float64, device="cpu")
        angles = (edges + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * math.pi / 2
        signal = angles.cos().square()
        return 1 - signal[1:] / signal[:-1]
    if name == "linear":
        return start + (end - start) * grid
    if name == "const":
        return torch.full_like(grid, end)
    if name == "quad":
        return (start**0.5 + (end**0.5 - start**0.5) * grid).square()
    if name == "sigmoid":
        return start + (end - start) * (12 * grid - 6).sigmoid()
    if name == "jsd":
        return 1 / torch.linspace(n_timesteps, 1, n_timesteps, dtype=torch.float64, device="cpu")
    if name == "cosine_anneal":
        return start + (end - start) * (1 - (math.pi * grid).cos()) / 2
    raise ValueError(f"noise_schedule must be one of {NOISE_SCHEDULES}, got {name!r}.")

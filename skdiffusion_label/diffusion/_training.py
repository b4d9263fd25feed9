"""The training loop."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skdiffusion_label.diffusion._model import LabelDiffusion


@dataclass(frozen=True)
class TrainingSettings:
    """Options of the training loop; the defaults are the classifier's."""

    n_epochs: int
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.5
    warmup_fraction: float = 0.05
    ema_decay: float = 0.999
    max_grad_norm: float = 1.0
    dropout: float = 0.2
    label_weighting: str = "agreement"


@dataclass(frozen=True)
class TrainingData:
    """Features (n, d), label distributions and prior means (n, k), row and class weights."""

    features: Tensor
    label_distributions: Tensor
    sample_weight: Tensor
    prior_mean: Tensor | None = None
    class_weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)


def train_denoiser(
    model: LabelDiffusion,
    data: TrainingData,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> Iterator[tuple[float, nn.Module]]:
    """Train ``model`` in place, yielding each epoch's mean loss and the averaged model.

    The averaged model (exponential moving average of all weights and batch statistics) is the one
    to predict with. It is one object, updated from epoch to epoch.
    """
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    fused = data.features.device.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=fused
    )
    # Batch normalization needs two rows in each batch.
    n_batches = max(1, min(math.ceil(len(data) / settings.batch_size), len(data) // 2))
    n_updates = settings.n_epochs * n_batches
    update = 0
    for _ in range(settings.n_epochs):
        model.train()
        total = torch.zeros((), device=data.features.device)
        order = torch.randperm(len(data), generator=generator).to(data.features.device)
        for rows in order.tensor_split(n_batches):
            # At the middle of the update, so that the first one of a warm-up moves too.
            progress = (update + 0.5) / n_updates
            factor = learning_rate_factor(progress, settings.warmup_fraction)
            optimizer.param_groups[0]["lr"] = settings.learning_rate * factor
            loss = _batch_loss(model, data, rows, settings, generator)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            optimizer.step()
            update_average(averaged, model, warmed_up_decay(settings.ema_decay, update))
            total += loss.detach() * len(rows)
            update += 1
        yield float(total) / len(data), averaged


def learning_rate_factor(progress: float, warmup_fraction: float) -> float:
    """Return linear warm-up followed by half a cosine, for ``progress`` in [0, 1]."""
    if progress < warmup_fraction:
        return progress / warmup_fraction
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup_fraction) / (1 - warmup_fraction)))


def warmed_up_decay(ema_decay: float, update: int) -> float:
    """Return the decay at ``update``: a short memory at first, so that the start fades."""
    return min(ema_decay, (1 + update) / (10 + update))


@torch.no_grad()
def update_average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch statistics ``1 - decay`` of the way to the model's."""
    pairs = zip(averaged.state_dict().values(), model.state_dict().values(), strict=True)
    for mean, value in pairs:
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def antithetic_timesteps(n: int, n_timesteps: int, generator: torch.Generator) -> Tensor:
    """Draw ``n`` timesteps in pairs that mirror each other."""
    half = torch.randint(0, n_timesteps, (n // 2 + 1,), generator=generator)
    return torch.cat([half, n_timesteps - 1 - half])[:n]


def draw_labels(distributions: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one label for each row of ``distributions`` (b, k) from ``uniforms`` (b,) in [0, 1)."""
    cumulative = distributions.cumsum(dim=1)
    threshold = uniforms.unsqueeze(1) * cumulative[:, -1:]
    return (cumulative <= threshold).sum(dim=1).clamp(max=distributions.shape[1] - 1)


def drop_features(features: Tensor, dropout: float, generator: torch.Generator) -> Tensor:
    """Set a share ``dropout`` of ``features`` (b, d) to zero and scale up the rest.

    torch's own dropout would draw from the global generator.
    """
    if dropout == 0:
        return features
    factors = torch.rand(features.shape, generator=generator).ge_(dropout).div_(1 - dropout)
    return features * factors.to(features.device)


def _batch_loss(
    model: LabelDiffusion,
    data: TrainingData,
    rows: Tensor,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> Tensor:
    device = data.features.device
    distributions = data.label_distributions[rows]
    # All draws come from one generator on the CPU: the same numbers on every device.
    uniforms = torch.rand(len(rows), generator=generator)
    noise = torch.randn(distributions.shape, generator=generator)
    t = antithetic_timesteps(len(rows), model.schedule.n_timesteps, generator)
    y_codes = draw_labels(distributions, uniforms.to(device))
    weights = data.sample_weight[rows]
    if data.class_weight is not None:
        weights = weights * data.class_weight[y_codes]
    if settings.label_weighting == "agreement":
        weights = weights * distributions.gather(1, y_codes.unsqueeze(1)).squeeze(1)
        weights = weights / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
    else:
        weights = weights / len(rows)
    prior_mean = None if data.prior_mean is None else data.prior_mean[rows]
    features = drop_features(data.features[rows], settings.dropout, generator)
    return model.loss(y_codes, noise.to(device), t.to(device), features, weights, prior_mean)

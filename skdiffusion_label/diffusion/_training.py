"""The training loop."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skdiffusion_label.diffusion._model import LabelDiffusion
from skdiffusion_label.diffusion._schedule import NoiseSchedule


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
    parameters = list(model.parameters())
    state, averaged_state = _as_one_vector(model.denoiser), _as_one_vector(averaged.denoiser)
    weights = state[: sum(parameter.numel() for parameter in parameters)]
    weights.grad = gradient = torch.empty_like(weights)
    fused = data.features.device.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(
        [weights], settings.learning_rate, weight_decay=settings.weight_decay, fused=fused
    )
    # Batch normalization needs two rows in each batch.
    n_batches = max(1, min(math.ceil(len(data) / settings.batch_size), len(data) // 2))
    n_updates = settings.n_epochs * n_batches
    # Logits know the diffused label's evidence beforehand: its early timesteps teach little, and
    # half of the rows are spent where prediction starts.
    start = model.timesteps(1)[0] if model.prediction_type == "logits" else None
    update = 0
    for _ in range(settings.n_epochs):
        model.train()
        total = torch.zeros((), device=data.features.device)
        order = torch.randperm(len(data), generator=generator).to(data.features.device)
        for batch in draw_batches(
            data, order, n_batches, settings, model.schedule, generator, start
        ):
            # At the middle of the update, so that the first one of a warm-up moves too.
            progress = (update + 0.5) / n_updates
            factor = learning_rate_factor(progress, settings.warmup_fraction)
            optimizer.param_groups[0]["lr"] = settings.learning_rate * factor
            loss = model.loss(*batch)
            parts = torch.autograd.grad(loss, parameters)
            torch.cat([part.flatten() for part in parts], out=gradient)
            gradient.mul_((settings.max_grad_norm / gradient.norm()).clamp(max=1))
            optimizer.step()
            averaged_state.lerp_(state, 1 - warmed_up_decay(settings.ema_decay, update))
            total += loss.detach() * len(batch[0])
            update += 1
        yield float(total) / len(data), averaged


def _as_one_vector(module: nn.Module) -> Tensor:
    """Make a module's weights, and after them its statistics, views of one vector; return it.

    Clipping, optimizer and average then take one operation each, not one for each tensor.
    """
    statistics = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    tensors = [*module.parameters(), *statistics]
    vector = nn.utils.parameters_to_vector(tensors).detach()
    nn.utils.vector_to_parameters(vector, tensors)
    return vector


def learning_rate_factor(progress: float, warmup_fraction: float) -> float:
    """Return linear warm-up followed by half a cosine, for ``progress`` in [0, 1]."""
    if progress < warmup_fraction:
        return progress / warmup_fraction
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup_fraction) / (1 - warmup_fraction)))


def warmed_up_decay(ema_decay: float, update: int) -> float:
    """Return the decay at ``update``: a short memory at first, so that the start fades."""
    return min(ema_decay, (1 + update) / (10 + update))


def draw_timesteps(
    n: int, n_timesteps: int, generator: torch.Generator, start: int | None = None
) -> Tensor:
    """Draw ``n`` timesteps: every second one uniformly, followed by its mirror or by ``start``."""
    drawn = torch.randint(0, n_timesteps, ((n + 1) // 2,), generator=generator)
    others = n_timesteps - 1 - drawn if start is None else torch.full_like(drawn, start)
    return torch.stack([drawn, others], dim=1).flatten()[:n]


def draw_labels(distributions: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one label for each row of ``distributions`` (b, k) from ``uniforms`` (b,) in [0, 1)."""
    cumulative = distributions.cumsum(dim=1)
    threshold = uniforms.unsqueeze(1) * cumulative[:, -1:]
    return (cumulative <= threshold).sum(dim=1).clamp(max=distributions.shape[1] - 1)


def drop_features(features: Tensor, dropout: float, generator: torch.Generator) -> Tensor:
    """Set each of ``features`` (b, d) to zero with probability ``dropout`` and scale up the rest.

    torch's own dropout would draw from the global generator.
    """
    if dropout == 0:
        return features
    # A byte for each feature, eight to a draw. The threshold between dropped and kept bytes is
    # rounded up or down at random, so that the probability is ``dropout`` and not a multiple of
    # 1 / 256.
    draws = torch.empty(math.ceil(features.numel() / 8), dtype=torch.int64)
    draws.random_(-(2**63), None, generator=generator)
    draws = draws.view(torch.uint8)[: features.numel()].view(features.shape)
    threshold = (256 * dropout + torch.rand((), generator=generator)).floor()
    kept = draws.to(features.device, features.dtype).ge_(threshold)
    return kept.mul_(features).div_(1 - dropout)


def draw_batches(
    data: TrainingData,
    order: Tensor,
    n_batches: int,
    settings: TrainingSettings,
    schedule: NoiseSchedule,
    generator: torch.Generator,
    start: int | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None]]:
    """Yield what ``LabelDiffusion.loss`` takes for each batch of the rows in ``order``.

    Labels, noise and timesteps are drawn for all batches at once; half of the timesteps are
    ``start``, if there is one. Instead of weighing drawn labels by class and agreement, labels are
    drawn in proportion to these weights, and rows are weighed by what theirs sum to.
    """
    device = data.features.device
    distributions = data.label_distributions.index_select(0, order)
    # All draws come from one generator on the CPU: the same numbers on every device.
    uniforms = torch.rand(len(order), generator=generator).to(device)
    noise = torch.randn(distributions.shape, generator=generator).to(device)
    t = draw_timesteps(len(order), schedule.n_timesteps, generator, start).to(device)
    if settings.label_weighting == "agreement":
        distributions = distributions.square()
    if data.class_weight is not None:
        distributions = distributions * data.class_weight
    y_codes = draw_labels(distributions, uniforms)
    weights = data.sample_weight.index_select(0, order) * distributions.sum(dim=1)
    tensors = order, distributions, y_codes, noise, t, weights
    drawn = (tensor.tensor_split(n_batches) for tensor in tensors)
    for rows, distributions, y_codes, noise, t, weights in zip(*drawn, strict=True):
        if settings.label_weighting == "agreement":
            weights = weights / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
        else:
            weights = weights / len(rows)
        prior_mean = None if data.prior_mean is None else data.prior_mean.index_select(0, rows)
        features = drop_features(data.features.index_select(0, rows), settings.dropout, generator)
        yield distributions, y_codes, noise, t, features, weights, prior_mean

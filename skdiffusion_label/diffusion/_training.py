"""The training loop."""

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from skdiffusion_label._torch import seeded
from skdiffusion_label.diffusion._data import TrainingData, shuffled
from skdiffusion_label.diffusion._model import LabelDiffusion
from skdiffusion_label.diffusion._schedule import NoiseSchedule

# Updates that the moving average remembers at first, as in TensorFlow's ExponentialMovingAverage:
# after n updates its memory is a ninth of them, so that the random start is soon forgotten.
_N_UPDATES_REMEMBERED = 10
_SMALLEST_BATCH = 2  # rows of a process: batch normalization has no variance of one
# Entries (rows x classes) that labels and noise are drawn for at a time: 16 MB for each of several
# tensors. One draw for all batches of an epoch is the fastest.
_ENTRIES_AT_ONCE = 2**22
_N_BYTE_VALUES = 256  # of the random bytes that decide about features
_MAX_SEED = 2**31 - 1  # the largest that every generator takes


@dataclass(frozen=True)
class TrainingSettings:
    """Options of the training loop."""

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
class Processes:
    """Processes that train one model together: each takes its share of every batch.

    ``add`` sums a tensor over all processes.
    """

    index: int = 0
    number: int = 1
    add: Callable[[Tensor], Tensor] = lambda tensor: tensor

    def share(self, tensor: Tensor) -> Tensor:
        """Return this process's rows of a batch."""
        return tensor[self.index :: self.number]


class TrainingState:
    """All that training changes: model, moving average, optimizer and random numbers.

    ``averaged`` (exponential moving average of all weights and batch statistics) is the model to
    predict with. It is one object, updated from epoch to epoch.
    """

    def __init__(self, model: LabelDiffusion, settings: TrainingSettings, generator: Generator):
        self.model, self.settings, self.generator = model, settings, generator
        self.averaged = copy.deepcopy(model).eval().requires_grad_(False)
        named = model.denoiser.named_parameters()
        trained = [name for name, weight in named if weight.requires_grad]
        # Clipping, optimizer and average then take one operation each, not one for each tensor.
        self.vector, self._parts = _as_one_vector(model.denoiser, trained)
        self.averaged_vector, _ = _as_one_vector(self.averaged.denoiser, trained)
        parts = self._parts[: len(trained)]
        self.n_weights = sum(view.numel() for _, _, view in parts)
        self.weights = self.vector[: self.n_weights]
        self.gradient = self.weights.grad = torch.zeros_like(self.weights)
        gradients = self.gradient.split([view.numel() for _, _, view in parts])
        for (module, name, view), gradient in zip(parts, gradients, strict=True):
            getattr(module, name).grad = gradient.view_as(view)
        self.optimizer = torch.optim.AdamW(
            [self.weights],
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=self.vector.device.type in ("cpu", "cuda"),
        )
        self.n_updates = 0
        self.n_epochs = 0

    def update(self, loss: Tensor, progress: float, processes: Processes) -> None:
        """Take one step along the gradient of ``loss``, summed over processes."""
        settings = self.settings
        self.gradient.zero_()
        loss.backward()
        if self.model.denoiser.has_inputs:
            self._bring_back()
        self.gradient.copy_(processes.add(self.gradient))
        nn.utils.clip_grad_norm_(self.weights, settings.max_grad_norm)
        factor = learning_rate_factor(progress, settings.warmup_fraction)
        self.optimizer.param_groups[0]["lr"] = settings.learning_rate * factor
        self.optimizer.step()
        decay = warmed_up_decay(settings.ema_decay, self.n_updates)
        self.averaged_vector.lerp_(self.vector, 1 - decay)
        self.n_updates += 1

    def _bring_back(self) -> None:
        """Take what an encoder has set anew into the vector: some do so when they are called."""
        for module, name, view in self._parts:
            tensor = getattr(module, name).detach()
            if tensor.data_ptr() != view.data_ptr():
                view.copy_(tensor)
                _set(module, name, view)

    def end_epoch(self, processes: Processes) -> None:
        """Count the epoch; bring together what updates have left apart."""
        self.n_epochs += 1
        for vector in (self.vector, self.averaged_vector) if processes.number > 1 else ():
            statistics = vector[self.n_weights :]
            statistics.copy_(processes.add(statistics) / processes.number)
        for averaged, counter in zip(_counters(self.averaged), _counters(self.model), strict=True):
            averaged.copy_(counter)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of everything that is needed to go on from here to the same result."""
        state = {
            "vector": self.vector,
            "averaged_vector": self.averaged_vector,
            "counters": _counters(self.model),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "n_updates": self.n_updates,
            "n_epochs": self.n_epochs,
        }
        return copy.deepcopy(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where :meth:`state_dict` was taken."""
        self.vector.copy_(state["vector"])
        self.averaged_vector.copy_(state["averaged_vector"])
        for model in (self.model, self.averaged):
            for counter, value in zip(_counters(model), state["counters"], strict=True):
                counter.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.n_updates, self.n_epochs = state["n_updates"], state["n_epochs"]


def train_denoiser(
    data: TrainingData,
    state: TrainingState,
    processes: Processes = Processes(),  # noqa: B008
) -> Iterator[float]:
    """Train the state's model in place for the epochs that are left, yielding each one's loss."""
    model, settings, generator = state.model, state.settings, state.generator
    n_batches = math.ceil(len(data) / settings.batch_size)
    n_batches = max(1, min(n_batches, len(data) // (_SMALLEST_BATCH * processes.number)))
    # Logits know the diffused label's evidence beforehand: its early timesteps teach little, and
    # half of the rows are spent where prediction starts.
    start = model.starting_timestep if model.prediction_type == "logits" else None
    while state.n_epochs < settings.n_epochs:
        model.train()
        total = data.sample_weight.new_zeros(())
        order = shuffled(len(data), generator, data.block_size, data.rows_at_once).to(data.device)
        with _inputs_of_batches(data, order, n_batches, generator, processes) as inputs:
            batches = draw_batches(
                data, order, n_batches, settings, model.schedule, generator, start
            )
            for batch, batch_inputs in zip(batches, inputs, strict=False):
                # At the middle of the update, so that the first one of a warm-up moves too.
                progress = (state.n_updates + 0.5) / (settings.n_epochs * n_batches)
                own: Any = [None if part is None else processes.share(part) for part in batch]
                loss = model.loss(*own + [batch_inputs])
                state.update(loss, progress, processes)
                total += loss.detach() * len(batch[0])
        state.end_epoch(processes)
        yield float(processes.add(total)) / len(data)


@contextmanager
def _inputs_of_batches(
    data: TrainingData, order: Tensor, n_batches: int, generator: Generator, processes: Processes
) -> Iterator[Iterable[Tensor | None]]:
    """Give the encoder's inputs of this process's rows of each batch.

    Meanwhile global generators, from which the encoder's dropout draws, follow ``generator``.
    """
    if data.load_inputs is None:
        yield itertools.repeat(None)
        return
    seed = int(torch.randint(_MAX_SEED, (), generator=generator))
    rows = [processes.share(batch) for batch in order.cpu().tensor_split(n_batches)]
    with seeded(seed, data.device):
        yield data.load_inputs(rows, seed)


def _as_one_vector(
    module: nn.Module, trained: Sequence[str]
) -> tuple[Tensor, list[tuple[nn.Module, str, Tensor]]]:
    """Make floating-point weights and statistics views of one vector, ``trained`` ones first.

    Returns the vector, and owner, name and view of each tensor.
    """
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    names = [name for name in tensors if tensors[name].is_floating_point() and name not in trained]
    names = [*trained, *names]
    vector = torch.cat([tensors[name].detach().reshape(-1) for name in names])
    views = vector.split([tensors[name].numel() for name in names])
    parts = []
    for name, view in zip(names, views, strict=True):
        path, _, own_name = name.rpartition(".")
        owner, view = module.get_submodule(path), view.view(tensors[name].shape)
        parts.append((owner, own_name, view))
        _set(owner, own_name, view)
    return vector, parts


def _counters(model: nn.Module) -> list[Tensor]:
    """Return the buffers that no average can be taken of."""
    return [buffer for buffer in model.buffers() if not buffer.is_floating_point()]


def _set(module: nn.Module, name: str, view: Tensor) -> None:
    """Let a weight or a buffer of ``module`` have ``view`` for its memory."""
    getattr(module, name).data = view


def learning_rate_factor(progress: float, warmup_fraction: float) -> float:
    """Return linear warm-up followed by half a cosine, for ``progress`` in [0, 1]."""
    if progress < warmup_fraction:
        return progress / warmup_fraction
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup_fraction) / (1 - warmup_fraction)))


def warmed_up_decay(ema_decay: float, update: int) -> float:
    """Return the decay at ``update``: a short memory at first, so that the start fades."""
    return min(ema_decay, (1 + update) / (_N_UPDATES_REMEMBERED + update))


def draw_timesteps(
    n: int, n_timesteps: int, generator: Generator, start: int | None = None
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


def drop_features(features: Tensor, dropout: float, generator: Generator) -> Tensor:
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
    rounding = torch.rand((), generator=generator, dtype=torch.float32)
    threshold = (_N_BYTE_VALUES * dropout + rounding).floor()
    kept = draws.to(features.device, features.dtype).ge_(threshold)
    return kept.mul_(features).div_(1 - dropout)


def draw_batches(
    data: TrainingData,
    order: Tensor,
    n_batches: int,
    settings: TrainingSettings,
    schedule: NoiseSchedule,
    generator: Generator,
    start: int | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None]]:
    """Yield what ``LabelDiffusion.loss`` takes for each batch of the rows in ``order``.

    Labels, noise and timesteps are drawn for many batches at once; half of the timesteps are
    ``start``, if there is one. Instead of weighing drawn labels by class and agreement, labels are
    drawn in proportion to these weights, and rows are weighed by what theirs sum to.
    """
    batches = order.tensor_split(n_batches)
    n_at_once = max(_ENTRIES_AT_ONCE // (len(batches[0]) * data.label_distributions.shape[1]), 1)
    for first in range(0, n_batches, n_at_once):
        some = batches[first : first + n_at_once]
        yield from _draw_some(data, some, settings, schedule, generator, start)


def _draw_some(
    data: TrainingData,
    batches: Sequence[Tensor],
    settings: TrainingSettings,
    schedule: NoiseSchedule,
    generator: Generator,
    start: int | None,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None]]:
    device, order = data.device, torch.cat(list(batches))
    distributions = data.label_distributions.index_select(0, order)
    # All draws come from one generator on the CPU: the same numbers on every device.
    uniforms = torch.rand(len(order), generator=generator, dtype=torch.float32).to(device)
    noise = torch.randn(distributions.shape, generator=generator, dtype=torch.float32).to(device)
    t = draw_timesteps(len(order), schedule.n_timesteps, generator, start).to(device)
    if settings.label_weighting == "agreement":
        distributions = distributions.square()
    if data.class_weight is not None:
        distributions = distributions * data.class_weight
    y_codes = draw_labels(distributions, uniforms)
    weights = data.sample_weight.index_select(0, order) * distributions.sum(dim=1)
    tensors = order, distributions, y_codes, noise, t, weights
    sizes = [len(rows) for rows in batches]
    drawn = (tensor.split(sizes) for tensor in tensors)
    read = data.batches(batches)
    for rows, distributions, y_codes, noise, t, weights in zip(*drawn, strict=True):
        if settings.label_weighting == "agreement":
            weights = weights / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
        else:
            weights = weights / len(rows)
        features, prior_mean = next(read)
        features = drop_features(features, settings.dropout, generator)
        yield distributions, y_codes, noise, t, features, weights, prior_mean

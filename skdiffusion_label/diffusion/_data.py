"""The rows that a denoiser learns from, and their order."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

# Blocks of rows side by side that are shuffled together: batches of rows that are sorted by class
# have all classes if these are not many more.
_BLOCKS_AT_ONCE = 256


@dataclass(frozen=True)
class TrainingData:
    """Features (n, d), label distributions and prior means (n, k), row and class weights.

    Instead of features and prior means, ``read`` returns those of an array of rows, on the device
    of the weights. Rows are then shuffled in blocks of ``block_size``, which lie side by side.
    ``load_inputs`` is for an encoder of its own inputs: called with the rows of an epoch's batches
    and a seed, it yields for each batch the inputs (b, ...), augmented by draws from that seed.
    """

    features: Tensor | None
    label_distributions: Tensor
    sample_weight: Tensor
    prior_mean: Tensor | None = None
    class_weight: Tensor | None = None
    load_inputs: Callable[[Sequence[Tensor], int], Iterable[Tensor]] | None = None
    read: Callable[[Tensor], tuple[Tensor, Tensor | None]] | None = None
    block_size: int = 1

    def __len__(self) -> int:
        return len(self.sample_weight)

    @property
    def device(self) -> torch.device:
        """Where batches are made."""
        return self.sample_weight.device

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return features (b, d), and prior means (b, k) or None, of ``rows``."""
        if self.features is None:
            assert self.read is not None
            return self.read(rows)
        means = self.prior_mean
        features = self.features.index_select(0, rows)
        return features, None if means is None else means.index_select(0, rows)


def shuffled(n: int, generator: Generator, block_size: int = 1) -> Tensor:
    """Return ``n`` rows at random: some blocks of rows side by side at a time, if of several."""
    if block_size == 1:
        return torch.randperm(n, generator=generator)
    blocks = torch.randperm(math.ceil(n / block_size), generator=generator)
    order = (block_size * blocks.unsqueeze(1) + torch.arange(block_size)).flatten()
    some = order[order < n].split(block_size * _BLOCKS_AT_ONCE)
    return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for rows in some])

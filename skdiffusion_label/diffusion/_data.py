"""The rows that a denoiser learns from, and their order."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class TrainingData:
    """Features (n, d), label distributions and prior means (n, k), row and class weights.

    Instead of features and prior means, ``read`` returns those of an array of rows, on the device
    of the weights; and label distributions may be anything of their shape with ``index_select``, if
    they are sparse. Rows are then shuffled in blocks of ``block_size``, which lie side by side, and
    read and shuffled ``rows_at_once`` together.
    ``load_inputs`` is for an encoder of its own inputs: called with the rows of an epoch's batches
    and a seed, it yields for each batch the inputs (b, ...), augmented by draws from that seed.
    """

    features: Tensor | None
    label_distributions: Any
    sample_weight: Tensor
    prior_mean: Tensor | None = None
    class_weight: Tensor | None = None
    load_inputs: Callable[[Sequence[Tensor], int], Iterable[Tensor]] | None = None
    read: Callable[[Tensor], tuple[Tensor, Tensor | None]] | None = None
    block_size: int = 1
    rows_at_once: int = 1

    def __len__(self) -> int:
        return len(self.sample_weight)

    @property
    def device(self) -> torch.device:
        """Where batches are made."""
        return self.sample_weight.device

    def batches(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield features (b, d), and prior means (b, k) or None, of each of ``batches`` of rows."""
        if self.features is not None:
            for rows in batches:
                means = self.prior_mean
                features = self.features.index_select(0, rows)
                yield features, None if means is None else means.index_select(0, rows)
            return
        assert self.read is not None
        n_at_once = max(self.rows_at_once // len(batches[0]), 1)
        for first in range(0, len(batches), n_at_once):
            some = list(batches[first : first + n_at_once])
            sizes = [len(rows) for rows in some]
            features, means = self.read(torch.cat(some))
            of_batches = itertools.repeat(None) if means is None else means.split(sizes)
            yield from zip(features.split(sizes), of_batches, strict=False)


def shuffled(n: int, generator: Generator, block_size: int = 1, rows_at_once: int = 1) -> Tensor:
    """Return ``n`` rows at random: some blocks of rows side by side at a time, if of several."""
    if block_size == 1:
        return torch.randperm(n, generator=generator)
    blocks = torch.randperm(math.ceil(n / block_size), generator=generator)
    order = (block_size * blocks.unsqueeze(1) + torch.arange(block_size)).flatten()
    some = order[order < n].split(rows_at_once)
    return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for rows in some])

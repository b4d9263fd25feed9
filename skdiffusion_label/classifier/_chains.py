"""The reverse process over any number of rows: chains of denoising steps, block by block."""

import itertools
import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import torch

from skdiffusion_label._torch import limited_threads, to_tensor
from skdiffusion_label.diffusion import LabelDiffusion, add_noise, class_probabilities

# Rows are denoised in blocks of one shape, the last one filled up with zeros: a matrix product of
# another shape may sum in another order, and a row's result would depend on the number of rows.
_ROWS_PER_BLOCK = 512


def starting_noise(n_draws, n_classes, generator):
    """Draw starts (n_draws, n_classes) in mirrored pairs, or the mean itself for "mean"."""
    if n_draws == "mean":
        return np.zeros((1, n_classes))
    half = torch.randn((n_draws + 1) // 2, n_classes, generator=generator, dtype=torch.float64)
    return torch.stack([half, -half], dim=1).flatten(0, 1)[:n_draws].numpy()


def last(steps):
    """Return the last label of a chain without keeping the others."""
    (y_0,) = deque(steps, maxlen=1)
    return y_0


@dataclass(frozen=True)
class Chains:
    """Chains of a model, on its device, from starts (n_draws, n_classes) shared by all rows."""

    model: LabelDiffusion
    initial_noise: np.ndarray
    n_steps: int
    temperature: float = 1.0
    n_jobs: int | None = None

    def run(self, inputs, read_off, *, start=None, labels=None, timestep=None):
        """Return for each block of rows what ``read_off`` makes of its chain and the rows' slice.

        A chain is an iterator of the labels (n_draws, n, n_classes) guessed at each step. It starts
        from ``initial_noise`` or from ``start``; with ``labels`` (n, n_classes), from these
        diffused to ``timestep`` with that start as noise.
        """
        model = self.model.eval()
        start = (torch.tensor(self.initial_noise) if start is None else start).float()
        device = model.schedule.alphas_cumprod.device
        timesteps = model.timesteps(self.n_steps, start=timestep)
        # A power of two, which vector instructions divide without a rest to be rounded otherwise.
        n_rows = 2 ** int(math.log2(max(1, _ROWS_PER_BLOCK // len(start))))
        start = start.to(device).unsqueeze(1)
        results = []
        blocks = [slice(first, first + n_rows) for first in range(0, len(inputs), n_rows)]
        with limited_threads(self.n_jobs), torch.inference_mode():
            for rows, raw in zip(blocks, _raw_blocks(inputs, blocks), strict=False):
                condition = inputs.condition[rows]
                n_used = len(condition)
                if raw is not None:  # images to fill up with would cost too much
                    n_rows, raw = n_used, raw.to(device)
                features = _block(condition, n_rows, device)
                means = inputs.prior_means
                prior = None if means is None else _block(means[rows], n_rows, device)
                y_t = start.expand(-1, n_rows, -1)
                if labels is not None:
                    y_0 = _block(labels[rows], n_rows, device)
                    t = torch.tensor(timestep, device=device)
                    y_t = add_noise(y_0, y_t, t, model.schedule, prior)
                elif prior is not None:
                    y_t = y_t + prior
                steps = model.denoise(y_t, timesteps, features, prior, inputs=raw)
                labels_of_steps = (_finite(y_0[:, :n_used]) for y_0 in steps)
                results.append(read_off(labels_of_steps, rows))
        return results

    def proba(self, inputs, **options):
        """Return the probabilities (n_samples, n_classes) at the end of the chains."""
        blocks = self.run(inputs, lambda steps, _: self.read_off(last(steps)), **options)
        return torch.cat(blocks).numpy()

    def staged_proba(self, inputs):
        """Return for each step the probabilities (n_samples, n_classes) that it ends with."""
        blocks = self.run(inputs, lambda steps, _: [self.read_off(y_0) for y_0 in steps])
        return [torch.cat(stage).numpy() for stage in zip(*blocks, strict=True)]

    def labels(self, inputs):
        """Return the labels (n_draws, n_samples, n_classes) at the end of the chains."""
        return torch.cat(self.run(inputs, lambda steps, _: last(steps)), dim=1)

    def read_off(self, y_0):
        """Return the probabilities (n, n_classes) of labels (n_draws, n, n_classes)."""
        return class_probabilities(y_0, self.model.prediction_type, self.temperature)


def _raw_blocks(inputs, blocks):
    """Return the inputs of an encoder of its own inputs for each block of rows, or Nones."""
    if inputs.raw is None:
        return itertools.repeat(None)
    return inputs.raw.batches([range(*rows.indices(len(inputs))) for rows in blocks])


def _finite(y_0):
    """Return labels (n_draws, n, n_classes) in float64 on the CPU; raise if one is no number."""
    y_0 = y_0.cpu().double()
    if y_0.isnan().any():
        raise ValueError(
            "Prediction is too large for float32: the weights have grown without bound under too "
            "large a learning_rate, or X is too far from the training rows."
        )
    return y_0


def _block(array, n_rows, device):
    """Return the rows of ``array`` and zeros up to ``n_rows`` as a tensor in float32."""
    block = torch.zeros((n_rows, array.shape[1]), dtype=torch.float32, device=device)
    block[: len(array)] = to_tensor(array, block.dtype, device)
    return block

"""What the denoiser is given of rows: features, prior means, and an encoder's own inputs."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from skdiffusion_label._images import ImageRows
from skdiffusion_label._torch import seeded

_N_ROWS_TRIED = 2


@dataclass(frozen=True)
class DenoiserInputs:
    """Features (n, d), prior means (n, n_classes) or None, and :class:`EncoderInputs` or None."""

    condition: np.ndarray
    prior_means: np.ndarray | None = None
    raw: "EncoderInputs | None" = None

    def __len__(self):
        return len(self.condition)

    def take(self, rows):
        """Return ``rows``, a slice or an array of indices."""
        means = None if self.prior_means is None else self.prior_means[rows]
        raw = None if self.raw is None else self.raw.take(rows)
        return DenoiserInputs(self.condition[rows], means, raw)


@dataclass(frozen=True)
class EncoderInputs:
    """Rows of ``X`` as tensors: images, or vectors of numbers if ``X`` is a table of numbers.

    ``transforms`` are those of training and of prediction. Tensors are read batch by batch, by
    ``n_workers`` processes if there are several.
    """

    rows: object
    transforms: tuple
    n_workers: int = 1
    index: np.ndarray | None = None

    def __len__(self):
        return len(self.rows if self.index is None else self.index)

    def take(self, rows):
        """Return ``rows``, a slice or an array of indices."""
        index = np.arange(len(self.rows)) if self.index is None else self.index
        return replace(self, index=index[rows])

    def __getitem__(self, item):
        """Return a row's tensor; with a seed, transformed as in training by draws from it."""
        row, seed = item
        position = row if self.index is None else self.index[row]
        if seed is None:
            return self._tensor(position, self.transforms[1])
        with seeded(np.random.SeedSequence([seed, row]).generate_state(1)[0]):
            return self._tensor(position, self.transforms[0])

    def _tensor(self, position, transform):
        tensor = transform(self.rows[position])
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"encoder_transform must return a torch tensor, got {type(tensor).__name__}."
            )
        return tensor.float()

    def batches(self, batches, seed=None):
        """Return an iterator of tensors (b, ...) for ``batches``, sequences of rows.

        With ``seed`` they are transformed as in training. A row's draws depend on the seed and the
        row alone, whichever process reads it.
        """
        items = [[(int(row), seed) for row in batch] for batch in batches]
        return iter(
            DataLoader(
                self,
                batch_sampler=items,
                num_workers=self.n_workers if self.n_workers > 1 else 0,
                collate_fn=_stack,
                generator=torch.Generator().manual_seed(0),
            )
        )


def encoder_inputs(X, transform, n_workers):
    """Return :class:`EncoderInputs` of ``X``, or None if the encoder has no inputs of its own."""
    rows = _numeric_rows(X)
    if rows is None:
        rows = ImageRows(X)
    if transform is None:
        transform = to_tensor
    transforms = transform if isinstance(transform, tuple) else (transform, transform)
    return EncoderInputs(rows, transforms, n_workers)


def _numeric_rows(X):
    """Return a table of numbers as an array (n, d), or None if ``X`` holds something else."""
    if getattr(X, "ndim", None) != 2 or isinstance(X, torch.Tensor):
        return None
    array = np.asarray(X)
    return array.astype(np.float32) if array.dtype.kind in "biuf" else None


def to_tensor(row):
    """Turn an image into a tensor (3, height, width) within [0, 1]; leave a vector as it is."""
    if isinstance(row, torch.Tensor):
        return row
    if isinstance(row, np.ndarray):
        return torch.tensor(row)
    pixels = torch.tensor(np.asarray(row.convert("RGB")))
    return pixels.permute(2, 0, 1) / 255


def _stack(tensors):
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise ValueError(
            "encoder_transform must give all rows tensors of one shape, "
            f"got {sorted(shapes)[:3]}; resize or crop the images, for example."
        )
    return torch.stack(tensors)


def initial_encoder(encoder, inputs, hidden_size, random_state):
    """Return a module from ``inputs`` to (b, hidden_size): a copy of ``encoder``, or a new one.

    A factory's random weights come from ``random_state``. An output of another width is followed by
    a linear layer.

    Raises
    ------
    TypeError, ValueError
        If the encoder does not map a batch to vectors.
    """
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    with seeded(seed):
        module = copy.deepcopy(encoder) if isinstance(encoder, nn.Module) else encoder()
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"encoder must be a torch module or return one, got {type(module).__name__}."
            )
        module = module.cpu().float()
        n_units = _n_units(module, inputs)
        if n_units != hidden_size:
            module = nn.Sequential(module, nn.Linear(n_units, hidden_size, bias=False))
    return module


def _n_units(module, inputs):
    (batch,) = inputs.take(slice(_N_ROWS_TRIED)).batches([range(min(_N_ROWS_TRIED, len(inputs)))])
    with torch.no_grad():
        try:
            output = module.eval()(batch)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ValueError(
                f"encoder must take a batch of shape {tuple(batch.shape)}: {error}"
            ) from error
    if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != len(batch):
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ValueError(
            f"encoder must turn a batch of shape {tuple(batch.shape)} into ({len(batch)}, n_units),"
            f" got {shape}."
        )
    return output.shape[1]

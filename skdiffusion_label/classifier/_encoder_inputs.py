"""The rows that an encoder of its own inputs sees, as tensors."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import DataLoader

from skdiffusion_label._torch import seeded, stack
from skdiffusion_label.embedding._images import ImageRows, describe


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

    def identity(self):
        """Return what tells these rows from others: their content, and the functions."""
        content = self.rows
        if isinstance(content, ImageRows):
            content = [content.digest(row) for row in range(len(content))]
        return content, self.transforms

    def __getitem__(self, item):
        """Return a row's place in X, and its tensor or the error instead of it.

        With a seed, it is transformed as in training by draws from this. An error that is raised in
        a worker process would lose its type.
        """
        row, seed = item
        place = row if self.index is None else int(self.index[row])
        try:
            image = self.rows[place]
            if isinstance(image, np.ndarray):
                image = image.copy()  # the function may change it
        except ValueError as error:
            return place, error
        try:
            if seed is None:
                return place, _checked(self.transforms[1](image))
            with seeded(np.random.SeedSequence([seed, row]).generate_state(1)[0]):
                return place, _checked(self.transforms[0](image))
        except Exception as error:  # of the user's function
            kind = TypeError if isinstance(error, TypeError) else ValueError
            return place, kind(
                f"encoder_transform fails on row {place} of X, {describe(image)}: {error}"
            )

    def batches(self, batches, seed=None):
        """Yield tensors (b, ...) for ``batches``, sequences of rows.

        With ``seed`` they are transformed as in training. A row's draws depend on the seed and the
        row alone, whichever process reads it.
        """
        loader = DataLoader(
            self,
            batch_sampler=[[(int(row), seed) for row in batch] for batch in batches],
            num_workers=self.n_workers if self.n_workers > 1 else 0,
            collate_fn=_collate,
            generator=torch.Generator().manual_seed(0),
        )
        for batch in loader:
            if isinstance(batch, Exception):
                raise batch
            yield batch


def _checked(tensor):
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"it must return a torch tensor, got {type(tensor).__name__}.")
    tensor = tensor.detach().float()  # with a gradient, it would not leave a worker process
    if not tensor.ndim:
        raise ValueError("it must return a tensor with at least one axis, got a number.")
    if not tensor.isfinite().all():
        raise ValueError("it must return finite numbers, got NaN or infinity.")
    return tensor


def _collate(items):
    for _, value in items:
        if isinstance(value, Exception):
            return value
    rows, tensors = zip(*items, strict=True)
    return stack(tensors, rows, "encoder_transform")


def encoder_inputs(X, transform, n_workers, columns=None):
    """Return :class:`EncoderInputs` of ``X``, of its ``columns`` if it is a table of these."""
    rows = _table(X, columns)
    if rows is None:
        rows = ImageRows(X)
    if transform is None:
        transform = to_tensor
    transforms = transform if isinstance(transform, tuple) else (transform, transform)
    return EncoderInputs(rows, transforms, n_workers)


def columns_of(X):
    """Return the names of a table's columns, or None."""
    return list(X.columns) if hasattr(X, "columns") else None


def _table(X, columns):
    """Return a table of numbers as an array (n, d), or None if ``X`` holds something else."""
    if columns is not None and hasattr(X, "columns"):
        missing = [name for name in columns if name not in X.columns]
        if missing:
            raise ValueError(f"X must have the columns of fit for the encoder, got no {missing}.")
        X = X[columns]
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu().numpy()
    first = X[0] if isinstance(X, list | tuple) and len(X) else None
    is_nested = isinstance(first, list | tuple | np.ndarray) and np.ndim(first) == 1
    if getattr(getattr(X, "dtype", None), "kind", None) in ("U", "T"):  # paths, maybe of digits
        return None
    if not is_nested and len(getattr(X, "shape", ())) != 2:
        return None
    try:
        with np.errstate(over="ignore"):
            array = np.array(X, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    if not np.isfinite(array).all():
        raise ValueError("X must hold finite numbers within float32 for the encoder.")
    return array


def to_tensor(row):
    """Turn an image into a tensor (3, height, width) within [0, 1]; leave a vector as it is."""
    if isinstance(row, torch.Tensor):
        return row
    if isinstance(row, np.ndarray):
        return torch.tensor(row)
    pixels = torch.tensor(np.asarray(row.convert("RGB")))
    return pixels.permute(2, 0, 1) / 255

"""What the rows of ``X`` are to the eye: columns of a table, texts, or images."""

import os
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from skdiffusion_label.embedding._images import ImageRows

KINDS = ("table", "text", "image")
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Table:
    """Columns of a table: floats where they are numbers, and texts for the eye where they are not.

    ``columns`` are arrays (n_samples,), float64 or of objects; ``names`` are their names.
    """

    names: list
    columns: list

    kind = "table"

    def __len__(self):
        return len(self.columns[0])


@dataclass(frozen=True)
class Texts:
    """Texts, one for each row."""

    texts: list

    kind = "text"

    def __len__(self):
        return len(self.texts)


@dataclass(frozen=True)
class Images:
    """Images, which are read when they are asked for, and their names, "" where they have none."""

    images: ImageRows
    names: list

    kind = "image"

    def __len__(self):
        return len(self.images)


def content_of(X, show):
    """Return ``X`` as a Table, Texts or Images; "auto" tells from the values which it is."""
    if show not in ("auto", *KINDS):
        raise ValueError(f"show must be 'auto', 'table', 'text' or 'image', got {show!r}.")
    if issparse(X):
        raise TypeError(
            "X is a sparse matrix, which nobody can read. Pass what it was made of, as the texts."
        )
    kind = _kind_of(X) if show == "auto" else show
    if kind == "image":
        return _images(X)
    return Texts(_texts(X)) if kind == "text" else _table(X)


def _kind_of(X):
    if hasattr(X, "columns"):
        if len(X.columns) != 1:
            return "table"
        X = X[X.columns[0]]
    ndim, dtype = getattr(X, "ndim", 1), getattr(X, "dtype", None)
    if ndim > 2:
        return "image"
    if ndim == 2 and X.shape[1] != 1 or getattr(dtype, "kind", "O") in "biuf":
        return "table"
    first = next((value for value in _values(X) if value is not None), "")
    if np.ndim(first) == 1 or np.isscalar(first) and not isinstance(first, str | bytes):
        return "table"
    if not isinstance(first, str):
        return "image"
    is_name = all(str(value).lower().endswith(_IMAGE_SUFFIXES) for value in _values(X))
    return "image" if is_name else "text"


def _values(X):
    """Return a list, Series, one-column frame or array as a list of its rows."""
    if hasattr(X, "columns"):
        if len(X.columns) != 1:
            raise ValueError(
                f"X to show as text must have one column, got {len(X.columns)}. Choose one."
            )
        X = X[X.columns[0]]
    if hasattr(X, "to_list"):
        return X.to_list()
    return X.ravel().tolist() if isinstance(X, np.ndarray) else list(X)


def _texts(X):
    if isinstance(X, str | bytes):
        raise TypeError(f"X must hold a text for each row, got a single {type(X).__name__}.")
    return ["" if _is_missing(value) else str(value) for value in _values(X)]


def _is_missing(value):
    import pandas as pd

    return np.ndim(value) == 0 and pd.isna(value)


def _images(X):
    images = ImageRows(X)
    values = _values(X) if getattr(X, "ndim", 1) <= 2 else []
    return Images(images, [_name(value) for value in values] or [""] * len(images))


def _name(value):
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    return str(getattr(value, "filename", ""))


def _table(X):
    if hasattr(X, "to_frame") and not hasattr(X, "columns"):
        X = X.to_frame()
    if not hasattr(X, "columns"):
        array = check_array(X, dtype=None, ensure_all_finite=False, input_name="X")
        names = [f"column {j}" for j in range(array.shape[1])]
        return Table(names, [_column(column) for column in array.T])
    names = list(X.columns)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"X must have columns of different names, got {names[:5]}.")
    return Table([str(name) for name in names], [_column(X[name].to_numpy()) for name in names])


def _column(values):
    """Return numbers as float64, and other values as texts, "" where there is none."""
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    if values.dtype.kind == "O":
        given = [value for value in values if not _is_missing(value)]
        if given and all(isinstance(value, int | float | np.number) for value in given):
            if not any(isinstance(value, bool) for value in given):
                numbers = [np.nan if _is_missing(value) else float(value) for value in values]
                return np.array(numbers)
    return np.array(["" if _is_missing(v) else str(v) for v in values], dtype=object)

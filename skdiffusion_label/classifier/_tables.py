"""Tables of probabilities, rows by classes, too large to be held several at a time."""

from dataclasses import dataclass

import numpy as np

# Entries of a table, rows times classes, that are judged at a time, and above which several tables
# are not copied into one.
_ENTRIES_AT_ONCE, _MANY_ENTRIES = 2**18, 2**22


@dataclass(frozen=True)
class Exponential:
    """The exponentials of a table, made row by row."""

    logarithms: np.ndarray

    def __getitem__(self, rows):
        return np.exp(self.logarithms[rows])


class Judgements:
    """Tables (n_samples, n_classes) as one array (n_judges, ...) that is never held as a whole.

    A table is an array, or makes the rows that it is asked for.
    """

    def __init__(self, tables, shape):
        self._tables = tables
        self.shape = len(tables), *shape

    def __len__(self):
        return len(self._tables)

    def __iter__(self):
        return (table[:] for table in self._tables)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Judgements(self._tables[index], self.shape[1:])
        everyone, rows = index
        return np.stack([table[rows] for table in self._tables[everyone]])

    def mean(self, axis):
        """Return the mean over the judges, ``axis`` zero."""
        return by_blocks(lambda rows: self[:, rows].mean(axis=axis), *self.shape[1:])


def gathered(tables, shape):
    """Return tables (n_samples, n_classes) as one array, or as :class:`Judgements` if large."""
    if shape[0] * shape[1] > _MANY_ENTRIES:
        return Judgements(tables, shape)
    return np.stack([table[:] for table in tables])


def by_blocks(function, n_rows, n_classes):
    """Return ``function`` of slices of rows as one table (n_rows, n_classes), float32."""
    table = np.empty((n_rows, n_classes), dtype=np.float32)
    n_at_once = max(_ENTRIES_AT_ONCE // n_classes, 1)
    for first in range(0, n_rows, n_at_once):
        rows = slice(first, first + n_at_once)
        table[rows] = function(rows)
    return table

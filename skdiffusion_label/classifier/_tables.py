"""Tables of probabilities, rows by classes, too large to be held several at a time."""

import numpy as np
from scipy import sparse

from skdiffusion_label.noise_model import row_blocks

# Entries of a table, rows times classes, above which several tables are not copied into one.
_MANY_ENTRIES = 2**22

# Classes, up to which tables of very many rows are dense, and those that matter of more: they have
# all but a percent of the probability where judges know anything.
_MANY_CLASSES, _CLASSES_THAT_MATTER = 50, 20


def condensed(table):
    """Return what is kept of a table (n, n_classes): all, or the classes that matter of many.

    These are codes and probabilities (n, 20), in the order of the classes, which sum to one.
    """
    table = np.asarray(table, dtype=np.float32)
    if table.shape[1] <= _MANY_CLASSES:
        return (table,)
    codes = np.empty((len(table), _CLASSES_THAT_MATTER), dtype=np.int32)
    for some in row_blocks(*table.shape):
        largest = np.argpartition(-table[some], _CLASSES_THAT_MATTER, axis=1)
        codes[some] = np.sort(largest[:, :_CLASSES_THAT_MATTER], axis=1)
    values = np.take_along_axis(table, codes, axis=1)
    return codes, values / values.sum(axis=1, keepdims=True)


def expanded(parts, n_classes):
    """Return the table (n, n_classes) of what has been kept, an array or a sparse one."""
    if len(parts) == 1:
        return parts[0]
    codes, values = parts
    starts = np.arange(0, codes.size + 1, codes.shape[1])
    return sparse.csr_array((values.ravel(), codes.ravel(), starts), shape=(len(codes), n_classes))


class Table:
    """A table (n_samples, n_classes), float32, whose rows are made when they are asked for.

    ``make`` returns those of an array of indices.
    """

    def __init__(self, make, shape):
        self._make = make
        self.shape = shape

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        return by_blocks(lambda some: self._make(rows[some]), len(rows), self.shape[1])


class Judgements:
    """Tables (n_samples, n_classes) as one array (n_judges, ...) that is never held as a whole.

    A table is an array, or makes the rows that it is asked for.
    """

    def __init__(self, tables, shape):
        self._tables = tables
        self.shape = len(tables), *shape

    def __len__(self):
        return len(self._tables)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Judgements(self._tables[index], self.shape[1:])
        everyone, rows = index
        return np.stack([table[rows] for table in self._tables[everyone]])

    def mean(self, axis):
        """Return the mean over the judges, ``axis`` zero, as a :class:`Table`."""
        return Table(lambda rows: self[:, rows].mean(axis=axis), self.shape[1:])


def gathered(tables, shape):
    """Return tables (n_samples, n_classes) as one array, or as :class:`Judgements` if large."""
    if shape[0] * shape[1] > _MANY_ENTRIES:
        return Judgements(tables, shape)
    return np.stack([table[:] for table in tables])


def by_blocks(function, n_rows, n_classes, out=None):
    """Return ``function`` of slices of rows as one table (n_rows, n_classes), float32.

    It may be written over ``out``, of which ``function`` then reads the rows that it returns alone.
    """
    table = np.empty((n_rows, n_classes), dtype=np.float32) if out is None else out
    for rows in row_blocks(n_rows, n_classes):
        table[rows] = function(rows)
    return table

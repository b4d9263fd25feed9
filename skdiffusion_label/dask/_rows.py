"""Rows of Dask's collections: fetched by position, or mapped where they are."""

import uuid
from concurrent.futures import CancelledError

import dask
import distributed  # noqa: F401  # whose settings are to be there before one is changed
import numpy as np
from dask import delayed

from skdiffusion_label.classifier._streams import map_rows, numbers

# Rows of a partition that training reads side by side: sixteen of these at once touch few others.
_SIDE_BY_SIDE = 4_096
# Of what is sent along with the tasks, models of up to a hundred megabytes: Dask would warn of it.
_LARGE_GRAPH = "4GiB"


def is_collection(X):
    """Tell whether ``X`` is one of Dask's, and not at hand."""
    return dask.is_dask_collection(X)


def at_hand(values):
    """Return values that may be one of Dask's collections, such as labels, at hand."""
    (values,) = dask.compute(values)
    return values


def partitions_of(X):
    """Return the partitions of a Dask array or data frame, whole rows each, as delayed objects."""
    if getattr(X, "ndim", 0) != 2:
        raise ValueError(f"X must be a Dask array or data frame of rows by features, got {X!r}.")
    if hasattr(X, "rechunk") and X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    return list(np.ravel(X.to_delayed()))


class PartitionedRows:
    """Rows (n, d) of a Dask array or data frame, in place of an array of features.

    Sizes of partitions may be unknown; a partition may be empty. They are worked out as often as
    they are read: ``persist`` a collection that fits into the workers' memory.
    """

    side_by_side = _SIDE_BY_SIDE

    def __init__(self, X):
        partitions = partitions_of(X)
        told = computed([delayed(_size)(partition) for partition in partitions])
        filled = [number for number, (n_rows, *_) in enumerate(told) if n_rows]
        self.partitions = [partitions[number] for number in filled]
        sizes, n_features, dtypes = zip(*[told[number] for number in filled], strict=True)
        self.ends = np.cumsum(sizes)
        self.starts = self.ends - sizes
        self.shape = int(self.ends[-1]), n_features[0]
        self.dtype = np.result_type(*dtypes)

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        del copy  # it is one
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, rows):
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        which = np.searchsorted(self.ends, rows, side="right")
        wanted = [(number, np.flatnonzero(which == number)) for number in np.unique(which)]
        parts = computed(
            delayed(_take)(self.partitions[number], rows[places] - self.starts[number])
            for number, places in wanted
        )
        result = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        for (_, places), part in zip(wanted, parts, strict=True):
            result[places] = part
        return result

    def map_rows_of_partitions(self, function, *columns):
        """Return what :func:`map_rows` does, worked out where the partitions are."""
        # By a name of its own, it is one task that each worker fetches once.
        function = delayed(function, name=f"function-{uuid.uuid4().hex}", traverse=False)
        places = map(slice, self.starts, self.ends)
        parts = computed(
            delayed(_map)(function, partition, *(column[rows] for column in columns))
            for partition, rows in zip(self.partitions, places, strict=True)
        )
        return tuple(map(np.concatenate, zip(*parts, strict=True)))


def computed(tasks):
    """Return the results of delayed objects.

    Raises
    ------
    RuntimeError
        If the scheduler is lost.
    """
    try:
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": _LARGE_GRAPH}):
            return dask.compute(*tasks)
    except (CancelledError, ConnectionError, TimeoutError, OSError) as error:
        raise RuntimeError(
            "Dask's scheduler was lost, or a file of a partition: start a new cluster and call the "
            f"method again; what has been written stays as it is. {type(error).__name__}: {error}"
        ) from error


def as_array(partition):
    """Return a partition as an array that a fit takes, without a copy where that is possible."""
    array = partition.to_numpy() if hasattr(partition, "to_numpy") else np.asarray(partition)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"X must hold numbers, got dtype {array.dtype}.")
    if array.dtype not in (np.float16, np.uint8, np.float32):
        array = array.astype(np.float64, copy=False)
    return np.ascontiguousarray(array)


def _size(partition):
    array = as_array(partition)
    return *array.shape, array.dtype


def _take(partition, rows):
    return as_array(partition)[rows]


def _map(function, partition, *columns):
    return map_rows(function, numbers(as_array(partition)), *columns)

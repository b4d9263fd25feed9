"""Rows that stay where they are, on disk or in memory, and are read a block at a time."""

import contextlib
import mmap

import numpy as np

# Blocks of one shape, as prediction takes them: a multiple of what judges and chains take at once.
ROWS_AT_ONCE = 8_192
# Rows side by side, tens of kilobytes of a file, and rows that are read and shuffled together: of
# rows that are sorted by class these have all classes, if there are not many more than 256.
_SIDE_BY_SIDE, _READ_AT_ONCE = 64, 16_384
# What is neither copied nor converted as a whole, beside single and double precision.
SMALL_DTYPES = (np.float16, np.uint8)


def numbers(block):
    """Return rows in single precision, or in double if they are that already."""
    block = np.asarray(block)
    return block.astype(np.float32) if block.dtype in SMALL_DTYPES else block


def map_rows(function, features, *columns):
    """Return the arrays that ``function`` makes of blocks of rows, each as one of all rows.

    ``function`` takes a block of ``features`` (n, d) and of each of ``columns`` (n, ...), and
    returns a tuple of arrays with a row for each of theirs. Features that are elsewhere have a
    method ``map_rows_of_partitions``.
    """
    if hasattr(features, "map_rows_of_partitions"):
        return features.map_rows_of_partitions(function, *columns)
    results = None
    for first in range(0, len(features), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        parts = function(numbers(features[rows]), *(column[rows] for column in columns))
        if results is None:
            shapes = [(len(features), *part.shape[1:]) for part in parts]
            dtypes = [part.dtype for part in parts]
            results = tuple(map(np.empty, shapes, dtypes))
        for result, part in zip(results, parts, strict=True):
            result[rows] = part
        release_pages(features)
    return results


def take_rows(features, rows):
    """Return ``rows``, a slice or indices, of features that may be elsewhere."""
    if isinstance(rows, slice) or not isinstance(features, np.ndarray):
        return features[rows]
    taken = np.empty((len(rows), *features.shape[1:]), dtype=features.dtype)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(first, first + ROWS_AT_ONCE)
        taken[some] = features[rows[some]]
        release_pages(features)
    return taken


def release_pages(features):
    """Take what has been read of a file that is mapped for reading out of the process's memory.

    The system keeps it as long as it has room. What counts the memory of processes, as clusters do,
    would count the whole file.
    """
    is_read_only = False
    while isinstance(features, np.ndarray):
        is_read_only |= isinstance(features, np.memmap) and features.mode == "r"
        features = features.base
    if is_read_only and isinstance(features, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        with contextlib.suppress(OSError):  # pages that are locked stay
            features.madvise(mmap.MADV_DONTNEED)


def read_at_once(features):
    """Return how training shuffles rows and reads them, by name."""
    side_by_side = getattr(features, "side_by_side", _SIDE_BY_SIDE)
    return {"block_size": side_by_side, "rows_at_once": max(_READ_AT_ONCE, 16 * side_by_side)}

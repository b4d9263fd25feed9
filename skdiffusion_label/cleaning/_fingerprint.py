"""What tells one set of rows and labels from another, in every process alike."""

import hashlib
import math
import numbers
import os
import pickle

import numpy as np
from scipy import sparse

_ROWS_AT_ONCE = 65_536  # in double precision
_SIZE = 16  # bytes: 128 bits, which no two sets share by chance


def fingerprint(X, labels):
    """Return a hexadecimal string of the rows and of their labels, as text.

    Numbers are known by their value, not by their type; frames by their columns, in order.
    """
    digest = hashlib.blake2b(digest_size=_SIZE)
    _add(digest, X)
    _add(digest, ["" if label is None else str(label) for label in labels])
    return digest.hexdigest()


def _add(digest, value):
    if isinstance(value, str | os.PathLike):
        _add_bytes(digest, "text", os.fspath(value).encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        _add_bytes(digest, "bytes", value)
    elif value is None or type(value).__name__ == "NAType":
        _add_bytes(digest, "nothing", b"")
    elif isinstance(value, numbers.Real | np.generic | np.ndarray):
        _add_array(digest, np.asarray(value))
    elif sparse.issparse(value):
        rows = value.tocsr(copy=True)
        rows.sum_duplicates()
        for part in (np.array(rows.shape), rows.data, rows.indices, rows.indptr):
            _add_array(digest, part)
    elif hasattr(value, "columns"):
        _add_all(digest, "frame", [value[name].to_numpy() for name in value.columns])
    elif hasattr(value, "map_rows_of_partitions"):  # rows elsewhere, read as those of an array
        _add_array(digest, value)
    elif hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        _add_array(digest, np.asarray(value))
    elif isinstance(value, list | tuple):
        _add_all(digest, "rows", value)
    elif isinstance(value, dict):
        _add_all(digest, "names", [part for item in value.items() for part in item])
    else:
        _add_bytes(digest, "object", pickle.dumps(value, protocol=4))


def _add_bytes(digest, kind, content):
    digest.update(f"{kind}:{len(content)}:".encode())
    digest.update(content)


def _add_all(digest, kind, values):
    digest.update(f"{kind}:{len(values)}:".encode())
    for value in values:
        _add(digest, value)


def _add_array(digest, array):
    if array.dtype.kind not in "biuf":
        _add_all(digest, f"objects{array.shape}", array.ravel().tolist())
        return
    digest.update(f"numbers{array.shape}:{8 * math.prod(array.shape)}:".encode())
    n_rows = array.shape[0] if array.shape else 1
    for first in range(0, n_rows, _ROWS_AT_ONCE):
        rows = array[first : first + _ROWS_AT_ONCE] if array.shape else array
        values = rows.astype("<f8") + 0.0  # no negative zeros
        digest.update(np.where(np.isnan(values), np.nan, values).tobytes())

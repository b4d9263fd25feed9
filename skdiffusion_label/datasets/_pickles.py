"""Pickles of numbers and text, read without trusting them.

A pickle is a program: it names functions and calls them. Here each name that the published files
hold stands for a function of this module that makes numbers and nothing else. Any other name is an
error, before anything is called.
"""

import io
import pickle
import zipfile

import numpy as np


class _NumberUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        # NumPy 2 has moved its core; a file names the place of the NumPy that wrote it.
        origin = f"{module.replace('numpy.core', 'numpy._core')}.{name}"
        if origin == "numpy.ndarray":
            return None  # an argument that _empty_array ignores
        makers = {
            "numpy._core.multiarray._reconstruct": self._empty_array,
            "numpy._core.multiarray.scalar": self._scalar,
            "numpy.dtype": self._number_dtype,
            "_codecs.encode": self._encode,
        }
        if origin not in makers:
            raise pickle.UnpicklingError(f"the global {module}.{name}, which is refused")
        return makers[origin]

    def _empty_array(self, subtype, shape, dtype):
        """Return the array that the pickle fills by the array's ``__setstate__``."""
        del subtype, shape, dtype
        return np.empty(0, dtype=np.int8)

    def _number_dtype(self, code, align=False, copy=False):
        del align, copy
        dtype = np.dtype(code.decode() if isinstance(code, bytes) else str(code))
        if dtype.kind not in "biuf":
            raise pickle.UnpicklingError(f"arrays of dtype {dtype}, which are refused")
        # The pickle sets the state of the dtype, which must not be NumPy's own.
        return np.dtype(dtype, copy=True)

    def _scalar(self, dtype, data):
        (number,) = np.frombuffer(data, dtype=dtype)
        return number

    def _encode(self, text, encoding):
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"text in the encoding {encoding!r}, which is refused")
        return text.encode("latin1")


def read_pickle(path):
    """Return what a pickle of Python 2 or 3 holds; its text of Python 2 as bytes."""
    return _unpickle(path, _read_bytes(path, "a pickle"), encoding="bytes")


def read_torch_archive(path):
    """Return what ``torch.save`` has written, if that is without tensors."""
    data = _read_bytes(path, "an archive written by torch.save")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            pickled = archive.read(name)
    except Exception as error:  # a damaged archive raises nearly anything, as a pickle does
        raise ValueError(
            f"{path}: expected a zip archive with one data.pkl, as torch.save writes it, "
            f"got {error!r}."
        ) from error
    return _unpickle(path, pickled, encoding="ASCII")


def _read_bytes(path, expected):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; it must be {expected}.") from None


def _unpickle(path, data, encoding):
    try:
        return _NumberUnpickler(io.BytesIO(data), encoding=encoding).load()
    except Exception as error:  # the pickle module says that damaged data may raise any exception
        raise ValueError(
            f"{path}: expected a pickle of dicts, lists, text and arrays of numbers, got {error}."
        ) from error

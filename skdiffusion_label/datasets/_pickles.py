"""Pickles of numbers and text, read without trusting them.

A pickle is a program: it names functions, calls them and sets the state of what they return. Here
each name that the published files hold stands for a function of this module that makes numbers and
nothing else, and any other name is an error before anything is called. NumPy does not check the
states that it is told to take, so no array or dtype of NumPy takes one: stand-ins do.
"""

import io
import math
import pickle
import reprlib
import zipfile

import numpy as np

from skdiffusion_label.datasets._files import open_file

_PLAIN = (str, bytes, int, float, type(None), np.number, np.bool)


def read_pickle(path):
    """Return what a pickle of Python 2 or 3 holds; its text of Python 2 as bytes."""
    with open_file(path, "a pickle") as file:
        return _unpickle(path, file.read(), encoding="bytes")


def read_torch_archive(path):
    """Return what ``torch.save`` has written, if that is without tensors."""
    with open_file(path, "an archive written by torch.save") as file:
        pickled = _read_member(path, file)
    return _unpickle(path, pickled, encoding="ASCII")


def shown(value):
    """Return a value of any depth and length as an error may show it, cut short."""
    try:
        return reprlib.repr(value)[:200]
    except ValueError:  # Python writes no number of thousands of digits
        return f"a huge {type(value).__name__}"


def _read_member(path, file):
    try:
        with zipfile.ZipFile(file) as archive:
            (member,) = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
            if member.compress_type != zipfile.ZIP_STORED:  # it could grow a thousandfold
                raise ValueError("a compressed data.pkl")
            return archive.read(member)
    except Exception as error:  # a damaged archive raises nearly anything, as a pickle does
        raise ValueError(
            f"{path}: expected a zip archive with one data.pkl, as torch.save writes it, "
            f"got {error!r}."
        ) from error


def _unpickle(path, data, encoding):
    try:
        return _checked(_NumberUnpickler(io.BytesIO(data), encoding=encoding).load())
    except Exception as error:  # the pickle module says that damaged data may raise any exception
        raise ValueError(
            f"{path}: expected a pickle of dicts, lists, text and arrays of numbers, "
            f"got {str(error) or type(error).__name__}."
        ) from error


class _NumberUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        # NumPy 2 has moved its core; a file names the place of the NumPy that wrote it.
        origin = f"{module.replace('numpy.core', 'numpy._core')}.{name}"
        if origin == "numpy.ndarray":
            return None  # an argument that _empty_array ignores
        if origin not in _MAKERS:
            raise pickle.UnpicklingError(f"the global {module}.{name}, which is refused")
        return _MAKERS[origin]


class _Maker:
    """A function that a pickle may call, and not change."""

    __slots__ = ("_function",)
    __hash__ = None

    def __init__(self, function):
        self._function = function

    def __call__(self, *args):
        return self._function(*args)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a state for a function, which is refused")


class _Dtype:
    """Stands for a dtype of numbers; of the state that a pickle sets, it takes the byte order."""

    __slots__ = ("dtype",)
    __hash__ = None

    def __init__(self, dtype):
        self.dtype = dtype

    def __setstate__(self, state):
        version, byte_order, *others = state
        if version != 3 or others != [None, None, None, -1, -1, 0]:
            raise pickle.UnpicklingError(f"a dtype of the state {shown(state)}, which is refused")
        self.dtype = self.dtype.newbyteorder(_as_text(byte_order))


class _Array:
    """Stands for an array, which is made when a pickle sets its state."""

    __slots__ = ("array",)
    __hash__ = None

    def __init__(self):
        self.array = np.empty(0, dtype=np.int8)

    def __setstate__(self, state):
        _, shape, stand_in, is_fortran, data = state
        dtype, order = stand_in.dtype, "F" if is_fortran else "C"
        if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
            raise pickle.UnpicklingError(f"an array of shape {shown(shape)}, which is refused")
        if type(data) is not bytes or len(data) != math.prod(shape) * dtype.itemsize:
            raise pickle.UnpicklingError(f"an array of shape {shown(shape)} with other data")
        array = np.ndarray(shape, dtype, buffer=data, order=order)
        self.array = array.astype(dtype.newbyteorder("="))  # a copy, which is writable


def _empty_array(subtype, shape, dtype):
    del subtype, shape, dtype  # the state brings them again
    return _Array()


def _number_dtype(code, align=False, copy=False):
    del align, copy
    dtype = np.dtype(_as_text(code))
    if dtype.kind not in "biuf":
        raise pickle.UnpicklingError(f"arrays of dtype {dtype}, which are refused")
    return _Dtype(dtype)


def _scalar(stand_in, data):
    (number,) = np.frombuffer(data, dtype=stand_in.dtype)
    return number


def _encode(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in the encoding {encoding!r}, which is refused")
    return text.encode("latin1")


def _as_text(text):
    return text.decode() if isinstance(text, bytes) else str(text)


_MAKERS = {
    "numpy._core.multiarray._reconstruct": _Maker(_empty_array),
    "numpy._core.multiarray.scalar": _Maker(_scalar),
    "numpy.dtype": _Maker(_number_dtype),
    "_codecs.encode": _Maker(_encode),
}


def _checked(content):
    """Return ``content`` with arrays in the place of their stand-ins, and nothing else but data."""
    root = [content]
    waiting, seen = [root], set()
    while waiting:  # no recursion, for lists may be nested to any depth, and hold each other
        container = waiting.pop()
        if id(container) in seen:
            continue
        seen.add(id(container))
        for key, value in _items(container):
            if isinstance(value, _Array):
                container[key] = value.array
            elif isinstance(value, dict | list | tuple):
                waiting.append(value)
            elif not isinstance(value, _PLAIN):
                raise pickle.UnpicklingError(f"a {type(value).__name__}, which is refused")
    return root[0]


def _items(container):
    return container.items() if isinstance(container, dict) else enumerate(container)

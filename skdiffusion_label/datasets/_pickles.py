"""Pickles of numbers and text, read without trusting them.

A pickle is a program for a stack machine: it names functions, calls them and sets the state of what
they return. Here is a machine that knows data and no more than the four functions that the
published files name, each of which makes numbers or text. NumPy does not check the states that it
is told to take, so no array or dtype of NumPy takes one: stand-ins do. What is made is counted, for
a few bytes can ask for any number.
"""

import io
import math
import pickletools
import reprlib
import zipfile

import numpy as np

from skdiffusion_label.datasets._files import read_file

_PLAIN = (str, bytes, int, float, type(None), np.number, np.bool)
_BYTES_PER_BYTE = 16  # in memory for one in the file, of which published ones need the half
_SMALLEST_BUDGET = 2**20  # bytes in memory
_SIZE_OF_AN_OBJECT = 64  # bytes in memory, about
_FUNCTIONS = {
    "_codecs.encode",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
}
_NUMBERS_AND_TEXT = set(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_TEXT_OF_PYTHON_2 = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


def read_pickle(path):
    """Return what a pickle of Python 2 or 3 holds; its text of Python 2 as bytes."""
    return _unpickle(path, read_file(path, "a pickle"), encoding="latin1")


def read_torch_archive(path):
    """Return what ``torch.save`` has written, if that is without tensors."""
    data = read_file(path, "an archive written by torch.save")
    return _unpickle(path, _read_member(path, data), encoding=None)


def shown(value):
    """Return a value of any depth and length as an error may show it, cut short."""
    try:
        return reprlib.repr(value)[:200]
    except ValueError:  # Python writes no number of thousands of digits
        return f"a huge {type(value).__name__}"


def _read_member(path, data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (member,) = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
            if member.compress_type != zipfile.ZIP_STORED:  # it could grow a thousandfold
                raise ValueError("a compressed data.pkl")
            return archive.read(member)
    except Exception as error:  # a damaged archive raises nearly anything, as a pickle does
        raise ValueError(
            f"{path}: expected a zip archive with one data.pkl, as torch.save writes it, "
            f"got {repr(error)[:300]}."
        ) from error


def _unpickle(path, data, encoding):
    try:
        return _checked(_Machine(len(data), encoding).run(data))
    except Exception as error:  # damaged data may raise any exception
        raise ValueError(
            f"{path}: expected a pickle of dicts, lists, text and arrays of numbers, "
            f"got {str(error)[:300] or type(error).__name__}."
        ) from error


class _Refused(ValueError):
    def __init__(self, what):
        super().__init__(f"{what}, which is refused")


class _Function:
    """Stands for a function that a pickle names."""

    def __init__(self, name):
        self.name = name


class _Dtype:
    """Stands for a dtype of numbers; of the state that a pickle sets, it takes the byte order."""

    def __init__(self, code):
        self.dtype = np.dtype(_as_text(code))
        if self.dtype.kind not in "biuf":
            raise ValueError(f"arrays of dtype {self.dtype}, which are refused")

    def set_state(self, state):
        version, byte_order, *others = state
        if version != 3 or others != [None, None, None, -1, -1, 0]:
            raise _Refused(f"a dtype of the state {shown(state)}")
        self.dtype = self.dtype.newbyteorder(_as_text(byte_order))


class _Array:
    """Stands for an array, which is made when a pickle sets its state."""

    def __init__(self):
        self.array = np.empty(0, dtype=np.int8)

    def set_state(self, state):
        _, shape, stand_in, is_fortran, data = state
        dtype, order = stand_in.dtype, "F" if is_fortran else "C"
        if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
            raise _Refused(f"an array of shape {shown(shape)}")
        if type(data) is not bytes or len(data) != math.prod(shape) * dtype.itemsize:
            raise _Refused(f"an array of shape {shown(shape)} with other data")
        array = np.ndarray(shape, dtype, buffer=data, order=order)
        self.array = array.astype(dtype.newbyteorder("="))  # a copy, which is writable


def _as_text(text):
    return text.decode() if isinstance(text, bytes) else str(text)


class _Machine:
    """Runs a pickle of ``n_bytes``; text of Python 2 becomes bytes by ``encoding`` if given."""

    def __init__(self, n_bytes, encoding):
        self.stack, self.marks, self.memo = [], [], {}
        self.encoding = encoding
        self.budget = _BYTES_PER_BYTE * n_bytes + _SMALLEST_BUDGET

    def run(self, data):
        """Return what the pickle leaves."""
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name in _NUMBERS_AND_TEXT:
                self.stack.append(argument)
            elif name in _TEXT_OF_PYTHON_2:
                text = argument if self.encoding is None else argument.encode(self.encoding)
                self.stack.append(text)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name == "STOP":
                return self.stack.pop()
            elif name not in ("PROTO", "FRAME"):
                if name not in _STEPS:
                    raise _Refused(f"the step {name}")
                _STEPS[name](self, argument)
        raise ValueError("a pickle without an end")

    def spend(self, n_bytes=_SIZE_OF_AN_OBJECT):
        """Count what is about to be made."""
        self.budget -= n_bytes
        if self.budget < 0:
            raise _Refused("far more in memory than there is in the file")

    def push(self, value):
        """Put a new object on the stack."""
        self.spend()
        self.stack.append(value)

    def since_mark(self):
        """Take off the stack what has been put there since the last mark."""
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def last(self, n_values):
        """Take the last values off the stack."""
        values = self.stack[-n_values:]
        del self.stack[-n_values:]
        if len(values) < n_values:
            raise ValueError("a step without its arguments")
        return values

    def mark(self, _):
        self.spend()
        self.marks.append(len(self.stack))

    def keep(self, place):
        self.spend()
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def recall(self, place):
        self.stack.append(self.memo[place])

    def extend(self, values):
        if type(self.stack[-1]) is not list:
            raise _Refused(f"items for a {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(values)

    def update(self, values):
        if type(self.stack[-1]) is not dict or len(values) % 2:
            raise _Refused(f"keys for a {type(self.stack[-1]).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in _PLAIN:  # to hash nested tuples, Python needs a stack as deep
                raise _Refused(f"a {type(key).__name__} as a key")
            self.stack[-1][key] = value

    def dictionary(self):
        values = self.since_mark()
        self.push({})
        self.update(values)

    def name(self, place):
        module, name = self.last(2) if place is None else place.split(" ", 1)
        # NumPy 2 has moved its core; a file names the place of the NumPy that wrote it.
        origin = f"{module.replace('numpy.core', 'numpy._core')}.{name}"
        if origin not in _FUNCTIONS:
            raise _Refused(f"the global {module}.{name}")
        self.push(_Function(origin))

    def call(self, _):
        function, arguments = self.last(2)
        name = function.name.rpartition(".")[2]
        if name == "encode":
            text, encoding = arguments
            if encoding != "latin1":
                raise _Refused(f"text in the encoding {shown(encoding)}")
            self.spend(len(text))
            self.push(text.encode(encoding))
        elif name == "dtype":
            self.push(_Dtype(arguments[0]))
        elif name == "scalar":
            stand_in, data = arguments
            (number,) = np.frombuffer(data, dtype=stand_in.dtype)
            self.push(number)
        elif name == "_reconstruct":
            self.push(_Array())  # its state brings all arguments again
        else:
            raise _Refused(f"a call of {function.name}")

    def build(self, _):
        (state,) = self.last(1)
        made = self.stack[-1]
        if type(made) not in (_Array, _Dtype):
            kind = "function" if type(made) is _Function else type(made).__name__
            raise _Refused(f"a state for a {kind}")
        if type(made) is _Array:
            self.spend(len(state[-1]))
        made.set_state(state)


_STEPS = {
    "MARK": _Machine.mark,
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": lambda machine, _: machine.dictionary(),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.last(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.last(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.last(3))),
    "APPEND": lambda machine, _: machine.extend(machine.last(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.update(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.keep),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
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
                raise _Refused(f"a {type(value).__name__}")
    return root[0]


def _items(container):
    return container.items() if isinstance(container, dict) else enumerate(container)

"""What modules, functions and data are: a hash that is the same in all processes.

Data are known by content, and code by its code objects: a source file may have changed since it was
imported. What lies in an installed package is known by its name there and by the package's version.
Nothing is guessed: what holds something that cannot be known in this way has no identity.
"""

import copyreg
import dis
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pickle
import platform
import sys
import sysconfig
import threading
import types
import weakref
from enum import Enum
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import fx, nn

_MADE_BY_PYTHON = 1 << 9  # a flag of classes
# What Python notes of a class, and what has no effect.
_NOT_OF_A_CLASS = set(
    "__abstractmethods__ __annotations__ __annotations_cache__ __dict__ __doc__ __firstlineno__ "
    "__module__ __orig_bases__ __parameters__ __slotnames__ __static_attributes__ __type_params__ "
    "__weakref__ _abc_impl".split()
)
_OF_CODE = (
    "co_code co_consts co_exceptiontable co_flags co_names co_varnames co_cellvars co_freevars "
    "co_argcount co_posonlyargcount co_kwonlyargcount"
).split()
_HOOKS = {name for name in vars(nn.Module()) if "_hooks" in name}
_PLAIN = {
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: bytes,
    int: lambda value: b"%x" % value,
    float: lambda value: value.hex().encode(),
    complex: lambda value: repr(value).encode(),
    bool: lambda value: b"%d" % value,
    type(None): lambda value: b"",
    type(...): lambda value: b"",
    type(NotImplemented): lambda value: b"",
}


class UnidentifiableError(TypeError):
    """A value holds something that cannot be known; the message says what."""


def identify(*values):
    """Return what tells values from others, as a hexadecimal hash.

    Raises
    ------
    UnidentifiableError
        If they hold something whose content cannot be known, such as an open file.
    """
    versions = platform.python_version(), np.__version__, torch.__version__, PIL.__version__
    try:
        return _Hashes().of((versions, values)).hex()
    except RecursionError as error:
        raise UnidentifiableError("objects nested too deeply") from error
    except RuntimeError as error:  # of torch, about programs and graphs
        raise UnidentifiableError(f"what cannot be saved ({str(error)[:100]})") from error


class _Hashes:
    """Hashes of values, each by those of its parts.

    A value that is part of its parts is known there by how deep it lies, and by a number that only
    such values have: shared parts are the same as equal ones.
    """

    def __init__(self):
        self._hashes = {}  # by id
        self._met = []  # keeps ids from being used again
        self._depths, self._numbers = {}, {}  # of values whose parts are looked at

    def of(self, value):
        """Return the hash of a value."""
        kind, key = type(value), id(value)
        if kind in _PLAIN:
            return _hash(kind.__name__.encode(), _PLAIN[kind](value))
        if key in self._depths:
            number = self._numbers.setdefault(key, len(self._numbers))
            return _hash(b"within itself", b"%d" % self._depths[key], b"%d" % number)
        if key not in self._hashes:
            self._met.append(value)
            self._depths[key] = len(self._depths)
            parts = map(self.of, _parts(value))
            if isinstance(value, set | frozenset):  # in an order of this process
                parts = sorted(parts)
            self._hashes[key] = _hash(kind.__name__.encode(), *parts)
            del self._depths[key]
        return self._hashes[key]


def _hash(*parts):
    digest = hashlib.blake2b(digest_size=20)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def _parts(value):
    """Return the values that make ``value``, beside the name of its type."""
    if type(value) in (list, tuple, set, frozenset):
        return value
    if type(value) is dict:
        return _items(value)
    for kinds, parts in _PARTS:
        if isinstance(value, kinds):
            return parts(value)
    return _pickled(value)


def _items(mapping):
    return [part for item in mapping.items() for part in item]


def _tensor(tensor):
    if tensor.is_quantized:  # its numbers do not tell their scale
        return str(tensor.qscheme()), tensor.int_repr(), tensor.dequantize()
    try:
        content = tensor.detach().to_dense().resolve_conj().resolve_neg().cpu().contiguous()
        content = hashlib.blake2b(content.reshape(-1).view(torch.uint8).numpy()).digest()
    except Exception as error:  # of tensors without data, or with data of their own kind
        raise UnidentifiableError(f"a {type(tensor).__name__} ({str(error)[:100]})") from error
    form = type(tensor), str(tensor.dtype), tuple(tensor.shape), tensor.requires_grad
    return *form, vars(tensor), content


def _array(array):
    if type(array) not in (np.ndarray, np.memmap):
        return _pickled(array)
    if array.dtype.hasobject:
        return repr(array.dtype), array.shape, array.ravel().tolist()
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return repr(array.dtype), array.shape, hashlib.blake2b(content).digest()


def _module(module):
    """Return the attributes and slots of a torch module, but for its mode."""
    state = object.__getstate__(module)
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    attributes = {name: value for name, value in attributes.items() if name != "training"}
    # Hooks have numbers that count on from one module to the next.
    hooks = {name: kept for name, kept in attributes.items() if name in _HOOKS}
    numbers = sorted({number for kept in hooks.values() for number in kept})
    for name, kept in hooks.items():
        attributes[name] = [(numbers.index(number), hook) for number, hook in kept.items()]
    return type(module), attributes, slots


def _graph(graph):
    code = graph.python_code("self")
    return code.src, code.globals


def _function(function):
    if (name := _installed_name(function)) is not None:
        return name
    code, scope = function.__code__, function.__globals__
    kept = function.__defaults__, function.__kwdefaults__, vars(function)
    cells = [list(_cell_contents(cell)) for cell in function.__closure__ or ()]
    return code, *kept, cells, _used_by(code, scope)


def _cell_contents(cell):
    try:
        yield cell.cell_contents
    except ValueError:  # not set yet
        return


def _code(code):
    return [getattr(code, name) for name in _OF_CODE]


def _used_by(code, scope):
    """Return what code finds in ``scope``, the globals of its module, and what it imports.

    A global that it sets itself, such as a counter, is what it does and not what it is.
    """
    found, imported, attributes = {}, {}, set()
    own, arguments = set(), []
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            if name in scope:
                found[name] = scope[name]
        elif instruction.opname == "STORE_GLOBAL":
            own.add(name)
        elif instruction.opname == "IMPORT_NAME":  # after its level and the names to import
            name = "." * arguments[-2] + name
            imported[name] = _imported(name, scope.get("__package__"))
        elif isinstance(name, str):
            attributes.add(name)
        if instruction.opname != "EXTENDED_ARG":
            arguments.append(name)
    inner = [_used_by(part, scope) for part in code.co_consts if isinstance(part, types.CodeType)]
    found = {name: value for name, value in found.items() if name not in own}
    return inner, _looked_into(found, attributes), _looked_into(imported, attributes)


def _imported(name, package):
    """Return a module that code would import, or the name and version of an installed one."""
    if (installed := _version(name)) is not None:
        return name, installed
    try:
        return importlib.import_module(name, package)
    except ImportError:
        return None


def _looked_into(values, attributes):
    """Return values by name, modules that are not installed by what ``attributes`` finds there."""
    pairs = []
    for name, value in sorted(values.items()):
        if isinstance(value, types.ModuleType) and _version(value.__name__) is None:
            found = {key: vars(value)[key] for key in attributes & vars(value).keys()}
            value = _looked_into(found, attributes - {name})
        pairs.append((name, value))
    return pairs


def _class(kind):
    if (name := _installed_name(kind)) is not None:
        return name
    if not kind.__flags__ & _MADE_BY_PYTHON:
        return kind.__module__, kind.__qualname__
    own = [(name, vars(kind)[name]) for name in sorted(vars(kind).keys() - _NOT_OF_A_CLASS)]
    return kind.__qualname__, kind.__bases__, type(kind), own


def _installed_name(value):
    """Return place and version of what an installed package has under the value's own name."""
    module, place = value.__module__, value.__qualname__
    if (found := _version(module)) is None:
        return None
    there = sys.modules.get(module)
    for name in place.split("."):
        there = getattr(there, name, None)
    return (module, place, found) if there is value else None


def _imported_module(module):
    if (found := _version(module.__name__)) is None:
        raise UnidentifiableError(f"the module {module.__name__} as a whole")
    return module.__name__, found


def _global(value, name):
    """Return what an object is that pickle knows by its name alone."""
    if hasattr(value, "__wrapped__"):
        return [vars(value)]
    module = pickle.whichmodule(value, name)
    if (found := _version(module)) is None:
        raise UnidentifiableError(f"{module}.{name}, known by its name alone")
    return module, name, found


@functools.lru_cache(maxsize=1024)
def _version(module):
    """Return the version of the installed package that has a module; None if it is not in one."""
    name = module.partition(".")[0] if isinstance(module, str) else ""
    if name in sys.builtin_module_names:
        return platform.python_version()
    try:
        origin = importlib.util.find_spec(name).origin or ""
    except (AttributeError, ImportError, ValueError):  # as of __main__
        return None
    if {"site-packages", "dist-packages"} & set(Path(origin).parts):
        packages = _packages().get(name, [])
        return ",".join(map(importlib.metadata.version, packages)) or None
    is_standard = origin == "frozen" or origin.startswith(sysconfig.get_path("stdlib"))
    return platform.python_version() if is_standard else None


@functools.lru_cache(maxsize=1)
def _packages():
    return importlib.metadata.packages_distributions()


def _pickled(value):
    """Return what pickle would keep of an object."""
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
    except Exception as error:  # objects that cannot be pickled raise what they like
        raise UnidentifiableError(f"a {type(value).__name__} ({str(error)[:100]})") from error
    if isinstance(reduced, str):
        return _global(value, reduced)
    function, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    return function, arguments, state, list(items or ()), list(pairs or ())


_PARTS = [
    (torch.Tensor, _tensor),
    (np.ndarray, _array),
    (torch.jit.ScriptModule | torch.jit.ScriptFunction, lambda program: [program.save_to_buffer()]),
    (nn.Module, _module),
    (fx.Graph, _graph),
    (types.FunctionType, _function),
    (types.CodeType, _code),
    (types.ModuleType, _imported_module),
    (types.MethodType, lambda method: (method.__func__, method.__self__)),
    (staticmethod | classmethod, lambda method: [method.__func__]),
    (property, lambda value: (value.fget, value.fset, value.fdel)),
    (type, _class),
    (Enum, lambda member: (type(member), member.name, member.value)),
    (weakref.ref, lambda reference: [reference()]),
    (type(threading.Lock()) | type(threading.RLock()), lambda lock: []),
    (types.MappingProxyType, _items),
]

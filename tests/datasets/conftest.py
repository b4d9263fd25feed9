"""Miniatures of the data sets, each written once, and ways to damage a copy."""

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

MINIATURES = Path(__file__).parents[2] / "examples" / "paper" / "miniatures.py"


@pytest.fixture(scope="session")
def miniatures():
    """The module examples/paper/miniatures.py."""
    spec = importlib.util.spec_from_file_location("miniatures", MINIATURES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copied(tmp_path):
    """Copy a folder to one that a test may damage."""

    def copy(folder):
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return copy


@pytest.fixture
def damage():
    """Damage a file.

    None removes it, bytes replace it, a str is added at its end. A pair of a line's number and a
    str replaces that line, with None it goes, with another number it becomes a copy of that line.
    """

    def damage_file(path, change):
        if change is None:
            path.unlink()
        elif isinstance(change, bytes):
            path.write_bytes(change)
        elif isinstance(change, str):
            path.write_bytes(path.read_bytes() + change.encode())
        else:
            number, new = change
            lines = path.read_bytes().split(b"\n")
            if isinstance(new, int):
                new = lines[new - 1].decode()
            lines[number - 1 : number] = [] if new is None else [new.encode()]
            path.write_bytes(b"\n".join(lines))

    return damage_file


@pytest.fixture
def assert_equal():
    """Compare a Bunch with the values of these names that are expected, dtypes included."""

    def compare(found, expected):
        for name, value in found.items():
            assert type(value) is type(expected[name]), name
            if isinstance(value, np.ndarray):
                assert value.dtype == expected[name].dtype, name
                assert_array_equal(value, expected[name], err_msg=name)
            else:
                assert value == expected[name], name

    return compare


@pytest.fixture
def hostile(tmp_path):
    """An object whose pickle makes a folder when it is loaded, and that folder."""
    trace = tmp_path / "trace"

    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(trace),)

    return Hostile(), trace

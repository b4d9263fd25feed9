"""What the restricted unpickler admits and what it refuses."""

import collections
import functools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdiffusion_label.datasets._pickles import read_pickle


@pytest.fixture
def written(tmp_path):
    """Write bytes to a file; return its path."""

    def write(data):
        path = tmp_path / "content"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("dtype", ["u1", "i8", ">i4", "f4", "?"])
def test_numbers_come_back(written, protocol, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    content = {b"array": array, b"numbers": [1, 2.5, None, True, "text", array[1, 2]]}
    found = read_pickle(written(pickle.dumps(content, protocol=protocol)))
    assert found[b"array"].dtype == array.dtype.newbyteorder("=")  # as NumPy reads it
    assert_array_equal(found[b"array"], array)
    assert found[b"numbers"] == content[b"numbers"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (print, "builtins.print"),
        (functools.partial(print, 1), "functools.partial"),
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        (np.load, "numpy.load"),
        (np.ma.array([1]), "numpy.ma"),
        (np.random.default_rng(0), "numpy.random"),
        ({1, 2}, "builtins.set"),
    ],
    ids=str,
)
def test_any_other_global_is_refused_by_name(written, content, name):
    path = written(pickle.dumps({b"data": content}, protocol=2, fix_imports=False))
    with pytest.raises(ValueError, match=rf"content: .* got the global {name}.*refused"):
        read_pickle(path)


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}], dtype=object),
        np.array(["a"]),
        np.array(["2020-01-01"], dtype="M8[D]"),
        np.zeros(2, dtype=[("a", "i4")]),
    ],
    ids=["object", "text", "time", "record"],
)
def test_arrays_of_other_than_numbers_are_refused(written, array):
    with pytest.raises(ValueError, match="arrays of dtype .* refused"):
        read_pickle(written(pickle.dumps(array, protocol=2)))


@pytest.mark.parametrize(
    "data",
    [
        b"c_codecs\nencode\n(Vtext\nVidna\ntR.",  # a codec, which is a module's code
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # an attribute of what is admitted
        b"cnumpy\nndarray\n(I3\ntR.",  # the class itself is never called
        b"Plabels.0\n.",  # an object outside of the pickle
        b"c_codecs\nencode\n(Vtext\ntR.",
        b"cnumpy\ndtype\n(Vnothing\ntR.",
    ],
    ids=["codec", "attribute", "class", "persistent", "arguments", "dtype"],
)
def test_misuse_of_what_is_admitted_is_refused(written, data):
    with pytest.raises(ValueError, match="content: expected a pickle of dicts, lists, text"):
        read_pickle(written(data))


def test_dtypes_of_numpy_itself_cannot_be_changed(written):
    # A state of the other byte order, set on a dtype that asks not to be copied.
    state = b"(I3\nV>\nNNNI-1\nI-1\nI0\nt"
    read_pickle(written(b"cnumpy\ndtype\n(Vi8\nI00\nI00\ntR" + state + b"b."))
    assert np.dtype("i8").byteorder == "="
    assert np.array([1]).tobytes() == np.int64(1).tobytes()

"""What the restricted unpickler admits and what it refuses."""

import collections
import functools
import pickle
import struct

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
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
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


# Programs, written opcode by opcode


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def binary(value):
    return b"B" + struct.pack("<I", len(value)) + value


def number(value):
    return b"J" + struct.pack("<i", value)


def row(*values):
    return b"(" + b"".join(values) + b"t"


NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"
I8 = b"cnumpy\ndtype\n" + row(text("i8"), FALSE, FALSE) + b"R"
NUMBERS = b"ABCDEFGHIJKLMNOP"


def state(subarray=NONE, names=NONE, fields=NONE, size=-1, alignment=-1, flags=0, order="<"):
    """Set the state of a dtype."""
    sizes = map(number, (size, alignment, flags))
    return row(number(3), text(order), subarray, names, fields, *sizes) + b"b"


def array(dtype, shape=(2,), data=NUMBERS, order=FALSE):
    """Make an array of ``dtype``."""
    made = b"cnumpy._core.multiarray\n_reconstruct\n" + row(NONE, row(number(0)), text("b")) + b"R"
    return made + row(number(1), row(*map(number, shape)), dtype, order, binary(data)) + b"b"


def scalar(dtype, data=NUMBERS[:8]):
    return b"cnumpy._core.multiarray\nscalar\n" + row(dtype, binary(data)) + b"R"


def field(offset):
    """Set a state with the field ``a`` at ``offset``."""
    fields = b"}" + text("a") + row(I8, number(offset)) + b"s"
    return state(names=row(text("a")), fields=fields, size=8, alignment=8)


WIDE = state(subarray=row(I8, row(number(4096))), size=8, alignment=8)


def test_programs_of_numbers_are_read(written):
    found = read_pickle(written(array(I8 + state(order=">"), (1, 2), order=TRUE) + b"."))
    assert found.tobytes() == np.frombuffer(NUMBERS, ">i8").astype("=i8").tobytes()
    assert found.shape == (1, 2)
    assert read_pickle(written(scalar(I8) + b".")) == np.frombuffer(NUMBERS, "<i8")[0]
    assert np.dtype("i8").byteorder == "="  # NumPy's own has not been changed
    assert np.array([1]).tobytes() == np.int64(1).tobytes()


@pytest.mark.parametrize(
    "program",
    [
        array(I8 + WIDE, (1,), NUMBERS[:8]),
        scalar(I8 + WIDE),
        array(I8 + field(4096)),
        array(I8 + field(4096)) + text("a") + number(123456789) + b"s",
        array(I8 + field(2**31 - 1)) + text("a") + number(1) + b"s",
        *[array(I8 + state(size=8, alignment=8, flags=flags)) for flags in (1, 2, 4, 16, 63)],
        array(I8 + state(flags=1)),
        array(I8 + state(alignment=0)),
        array(I8 + state(size=1)),
        array(I8 + state(order="Q")),
    ],
    ids=lambda program: None,
)
def test_states_that_numpy_does_not_check_are_refused(written, program):
    with pytest.raises(ValueError, match="content: expected a pickle of dicts, lists, text"):
        read_pickle(written(program + b"."))


@pytest.mark.parametrize("shape", [(3,), (1,), (-1, -2), (2**31 - 1,) * 3, ()])
def test_arrays_of_other_than_their_data_are_refused(written, shape):
    with pytest.raises(ValueError, match="content: expected a pickle of dicts, lists, text"):
        read_pickle(written(array(I8, shape) + b"."))


def test_a_shape_of_other_than_counts_is_refused_before_it_is_multiplied(written):
    # A list times a count would be a list of gigabytes.
    two_zeros = b"(" + number(0) + number(0) + b"l"
    program = array(I8, (8,)).replace(row(number(8)), row(two_zeros, number(2_000_000)))
    with pytest.raises(ValueError, match=r"an array of shape \(\[0, 0\], 2000000\), which is ref"):
        read_pickle(written(program + b"."))


@pytest.mark.parametrize("made", [b"cnumpy\ndtype\n", b"c_codecs\nencode\n"])
@pytest.mark.parametrize("change", [b"}Vevil\nI1\ns", row(NONE, b"}V_function\nNs")])
def test_functions_that_a_pickle_may_call_stay_as_they_are(written, made, change):
    with pytest.raises(ValueError, match="got a state for a function, which is refused"):
        read_pickle(written(made + change + b"b."))
    assert_array_equal(read_pickle(written(array(I8) + b".")), np.frombuffer(NUMBERS, "<i8"))


@pytest.mark.parametrize("program", [I8, b"c_codecs\nencode\n", b"\x8f"])
@pytest.mark.parametrize("wrap", ["{}", "list", "dict", "tuple", "key"])
def test_nothing_but_data_comes_back(written, program, wrap):
    wrapped = {
        "{}": program,
        "list": b"]" + program + b"a",
        "dict": b"}" + text("a") + program + b"s",
        "tuple": row(program),
        "key": b"}" + program + NONE + b"s",
    }
    with pytest.raises(ValueError, match="refused|unhashable"):
        read_pickle(written(wrapped[wrap] + b"."))


def test_arrays_come_back_from_any_depth_as_what_they_are(written):
    numbers = np.arange(3)
    content = {b"deep": [[{b"array": numbers}], numbers], b"fortran": np.ones((2, 3), order="F")}
    content[b"deep"].append(content)
    found = read_pickle(written(pickle.dumps(content, protocol=2)))
    first = found[b"deep"][0][0][b"array"]
    assert first is found[b"deep"][1]
    assert found[b"deep"][2] is found
    assert type(first) is np.ndarray
    assert first.flags.writeable
    assert first.flags.owndata
    assert found[b"fortran"].flags.f_contiguous
    assert_array_equal(first, numbers)

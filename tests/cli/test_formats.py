"""Kinds of files, and what is wrong with some."""

import csv
import gzip
import io
import json

import pandas as pd
import pytest

from skdiffusion_label._cli._delimited import Dialect, find_dialect
from skdiffusion_label._cli._formats import Style, decode_table, encode_table, kind_of

CELLS = [
    ["plain", "a, b; c|d\te", 'say "hi"', "line\nbreak"],
    ["", " padded ", "=1+1", "007"],
    ["NA", "ümlaut 漢字", "'tis", "1,5"],
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":", " "])
@pytest.mark.parametrize("terminator", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quotechar", ['"', "'"])
def test_dialect_is_found_and_kept(delimiter, terminator, quotechar):
    q = quotechar
    line = delimiter.join([f"{q}a{q}", "b", "c"])
    rows = [delimiter.join([f"{q}x{delimiter}{row}{q}", str(row), "z"]) for row in range(9)]
    text = terminator.join([line, *rows, ""])
    assert find_dialect(text) == Dialect(delimiter, quotechar, terminator, False, csv.QUOTE_ALL)
    table, style = decode_table(text.encode(), "data", "csv")
    assert list(table.columns) == ["a", "b", "c"]
    assert table["a"].tolist() == [f"x{delimiter}{row}" for row in range(9)]
    again, _ = decode_table(encode_table(table, style), "data", "csv")
    pd.testing.assert_frame_equal(again, table)
    assert encode_table(table, style).decode().count(terminator) == 10


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("compressed", [False, True])
def test_cells_come_back_as_they_were(kind, compressed):
    table = pd.DataFrame(CELLS, columns=["a", "b", "c, d", "=e"], dtype=object)
    data = encode_table(table, Style(kind), compressed)
    again, style = decode_table(data, "data", kind)
    assert again.astype(object).to_numpy().tolist() == CELLS
    assert list(again.columns) == list(table.columns)
    assert encode_table(again, style, compressed) == data


@pytest.mark.parametrize("text", ['a,b\n1,"2, 3"\n', '"a","b"\n"1","2"\n', "a;b\r\n;\r\n"])
def test_quotes_are_written_as_they_were(text):
    table, style = decode_table(text.encode(), "data", "csv")
    assert encode_table(table, style).decode() == text


def test_spaces_after_delimiters_and_single_columns():
    table, _ = decode_table(b"a, b\n1, 2\n", "data", "csv")
    assert table.to_dict("list") == {"a": ["1"], "b": ["2"]}
    table, _ = decode_table(b"a\nsome words\nand a few more\n", "data", "csv")
    assert table["a"].tolist() == ["some words", "and a few more"]


def test_cell_that_is_larger_than_the_csv_module_allows_is_read():
    limit = csv.field_size_limit()
    table, _ = decode_table(b"a,b\n" + b"x" * (limit + 1) + b",1\n", "data", "csv")
    assert len(table["a"][0]) == limit + 1
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_encoding_is_kept_where_it_is_named(encoding):
    data = "a,b\né,1\n".encode(encoding)
    table, style = decode_table(data, "data", "csv", encoding)
    assert table["a"].tolist() == ["é"]
    assert encode_table(table, style) == data


def test_byte_order_mark_is_no_part_of_the_name_and_is_kept():
    data = "\ufeffa,b\n1,2\n".encode()
    table, style = decode_table(data, "data", "csv")
    assert list(table.columns) == ["a", "b"]
    assert encode_table(table, style) == data


def test_json_lines_keep_kinds_and_tell_null_from_nothing():
    lines = [
        {"a": 1, "b": None, "c": [1, {"d": "é"}]},
        {"b": "x", "a": 2.5},
        {"a": True},
        {"a": 12345678901234567890},
    ]
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    table, style = decode_table(text.encode(), "data", "jsonl")
    written = [json.loads(line) for line in encode_table(table, style).decode().splitlines()]
    assert written == lines
    assert type(written[2]["a"]) is bool


def test_parquet_keeps_its_types():
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(
        {
            "n": pa.array([1, None, 3], pa.int16()),
            "f": pa.array([0.5, None, 2], pa.float32()),
            "t": pa.array([0, 1, None], pa.timestamp("us")),
            "s": pa.array(["a", None, "c"]).dictionary_encode(),
            "l": pa.array([[1], None, []], pa.list_(pa.int64())),
        }
    )
    out = io.BytesIO()
    parquet.write_table(table, out)
    frame, style = decode_table(out.getvalue(), "data", "parquet")
    again = parquet.read_table(io.BytesIO(encode_table(frame, style)))
    assert again.schema.remove_metadata().equals(table.schema)
    assert again.to_pylist() == table.to_pylist()
    as_lines = encode_table(frame, Style("jsonl")).decode().splitlines()
    assert json.loads(as_lines[1])["s"] is None
    assert json.loads(as_lines[0])["l"] == [1]
    assert (
        encode_table(frame, Style("csv")).decode().splitlines()[2]
        == ",,1970-01-01 00:00:00.000001,,"
    )


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.csv", "csv"),
        ("a.b.CSV.GZ", "csv"),
        ("-", "csv"),
        ("a.tsv", "tsv"),
        ("x/a.ndjson.gz", "jsonl"),
        ("a.parquet", "parquet"),
    ],
)
def test_kind_is_known_by_the_name(path, kind):
    assert kind_of(path) == kind
    assert kind_of(path, "jsonl") == "jsonl"


@pytest.mark.parametrize("path", ["a", "a.xlsx", "a.json", "a.gz", ".csv"])
def test_name_of_no_known_kind_is_refused(path):
    with pytest.raises(ValueError, match="the kind of the file is known by its name"):
        kind_of(path)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", "csv", "data is empty"),
        (b"\n\n", "csv", "data is empty"),
        (b"a,b\n1,2\n3\n", "csv", r"line 3: 1 cells where the header has 2.*','"),
        (b"a,b\n1,2\n3,4,5\n", "csv", "line 3: 3 cells where the header has 2"),
        (b"a,b,code\n1,2,x\n1,2\n3,4,y\n", "csv", "line 3: 2 cells where the header has 3"),
        (b"a,a\n1,2\n", "csv", "the column 'a' is there more than once"),
        (b'a,b\n1,"2\n3,4\n', "csv", "line 3: unexpected end of data"),
        (b"a,b\n1,2\n\xe9,2\n", "csv", r"not utf-8: byte 0xe9 at position 8, line 3.*--encoding"),
        ("a,b\n1,2\n".encode("utf-16"), "csv", "UTF-16: read it with --encoding utf-16"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-5], "csv", "data is damaged"),
        (b'{"a": 1}\n{"a": }\n', "jsonl", "line 2, is not JSON: Expecting value"),
        (b'{"a": 1}\n[1]\n', "jsonl", r"line 2, is no JSON object: \[1\]"),
        (b"no parquet", "parquet", "data is no Parquet file"),
    ],
)
def test_damaged_data_is_an_error_that_says_where(data, kind, message):
    with pytest.raises(ValueError, match=message):
        decode_table(data, "data", kind)


def test_unknown_encoding_is_an_error(tmp_path, run):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    code, _, err = run("find", tmp_path / "a.csv", "--label", "b", "--encoding", "utf-9")
    assert (code, "unknown encoding: utf-9" in err) == (2, True)


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'skdiffusion_label\[parquet\]'"):
        decode_table(b"", "data", "parquet")

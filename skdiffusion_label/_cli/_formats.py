"""Kinds of files: bytes to a table, and back to bytes, with the cells as they were."""

import gzip
import io
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import PurePath

from skdiffusion_label._cli._delimited import Dialect, read_cells, write_cells

KINDS = ("csv", "tsv", "jsonl", "parquet")
_KIND_OF_SUFFIX = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"
_SHOWN_LENGTH = 40  # characters of a damaged line that an error shows


@dataclass(frozen=True)
class Style:
    """How a file was written: its kind, and for text the encoding and the dialect."""

    kind: str
    encoding: str = "utf-8"
    dialect: Dialect | None = None


def kind_of(path, kind=None):
    """Return the kind of a file: as asked for, else by its name; CSV without a name."""
    if kind is not None or path == "-":
        return kind or "csv"
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in _KIND_OF_SUFFIX:
        return _KIND_OF_SUFFIX[suffixes[-1]]
    raise ValueError(
        f"{path}: the kind of the file is known by its name, {', '.join(_KIND_OF_SUFFIX)}, with or "
        "without .gz, or by --from and --to."
    )


def decode_table(data, name, kind, encoding=None, delimiter=None):
    """Return the DataFrame in ``data``, and its style.

    Cells of CSV and TSV are strings, as they stand there. Where a line of JSON lacks a key, the
    cell is NaN, and None where it is null.
    """
    if data.startswith(_GZIP):
        data = _gunzipped(data, name)
    if kind == "parquet":
        return _read_parquet(data, name), Style(kind)
    text, encoding = _decoded(data, name, encoding)
    if kind == "jsonl":
        return _read_json_lines(text, name), Style(kind, encoding)
    names, rows, dialect = read_cells(text, name, "\t" if kind == "tsv" else delimiter)
    columns = [[cells[column] for cells in rows] for column in range(len(names))]
    return _frame(names, columns, name), Style(kind, encoding, dialect)


def encode_table(table, style, compressed=False):
    """Return the bytes of a DataFrame."""
    if style.kind == "parquet":
        return _write_parquet(table)
    if style.kind == "jsonl":
        text = "".join(map(_json_line, _rows(table)))
    else:
        dialect = style.dialect or Dialect("\t" if style.kind == "tsv" else ",")
        rows = ([_cell(value) for value in row.values()] for row in _rows(table))
        text = write_cells(list(table.columns), rows, dialect)
    data = text.encode(style.encoding)
    return gzip.compress(data, mtime=0) if compressed else data


def _gunzipped(data, name):
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{name} is damaged: {error}.") from error


def _decoded(data, name, encoding):
    if encoding is None and data.startswith(_UTF16):
        raise ValueError(f"{name} is not UTF-8 but UTF-16: read it with --encoding utf-16.")
    if encoding is None:
        encoding = "utf-8-sig" if data.startswith(_BOM) else "utf-8"
    try:
        return data.decode(encoding), encoding
    except UnicodeDecodeError as error:
        byte, line = error.object[error.start], error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{name} is not {encoding}: byte 0x{byte:02x} at position {error.start}, line {line}. "
            "Name the encoding by --encoding, as in --encoding latin-1."
        ) from error


def _frame(names, columns, name):
    import pandas as pd

    repeated = next((column for column in names if names.count(column) > 1), None)
    if repeated is not None:
        raise ValueError(f"{name}: the column {repeated!r} is there more than once.")
    return pd.DataFrame(
        {
            column: pd.Series(values, dtype=object)
            for column, values in zip(names, columns, strict=True)
        }
    )


def _read_json_lines(text, name):
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{name}, line {number}, is not JSON: {error}.") from error
        if not isinstance(record, dict):
            raise ValueError(
                f"{name}, line {number}, is no JSON object: {line.strip()[:_SHOWN_LENGTH]}"
            )
        records.append(record)
    names = list(dict.fromkeys(key for record in records for key in record))
    columns = [[record.get(key, float("nan")) for record in records] for key in names]
    return _frame(names, columns, name)


def _read_parquet(data, name):
    import pandas as pd

    pyarrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(pyarrow.BufferReader(data))
    except pyarrow.ArrowException as error:
        raise ValueError(f"{name} is no Parquet file: {error}") from error
    return table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)


def _write_parquet(table):
    pyarrow, parquet = _pyarrow()
    out = io.BytesIO()
    arrow_table = pyarrow.Table.from_pandas(table, preserve_index=False)
    parquet.write_table(arrow_table.replace_schema_metadata(), out)
    return out.getvalue()


def _pyarrow():
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            "Parquet needs pyarrow: pip install 'skdiffusion_label[parquet]'"
        ) from error
    return pyarrow, parquet


def _rows(table):
    """Yield the rows as dicts of Python's own values."""
    columns = [table[name].astype(object).tolist() for name in table.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(table.columns, values, strict=True))


def _cell(value):
    """Return what stands for a value in CSV: nothing for a missing one, JSON for a list."""
    import pandas as pd

    if isinstance(value, str):
        return value
    if isinstance(value, list | dict) or hasattr(value, "tolist"):
        return _json(value)
    return "" if pd.isna(value) else value


def _json_line(row):
    """Return a row without the cells that it lacks."""
    return _json({name: value for name, value in row.items() if not _is_nan(value)}) + "\n"


def _is_nan(value):
    return isinstance(value, float) and math.isnan(value)


def _json(value):
    return json.dumps(value, ensure_ascii=False, default=_json_value)


def _json_value(value):
    """Return what stands in JSON for a value that it does not know: arrays, dates, NA."""
    import pandas as pd

    if hasattr(value, "tolist"):
        return value.tolist()
    return None if pd.isna(value) else str(value)

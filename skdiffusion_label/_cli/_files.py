"""Files and streams: read in one piece, written whole or not at all."""

import os
import secrets
import sys
from contextlib import contextmanager
from pathlib import Path

from skdiffusion_label._cli._formats import Style, decode_table, encode_table, kind_of

STREAM = "-"


def name_of(path):
    """Return what an input is called in messages."""
    return "standard input" if path == STREAM else path


def read_table(path, arguments):
    """Return the table in a file or on standard input, and its style."""
    kind = kind_of(path, arguments.kind_of_input)
    name = name_of(path)
    data = sys.stdin.buffer.read() if path == STREAM else Path(path).read_bytes()
    table, style = decode_table(data, name, kind, arguments.encoding, arguments.delimiter)
    if not len(table):
        raise ValueError(f"{name} has no rows.")
    return table, style


def write_table(table, path, arguments, like=None):
    """Write a table to a file or to standard output, in the style of a file of the same kind."""
    kind = kind_of(path, arguments.kind_of_output)
    style = like if like is not None and like.kind == kind else Style(kind)
    data = encode_table(table, style, compressed=path.lower().endswith(".gz"))
    if path == STREAM:
        _write_out(memoryview(data))
    else:
        with whole_file(path, arguments.force) as temporary:
            temporary.write_bytes(data)


def check_outputs(tables, arguments, page=None):
    """Raise before any long work if a file could not be written, or would be overwritten."""
    tables = [path for path in tables if path is not None]
    if STREAM in tables and arguments.format == "json":
        raise ValueError("the table and the summary cannot both be on standard output.")
    if page == STREAM:
        raise ValueError("the page cannot be on standard output: name a file by --review.")
    for path in tables:
        kind_of(path, arguments.kind_of_output)
    files = [path for path in [*tables, page] if path is not None]
    read = [arguments.data, getattr(arguments, "new_data", None)]
    mended = arguments.out if arguments.command == "apply" else None
    for path in files:
        if files.count(path) > 1:
            raise ValueError(f"{path} is asked for as two different outputs.")
        if path != STREAM:
            if path != mended and any(_is_same(path, name) for name in read):
                raise ValueError(f"{path} is read: name another output.")
            _check_overwriting(path, arguments.force)
            _check_folder(path)


def _write_out(data):
    """Write bytes to standard output, which under PYTHONUNBUFFERED may take them in parts."""
    sys.stdout.flush()
    while len(data):
        data = data[sys.stdout.buffer.write(data) :]
    sys.stdout.buffer.flush()


@contextmanager
def whole_file(path, force):
    """Yield a temporary path, whose file takes the place of ``path`` once it is complete."""
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path  # a device or a pipe, which is to be written to, not replaced
        return
    path = path.resolve()  # a link stays one
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        _check_overwriting(path, force)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_same(path, other):
    if other is None or other == STREAM:
        return False
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)


def _check_overwriting(path, force):
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder.")
    if path.is_file() and not force:
        raise FileExistsError(f"{path} exists already: --force overwrites it.")


def _check_folder(path):
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {folder}.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{path}: the folder {folder} cannot be written to.")

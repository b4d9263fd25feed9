"""Text files that list images or names: one record a line, errors by line."""

import os
import re

import numpy as np

from skdiffusion_label.datasets._files import read_file

# Of no list, and some would make two names one: NumPy drops null characters at the end of text.
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f\ufeff]")
_WHITE = " \t\r"
# An array of text is as wide as its longest line: how many times as large as the list it may be.
_MAX_GROWTH, _SMALLEST_SIZE = 16, 2**20


class Lines:
    """The lines of a text file, without spaces and tabs around them and blank ones at the end.

    Parameters
    ----------
    path : str
        The file, UTF-8, with a byte order mark or without.
    expected : str
        The form of a line, as errors name it.
    header : str or None, default=None
        How the first line starts where that is a header, which is left out.
    """

    def __init__(self, path, expected, header=None):
        self.path = path
        self.expected = expected
        text = _read_text(path, expected).rstrip(f"{_WHITE}\n")
        lines = [line.strip(_WHITE) for line in text.split("\n")] if text else []
        self._n_header_lines = 0 if header is None else 1
        if header is not None and lines and not lines[0].startswith(header):
            raise ValueError(
                f"{path}, line 1: expected a header that starts with {header!r}, "
                f"got {lines[0][:100]!r}."
            )
        self.lines = lines[self._n_header_lines :]
        if not self.lines:
            raise ValueError(f"{path}: expected {expected} in each line, got no line of data.")
        if "" in self.lines:
            raise self.error(self.lines.index(""))
        self._check_text(text)

    def _check_text(self, text):
        """Raise a ValueError if lines hold what cannot be seen, or one is far longer than all."""
        if _UNSEEN.search(text.replace("\r\n", "\n")):
            for row, line in enumerate(self.lines):
                if _UNSEEN.search(line):
                    raise self.error(row, " without control characters")
        row = max(range(len(self.lines)), key=lambda row: len(self.lines[row]))
        size = len(self.lines[row]) * len(self.lines)
        if size > _MAX_GROWTH * len(text) + _SMALLEST_SIZE:
            raise self.error(row, f" of fewer than {len(self.lines[row])} characters")

    def error(self, row, rule=""):
        """Return the error that the line of ``row`` is not of the form expected."""
        # Binary data may have lines of any length.
        line = self.lines[row][:100]
        return ValueError(
            f"{self.path}, line {self._number(row)}: expected {self.expected}{rule}, got {line!r}."
        )

    def columns(self, n_columns, separator):
        """Return the fields of all lines as tuples, one for each column."""
        rows = [line.split(separator) for line in self.lines]
        for row, fields in enumerate(rows):
            if len(fields) != n_columns or not all(fields):
                raise self.error(row)
        return list(zip(*rows, strict=True))

    def codes(self, values, known, rule):
        """Return ``known[value]`` for each value as an int64 array; ``rule`` says what is known."""
        codes = np.array([known.get(value, -1) for value in values], dtype=np.int64)
        if codes.min() < 0:
            raise self.error(int(codes.argmin()), f" with {rule}")
        return codes

    def labels(self, values, n_classes, of=""):
        """Return labels written as numbers from 0 to ``n_classes - 1`` as an int64 array.

        ``of`` says in errors where the classes come from.
        """
        known = {str(label): label for label in range(n_classes)}
        return self.codes(values, known, f"a label from 0 to {n_classes - 1}{of}")

    def check_unique(self, values):
        """Raise a ValueError if two lines have the same value."""
        if len(set(values)) == len(values):
            return
        rows = {}
        for row, value in enumerate(values):
            if value in rows:
                raise self.error(
                    row, f" that no earlier line has (line {self._number(rows[value])})"
                )
            rows[value] = row

    def check_classes(self, labels, n_classes, of=""):
        """Raise a ValueError if a class has no line, as in a list that has been cut off."""
        counts = np.bincount(labels, minlength=n_classes)
        if not counts.all():
            raise ValueError(
                f"{self.path}: expected lines of all {n_classes} classes{of}, "
                f"got none of class {counts.argmin()}."
            )

    def paths(self, folder, keys, rows=None):
        """Return paths of images below ``folder`` as an array of str: all ``keys``, or of rows."""
        rows = range(len(keys)) if rows is None else rows
        for row in rows:
            if not _is_relative(keys[row]):
                raise self.error(row, f" below {folder}")
        prefix = os.path.join(folder, "")
        return np.array([prefix + keys[row] for row in rows])

    def _number(self, row):
        return row + self._n_header_lines + 1


def _is_relative(key):
    """Return whether a key stays in its folder, also as Windows reads it.

    At least as strict as the anchor and parts of a PureWindowsPath, which long lists wait for.
    """
    parts = key.replace("\\", "/").split("/")
    has_anchor = not parts[0] or parts[0][1:2] == ":"
    return not has_anchor and ".." not in parts


def read_class_names(path, header=None):
    """Return the names of classes, one a line, each of them once."""
    names = Lines(path, "a class name", header)
    names.check_unique(names.lines)
    return names.lines


def _read_text(path, expected):
    data = read_file(path, f"a text file with {expected} in each line")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        found = data[error.start : error.start + 20]
        raise ValueError(
            f"{path}, line {number}: expected {expected} in UTF-8, got bytes {found!r}."
        ) from None

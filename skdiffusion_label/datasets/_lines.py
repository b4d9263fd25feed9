"""Text files that list images or names: one record a line, errors by line."""

import os

import numpy as np

from skdiffusion_label.datasets._files import open_file


class Lines:
    """The lines of a text file, without white space around them and blank ones at the end.

    Parameters
    ----------
    path : str
        The file, UTF-8.
    expected : str
        The form of a line, as errors name it.
    header : str or None, default=None
        How the first line starts where that is a header, which is left out.
    """

    def __init__(self, path, expected, header=None):
        self.path = path
        self.expected = expected
        text = _read_text(path, expected).rstrip()
        lines = [line.strip() for line in text.split("\n")] if text else []
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

    def labels(self, values, n_classes):
        """Return labels written as numbers from 0 to ``n_classes - 1`` as an int64 array."""
        known = {str(label): label for label in range(n_classes)}
        return self.codes(values, known, f"a label from 0 to {n_classes - 1}")

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

    def check_classes(self, labels, n_classes):
        """Raise a ValueError if a class has no line, as in a list that has been cut off."""
        counts = np.bincount(labels, minlength=n_classes)
        if not counts.all():
            raise ValueError(
                f"{self.path}: expected lines of all {n_classes} classes, "
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
    with open_file(path, f"a text file with {expected} in each line") as file:
        data = file.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        found = data[error.start : error.start + 20]
        raise ValueError(
            f"{path}, line {number}: expected {expected} in UTF-8, got bytes {found!r}."
        ) from None

"""Text with delimiters, CSV and TSV: its dialect, and its cells as they are."""

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

# In this order where several fit: a file that any program has written has one of them.
_DELIMITERS = ",\t;|"
_RARE_DELIMITERS = " :"
# Characters that tell the dialect: a few hundred lines, read in no time.
_SAMPLE_SIZE = 65_536


@dataclass(frozen=True)
class Dialect:
    """How cells are told apart; a quote inside of quotes is doubled."""

    delimiter: str = ","
    quotechar: str = '"'
    lineterminator: str = "\n"
    skipinitialspace: bool = False
    quoting: int = csv.QUOTE_MINIMAL

    def format(self):
        """Return the parameters of readers and writers of :mod:`csv`."""
        return vars(self) | {"doublequote": True, "strict": True}


def read_cells(text, name, delimiter=None):
    """Return the names of the columns, the rows as lists of strings, and the dialect."""
    dialect = find_dialect(text, delimiter)
    with _cells_of_any_size(len(text)):
        reader = csv.reader(io.StringIO(text, newline=""), **dialect.format())
        rows = []
        try:
            for cells in reader:
                if rows and cells and len(cells) != len(rows[0]):
                    raise ValueError(
                        f"{name}, line {reader.line_num}: {len(cells)} cells where the header "
                        f"has {len(rows[0])}. The delimiter is {dialect.delimiter!r}; another one "
                        "is named by --delimiter."
                    )
                if cells:
                    rows.append(cells)
        except csv.Error as error:
            raise ValueError(f"{name}, line {reader.line_num}: {error}.") from error
    if not rows:
        raise ValueError(f"{name} is empty: it needs a line with the names of the columns.")
    return rows[0], rows[1:], dialect


def write_cells(names, rows, dialect):
    """Return the text of a header and rows."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, **dialect.format())
    writer.writerows(chain([names], rows))
    return out.getvalue()


def find_dialect(text, delimiter=None):
    """Tell the dialect from the first lines, and from the delimiter if it is known."""
    sample = text[:_SAMPLE_SIZE]
    header = (sample.splitlines() or [""])[0]
    # Apostrophes are quotes where the header begins with one.
    quotechar = "'" if header.startswith("'") else '"'
    delimiter = delimiter or _find_delimiter(sample, quotechar)
    names = header.split(delimiter)
    quoting = csv.QUOTE_ALL if header.startswith(quotechar) else csv.QUOTE_MINIMAL
    is_padded = delimiter != " " and len(names) > 1 and all(map(_is_padded, names[1:]))
    return Dialect(delimiter, quotechar, _line_terminator(sample), is_padded, quoting)


def _is_padded(name):
    return name.startswith(" ")


def _find_delimiter(sample, quotechar):
    widths = {delimiter: _width(sample, delimiter, quotechar) for delimiter in _DELIMITERS}
    best = max(widths, key=widths.get)
    if widths[best] > 1:
        return best
    # One damaged line hides it, but for the header, against which lines are checked.
    header = sample.partition("\n")[0]
    of_header = max(_DELIMITERS, key=lambda delimiter: _width(header, delimiter, quotechar))
    if _width(header, of_header, quotechar) > 1:
        return of_header
    try:
        rare = csv.Sniffer().sniff(sample, _DELIMITERS + _RARE_DELIMITERS).delimiter
    except csv.Error:
        return best
    return rare if _width(sample, rare, quotechar) > 1 else best


def _width(sample, delimiter, quotechar):
    """Return how many cells each line has, zero if they differ; the last may be cut off."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, quotechar=quotechar)
    widths = [len(cells) for cells in reader if cells]
    widths = set(widths[:-1] or widths)
    return widths.pop() if len(widths) == 1 else 0


def _line_terminator(sample):
    for terminator in ("\r\n", "\n", "\r"):
        if terminator in sample:
            return terminator
    return "\n"


@contextmanager
def _cells_of_any_size(size):
    """Lift the limit of :mod:`csv` on the size of a cell; it is one of the process."""
    limit = csv.field_size_limit()
    csv.field_size_limit(max(limit, size))
    try:
        yield
    finally:
        csv.field_size_limit(limit)

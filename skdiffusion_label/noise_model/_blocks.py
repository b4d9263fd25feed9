"""Tables of rows by classes, a few rows at a time."""

# Entries, rows times classes: a megabyte in single precision, what a cache holds.
_ENTRIES_AT_ONCE = 2**18


def row_blocks(n_rows, n_classes):
    """Yield slices of rows, as many as a table of few entries has."""
    n_at_once = max(_ENTRIES_AT_ONCE // n_classes, 1)
    for first in range(0, n_rows, n_at_once):
        yield slice(first, min(first + n_at_once, n_rows))

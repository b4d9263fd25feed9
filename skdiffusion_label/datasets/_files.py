"""Files, opened with an error that says what they must be."""

import os


def open_file(path, expected):
    """Open a file to read its bytes; ``expected`` is what it must be, as errors name it.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If it is a directory.
    """
    if os.path.isdir(path):
        raise ValueError(f"{path} is a directory; it must be {expected}.")
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; it must be {expected}.") from None

"""Files, read with an error that says what they must be."""

import os
import stat

_MAX_SIZE = 2**30  # bytes: several times the largest published list or batch


def read_file(path, expected):
    """Return the bytes of a file; ``expected`` is what it must be, as errors name it.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If it is a directory, a pipe or a device, or too large to be what is expected.
    """
    if os.path.isdir(path):
        raise ValueError(f"{path} is a directory; it must be {expected}.")
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{path} is not a regular file; it must be {expected}.")
            if status.st_size > _MAX_SIZE:
                raise ValueError(
                    f"{path} has {status.st_size} bytes, more than {_MAX_SIZE}; it must be "
                    f"{expected}."
                )
            return file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; it must be {expected}.") from None


def _without_waiting(path, flags):
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # for who writes to a pipe

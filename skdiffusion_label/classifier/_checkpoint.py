"""The state of an interrupted training on disk."""

import errno
import hashlib
import io
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path

import torch

from skdiffusion_label.embedding._identity import identify

try:
    import fcntl
except ImportError:  # Windows, where a file that is open can be neither removed nor moved
    fcntl = None

_FORMAT = 2  # of what is saved; what another version of training has saved is not gone on from
_CHECKSUM_SIZE = 20  # bytes, in front of the state
_TEMPORARY = re.compile(r"[0-9a-f]{32,40}\.[0-9a-f]{32}\.tmp")


class Checkpoint:
    """A file in ``directory`` for the training that ``identity`` describes.

    Raises
    ------
    UnidentifiableError
        If ``identity`` holds something that cannot be known.
    """

    def __init__(self, directory, identity):
        self.path = Path(directory).expanduser() / f"{identify(_FORMAT, identity)}.pt"

    def load(self):
        """Return what was saved last, or None; remove what killed processes have left behind."""
        _remove_orphans(self.path.parent)
        if not self.path.exists():
            return None
        try:
            data = self.path.read_bytes()
            if data[:_CHECKSUM_SIZE] != _checksum(memoryview(data)[_CHECKSUM_SIZE:]):
                raise ValueError("it is not as it was written")
            state = io.BytesIO(memoryview(data)[_CHECKSUM_SIZE:])
            return torch.load(state, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged archives and pickles raise nearly anything
            raise ValueError(
                f"The checkpoint {self.path} cannot be read; delete it to train from the start: "
                f"{error}"
            ) from error

    def save(self, content):
        """Replace what was saved; whoever is killed meanwhile leaves the previous file whole."""
        state = io.BytesIO()
        torch.save(content, state)
        temporary = self.path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            with open(temporary, "xb") as file:
                _lock(file)
                file.write(_checksum(state.getbuffer()))
                file.write(state.getbuffer())
                file.flush()
                if fcntl is None:
                    file.close()
                os.replace(temporary, self.path)
        except OSError as error:
            raise OSError(
                f"The checkpoint {self.path} cannot be written: {error.strerror}. Make room for "
                f"{state.tell()} bytes or choose another checkpoint_dir; what was saved before is "
                "gone on from."
            ) from error
        finally:
            temporary.unlink(missing_ok=True)


def check_checkpoint_dir(directory):
    """Make the directory of checkpoints, if there is to be one."""
    if directory is None:
        return
    path = Path(directory).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):  # now, and not after the first epoch
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ValueError(
            f"checkpoint_dir must be a directory that can be written to, got {directory!r}: {error}"
        ) from error


def _checksum(content):
    return hashlib.blake2b(content, digest_size=_CHECKSUM_SIZE).digest()


def _lock(file):
    """Mark a file as that of a living process; raise an OSError if it is that of another one."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_orphans(directory):
    for path in directory.glob("*.tmp"):
        # An empty one may be about to be locked.
        with suppress(OSError):  # it is in use, or gone
            if _TEMPORARY.fullmatch(path.name) and path.stat().st_size:
                with open(path, "rb") as file:
                    _lock(file)
                path.unlink()

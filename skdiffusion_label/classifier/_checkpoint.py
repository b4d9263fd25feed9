"""The state of an interrupted training on disk."""

import os
import pickle
import uuid
from pathlib import Path

import joblib
import torch

_FORMAT = 1  # of what is saved; what another version of training has saved is not gone on from


class Checkpoint:
    """A file in ``directory`` for the training that ``identity`` describes; none without one."""

    def __init__(self, directory, identity):
        self.path = None
        if directory is not None:
            name = joblib.hash((_FORMAT, identity))
            self.path = Path(directory).expanduser() / f"{name}.pt"

    def load(self):
        """Return what was saved last, or None."""
        if self.path is None or not self.path.exists():
            return None
        try:
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise ValueError(
                f"The checkpoint {self.path} cannot be read; delete it to train from the start."
            ) from error

    def save(self, content):
        """Replace what was saved; whoever is killed meanwhile leaves the previous file whole."""
        if self.path is None:
            return
        temporary = self.path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            torch.save(content, temporary)
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)


def check_checkpoint_dir(directory):
    """Make the directory of checkpoints, if there is to be one."""
    if directory is None:
        return
    try:
        Path(directory).expanduser().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"checkpoint_dir must be a directory that can be written to, got {directory!r}: {error}"
        ) from error

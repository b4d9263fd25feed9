"""The state of an interrupted training on disk."""

import os
import pickle
from pathlib import Path

import joblib
import torch


class Checkpoint:
    """A file in ``directory`` for the training that ``identity`` describes; none without one."""

    def __init__(self, directory, identity):
        self.path = None
        if directory is not None:
            self.path = Path(directory) / f"{joblib.hash(identity)}.pt"

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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        torch.save(content, temporary)
        os.replace(temporary, self.path)

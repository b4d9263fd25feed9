"""Embeddings on disk, so that no image is embedded twice."""

import hashlib
import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import joblib
import numpy as np

# Of what is stored; another number makes all that has been stored before unknown.
_VERSION = 1  # of keys and values; what another version has written is not read
_IDENTITY_SIZE = 12  # bytes of the hash of a model, of which a directory holds few
_TIMEOUT = 60  # seconds that a process waits for another one to finish writing
_TABLE = "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, embedding BLOB NOT NULL)"


def cache_directory(cache):
    """Return the directory that ``cache`` means: a path, a joblib.Memory or None for no cache."""
    if isinstance(cache, joblib.Memory):
        if cache.store_backend is None:
            return None
        # memory.clear() empties the directories below this one.
        return Path(cache.store_backend.location) / "skdiffusion_label"
    if cache is None:
        return None
    directory = Path(cache).expanduser()
    if directory.is_file():
        raise ValueError(f"cache must be a directory, got the file {os.fspath(cache)!r}.")
    return directory


class EmbeddingCache:
    """One database of embeddings for each model, shared by processes.

    A connection lives for one call only, so that none is carried into a forked process.

    Parameters
    ----------
    directory : Path
        Made where it is missing.
    identity : tuple
        Of the model, of strings and None: its kind, and all that its embeddings depend on.
    """

    def __init__(self, directory, identity):
        content = repr((_VERSION, identity)).encode()
        key = hashlib.blake2b(content, digest_size=_IDENTITY_SIZE).hexdigest()
        self.path = directory / f"{identity[0]}-{key}.sqlite"
        directory.mkdir(parents=True, exist_ok=True)

    def get(self, keys):
        """Return which of ``keys``, a list of bytes, are known, and their embeddings.

        Returns
        -------
        positions : dict
            Of key to row of ``embeddings``.
        embeddings : ndarray of shape (n_known, n_features), dtype=float32
            In no particular order.
        """
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, embedding FROM embeddings WHERE key IN ({marks})"
        with self._connected() as connection:
            found = dict(connection.execute(query, keys))
        positions = {key: position for position, key in enumerate(found)}
        embeddings = np.frombuffer(b"".join(found.values()), dtype="<f4")
        return positions, embeddings.reshape(len(found), -1 if found else 0)

    def put(self, keys, embeddings):
        """Store ``embeddings`` (n_keys, n_features); what is known already stays."""
        blobs = (row.tobytes() for row in embeddings.astype("<f4", copy=False))
        with self._connected() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO embeddings VALUES (?, ?)", zip(keys, blobs, strict=True)
            )

    @contextmanager
    def _connected(self):
        try:
            # To ask for the right to write at once lets processes wait for each other.
            connection = sqlite3.connect(self.path, timeout=_TIMEOUT, isolation_level="IMMEDIATE")
            with closing(connection), connection:
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(_TABLE)
                yield connection
        except sqlite3.OperationalError as error:
            raise RuntimeError(
                f"The embedding cache {self.path} cannot be used: {error}."
            ) from error
        except sqlite3.DatabaseError as error:
            raise RuntimeError(
                f"The embedding cache {self.path} is damaged: {error}. "
                "Delete this file; its embeddings are then computed again."
            ) from error

"""Embeddings on disk, so that no image is embedded twice."""

import hashlib
import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import joblib
import numpy as np

_VERSION = 2  # of keys and values; what another version has written is not read
_CHECKSUM_SIZE = 8  # bytes
_TIMEOUT = 60  # seconds that a process waits for another one to finish writing
_TABLE = (
    "CREATE TABLE IF NOT EXISTS embeddings "
    "(key BLOB PRIMARY KEY, embedding BLOB NOT NULL, checksum BLOB NOT NULL)"
)


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
    kind, identity : str
        Of the model: what it is, and a hash of all that its embeddings depend on.
    """

    def __init__(self, directory, kind, identity):
        self.path = directory / f"{kind}-{_VERSION}-{identity}.sqlite"
        self._n_features = None  # of all rows
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RuntimeError(
                f"The embedding cache {directory} cannot be made: {error}. Choose a directory that "
                "can be written to."
            ) from error

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
        query = f"SELECT key, embedding, checksum FROM embeddings WHERE key IN ({marks})"
        with self._connected() as connection:
            found = connection.execute(query, keys).fetchall()
            for key, blob, checksum in found:
                if type(blob) is not bytes or checksum != _checksum(key, blob):
                    raise sqlite3.DatabaseError("an embedding is not as it was written")
                self._check_width(len(blob) / 4)
        positions = {key: position for position, (key, *_) in enumerate(found)}
        embeddings = np.frombuffer(b"".join(blob for _, blob, _ in found), dtype="<f4")
        return positions, embeddings.reshape(len(found), self._n_features or 0)

    def put(self, keys, embeddings):
        """Store ``embeddings`` (n_keys, n_features); what is known already stays."""
        blobs = [row.tobytes() for row in embeddings.astype("<f4", copy=False)]
        rows = [(key, blob, _checksum(key, blob)) for key, blob in zip(keys, blobs, strict=True)]
        with self._connected() as connection:
            self._check_width(embeddings.shape[1])
            connection.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?, ?)", rows)

    def _check_width(self, n_features):
        if self._n_features is None and n_features % 1 == 0:
            self._n_features = int(n_features)
        if self._n_features != n_features:
            raise sqlite3.DatabaseError(
                f"an embedding of {n_features:g} numbers among those of {self._n_features}"
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
                f"The embedding cache {self.path} cannot be used: {error}. Look whether its "
                "directory can be written to and has space left; if so, delete this file."
            ) from error
        except sqlite3.Error as error:
            raise RuntimeError(
                f"The embedding cache {self.path} is damaged: {error}. "
                "Delete this file; its embeddings are then computed again."
            ) from error


def _checksum(key, blob):
    return hashlib.blake2b(key + blob, digest_size=_CHECKSUM_SIZE).digest()

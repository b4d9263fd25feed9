"""From images to embeddings, batch by batch."""

from itertools import chain

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from skdiffusion_label._torch import stack
from skdiffusion_label.embedding._images import UnreadableImageError, describe

# Rows that are looked up in the cache by one query: SQLite takes at least 999 placeholders.
_CHUNK_SIZE = 512


class EmbeddingPass:
    """One pass over the images of X. Only batches of images are ever in memory.

    Parameters
    ----------
    rows : ImageRows
        The images.
    cache : EmbeddingCache or None
        Knows embeddings, and is told new ones as soon as a batch is done.
    progress : tqdm
        Is told how many rows are done.

    Attributes
    ----------
    embeddings : ndarray of shape (n_samples, n_features), dtype=float32, or None
        NaN where there is no embedding, None before the first one is known.
    errors : list of UnreadableImageError
        In the order of the rows.
    """

    def __init__(self, rows, cache, progress):
        self.rows = rows
        self.cache = cache
        self.progress = progress
        self.embeddings = None
        self.errors = []
        self._keys = {}  # of the rows that are to be embedded or unreadable
        self._first_rows = {}  # of those keys
        self._repetitions = []  # (row, first row of the same image)
        self._changed = set()  # rows that were another image when they were looked up

    def run(self, load_encoder, *, batch_size, num_workers, stop_at_error):
        """Embed all rows; call ``load_encoder`` only if the cache does not know them all."""
        batches = self._batches(batch_size)
        first_batch = next(batches, None)
        if first_batch is not None:
            encoder = load_encoder()
            self._embed(encoder, chain([first_batch], batches), num_workers, stop_at_error)
            if rows := self._finish_repetitions():
                self._embed(encoder, _batches_of(rows, batch_size), num_workers, stop_at_error)
        self.errors.sort(key=lambda error: error.row)

    def _embed(self, encoder, batches, num_workers, stop_at_error):
        loader = DataLoader(
            PreprocessedImages(self.rows, encoder.preprocess, with_keys=self.cache is not None),
            batch_sampler=batches,
            num_workers=num_workers,
            collate_fn=_collate,
            pin_memory=encoder.device.type == "cuda",
            generator=torch.Generator(),  # else a seed is drawn from the global one
        )
        for rows, keys, images, errors in loader:
            if isinstance(images, Exception):
                raise images
            if rows:
                self._store(rows, keys, encoder.embed(images))
            self._note_errors(errors, stop_at_error)

    def _batches(self, batch_size):
        """Yield lists of rows to embed; fill in the others on the way."""
        if self.cache is None:
            yield from _batches_of(range(len(self.rows)), batch_size)
            return
        missing = []
        for start in range(0, len(self.rows), _CHUNK_SIZE):
            missing += self._look_up(range(start, min(start + _CHUNK_SIZE, len(self.rows))))
            while len(missing) >= batch_size:
                yield missing[:batch_size]
                missing = missing[batch_size:]
        if missing:
            yield missing

    def _look_up(self, rows):
        """Fill in what the cache knows; return the rows of images that are to be embedded."""
        keys = {row: self._key(row) for row in rows}
        positions, embeddings = self.cache.get([key for key in keys.values() if key is not None])
        found, missing = [], []
        for row, key in keys.items():
            if key in positions:
                found.append(row)
            elif key in self._first_rows:
                self._repetitions.append((row, self._first_rows[key]))
            else:
                missing.append(row)
                if key is not None:
                    self._keys[row] = key
                    self._first_rows[key] = row
        if found:
            self._fill(found, embeddings[[positions[keys[row]] for row in found]])
        return missing

    def _key(self, row):
        try:
            return self.rows.digest(row)
        except UnreadableImageError:
            return None  # reading it fails once more, when it is this row's turn

    def _store(self, rows, keys, embeddings):
        """Keep embeddings of images by the keys of what has been embedded."""
        self._fill(rows, embeddings)
        if self.cache is None:
            return
        self.cache.put(keys, embeddings)
        for row, key in zip(rows, keys, strict=True):
            looked_up = self._keys.pop(row, None)
            self._first_rows.pop(looked_up, None)
            if key != looked_up:
                self._changed.add(row)

    def _fill(self, rows, embeddings):
        if self.embeddings is None:
            shape = (len(self.rows), embeddings.shape[1])
            self.embeddings = np.full(shape, np.nan, dtype=np.float32)
        self.embeddings[rows] = embeddings
        self.progress.update(len(rows))

    def _note_errors(self, errors, stop_at_error):
        if errors and stop_at_error:
            raise errors[0]
        self.errors += errors
        self.progress.update(len(errors))

    def _finish_repetitions(self):
        """Fill in images that occur again; return the rows whose first one tells nothing."""
        untold = self._changed | {error.row for error in self.errors}
        for row, first_row in self._repetitions:
            if first_row not in untold:
                self._fill([row], self.embeddings[[first_row]])
        return [row for row, first_row in self._repetitions if first_row in untold]


def _batches_of(rows, batch_size):
    return (list(rows[start : start + batch_size]) for start in range(0, len(rows), batch_size))


class PreprocessedImages(Dataset):
    """Rows, keys of their content or None, and their preprocessed image or what is wrong with it.

    An error is returned, for one that is raised in a worker process loses its message to that of
    the loader.
    """

    def __init__(self, rows, preprocess, with_keys=False):
        self.rows = rows
        self.preprocess = preprocess
        self.with_keys = with_keys

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        try:
            image, key = self.rows.read(row) if self.with_keys else (self.rows[row], None)
        except ValueError as error:  # also if it is unreadable
            return row, None, error
        try:
            return row, key, torch.as_tensor(self.preprocess(image)).detach()
        except Exception as error:  # of the user's function
            failure = ValueError(
                f"preprocess fails on row {row} of X, {describe(image)}: "
                f"{type(error).__name__}: {error}"
            )
            failure.__cause__ = error  # its traceback, where no other process is between
            return row, key, failure


def _collate(items):
    """Return rows, keys, the batch of images or what is wrong with it, and unreadable images."""
    errors = [value for *_, value in items if isinstance(value, UnreadableImageError)]
    readable = [item for item in items if not isinstance(item[2], UnreadableImageError)]
    if not readable:
        return [], [], None, errors
    rows, keys, images = map(list, zip(*readable, strict=True))
    failed = [image for image in images if isinstance(image, Exception)]
    return rows, keys, failed[0] if failed else stack(images, rows, "preprocess"), errors

"""What a fit tells of its stages: their names, how far they are, and how long they still take."""

import time
from contextlib import contextmanager

_SECONDS_BETWEEN_LINES = 5.0  # often enough to see that it goes on


class Progress:
    """Prints if it ``is_told``."""

    def __init__(self, is_told):
        self.is_told = is_told

    @contextmanager
    def stage(self, name):
        """Tell how long a stage has taken."""
        start = time.perf_counter()
        yield
        self._tell(f"{name}: {time.perf_counter() - start:.1f} s")

    def watched(self, name, function, features):
        """Return ``function`` of blocks of ``features``, telling how many are done if it is told.

        Not of features that are elsewhere.
        """
        n_rows = len(features)
        start = last = time.perf_counter()
        n_done = 0

        def watching(block, *columns):
            nonlocal last, n_done
            result = function(block, *columns)
            n_done, now = n_done + len(block), time.perf_counter()
            if now - last > _SECONDS_BETWEEN_LINES:
                last, rest = now, (now - start) * (n_rows / n_done - 1)
                self._tell(f"{name}: {n_done / n_rows:.0%}, {rest:.0f} s left")
            return result

        is_here = not hasattr(features, "map_rows_of_partitions")
        return watching if self.is_told and is_here else function

    def _tell(self, message):
        if self.is_told:
            print(message, flush=True)

"""A process of its own for each run, which has seen no clean label and dies alone.

The parent writes what a method may see into a folder; the child, started from a process that never
held any data, reads that folder and nothing else.
"""

import multiprocessing
import os
import pickle
import resource
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np

# Not our package: each child imports its source as it is when the child starts.
PRELOADED = ["torch", "sklearn.ensemble", "sklearn.neural_network"]


@contextmanager
def shared_folder(**arrays):
    """Write ``arrays`` into a temporary folder that children read."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for name, array in arrays.items():
            np.save(Path(folder) / f"{name}.npy", array)
        yield Path(folder)


def read_arrays(folder):
    """Return what :func:`shared_folder` wrote."""
    return {path.stem: np.load(path) for path in sorted(Path(folder).glob("*.npy"))}


def run_in_child(function, *arguments, time_limit=None):
    """Return the dict of ``function(*arguments)``, called in a process of its own.

    It has "status" besides: "ok", or "failed" and then an "error", and the "time_limit" that it
    has exceeded.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_send_result, args=(sender, pickle.dumps((function, arguments)))
    )
    process.start()
    sender.close()  # so that the end of the child is the end of the pipe
    try:
        if not receiver.poll(time_limit):
            error = f"took longer than {time_limit} s"
            return {"status": "failed", "error": error, "time_limit": time_limit}
        return receiver.recv()
    except EOFError:
        process.join()
        return {"status": "failed", "error": f"the process ended with code {process.exitcode}"}
    finally:
        receiver.close()
        process.terminate()
        process.join()


def n_threads():
    """Return the number of threads that methods may use: OMP_NUM_THREADS, or one for each core."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def _send_result(sender, work):
    os.environ["LOKY_MAX_CPU_COUNT"] = str(n_threads())  # what joblib makes of n_jobs=-1
    try:
        function, arguments = pickle.loads(work)  # here, as importing the function may fail
        result = {"status": "ok", **function(*arguments)}
    except Exception as error:
        traceback.print_exc()
        result = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    sender.send(result)
    sender.close()


@contextmanager
def measured(result):
    """Add to ``result`` what the block grows the memory by and the warnings it gives."""
    before = peak_memory()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    result["peak_memory_mb"] = peak_memory() - before
    result["warnings"] = sorted({warning.category.__name__ for warning in caught})
    result["n_threads"] = n_threads()


def peak_memory():
    """Return the most resident memory that this process has had so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


class Stopwatch:
    """Seconds since the last look."""

    def __init__(self):
        self.last = time.perf_counter()

    def lap(self):
        """Return the seconds since the last look."""
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        return seconds

"""Threads, forks and workers: most in a process of its own, with two threads and a time limit."""

import os
import subprocess
import sys

import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import cross_val_score

from skdiffusion_label import LRADiffusionClassifier

SECONDS = 300  # a hang is one for good; a loaded machine is slow

START = """
import os, pickle, sys, threading, time
import numpy as np
import torch
from threadpoolctl import threadpool_info
from sklearn.datasets import make_blobs
from skdiffusion_label import LRADiffusionClassifier

def threads():
    pools = {(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()}
    return torch.get_num_threads(), pools

X, y = make_blobs(200, n_features=64, centers=5, random_state=0)
clf = LRADiffusionClassifier(max_iter=1, random_state=0)
"""

FORK = """
clf = pickle.loads(pickle.dumps(clf.fit(X, y)))
expected = clf.predict_proba(X)
calls = {
    "predict": lambda: np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-6),
    "two threads": lambda: clf.set_params(n_jobs=2).predict(X),
    "sample": lambda: clf.sample_labels(X, 2),
    "purify": lambda: clf.purify_labels(X, y),
    "fit": lambda: clf.fit(X, y),
}
for name, call in calls.items():
    child = os.fork()
    if not child:
        code = 1
        try:
            call()
            code = 0
        finally:
            os._exit(code)
    for _ in range(1200):  # one minute
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        sys.exit(f"{name} hangs in a forked process")
    if status:
        sys.exit(f"{name} fails in a forked process")
"""

# Threads that leave in another order than they have entered.
CONCURRENT_LIMITS = """
from skdiffusion_label._torch import limited_threads

before = threads()
entered, leave = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]
within = []

def hold(i):
    with limited_threads(1):
        entered[i].set()
        leave[i].wait(10)
        within.append(threads())

holders = [threading.Thread(target=hold, args=(i,)) for i in range(2)]
for i in range(2):
    holders[i].start()
    entered[i].wait(10)
for i in range(2):
    leave[i].set()
    holders[i].join()
assert {number for own, pools in within for _, number in pools} == {1}, within
assert threads() == before, (threads(), before)
"""

# numba as pynndescent uses it, without the half minute that this takes to compile.
NUMBA = """
import types

import numba

from skdiffusion_label.retrieval import find_neighbors

@numba.njit(parallel=True)
def following(n_rows):
    found = np.empty((n_rows, 5), dtype=np.int64)
    for row in numba.prange(n_rows):
        for column in range(5):
            found[row, column] = (row + column) % n_rows
    return found

class Index:
    def __init__(self, points, n_jobs, **parameters):
        numba.set_num_threads(n_jobs)
        self.neighbor_graph = following(len(points)), None

torch.set_num_threads(1)
before = threads()
assert numba.config.NUMBA_NUM_THREADS == 2
sys.modules["pynndescent"] = types.SimpleNamespace(NNDescent=Index)
for n_jobs in (1, 2, 16):
    find_neighbors(X, 4, algorithm="pynndescent", n_jobs=n_jobs)
    after = threads()
    assert after[0] == before[0] and before[1] <= after[1], (before, after)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize(
    "script",
    [FORK, CONCURRENT_LIMITS, NUMBA],
    ids=["fork", "concurrent limits", "numba"],
)
def test_threads_are_neither_waited_for_nor_left_changed(script):
    numbers = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(numbers, "2"), "OMP_WAIT_POLICY": "passive"}
    ended = subprocess.run(
        [sys.executable, "-c", START + script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 0, ended.stderr


def test_parallel_cross_validation_scores_like_a_sequential_one(fast, blobs):
    X, y, _ = blobs
    classifier = LRADiffusionClassifier(**fast, label_aggregation="vote")
    parallel = cross_val_score(classifier, X, y, cv=2, n_jobs=2)
    assert_array_equal(parallel, cross_val_score(classifier, X, y, cv=2))
    assert parallel.min() > 0.9

"""Nearest neighbors of the training rows among themselves."""

import threading

import numpy as np
import torch

# Measured on one x86-64 core: multiply-adds and selections per second of the exact search, and
# the CPU seconds that numba needs to compile pynndescent in each process.
_FLOP_PER_SECOND = 8e10
_SECONDS_PER_CANDIDATE = 2e-9
_COMPILE_SECONDS = 24.0

_BLOCK_BYTES = 1 << 27
_pynndescent_lock = threading.Lock()  # its build aborts the process with some numba layers


def find_neighbors(
    features, n_neighbors, *, metric="cosine", algorithm="auto", rows=None, random_state=0, n_jobs=1
):
    """Find the nearest neighbors of each row among all other rows.

    A row is never its own neighbor: it is left out by its index, not by its distance, and so
    exact duplicates of a row stay eligible.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
        The points. Finite.
    n_neighbors : int
        Number of neighbors, at most ``n_samples - 1`` are returned.
    metric : {"cosine", "euclidean"}, default="cosine"
        Under "cosine", a row of zeros is at distance 1 from every other row.
    algorithm : {"auto", "exact", "pynndescent"}, default="auto"
        "auto" takes pynndescent where exact search would cost more than pynndescent's
        compilation (about 24 CPU seconds in each process) and its search together.
    rows : ndarray of shape (n_queries,), default=None
        Indices of the rows whose neighbors are wanted, all by default. A subset is searched
        exactly.
    random_state : int, default=0
        Seed of pynndescent.
    n_jobs : int, default=1
        Threads of pynndescent.

    Returns
    -------
    neighbors : ndarray of shape (n_queries, min(n_neighbors, n_samples - 1)), dtype=int64
        Indices, the nearest first.
    """
    points = _comparable_points(features, metric)
    n_samples = len(points)
    n_neighbors = min(n_neighbors, n_samples - 1)
    if rows is not None:
        return _search_exactly(points, n_neighbors, metric, rows)
    if algorithm == "auto":
        algorithm = "exact" if _exact_is_cheaper(*points.shape) else "pynndescent"
    if algorithm == "exact":
        return _search_exactly(points, n_neighbors, metric, np.arange(n_samples))
    neighbors = _search_approximately(points, n_neighbors, random_state, n_jobs)
    return _repair(neighbors, points, n_neighbors, metric)


def _comparable_points(features, metric):
    """Center or normalize in float64, so that a large offset does not eat float32's digits."""
    if metric == "cosine":
        norms = np.linalg.norm(features.astype(np.float64, copy=False), axis=1, keepdims=True)
        points = np.divide(features, norms, where=norms > 0, out=np.zeros(features.shape))
    else:
        points = features - features.mean(axis=0, dtype=np.float64)
    return np.require(points, dtype=np.float32, requirements=["C", "W"])


def _exact_is_cheaper(n_samples, n_features):
    candidates = float(n_samples) ** 2
    exact = candidates * (2 * n_features / _FLOP_PER_SECOND + _SECONDS_PER_CANDIDATE)
    approximate = _COMPILE_SECONDS + n_samples * (n_features + 100) * 1e-7
    return exact <= approximate


def _search_exactly(points, n_neighbors, metric, rows):
    points = torch.from_numpy(points)
    rows = torch.from_numpy(np.asarray(rows, dtype=np.int64))
    # |q - p|^2 orders like |p|^2 / 2 - q.p; unit vectors need no first term.
    offset = points.square().sum(dim=1) / 2 if metric == "euclidean" else None
    neighbors = torch.empty((len(rows), n_neighbors), dtype=torch.int64)
    for block in torch.arange(len(rows)).split(max(1, _BLOCK_BYTES // (4 * len(points)))):
        similarity = points[rows[block]] @ points.T
        if offset is not None:
            similarity -= offset
        similarity[torch.arange(len(block)), rows[block]] = -torch.inf
        neighbors[block] = similarity.topk(n_neighbors, dim=1).indices
    return neighbors.numpy()


def _search_approximately(points, n_neighbors, random_state, n_jobs):
    from pynndescent import NNDescent

    n_samples = len(points)
    with _pynndescent_lock:
        index = NNDescent(
            points,  # normalized already under cosine
            metric="euclidean",
            n_neighbors=min(max(30, n_neighbors + 1), n_samples - 1),
            random_state=random_state,
            n_jobs=n_jobs,
        )
        graph = index.neighbor_graph[0]
    # The row itself is mostly but not always first, as duplicates tie with it.
    is_self = graph == np.arange(n_samples)[:, None]
    others_first = np.argsort(is_self, axis=1, kind="stable")
    return np.take_along_axis(graph, others_first, axis=1)[:, :n_neighbors].astype(np.int64)


def _repair(neighbors, points, n_neighbors, metric):
    """Search again, exactly, for each row whose approximate neighbors cannot be right."""
    n_samples = len(points)
    if neighbors.shape[1] < n_neighbors:
        bad = np.ones(n_samples, dtype=bool)
        neighbors = np.empty((n_samples, n_neighbors), dtype=np.int64)
    else:
        ordered = np.sort(neighbors, axis=1)
        bad = (ordered[:, 0] < 0) | (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        bad |= (neighbors == np.arange(n_samples)[:, None]).any(axis=1)
        if metric == "cosine":
            # Among unit vectors a zero vector looks nearer than its cosine distance of 1.
            is_zero = ~points.any(axis=1)
            bad |= is_zero | is_zero[neighbors].any(axis=1)
    rows = np.flatnonzero(bad)
    if len(rows):
        neighbors[rows] = _search_exactly(points, n_neighbors, metric, rows)
    return neighbors

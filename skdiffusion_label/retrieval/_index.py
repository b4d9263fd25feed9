"""Indices that users bring, by the protocol of scikit-learn's ``KNeighborsTransformer``."""

import copy

import numpy as np


def fitted_index(index, points, n_neighbors):
    """Return a copy of ``index`` fitted to points (n, d), for ``n_neighbors`` beside the row."""
    index = copy.deepcopy(index)
    index.set_params(n_neighbors=n_neighbors + 1)
    return index.fit(points)


def nearest_by(index, points):
    """Return the positions (n_samples, n_neighbors + 1) of neighbors, the nearest first.

    Raises
    ------
    ValueError
        If the index finds fewer than it has been asked for.
    """
    graph, wanted = index.transform(points).tocsr(), index.get_params()["n_neighbors"]
    counts = np.diff(graph.indptr)
    if counts.min() < wanted:
        raise ValueError(
            f"neighbors_algorithm must find {wanted} neighbors of each row, got {counts.min()} of "
            f"row {counts.argmin()}."
        )
    nearest = np.empty((len(counts), wanted), dtype=np.int64)
    for row, (first, end) in enumerate(zip(graph.indptr, graph.indptr[1:], strict=False)):
        order = np.argsort(graph.data[first:end], kind="stable")[:wanted]
        nearest[row] = graph.indices[first:end][order]
    return nearest

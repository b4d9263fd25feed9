"""Nearest neighbors of the training rows among themselves."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

# Measured on one x86-64 core: multiply-adds and selections per second of the exact search, and
# the CPU seconds that numba needs to compile pynndescent in each process.
_FLOP_PER_SECOND = 8e10
_SECONDS_PER_CANDIDATE = 2e-9
_COMPILE_SECONDS = 24.0

_CACHE_BYTES = 1 << 22
_BLOCK_BYTES = 1 << 27
_GROUP_SIZE = 16
_MAX_SIZE_IN_FLOAT64 = 1e9  # rows squared times features: about a tenth of a second
_pynndescent_lock = threading.Lock()  # its build aborts the process with some numba layers


def find_neighbors(
    features,
    n_neighbors,
    *,
    metric="cosine",
    algorithm="auto",
    rows=None,
    is_candidate=None,
    groups=None,
    random_state=0,
    n_jobs=1,
):
    """Find the nearest neighbors of each row among all other rows.

    A row is never its own neighbor: it is left out by its index, not by its distance, and so
    exact duplicates of a row stay eligible.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features), dtype=float32 or float64
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
    is_candidate : ndarray of shape (n_samples,), dtype=bool, default=None
        Which rows may be neighbors, at least two; all by default.
    groups : ndarray of shape (n_samples,), default=None
        Integer-coded groups; rows of one group are not each other's neighbors. Searched exactly.
    random_state : int, default=0
        Seed of pynndescent.
    n_jobs : int, default=1
        Threads of pynndescent.

    Returns
    -------
    neighbors : ndarray of shape (n_queries, min(n_neighbors, n_candidates - 1)), dtype=int64
        Indices, the nearest first.

    Raises
    ------
    ValueError
        If ``metric`` or ``algorithm`` is another, or if there are fewer than two candidates.

    Notes
    -----
    Distances are computed from the centered points, in float64 where ``n_samples`` squared times
    ``n_features`` is at most 1e9, else in float32: there, squared distances that differ by less
    than 5e-7 of the largest squared distance from the center are not told apart.
    """
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"metric must be 'cosine' or 'euclidean', got {metric!r}.")
    if algorithm not in ("auto", "exact", "pynndescent"):
        raise ValueError(f"algorithm must be 'auto', 'exact' or 'pynndescent', got {algorithm!r}.")
    points, is_zero = _comparable_points(features, metric)
    n_samples = len(points)
    is_candidate = np.ones(n_samples, dtype=bool) if is_candidate is None else is_candidate
    n_candidates = np.count_nonzero(is_candidate)
    if n_candidates < 2:
        raise ValueError(f"is_candidate must mark at least two rows, got {n_candidates}.")
    n_neighbors = min(n_neighbors, n_others(is_candidate, groups))
    if not n_neighbors:
        raise ValueError("groups must leave each row a candidate of another group.")
    has_groups = groups is not None and len(np.unique(groups)) < n_samples
    groups = np.arange(n_samples) if groups is None else groups

    def search_exactly(rows):
        return _search_exactly(points, is_zero, is_candidate, groups, n_neighbors, rows)

    if rows is not None:
        return search_exactly(rows)
    if has_groups:
        algorithm = "exact"
    if algorithm == "auto":
        algorithm = "exact" if _exact_is_cheaper(*points.shape, n_candidates) else "pynndescent"
    if algorithm == "exact":
        return search_exactly(np.arange(n_samples))
    if is_candidate.all():
        neighbors = _search_approximately(points, n_neighbors, random_state, n_jobs)
    else:
        candidates = np.flatnonzero(is_candidate)
        found = _search_approximately(points[candidates], n_neighbors, random_state, n_jobs)
        neighbors = np.full((n_samples, n_neighbors), -1)
        neighbors[candidates] = np.where(found < 0, -1, candidates[found])
    bad = np.flatnonzero(_is_bad(neighbors, is_zero))
    if len(bad):
        neighbors[bad] = search_exactly(bad)
    return neighbors


def find_supervised_neighbors(space, n_neighbors, *, is_candidate, groups=None):
    """Find the nearest neighbors of each row where labels make the space.

    A row and a candidate are compared where models place them that have seen neither's label: a
    model that has seen a row's label places those around it as if they had it, and the neighbors
    that it then has would repeat it.

    Parameters
    ----------
    space : SupervisedSpace
        Points of length one.
    n_neighbors : int
        Number of neighbors, at most those that each row has candidates of other groups.
    is_candidate : ndarray of shape (n_samples,), dtype=bool
        Which rows may be neighbors.
    groups : ndarray of shape (n_samples,), default=None
        Integer-coded groups; rows of one group are not each other's neighbors.

    Returns
    -------
    neighbors : ndarray of shape (n_samples, n_neighbors), dtype=int64
        Indices, the nearest first.

    Notes
    -----
    The search is exact, in float64 or float32 as :func:`find_neighbors` has it.
    """
    n_samples, n_dimensions = space.shape
    is_small = n_samples**2 * n_dimensions <= _MAX_SIZE_IN_FLOAT64
    groups = np.arange(n_samples) if groups is None else groups
    fold_of = space.log_proba.fold_of
    candidates = np.flatnonzero(is_candidate)
    candidates = candidates[np.argsort(fold_of[candidates], kind="stable")]
    order = np.argsort(groups[candidates], kind="stable")
    groups_in_order = groups[candidates][order]
    ends = np.cumsum(np.bincount(fold_of[candidates], minlength=len(space.log_proba.models)))
    places = map(slice, np.r_[0, ends[:-1]], ends)
    parts = [(place, candidates[place]) for place in places]
    rows_at_once = max(_CACHE_BYTES // (4 * len(candidates)), n_dimensions)
    rows_at_once = max(1, min(rows_at_once, _BLOCK_BYTES // (4 * len(candidates))))

    def placed(rows, fold):
        points = space.placed(rows, fold)
        return torch.from_numpy(unit_rows(points.astype(np.float64) if is_small else points))

    neighbors = np.empty((n_samples, n_neighbors), dtype=np.int64)
    dtype = torch.float64 if is_small else torch.float32
    bank = torch.empty((len(candidates), n_dimensions), dtype=dtype)
    for fold in range(len(parts)):
        for some, part in parts:
            bank[some] = placed(part, fold)
        rows = np.flatnonzero(fold_of == fold)
        for block in np.array_split(rows, len(rows) // rows_at_once + 1):
            similarity = torch.empty((len(block), len(candidates)), dtype=dtype)
            for other, (some, _) in enumerate(parts):
                similarity[:, some] = placed(block, other) @ bank[some].T
            similarity[_of_own_group(groups[block], groups_in_order, order)] = -torch.inf
            neighbors[block] = candidates[_largest(similarity, n_neighbors).numpy()]
    return neighbors


def _comparable_points(features, metric):
    """Return points whose Euclidean distances order as ``metric`` does, and which rows are zero.

    Among unit vectors the Euclidean distance orders as the cosine does. Centered and scaled, so
    that neither a large offset nor the unit of measurement eats the digits of a later float32.
    """
    is_zero = np.zeros(len(features), dtype=bool)
    if metric == "cosine":
        is_zero = ~features.any(axis=1)
        points = unit_rows(features)
        points -= points.mean(axis=0, dtype=np.float64).astype(points.dtype)
    else:
        center = features.mean(axis=0, dtype=np.float64).astype(features.dtype)
        points = features - center
        points /= max(points.max(), -points.min()) or 1
    dtype = np.float64 if points.size * len(points) <= _MAX_SIZE_IN_FLOAT64 else np.float32
    return np.ascontiguousarray(points, dtype=dtype), is_zero


def unit_rows(features):
    """Return the rows divided by their lengths; zeros stay."""
    largest = np.maximum(features.max(axis=1), -features.min(axis=1))[:, None]
    points = features / np.where(largest == 0, 1, largest)
    norms = np.sqrt(np.einsum("nd,nd->n", points, points))[:, None]
    points /= np.where(norms == 0, 1, norms)
    return points


def _exact_is_cheaper(n_samples, n_features, n_candidates):
    exact = (
        float(n_samples)
        * n_candidates
        * (2 * n_features / _FLOP_PER_SECOND + _SECONDS_PER_CANDIDATE)
    )
    approximate = _COMPILE_SECONDS + n_samples * (n_features + 100) * 1e-7
    return exact <= approximate


def n_others(is_candidate, groups):
    """Return how many candidates of other groups each row has, at least."""
    n_candidates = np.count_nonzero(is_candidate)
    if groups is None:
        return n_candidates - 1
    return n_candidates - int(np.unique(groups[is_candidate], return_counts=True)[1].max())


def _search_exactly(points, is_zero, is_candidate, groups, n_neighbors, rows):
    candidates = np.flatnonzero(is_candidate)
    order = np.argsort(groups[candidates], kind="stable")
    groups_in_order = groups[candidates][order]
    bank = torch.from_numpy(points[candidates] if len(candidates) < len(points) else points)
    points = torch.from_numpy(points)
    rows = torch.from_numpy(np.asarray(rows, dtype=np.int64))
    zero_columns = torch.from_numpy(np.flatnonzero(is_zero[candidates]))
    row_bytes = bank.element_size() * len(bank)
    # With few features a block should stay in the cache, with many it should repay the reading
    # of all points.
    rows_per_block = max(points.shape[1], _CACHE_BYTES // row_bytes)
    rows_per_block = max(1, min(rows_per_block, _BLOCK_BYTES // row_bytes))
    half_squares = bank.square().sum(dim=1) / 2
    neighbors = torch.empty((len(rows), n_neighbors), dtype=torch.int64)
    for block in torch.arange(len(rows)).split(rows_per_block):
        queries = points[rows[block]]
        # |q - p|^2 / 2 less what is the same for all p, with the sign of a similarity.
        similarity = queries @ bank.T
        similarity -= half_squares
        # A cosine distance of 1 is the squared distance 2 of orthogonal unit vectors.
        similarity[:, zero_columns] = queries.square().sum(dim=1, keepdim=True) / 2 - 1
        own = groups[rows[block].numpy()]
        similarity[_of_own_group(own, groups_in_order, order)] = -torch.inf
        neighbors[block] = _largest(similarity, n_neighbors)
    return candidates[neighbors.numpy()]


def _of_own_group(groups, groups_in_order, order):
    """Return rows and columns of the candidates that belong to the same group as a row.

    ``order`` sorts the candidates by group.
    """
    first = np.searchsorted(groups_in_order, groups, side="left")
    counts = np.searchsorted(groups_in_order, groups, side="right") - first
    places = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
    return np.repeat(np.arange(len(groups)), counts), order[places]


def largest(values, k):
    """Return the columns of each row's ``k`` largest ``values``, an array, the largest first."""
    rows_per_block = max(1, _CACHE_BYTES // values[:1].nbytes)
    blocks = torch.from_numpy(values).split(rows_per_block)
    return torch.cat([_largest(block, k) for block in blocks]).numpy()


def _largest(values, k):
    """Return the columns of each row's ``k`` largest ``values`` (b, n), the largest first.

    They are no smaller than the ``k``-th largest maximum of groups of columns, and few others are
    not: one fast pass finds these.
    """
    n_rows, n_columns = values.shape
    n_groups = n_columns // _GROUP_SIZE
    if n_groups < 4 * k:
        return values.topk(k, dim=1).indices
    grouped = values[:, : n_groups * _GROUP_SIZE].unflatten(1, (_GROUP_SIZE, n_groups))
    maxima = grouped.amax(dim=1).numpy()
    least = np.partition(maxima, n_groups - k, axis=1)[:, n_groups - k, None]
    is_large = values.numpy() >= least
    counts = np.count_nonzero(is_large, axis=1)
    places = np.arange(counts.max()) < counts[:, None]
    found = np.flatnonzero(is_large)
    large = np.full(places.shape, -np.inf, dtype=maxima.dtype)
    large[places] = values.numpy().ravel()[found]
    columns = np.zeros(places.shape, dtype=np.int64)
    columns[places] = found
    columns -= n_columns * np.arange(n_rows)[:, None]
    return torch.from_numpy(columns).gather(1, torch.from_numpy(large).topk(k, dim=1).indices)


def _search_approximately(points, n_neighbors, random_state, n_jobs):
    # In a thread of its own: numba sets the number of OpenMP threads of the one that it runs in.
    with ThreadPoolExecutor(1) as own_thread:
        graph = own_thread.submit(_approximate_graph, points, n_neighbors, random_state, n_jobs)
        graph = graph.result()
    # The row itself is mostly but not always first, as duplicates tie with it.
    neighbors = np.full((len(points), n_neighbors), -1)
    n_found = min(n_neighbors, graph.shape[1] - 1)
    neighbors[:, :n_found] = without_self(graph)[:, :n_found]
    return neighbors


def _approximate_graph(points, n_neighbors, random_state, n_jobs):
    import numba
    from pynndescent import NNDescent

    with _pynndescent_lock:
        index = NNDescent(
            points.astype(np.float32, copy=False),
            metric="euclidean",
            n_neighbors=min(max(30, n_neighbors + 1), len(points) - 1),
            random_state=random_state,
            n_jobs=min(n_jobs, numba.config.NUMBA_NUM_THREADS),
        )
        return index.neighbor_graph[0]


def is_self(neighbors, rows=None):
    """Tell which entries (n, n_neighbors) are the row itself, of ``rows`` or of all."""
    rows = np.arange(len(neighbors)) if rows is None else rows
    return neighbors == rows[:, None]


def without_self(neighbors, rows=None):
    """Leave out the row itself, or the farthest neighbor of a row that is not its own."""
    own = is_self(neighbors, rows)
    column = np.where(own.any(axis=1), own.argmax(axis=1), neighbors.shape[1] - 1)
    stays = np.ones(neighbors.shape, dtype=bool)
    stays[np.arange(len(neighbors)), column] = False
    return neighbors[stays].reshape(len(neighbors), -1)


def has_repeats(neighbors):
    """Tell which rows hold an index more than once."""
    ordered = np.sort(neighbors, axis=1)
    return (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)


def _is_bad(neighbors, is_zero):
    """Tell which rows' approximate neighbors (n_samples, n_neighbors) cannot be right."""
    bad = (neighbors < 0).any(axis=1) | has_repeats(neighbors) | is_self(neighbors).any(axis=1)
    # Among unit vectors a zero vector looks nearer than its cosine distance of 1.
    return bad | is_zero | is_zero[neighbors].any(axis=1)

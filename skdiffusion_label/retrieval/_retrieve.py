"""Label retrieval: what the neighbors of a training row say about its label."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skdiffusion_label.retrieval._bank import (
    choose_space,
    draw_candidates,
    make_bank,
    numbers_of_neighbors,
)
from skdiffusion_label.retrieval._discriminant import SupervisedSpace
from skdiffusion_label.retrieval._search import (
    find_neighbors,
    find_supervised_neighbors,
    has_repeats,
    is_self,
    n_others,
    unit_rows,
    without_self,
)
from skdiffusion_label.retrieval._votes import VoteTable

RETRIEVAL_SPACES = ("features", "standardized", "supervised")


@dataclass(frozen=True)
class Retrieval:
    """What retrieval found for the training rows.

    Attributes
    ----------
    neighbors : ndarray of shape (n_samples, n_neighbors)
        Indices, the nearest first.
    space : str
        Where neighbors were looked up: "features", "standardized", "supervised" or "given".
    judgements : dict of str to list of VoteTable
        Probabilities of given labels, by space and number of neighbors.
    banks : dict of str to VoteBank
        To ask the neighbors about new rows, by space; empty if they were found elsewhere.
    candidates : ndarray of shape (n_candidates,)
        Indices of the rows that may be neighbors.
    """

    neighbors: np.ndarray
    space: str
    judgements: dict
    banks: dict
    candidates: np.ndarray

    @property
    def votes(self):
        """What the neighbors' labels sum up to (n_samples, n_classes); the fewer ones' of two."""
        return self.judgements[self.space][0].count()


def retrieve(
    features,
    standardized,
    log_proba,
    y_codes,
    n_classes,
    *,
    n_neighbors="auto",
    metric="cosine",
    space="auto",
    algorithm="auto",
    sample_weight=None,
    neighbors=None,
    groups=None,
    random_state=0,
    n_jobs=1,
):
    """Look up each row's neighbors and count their labels.

    Parameters
    ----------
    features, standardized : ndarray of shape (n_samples, n_features)
        The features as given, and on one scale.
    log_proba : CrossFitted
        Of given labels, by a linear model that has not seen the row's own; it spans the space
        "supervised".
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    n_classes : int
        Number of classes.
    n_neighbors : int or "auto", default="auto"
        Number of neighbors, see :func:`numbers_of_neighbors`.
    metric : {"cosine", "euclidean"}, default="cosine"
        Metric in the spaces "features" and "standardized".
    space : {"auto", "features", "standardized", "supervised"}, default="auto"
        Where to look. "auto": in the space "supervised", and in whichever of the others has
        neighbors that foretell given labels better; what is returned besides the judgements are
        those of the better one.
    algorithm : {"auto", "exact", "pynndescent"} or transformer, default="auto"
        See :func:`find_neighbors`; the space "supervised" is searched exactly, see
        :func:`find_supervised_neighbors`. Or an index with the protocol of scikit-learn's
        ``KNeighborsTransformer``, of which a copy is fitted to all rows that have a vote, placed
        so that Euclidean distances order as ``metric`` does. With ``groups`` it is not asked.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows' votes. A row of weight zero is nobody's neighbor.
    neighbors : ndarray of shape (n_samples, n_neighbors), default=None
        Neighbors given from outside, which are taken instead of a search.
    groups : ndarray of shape (n_samples,), default=None
        Integer-coded groups; rows of one group are not each other's neighbors.
    random_state : int, default=0
        Seed.
    n_jobs : int, default=1
        Threads of pynndescent.

    Returns
    -------
    Retrieval
    """
    weight = np.ones(len(y_codes), np.float32) if sample_weight is None else sample_weight
    has_vote = weight > 0
    banks = {}
    if neighbors is not None:
        found, numbers, is_candidate = {"given": neighbors}, [neighbors.shape[1]], has_vote
    else:
        index = None if isinstance(algorithm, str) or groups is not None else algorithm
        is_candidate = has_vote
        if index is None:
            is_candidate = draw_candidates(y_codes, n_classes, has_vote, random_state)
        numbers = numbers_of_neighbors(n_neighbors, n_others(is_candidate, groups) + 1, n_classes)
        plain = {"features": features, "standardized": standardized}
        points = plain | {"supervised": SupervisedSpace(log_proba)}
        among = {"metric": metric, "is_candidate": is_candidate, "groups": groups}
        names = [space]
        if space == "auto":
            given = {"y_codes": y_codes, "n_classes": n_classes, "sample_weight": sample_weight}
            names = [choose_space(plain, numbers[-1], **given, **among), "supervised"]
        points = {name: points[name] for name in names}
        asked = is_candidate, y_codes, n_classes, weight, numbers, metric, index
        banks = {name: make_bank(p, *asked) for name, p in points.items()}
        search = {"algorithm": algorithm if isinstance(algorithm, str) else "exact"}
        search |= {**among, "random_state": random_state, "n_jobs": n_jobs}
        found = {name: _search(p, banks[name], search) for name, p in points.items()}
    class_sizes = np.bincount(y_codes, weight * is_candidate, minlength=n_classes)
    judgements = {
        name: [VoteTable(nearest[:, :n], y_codes, weight, class_sizes) for n in numbers]
        for name, nearest in found.items()
    }
    voters = np.flatnonzero(has_vote)
    losses = {name: tables[-1].loss(voters) for name, tables in judgements.items()}
    space = min(losses, key=losses.get)
    return Retrieval(found[space], space, judgements, banks, np.flatnonzero(is_candidate))


def _search(points, bank, search):
    """Return the neighbors of all rows, by the bank's own index if it has one."""
    if bank.index is not None:
        return bank.nearest_of_others(points, np.flatnonzero(search["is_candidate"]))
    if isinstance(points, SupervisedSpace):
        among = {name: search[name] for name in ("is_candidate", "groups")}
        return find_supervised_neighbors(points, bank.numbers[-1], **among)
    return find_neighbors(points, bank.numbers[-1], **search)


def check_neighbors(neighbors, n_samples):
    """Validate neighbors given from outside and return their indices without the row itself.

    Parameters
    ----------
    neighbors : sparse matrix of shape (n_samples, n_samples) or array of shape \
            (n_samples, n_neighbors)
        A graph as of :class:`sklearn.neighbors.KNeighborsTransformer`, whose stored values are
        distances, or indices of training rows. A row may count among its own neighbors; it is
        left out.
    n_samples : int
        Number of training rows.

    Returns
    -------
    ndarray of shape (n_samples, n_neighbors), dtype=int64

    Raises
    ------
    ValueError
        If the shape is another, if an index is out of range or repeated, or if rows of the graph
        have different numbers of neighbors.
    """
    if sparse.issparse(neighbors):
        indices = _graph_indices(neighbors.tocsr(), n_samples)
    else:
        indices = np.asarray(neighbors)
    if indices.ndim != 2 or len(indices) != n_samples or not indices.size:
        raise ValueError(
            f"neighbors must have a row for each of the {n_samples} training rows and at least one "
            f"column, got shape {indices.shape}."
        )
    if not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(f"neighbors must hold integer indices, got dtype {indices.dtype}.")
    indices = indices.astype(np.int64)
    if indices.min() < 0 or indices.max() >= n_samples:
        raise ValueError(
            f"neighbors must hold indices of training rows, from 0 to {n_samples - 1}, got "
            f"{indices.min()} to {indices.max()}."
        )
    repeated = has_repeats(indices)
    if repeated.any():
        raise ValueError(f"neighbors of row {repeated.argmax()} hold an index more than once.")
    if not is_self(indices).any():
        return indices
    if indices.shape[1] == 1:
        raise ValueError("neighbors must hold another row than the row itself.")
    return without_self(indices)


def neighbors_graph(features, neighbors, *, metric="cosine"):
    """Return a sparse graph of the distances to ``neighbors``.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
        Training rows.
    neighbors : ndarray of shape (n_samples, n_neighbors)
        Indices of training rows.
    metric : {"cosine", "euclidean"}, default="cosine"
        Metric of the distances.

    Returns
    -------
    csr_matrix of shape (n_samples, n_samples), dtype=float64
        Row by row the distances to the neighbors, the smallest first.
    """
    n_samples, n_neighbors = neighbors.shape
    distances = np.empty(neighbors.shape)
    points = features.astype(np.float64)
    if metric == "cosine":
        points = unit_rows(points)
    for column, neighbor in enumerate(neighbors.T):
        if metric == "cosine":
            similarity = np.einsum("nd,nd->n", points, points[neighbor])
            distances[:, column] = (1 - similarity).clip(min=0)
        else:
            distances[:, column] = np.linalg.norm(points - points[neighbor], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")
    indices = np.take_along_axis(neighbors, order, axis=1).ravel()
    distances = np.take_along_axis(distances, order, axis=1).ravel()
    starts = np.arange(0, n_samples * n_neighbors + 1, n_neighbors)
    return sparse.csr_matrix((distances, indices, starts), shape=(n_samples, n_samples))


def _graph_indices(graph, n_samples):
    if graph.shape != (n_samples, n_samples):
        raise ValueError(
            f"neighbors as a graph must have shape {(n_samples, n_samples)}, got {graph.shape}."
        )
    counts = np.diff(graph.indptr)
    if counts.min() != counts.max():
        raise ValueError(
            "neighbors as a graph must store the same number of entries in each row, got "
            f"{counts.min()} to {counts.max()}."
        )
    indices, distances = (part.reshape(n_samples, -1) for part in (graph.indices, graph.data))
    return np.take_along_axis(indices, np.argsort(distances, axis=1, kind="stable"), axis=1)

"""Who may be a neighbor, how many are asked, and where."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skdiffusion_label.retrieval._discriminant import SupervisedSpace
from skdiffusion_label.retrieval._index import fitted_index, nearest_by
from skdiffusion_label.retrieval._search import (
    find_neighbors,
    largest,
    unit_rows,
    without_self,
)
from skdiffusion_label.retrieval._votes import VoteTable, count_votes, vote_proba

# Rows: three thousand candidates cost at most .3 points of accuracy on 45,000 embeddings in 10
# classes. Five thousand of 10,003 queries in 77 classes, 65 for each, cost a point, and
# twice as many none.
_MAX_CANDIDATES, _MIN_CANDIDATES_OF_CLASS = 5_000, 130
_MAX_QUERIES = 1_000  # rows: a mean log loss of about one is then known to .03
_MANY = 5  # times as many neighbors are asked once more
_FAR = 1e15  # of a new row, in units of the largest distance of a candidate
# Entries, rows times dimensions, above which a bank is made of the linear model when it is asked:
# that takes a second, and 16 MB in each pickle would not be needed.
_MANY_ENTRIES = 2**22
_ROWS_AT_ONCE = 2_000  # that are placed in float64
_N_NEIGHBORS = 10  # and fewer where a class has fewer other rows


def draw_candidates(y_codes, n_classes, has_vote, random_state=0):
    """Mark the rows that may be neighbors: all of them, or five thousand of many.

    Classes take part by their frequency, and each with at least 130 rows if it has them.

    Parameters
    ----------
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    n_classes : int
        Number of classes.
    has_vote : ndarray of shape (n_samples,), dtype=bool
        Which rows may be drawn.
    random_state : int, default=0
        Seed of the draw.

    Returns
    -------
    is_candidate : ndarray of shape (n_samples,), dtype=bool
    """
    rows = np.flatnonzero(has_vote)
    if len(rows) <= _MAX_CANDIDATES:
        return has_vote
    shuffled = np.random.default_rng(random_state).permutation(rows)
    is_candidate = np.zeros(len(y_codes), dtype=bool)
    is_candidate[shuffled[:_MAX_CANDIDATES]] = True
    for code in range(n_classes):
        members = shuffled[y_codes[shuffled] == code]
        is_candidate[members[:_MIN_CANDIDATES_OF_CLASS]] = True
    return is_candidate


def numbers_of_neighbors(n_neighbors, n_candidates, n_classes):
    """Return the numbers of neighbors to ask, the largest last.

    "auto" is ten, or the other rows of a class of mean size if these are fewer, and at least two;
    and five times as many.

    Parameters
    ----------
    n_neighbors : int or "auto"
        Number that is asked for.
    n_candidates : int
        Number of rows that may be neighbors.
    n_classes : int
        Number of classes.

    Returns
    -------
    list of int
        One number, or two that may be equal, each less than ``n_candidates``.
    """
    if n_neighbors == "auto":
        few = min(_N_NEIGHBORS, max(n_candidates // n_classes - 1, 2))
        numbers = few, _MANY * few
    else:
        numbers = (n_neighbors,)
    return [min(number, n_candidates - 1) for number in numbers]


@dataclass(frozen=True)
class VoteBank:
    """Candidates to be asked about new rows.

    Attributes
    ----------
    points : ndarray of shape (n_candidates, n_dimensions), dtype=float32, or SupervisedSpace
        Where the candidates are, less ``center`` and in units of ``scale``; before, of length one
        if the metric is "cosine". Or, of a large space, what it is made of.
    center : ndarray of shape (n_dimensions,)
        Their mean.
    scale : float
        The largest distance from it along any dimension, so that squares are numbers.
    y_codes : ndarray of shape (n_candidates,)
        Integer-coded given labels.
    sample_weight : ndarray of shape (n_candidates,)
        Weights of the votes.
    n_classes : int
        Number of classes.
    numbers : list of int
        Numbers of neighbors to ask, the largest last.
    metric : {"cosine", "euclidean"}
        What is near.
    index : transformer or None
        Fitted to the points, with scikit-learn's protocol of ``KNeighborsTransformer``. None
        searches exactly.
    """

    points: np.ndarray | SupervisedSpace
    center: np.ndarray
    scale: float
    y_codes: np.ndarray
    sample_weight: np.ndarray
    n_classes: int
    numbers: list
    metric: str
    index: Any = None

    def at_hand(self):
        """Return the same with its points made, for several calls."""
        if isinstance(self.points, np.ndarray):
            return self
        rows = np.arange(len(self.y_codes))
        return replace(
            self, points=_placed_at(self.points, rows, self.center, self.scale, self.metric)
        )

    def nearest(self, points):
        """Return the positions (n_samples, n_neighbors) of new rows' neighbors, nearest first."""
        points = (_placed(points, self.metric) - self.center) / self.scale
        points = points.clip(-_FAR, _FAR).astype(np.float32)
        if self.index is not None:
            return nearest_by(self.index, points)[:, : self.numbers[-1]]
        bank = self.at_hand().points
        # The distance squared, by half, less what is the same for all candidates; negative.
        similarity = points @ bank.T
        similarity -= np.einsum("nd,nd->n", bank, bank) / 2
        return largest(similarity, self.numbers[-1])

    def nearest_of_others(self, points, candidates):
        """Return the indices of neighbors (n_samples, n_neighbors) that are not the row itself.

        ``points`` are those of all rows, ``candidates`` are the indices of the bank's.
        """
        neighbors = np.empty((points.shape[0], self.numbers[-1]), dtype=np.int64)
        every = np.arange(len(neighbors))
        for rows in np.array_split(every, len(every) // _ROWS_AT_ONCE + 1):
            placed = (_placed(points[rows], self.metric) - self.center) / self.scale
            found = candidates[nearest_by(self.index, placed.astype(np.float32))]
            neighbors[rows] = without_self(found, rows)[:, : self.numbers[-1]]
        return neighbors

    def votes(self, nearest):
        """Return the votes (n_samples, n_classes) of neighbors, for each number of them."""
        sizes = np.bincount(self.y_codes, self.sample_weight, minlength=self.n_classes)
        return [
            VoteTable(nearest[:, :number], self.y_codes, self.sample_weight, sizes)[:]
            for number in self.numbers
        ]


def make_bank(points, is_candidate, y_codes, n_classes, sample_weight, numbers, metric, index=None):
    """Return the :class:`VoteBank` of the candidates among all rows' ``points``.

    A copy of ``index``, if it is given, is fitted to them.
    """
    candidates = np.flatnonzero(is_candidate)
    blocks = np.array_split(candidates, len(candidates) // _ROWS_AT_ONCE + 1)
    center = sum(_placed(points[rows], metric).sum(axis=0) for rows in blocks) / len(candidates)
    centered = (_placed(points[rows], metric) - center for rows in blocks)
    scale = max(float(np.abs(block).max()) for block in centered) or 1.0
    is_large = index is None and len(candidates) * points.shape[1] > _MANY_ENTRIES
    if isinstance(points, SupervisedSpace) and is_large:
        placed = points.take(candidates)
    else:
        placed = _placed_at(points, candidates, center, scale, metric)
    return VoteBank(
        placed,
        center,
        scale,
        y_codes[is_candidate],
        sample_weight[is_candidate],
        n_classes,
        numbers,
        metric,
        None if index is None else fitted_index(index, placed, numbers[-1]),
    )


def _placed_at(points, rows, center, scale, metric):
    """Return where ``rows`` of ``points`` are from ``center``, in units of ``scale``, float32."""
    placed = np.empty((len(rows), points.shape[1]), dtype=np.float32)
    blocks = (np.array_split(part, len(rows) // _ROWS_AT_ONCE + 1) for part in (placed, rows))
    for place, some in zip(*blocks, strict=True):
        place[:] = (_placed(points[some], metric) - center) / scale
    return placed


def _placed(points, metric):
    """Return a copy of points whose Euclidean distances order as ``metric`` does, in float64."""
    points = np.array(points, dtype=np.float64)
    return unit_rows(points) if metric == "cosine" else points


def choose_space(
    spaces,
    n_neighbors,
    y_codes,
    n_classes,
    *,
    metric,
    is_candidate,
    sample_weight=None,
    groups=None,
):
    """Choose the space whose neighbors foretell given labels best.

    The given label of a row is foretold from the labels of its neighbors alone, by
    :func:`vote_proba`. The space with the smallest mean log loss over at most 1,000 candidates is
    taken.

    Parameters
    ----------
    spaces : dict of str to ndarray of shape (n_samples, n_dimensions)
        Candidate spaces. None of them may have mapped a row by its own label.
    n_neighbors : int
        Number of neighbors.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    n_classes : int
        Number of classes.
    metric : {"cosine", "euclidean"}
        Metric of the search.
    is_candidate : ndarray of shape (n_samples,), dtype=bool
        Which rows may be neighbors, in no order.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows.
    groups : ndarray of shape (n_samples,), default=None
        Integer-coded groups; rows of one group are not each other's neighbors.

    Returns
    -------
    space : str
    """
    if len(spaces) == 1:
        return next(iter(spaces))
    rows = np.flatnonzero(is_candidate)
    rows = rows[:: -(-len(rows) // _MAX_QUERIES)]
    class_sizes = np.bincount(
        y_codes[is_candidate],
        None if sample_weight is None else sample_weight[is_candidate],
        minlength=n_classes,
    )
    losses = {}
    for name, space in spaces.items():
        neighbors = find_neighbors(
            space, n_neighbors, metric=metric, rows=rows, is_candidate=is_candidate, groups=groups
        )
        votes = count_votes(neighbors, y_codes, n_classes, sample_weight)
        proba = vote_proba(votes, class_sizes, n_neighbors)
        weight = None if sample_weight is None else sample_weight[rows]
        own = np.log(proba[np.arange(len(rows)), y_codes[rows]])
        losses[name] = -np.average(own, weights=weight)
    return min(losses, key=losses.get)

"""Who may be a neighbor, how many are asked, and where."""

import numpy as np

from skdiffusion_label.retrieval._search import find_neighbors
from skdiffusion_label.retrieval._votes import count_votes, vote_proba

# Rows: three thousand candidates cost at most .3 points of accuracy on 45,000 embeddings, ten
# thousand none. A class keeps as many as the largest number of neighbors.
_MAX_CANDIDATES, _MIN_CANDIDATES_OF_CLASS = 10_000, 50
_MAX_QUERIES = 1_000  # rows: a mean log loss of about one is then known to .03
_MANY = 5  # times as many neighbors are asked once more
_N_NEIGHBORS = 10  # and fewer where a class has fewer other rows


def draw_candidates(y_codes, n_classes, has_vote, random_state=0):
    """Mark the rows that may be neighbors: all of them, or ten thousand of many.

    Classes take part by their frequency, and each with at least fifty rows if it has them.
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
    """
    if n_neighbors == "auto":
        few = min(_N_NEIGHBORS, max(n_candidates // n_classes - 1, 2))
        numbers = few, _MANY * few
    else:
        numbers = (n_neighbors,)
    return sorted({min(number, n_candidates - 1) for number in numbers})


def choose_space(
    spaces, n_neighbors, y_codes, n_classes, *, metric, is_candidate, sample_weight=None
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
            space, n_neighbors, metric=metric, rows=rows, is_candidate=is_candidate
        )
        proba = vote_proba(count_votes(neighbors, y_codes, n_classes, sample_weight), class_sizes)
        losses[name] = -np.log(proba[np.arange(len(rows)), y_codes[rows]]).mean()
    return min(losses, key=losses.get)

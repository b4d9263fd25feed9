"""Choose the retrieval space and the number of neighbors."""

import numpy as np

from skdiffusion_label.retrieval._search import find_neighbors
from skdiffusion_label.retrieval._votes import count_votes

_MAX_QUERIES = 1000  # rows: a mean log loss of about one is then known to .03


def usual_n_neighbors(n_samples, n_classes):
    """Return a tenth of the mean class size, within 10 and 50."""
    return min(max(n_samples // (10 * n_classes), 10), 50)


def choose_space(
    spaces, n_neighbors, y_codes, n_classes, *, foretell, metric, sample_weight=None, random_state=0
):
    """Choose the space whose neighbors foretell the given labels best.

    The given label of a row is foretold from the labels of its neighbors alone. The space with the
    smallest mean log loss over at most 1,000 rows is taken.

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
    foretell : callable
        Takes votes (n_rows, n_classes), integer-coded given labels and weights of these rows, or
        None; returns the log losses of given labels as foretold by a model that has not seen them.
    metric : {"cosine", "euclidean"}
        Metric of the search.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows.
    random_state : int, default=0
        Seed of the choice of rows.

    Returns
    -------
    space : str
    """
    has_vote = np.ones(len(y_codes), dtype=bool) if sample_weight is None else sample_weight > 0
    rows = np.flatnonzero(has_vote)
    n_neighbors = min(n_neighbors, len(rows) - 1)
    if len(rows) > _MAX_QUERIES:
        rng = np.random.default_rng(random_state)
        rows = np.sort(rng.choice(rows, _MAX_QUERIES, replace=False))
    weight = None if sample_weight is None else sample_weight[rows]
    losses = {}
    for name, space in spaces.items():
        neighbors = find_neighbors(
            space, n_neighbors, metric=metric, rows=rows, is_candidate=has_vote
        )
        votes = count_votes(neighbors, y_codes, n_classes, sample_weight)
        losses[name] = foretell(votes, y_codes[rows], weight).mean()
    return min(losses, key=losses.get)

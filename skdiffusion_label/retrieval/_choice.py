"""Choose the retrieval space and the number of neighbors from the given labels alone."""

import numpy as np

from skdiffusion_label.retrieval._labels import annotator_distributions, count_votes
from skdiffusion_label.retrieval._search import find_neighbors

_MAX_QUERIES = 2000
_N_STANDARD_ERRORS = 2.0
_N_EFFECTIVE_VOTES = (10.0, 5.0)


def candidate_n_neighbors(n_samples, n_classes):
    """Return candidate numbers of neighbors, first the one to take if the others are no better.

    Parameters
    ----------
    n_samples, n_classes : int
        Sizes of the training set.

    Returns
    -------
    list of int
        A tenth of the mean class size, within 10 and 50, then 10, 25 and 50.
    """
    usual = min(max(n_samples // (10 * n_classes), 10), 50)
    return list(dict.fromkeys([usual, 10, 25, 50]))


def choose_retrieval(
    spaces, n_neighbors_grid, y_codes, n_classes, *, metric, sample_weight=None, random_state=0
):
    """Choose the space and the number of neighbors whose neighbors foretell the given labels best.

    The given label of a row is foretold from the labels of its neighbors alone, by the annotator
    model of :func:`annotator_distributions`. The space with the smallest mean log loss over at
    most 2,000 rows is taken, and in it the first number of neighbors unless another one is better
    by more than two standard errors.

    Parameters
    ----------
    spaces : dict of str to ndarray of shape (n_samples, n_dimensions)
        Candidate spaces. None of them may have mapped a row by its own label.
    n_neighbors_grid : sequence of int
        Candidate numbers of neighbors, the preferred one first.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    n_classes : int
        Number of classes.
    metric : {"cosine", "euclidean"}
        Metric of the search.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows.
    random_state : int, default=0
        Seed of the choice of rows.

    Returns
    -------
    space : str
    n_neighbors : int
    """
    has_vote = np.ones(len(y_codes), dtype=bool) if sample_weight is None else sample_weight > 0
    rows = np.flatnonzero(has_vote)
    grid = list(dict.fromkeys(min(k, len(rows) - 1) for k in n_neighbors_grid))
    if len(rows) > _MAX_QUERIES:
        rng = np.random.default_rng(random_state)
        rows = np.sort(rng.choice(rows, _MAX_QUERIES, replace=False))
    losses = {}
    for name, space in spaces.items():
        neighbors = find_neighbors(
            space, max(grid), metric=metric, rows=rows, is_candidate=has_vote
        )
        for k in grid:
            votes = count_votes(neighbors[:, :k], y_codes, n_classes, sample_weight)
            losses[name, k] = _losses(annotator_distributions(votes, y_codes[rows]), y_codes[rows])
    best_space, _ = min(losses, key=lambda pair: losses[pair].mean())
    return best_space, _first_not_beaten([(k, losses[best_space, k]) for k in grid])


def choose_annotators(votes, y_codes, sample_weight=None):
    """Fit :func:`annotator_distributions` with the number of independent votes that fits best.

    Ten, unless five foretell the given labels better by more than two standard errors.

    Parameters
    ----------
    votes, y_codes, sample_weight
        See :func:`annotator_distributions`, whose result is returned.
    """
    rows = slice(None) if sample_weight is None else sample_weight > 0
    fits = [
        annotator_distributions(votes, y_codes, sample_weight, n_effective_votes=n)
        for n in _N_EFFECTIVE_VOTES
    ]
    return _first_not_beaten([(fit, _losses(fit, y_codes)[rows]) for fit in fits])


def _first_not_beaten(candidates):
    """Return the first candidate unless another's mean loss is significantly smaller."""
    first, first_loss = candidates[0]
    best, best_loss = min(candidates, key=lambda candidate: candidate[1].mean())
    gain = first_loss - best_loss
    significant = gain.mean() > _N_STANDARD_ERRORS * gain.std() / np.sqrt(len(gain))
    return best if significant else first


def _losses(fit, y_codes):
    """Return the log loss of each given label as its neighbors foretell it."""
    _, neighbor_posterior, transition_matrix = fit
    foretold = np.einsum("nk,nk->n", neighbor_posterior, transition_matrix[:, y_codes].T)
    return -np.log(np.maximum(foretold, 1e-12))

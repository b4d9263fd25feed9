"""P(given label | true label): counted, shrunk, or estimated from clear rows."""

import math

import numpy as np
from scipy.special import gammaln

from skdiffusion_label.noise_model._blocks import row_blocks

# Of the rows where a class leads: noise counted among them was within .02 of the truth on seven
# sets with symmetric or pair noise.
_CLEAR_SHARE, _MIN_CLEAR_ROWS = 0.3, 10
_N_DEVIATIONS = 1.0  # by which rows have to be clear more often than by chance
# Labels of each class that are worth the common noise rate beforehand: enough for a class of few,
# too few to be seen in a class of hundreds.
_N_COMMON_LABELS = 4.0
# Wrong labels of each class, from an eighth to a thousand, that are given at random beforehand.
_N_WRONG_LABELS = 2.0 ** np.arange(-3, 11)
_NO_MASS = 1e-9  # instead of zero, whose logarithm would be infinite


def expected_counts(distributions, y_codes):
    """Sum ``distributions`` (n_samples, n_classes) of true labels by given label.

    Returns counts (n_classes, n_classes): row by true, column by given label.
    """
    n_classes = distributions.shape[1]
    columns = [np.bincount(y_codes, column, minlength=n_classes) for column in distributions.T]
    return np.stack(columns)


def shrunk_transition(counts):
    """Shrink rows of counts towards a matrix with one noise rate for all classes.

    ``counts`` is (n_classes, n_classes), or (n_annotators, n_classes, n_classes) for annotators who
    share the noise rate that they are shrunk to. How often labels of a class are wrong is shrunk to
    the common rate; which ones are given instead, to any other alike, by as many wrong labels
    beforehand as make the counts most likely (a Dirichlet-multinomial distribution): few where
    wrong labels are concentrated, as between pairs, many where they scatter.
    """
    n_classes = counts.shape[-1]
    if n_classes == 1:
        return np.ones_like(counts)
    common = 1 - one_rate(counts)[0, 0]
    is_right = np.eye(n_classes, dtype=bool)
    wrong = np.where(is_right, 0, counts)
    n_wrong, n_labels = wrong.sum(axis=-1), counts.sum(axis=-1)
    rate = (n_wrong + _N_COMMON_LABELS * common + _NO_MASS) / (n_labels + _N_COMMON_LABELS)
    cells = wrong[..., ~is_right].reshape(-1, n_classes - 1)
    beforehand = max(_N_WRONG_LABELS, key=lambda n_labels: _log_evidence(cells, n_labels))
    others = wrong + beforehand / (n_classes - 1)
    given_instead = others / (n_wrong + beforehand)[..., None]
    return np.where(is_right, 1 - rate[..., None], rate[..., None] * given_instead)


def _log_evidence(counts, n_beforehand):
    """Return the logarithm of how likely rows of ``counts`` are, up to a constant.

    Their distributions are drawn from a Dirichlet distribution that ``n_beforehand`` counts, alike
    for all columns, have made.
    """
    of_cell = n_beforehand / counts.shape[-1]
    of_rows = gammaln(n_beforehand) - gammaln(n_beforehand + counts.sum(axis=-1))
    return of_rows.sum() + (gammaln(of_cell + counts) - gammaln(of_cell)).sum()


def one_rate(counts):
    """Return the matrix with the noise rate of ``counts`` for all classes."""
    n_classes = counts.shape[-1]
    right = np.trace(counts, axis1=-2, axis2=-1).sum() / max(counts.sum(), _NO_MASS)
    matrix = np.full((n_classes, n_classes), (1 - right) / max(n_classes - 1, 1))
    np.fill_diagonal(matrix, right)
    return matrix


def clear_counts(proba, y_codes, sample_weight, unknown_weight=None):
    """Count the given labels of the rows that are clearest for a class.

    Their own labels had no part in ``proba`` (n_samples, n_classes), nor in the choice of the rows:
    three tenths of those where a class leads, by the margin to the next one. Returns counts
    (n_classes, n_classes): row by true, column by given label.

    ``unknown_weight`` (n_samples,) is positive where the true label is known and the given one is
    not. Such rows that are clear more often than others have been looked at as their labels were
    wrong: so many wrong labels are added.
    """
    n_samples, n_classes = proba.shape
    leading, margins = np.empty(n_samples, dtype=np.int64), np.empty(n_samples)
    for block in row_blocks(n_samples, n_classes):
        others = np.array(proba[block])
        own = np.arange(len(others)), others.argmax(axis=1)
        leading[block], largest = own[1], others[own]
        others[own] = -1
        margins[block] = largest - others.max(axis=1)
    counts, least_margins = np.zeros((n_classes, n_classes)), np.full(n_classes, np.inf)
    for code in range(n_classes):
        rows = np.flatnonzero((leading == code) & (sample_weight > 0))
        n_clear = max(math.ceil(_CLEAR_SHARE * len(rows)), min(len(rows), _MIN_CLEAR_ROWS))
        clear = rows[np.argsort(-margins[rows], kind="stable")[:n_clear]]
        counts[code] = np.bincount(y_codes[clear], sample_weight[clear], minlength=n_classes)
        least_margins[code] = margins[clear].min(initial=np.inf)
    if unknown_weight is not None and n_classes > 1:
        is_clear = margins >= least_margins[leading]
        counts += _wrong_counts(unknown_weight, is_clear, leading, n_classes)
    return counts


def _wrong_counts(weight, is_clear, codes, n_classes):
    """Return counts of the wrong labels that rows of unknown given labels stand for."""
    n_rows, n_clear = weight.sum(), weight[is_clear].sum()
    by_chance = _CLEAR_SHARE * n_rows
    doubt = _N_DEVIATIONS * math.sqrt((1 - _CLEAR_SHARE) * by_chance)
    n_wrong = max(n_clear - by_chance - doubt, 0) / (1 - _CLEAR_SHARE)
    clear = np.bincount(codes[is_clear], weight[is_clear], minlength=n_classes)
    others = (1 - np.eye(n_classes)) / (n_classes - 1)
    return n_wrong * clear[:, None] / max(n_clear, _NO_MASS) * others


def normalized(counts):
    """Divide by the sums over the last axis."""
    return counts / counts.sum(axis=-1, keepdims=True).clip(min=1e-300)

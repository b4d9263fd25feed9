"""What a given label says about the true one, beyond the features."""

from functools import partial

import numpy as np

from skdiffusion_label.noise_model._blocks import row_blocks
from skdiffusion_label.noise_model._confusion import normalized

_N_DECONVOLUTIONS = 10  # rounds: what is left of the noise is less than that of the estimate
_N_TABLES = 4  # that a round goes through, and a cache is to hold


def deconvolved(proba, transition_matrix):
    """Return p(true label | x) of which the noise makes p(given label | x), after Richardson.

    Both are (n_samples, n_classes).
    """
    forward, backward = _products(transition_matrix.astype(proba.dtype))
    truth = np.empty_like(proba)
    for some in row_blocks(len(proba), _N_TABLES * proba.shape[1]):
        truth[some] = _deconvolved(proba[some], forward, backward)
    return truth


def _deconvolved(proba, forward, backward):
    """Let classes be rows: sums over a few classes are then sums of long rows."""
    proba = np.ascontiguousarray(proba.T)
    truth, ratio, product = proba.copy(), np.empty_like(proba), np.empty_like(proba)
    for _ in range(_N_DECONVOLUTIONS):
        forward(truth, out=product)
        np.divide(proba, np.maximum(product, 1e-12, out=product), out=ratio)
        truth *= backward(ratio, out=product)  # sums to what proba does but for rounding
    return normalized(truth.T)


def _products(matrix):
    """Return what multiplies columns by ``matrix`` transposed, and by it; one rate needs none."""
    n_classes = len(matrix)
    rate = matrix[0, -1]
    gain = matrix[0, 0] - rate
    n_equal = n_classes * (n_classes - 1 + (gain == 0))
    is_one_rate = np.ptp(matrix.diagonal()) == 0 and np.count_nonzero(matrix == rate) == n_equal
    if n_classes > 1 and is_one_rate:

        def product(columns, out):
            of_all = rate * columns.sum(axis=0)
            return np.add(np.multiply(gain, columns, out=out), of_all, out=out)

        return product, product
    return partial(np.matmul, matrix.T), partial(np.matmul, matrix)


def posterior_of_given(proba, y_codes, transition_matrix):
    """Join p(true label | x) and the given label by Bayes' rule.

    Where no class can have been given this label, the features decide.
    """
    return posterior(proba, transition_matrix[:, y_codes].T)


def posterior(proba, likelihood):
    """Join p(true label | x) and P(given label | true label, x), both (n_samples, n_classes)."""
    joint = proba * likelihood
    is_possible = joint.sum(axis=1, keepdims=True) > 0
    return normalized(np.where(is_possible, joint, proba))

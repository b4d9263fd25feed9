"""Few rows or wrong labels: what more rows would teach the judges is no noise."""

from dataclasses import replace

import numpy as np

from skdiffusion_label.noise_model._labels import labels_of

# Disagreement with given labels falls with the root of the number of rows, as a regular estimate's
# error does, to what noise and classes that overlap leave of it: how far from here that is, in what
# the second half of the rows has taught. Neighbors learn as fast as by the number itself, which is
# less far by this much.
_LEFT_TO_LEARN, _ERROR_OF_LAW = 1 / (np.sqrt(2) - 1), 1 / (np.sqrt(2) - 1) - 1
_LEAST_ERROR = 0.02  # share of labels: of few rows that are all foretold, none is wrong by chance


def limited_by_learning_curve(
    pool, foretold, foretold_by_half, y_codes, sample_weight=None, verified=None, given=None
):
    """Make noise less likely than the judges would disagree with given labels, had they more rows.

    Judges who have seen few rows disagree with labels as if many were wrong. Had they seen half as
    many, they would disagree more, but no more if labels are wrong. Extrapolated to rows without
    end, the share of labels that they do not foretell is the largest that noise can have changed,
    and noise models count less by the squared standard errors that they exceed it by.

    Parameters
    ----------
    pool : Pool
        Fitted to judges of all rows.
    foretold, foretold_by_half : ndarray of shape (n_samples,)
        Integer-coded given labels that the judges foretell: judges of all rows, and judges of the
        half of them that the row is in.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows, one by default.
    verified, given : ndarray of shape (n_samples,), default=None
        Which labels are known to be right, and the label that these rows were given before; see
        :func:`labels_of`. Noise is counted among given labels alone.

    Returns
    -------
    Pool
        With other probabilities of its noise models.
    """
    labels = labels_of(y_codes, sample_weight, verified, given)
    share = labels.noisy_weight / labels.noisy_weight.sum()
    misses, misses_of_half = foretold != labels.given, foretold_by_half != labels.given
    learned = misses_of_half.astype(np.float64) - misses
    left = misses - _LEFT_TO_LEARN * learned
    limit = share @ left
    errors = np.sqrt(share**2 @ (left - limit) ** 2), _ERROR_OF_LAW * (share @ learned)
    variance = np.square([*errors, _LEAST_ERROR]).sum()
    n_classes = pool.transitions.shape[1]
    frequencies = np.bincount(labels.given, share, minlength=n_classes)
    rates = 1 - np.diagonal(pool.transitions, axis1=1, axis2=2) @ frequencies
    excess = (rates - max(limit, 0)).clip(min=0)
    return replace(pool, log_likely=pool.log_likely - excess**2 / variance / 2)

"""The published label distributions: the vote of the neighbors and the row itself."""

import numpy as np


def vote_distributions(votes, y_codes, sample_weight=None):
    """Take the neighbors' labels and the row's own at face value: the published vote.

    Rows without any vote of positive weight get the class frequencies.

    Parameters
    ----------
    votes : ndarray of shape (n_samples, n_classes)
        Sums of the weights of each row's neighbors by given label.
    y_codes : ndarray of shape (n_samples,)
        Each row's own given label.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each row's own label, one by default.

    Returns
    -------
    label_distributions : ndarray of shape (n_samples, n_classes), dtype=float32
        Rows sum to one.
    """
    ballots = votes.astype(np.float32, copy=True)
    ballots[np.arange(len(votes)), y_codes] += 1 if sample_weight is None else sample_weight
    totals = ballots.sum(axis=1, keepdims=True)
    empty = totals[:, 0] <= 0
    if empty.any():
        ballots[empty] = np.bincount(y_codes, sample_weight, minlength=votes.shape[1])
        totals = ballots.sum(axis=1, keepdims=True)
    ballots /= totals
    return ballots

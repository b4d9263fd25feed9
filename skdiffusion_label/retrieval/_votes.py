"""The votes of neighbors."""

import numpy as np


def count_votes(neighbors, y_codes, n_classes, sample_weight=None):
    """Sum the weights of each row's neighbors by label.

    Parameters
    ----------
    neighbors : ndarray of shape (n_queries, n_neighbors)
        Indices of training rows.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels of the training rows.
    n_classes : int
        Number of classes.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each training row's vote, one by default.

    Returns
    -------
    votes : ndarray of shape (n_queries, n_classes), dtype=float32
        Column by class.
    """
    n_queries, n_neighbors = neighbors.shape
    votes = np.zeros((n_queries, n_classes), dtype=np.float32)
    rows = np.arange(n_queries)
    weights = np.ones(len(y_codes), dtype=np.float32) if sample_weight is None else sample_weight
    for rank in range(n_neighbors):
        neighbor = neighbors[:, rank]
        votes[rows, y_codes[neighbor]] += weights[neighbor]
    return votes

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


def vote_proba(votes, class_sizes, n_neighbors):
    """Turn votes into probabilities of given labels.

    One vote is added that is split by the classes' frequencies. A class that is smaller than the
    number of neighbors cannot win all votes: what it wins counts as a share of what it can.

    Parameters
    ----------
    votes : ndarray of shape (n_queries, n_classes)
        See :func:`count_votes`.
    class_sizes : ndarray of shape (n_classes,)
        Sums of the weights of all rows that may be neighbors, by given label.
    n_neighbors : int
        Number of neighbors that have voted.

    Returns
    -------
    proba : ndarray of shape (n_queries, n_classes), dtype=float32
        Rows sum to one.
    """
    in_reach = np.clip(class_sizes / n_neighbors, 1 / n_neighbors, 1)
    proba = (votes + class_sizes / class_sizes.sum()) / in_reach
    return (proba / proba.sum(axis=1, keepdims=True)).astype(np.float32)

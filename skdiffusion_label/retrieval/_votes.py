"""The votes of neighbors."""

from dataclasses import dataclass

import numpy as np

_ROWS_AT_ONCE = 1_000


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


@dataclass(frozen=True)
class VoteTable:
    """Probabilities of given labels by :func:`vote_proba`, made for the rows that are asked for.

    Attributes
    ----------
    neighbors : ndarray of shape (n_samples, n_neighbors)
        Indices of training rows.
    y_codes, sample_weight : ndarray of shape (n_samples,)
        Integer-coded given labels and weights of the training rows.
    class_sizes : ndarray of shape (n_classes,)
        Sums of the weights of all rows that may be neighbors.
    """

    neighbors: np.ndarray
    y_codes: np.ndarray
    sample_weight: np.ndarray
    class_sizes: np.ndarray

    def __getitem__(self, rows):
        """Return the probabilities (n, n_classes) of ``rows``."""
        n_classes, neighbors = len(self.class_sizes), self.neighbors[rows]
        votes = count_votes(neighbors, self.y_codes, n_classes, self.sample_weight)
        return vote_proba(votes, self.class_sizes, neighbors.shape[1])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def count(self):
        """Return the votes (n_samples, n_classes) as they are counted."""
        return count_votes(self.neighbors, self.y_codes, len(self.class_sizes), self.sample_weight)

    def loss(self, rows):
        """Return the mean log loss of the given labels of ``rows``, by their weights."""
        blocks = np.array_split(rows, len(rows) // _ROWS_AT_ONCE + 1)
        own = [self[block][np.arange(len(block)), self.y_codes[block]] for block in blocks]
        return -np.average(np.log(np.concatenate(own)), weights=self.sample_weight[rows])

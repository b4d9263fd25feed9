"""From the labels of neighbors to label distributions."""

import numpy as np

_N_ROUNDS = 10
_SMOOTHING = 1e-2


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


def vote_distributions(votes, y_codes, sample_weight=None):
    """Take the neighbors' labels and the row's own at face value: the published vote.

    Rows without any vote of positive weight get the class frequencies.

    Parameters
    ----------
    votes : ndarray of shape (n_samples, n_classes)
        Neighbors' votes, by :func:`count_votes`.
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
    return ballots / totals


def annotator_distributions(votes, y_codes, sample_weight=None, *, n_effective_votes=10.0):
    """Take neighbors, and the row's own label, as annotators with unknown confusion matrices.

    Expectation maximization after Dawid and Skene (1979): given a guess of the true labels, count
    how the true label of a row goes with its own given label and with those of its neighbors; given
    these two matrices, infer the true labels anew. Neighbors resemble each other, so all of them
    together count as at most ``n_effective_votes`` independent votes.

    Parameters
    ----------
    votes : ndarray of shape (n_samples, n_classes)
        Neighbors' votes, by :func:`count_votes`.
    y_codes : ndarray of shape (n_samples,)
        Each row's own given label.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each row in the matrices. The own label of a row with weight zero is not used.
    n_effective_votes : float, default=10.0
        Number of independent votes that the neighbors of a row are worth together.

    Returns
    -------
    label_distributions : ndarray of shape (n_samples, n_classes), dtype=float32
        Posterior of the true label given the own label and the neighbors' labels.
    neighbor_posterior : ndarray of shape (n_samples, n_classes), dtype=float32
        The same from the neighbors' labels alone.
    transition_matrix : ndarray of shape (n_classes, n_classes)
        P(given label = column | true label = row).

    References
    ----------
    A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm", Applied Statistics 28(1), 1979.
    """
    n_samples, n_classes = votes.shape
    weight = np.ones(n_samples, dtype=np.float32) if sample_weight is None else sample_weight
    has_own = weight > 0
    n_votes = votes.sum(axis=1, keepdims=True)
    votes = votes * np.minimum(1, n_effective_votes / np.maximum(n_votes, 1e-12))
    posterior = vote_distributions(votes, y_codes, sample_weight) ** 2
    posterior /= posterior.sum(axis=1, keepdims=True)
    for _ in range(_N_ROUNDS):
        weighted = posterior * weight[:, None]
        prior = _normalized_rows(weighted.sum(axis=0) + _SMOOTHING)
        transition = np.stack(
            [np.bincount(y_codes, weighted[:, k], minlength=n_classes) for k in range(n_classes)]
        )
        transition = _normalized_rows(transition + _SMOOTHING)
        neighbor_transition = _normalized_rows(weighted.T @ votes + _SMOOTHING)
        # float32, as an (n_samples, n_classes) array is large where there are many classes
        log_neighbor = votes @ np.log(neighbor_transition).T.astype(np.float32)
        log_neighbor += np.log(prior).astype(np.float32)
        log_own = np.log(transition).T.astype(np.float32)[y_codes]
        log_own[~has_own] = 0
        posterior = _softmax(log_neighbor + log_own)
    return posterior, _softmax(log_neighbor), transition


def _normalized_rows(counts):
    return counts / counts.sum(axis=-1, keepdims=True)


def _softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return _normalized_rows(np.exp(logits)).astype(np.float32)

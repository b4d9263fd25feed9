"""Neighbors, and the row's own label, as annotators with unknown confusion matrices."""

import numpy as np

_N_ROUNDS = 10
_N_EFFECTIVE_VOTES = 10.0
_FINAL_POWER = 0.2  # ten votes count as two
_N_STRATA = 4
_INITIAL_LOCAL_SHARE = 0.2
_SMOOTHING = 0.4  # rows of data that each entry of a confusion matrix is worth beforehand


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


def annotator_distributions(votes, y_codes, sample_weight=None):
    """Take neighbors, and the row's own label, as annotators with unknown confusion matrices.

    Expectation maximization after Dawid and Skene (1979): given a guess of the true labels, count
    how the true label of a row goes with its own given label and with those of its neighbors; given
    these two matrices, infer the true labels anew. Three things are added to it.

    - Neighbors resemble each other, so all of them together count as at most ten independent
      votes, and in the returned distributions as two.
    - A share of the given labels, which may differ between rows whose neighbors agree and rows
      whose neighbors are torn, follows the neighborhood instead of the row's class and so says
      little about it: noise that depends on the features.
    - Unless the annotators overrule many majorities, the majority is a good guess too: the
      distributions are averaged with the squared vote. Its weight is one half where no majority is
      overruled, and falls to zero where a quarter of them is.

    Parameters
    ----------
    votes : ndarray of shape (n_samples, n_classes)
        Neighbors' votes, by :func:`count_votes`.
    y_codes : ndarray of shape (n_samples,)
        Each row's own given label.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each row in the matrices. The own label of a row with weight zero is not used.

    Returns
    -------
    label_distributions : ndarray of shape (n_samples, n_classes), dtype=float32
        Probabilities of the true label given the own label and the neighbors' labels.
    losses : ndarray of shape (n_samples,)
        Log loss of each row's own label as its neighbors foretell it.
    transition_matrix : ndarray of shape (n_classes, n_classes)
        P(given label = column | true label = row).

    References
    ----------
    A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm", Applied Statistics 28(1), 1979.
    """
    n_samples, n_classes = votes.shape
    rows = np.arange(n_samples)
    weight = np.ones(n_samples, dtype=np.float32) if sample_weight is None else sample_weight
    n_votes = np.maximum(votes.sum(axis=1), 1e-12)
    evidence = votes * np.minimum(1, _N_EFFECTIVE_VOTES / n_votes)[:, None]
    prior = _normalized_rows(np.bincount(y_codes, weight, minlength=n_classes) + 1)
    # P(own label) where it follows the neighborhood
    local = ((votes[rows, y_codes] + prior[y_codes]) / (n_votes + 1)).astype(np.float32)
    strata = _margin_strata(votes, weight > 0)
    local_share = np.full(_N_STRATA, _INITIAL_LOCAL_SHARE)

    def infer(transition, neighbor_transition, local_share, power):
        """Return P(true label | neighbors) and P(own label | true label), in its two parts."""
        log_posterior = evidence @ np.log(neighbor_transition).T.astype(np.float32)
        log_posterior += np.log(prior).astype(np.float32)
        share = local_share.astype(np.float32)[strata][:, None]
        by_class = (1 - share) * transition.T.astype(np.float32)[y_codes]
        return _softmax(power * log_posterior), by_class, share * local[:, None]

    votes_with_own = vote_distributions(votes, y_codes, sample_weight)
    posterior = by_class_posterior = squared_vote = _normalized_rows(votes_with_own**2)
    for _ in range(_N_ROUNDS):
        counts = expected_counts(by_class_posterior * weight[:, None], y_codes)
        transition = smoothed_transition(counts)
        neighbor_transition = smoothed_transition((posterior * weight[:, None]).T @ evidence)
        by_neighbors, by_class, by_place = infer(transition, neighbor_transition, local_share, 1)
        joint = by_neighbors * (by_class + by_place)
        foretold = np.maximum(joint.sum(axis=1, keepdims=True), 1e-12)
        posterior = joint / foretold
        by_class_posterior = by_neighbors * by_class / foretold
        is_local = weight * (1 - by_class_posterior.sum(axis=1))
        local_share = (np.bincount(strata, is_local, minlength=_N_STRATA) + 1) / (
            np.bincount(strata, weight, minlength=_N_STRATA) + 10
        )
    is_majority = votes == votes.max(axis=1, keepdims=True)
    confirmed = is_majority[rows, by_neighbors.argmax(axis=1)] / is_majority.sum(axis=1)
    vote_weight = max(0, 1 - 4 * (1 - np.average(confirmed, weights=weight))) / 2
    softened, by_class, by_place = infer(
        transition, neighbor_transition, local_share / 2, _FINAL_POWER
    )
    own = np.where((weight > 0)[:, None], by_class + by_place, 1)
    distributions = (1 - vote_weight) * _normalized_rows(softened * own)
    distributions += vote_weight * squared_vote
    return distributions.astype(np.float32), -np.log(foretold[:, 0]), transition


def _margin_strata(votes, takes_part):
    """Return the quarter of the rows to which each belongs by its two leading classes' margin.

    The quarters are those of the rows that take part.
    """
    if votes.shape[1] == 1:
        return np.zeros(len(votes), dtype=np.int64)
    leading = np.partition(votes, -2, axis=1)[:, -2:]
    margins = leading[:, 1] - leading[:, 0]
    quantiles = np.quantile(margins[takes_part], np.arange(1, _N_STRATA) / _N_STRATA)
    return np.searchsorted(quantiles, margins)


def expected_counts(distributions, y_codes):
    """Sum ``distributions`` (n_samples, n_classes) of true labels by given label.

    Returns counts (n_classes, n_classes): row by true, column by given label.
    """
    n_classes = distributions.shape[1]
    columns = [np.bincount(y_codes, column, minlength=n_classes) for column in distributions.T]
    return np.stack(columns)


def smoothed_transition(counts):
    """Shrink rows of counts towards a matrix with one noise rate for all classes."""
    n_classes = len(counts)
    right = np.trace(counts) / max(counts.sum(), 1e-12)
    base = np.full(counts.shape, (1 - right) / max(n_classes - 1, 1))
    np.fill_diagonal(base, right)
    return _normalized_rows(counts + _SMOOTHING * n_classes * base + 1e-9)


def _normalized_rows(counts):
    return counts / counts.sum(axis=-1, keepdims=True)


def _softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return _normalized_rows(np.exp(logits)).astype(np.float32)

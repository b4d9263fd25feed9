"""Neighbors, and the row's own label, as annotators with unknown confusion matrices."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from skdiffusion_label.noise_model._confusion import expected_counts, normalized, shrunk_transition
from skdiffusion_label.noise_model._dawid_skene import alternate

_N_EFFECTIVE_VOTES = 10.0  # neighbors resemble each other: more than ten add next to nothing
_FINAL_POWER = 0.2  # ten votes count as two
# For a judge of given labels: four of ten votes; it is right of .95 of digits with 40 % of the
# labels wrong and .91 of banking queries, and says .87 and .97.
_JUDGING_POWER = 0.4
_N_STRATA = 4  # quarters of the rows by the margin of their neighbors' votes
_INITIAL_LOCAL_SHARE = 0.2  # of the given labels; the rounds move it
_N_PRIOR_ROWS, _N_PRIOR_LOCAL_ROWS = 10, 1  # beforehand one row in ten follows the neighborhood
_N_FOLDS = 5
_NO_MASS = 1e-12  # instead of zero, in divisors and logarithms


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
    these two matrices, infer the true labels anew, until neighbors foretell given labels no better.
    Three things are added to it.

    - Neighbors resemble each other, so all of them together count as at most ten independent
      votes, and in the returned distributions as two. So softly class frequencies count beside
      them, which votes carry too; rows without votes have them in full.
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
    transition_matrix : ndarray of shape (n_classes, n_classes)
        P(given label = column | true label = row).
    judgement : ndarray of shape (n_samples, n_classes)
        Probabilities of the true label given the neighbors' labels alone.

    References
    ----------
    A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm", Applied Statistics 28(1), 1979.
    """
    ballots = _Ballots(votes, y_codes, sample_weight)
    model, _ = ballots.fit()
    is_majority = votes == votes.max(axis=1, keepdims=True)
    leading = ballots.posterior_of_neighbors(model).argmax(axis=1)
    confirmed = is_majority[np.arange(len(votes)), leading] / is_majority.sum(axis=1)
    n_overruled = 1 - np.average(confirmed, weights=ballots.weight)
    vote_weight = max(0, 1 - 4 * n_overruled) / 2
    softened = ballots.posterior_of_neighbors(model, _FINAL_POWER)
    by_class, by_place = ballots.likelihood_of_own(model, model.local_share / 2)
    own = np.where((ballots.weight > 0)[:, None], by_class + by_place, 1)
    distributions = (1 - vote_weight) * normalized(softened * own)
    distributions += vote_weight * ballots.squared_vote
    judgement = ballots.posterior_of_neighbors(model, _JUDGING_POWER)
    return distributions.astype(np.float32), model.transition, judgement


def held_out_losses(votes, y_codes, sample_weight=None, *, random_state=0):
    """Return how badly neighbors foretell the given labels of rows that taught nothing.

    The model of :func:`annotator_distributions` is fitted on four fifths of the rows and foretells
    the given labels of the last fifth, in turn.

    Parameters
    ----------
    votes : ndarray of shape (n_samples, n_classes)
        Neighbors' votes, by :func:`count_votes`.
    y_codes : ndarray of shape (n_samples,)
        Each row's own given label.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each row in the model, one by default.
    random_state : int, default=0
        Seed of the split.

    Returns
    -------
    losses : ndarray of shape (n_samples,)
        Log loss of each row's own label.
    """
    n_samples = len(votes)
    weight = np.ones(n_samples, dtype=np.float32) if sample_weight is None else sample_weight
    losses = np.empty(n_samples)
    order = np.random.default_rng(random_state).permutation(n_samples)
    for fold in np.array_split(order, min(_N_FOLDS, n_samples)):
        others = weight.copy()
        others[fold] = 0
        if not others.any():  # nothing else is known
            others = weight
        ballots = _Ballots(votes, y_codes, others)
        model, _ = ballots.fit()
        losses[fold] = -np.log(ballots.foretold(model)[fold])
    return losses


@dataclass(frozen=True)
class _Model:
    """P(given | true) of own labels and of neighbors' labels; shares of local labels by stratum."""

    transition: np.ndarray
    neighbor_transition: np.ndarray
    local_share: np.ndarray


class _Ballots:
    """What the annotators say of each row, and what a model makes of it."""

    def __init__(self, votes, y_codes, sample_weight):
        n_samples, n_classes = votes.shape
        self.y_codes = y_codes
        self.weight = np.ones(n_samples, np.float32) if sample_weight is None else sample_weight
        n_votes = np.maximum(votes.sum(axis=1), _NO_MASS)
        self.votes = votes * np.minimum(1, _N_EFFECTIVE_VOTES / n_votes)[:, None]
        self.prior = normalized(np.bincount(y_codes, self.weight, minlength=n_classes) + 1)
        # P(own label) where it follows the neighborhood
        own_votes = votes[np.arange(n_samples), y_codes]
        self.local = ((own_votes + self.prior[y_codes]) / (n_votes + 1)).astype(np.float32)
        self.strata = _margin_strata(votes, self.weight > 0)
        vote = vote_distributions(votes, y_codes, sample_weight)
        is_heard = (votes.sum(axis=1) > 0) | (self.weight > 0)
        self.squared_vote = np.where(is_heard[:, None], normalized(vote**2), vote)

    def fit(self):
        """Return the model under which neighbors foretell given labels best, and its beliefs."""
        by_class = (1 - _INITIAL_LOCAL_SHARE) * self.squared_vote
        return alternate((self.squared_vote, by_class), self.estimate, self.infer)

    def estimate(self, beliefs):
        """Return the model that goes with beliefs: true labels, and those where a class spoke."""
        posterior, by_class = beliefs
        weight = self.weight[:, None]
        is_local = self.weight * (1 - by_class.sum(axis=1))
        n_local = np.bincount(self.strata, is_local, minlength=_N_STRATA) + _N_PRIOR_LOCAL_ROWS
        n_rows = np.bincount(self.strata, self.weight, minlength=_N_STRATA) + _N_PRIOR_ROWS
        return _Model(
            shrunk_transition(expected_counts(by_class * weight, self.y_codes)),
            shrunk_transition((posterior * weight).T @ self.votes),
            n_local / n_rows,
        )

    def infer(self, model):
        """Return beliefs, and the mean log-likelihood of given labels after their neighbors."""
        by_neighbors = self.posterior_of_neighbors(model)
        by_class, by_place = self.likelihood_of_own(model, model.local_share)
        joint = by_neighbors * (by_class + by_place)
        foretold = np.maximum(joint.sum(axis=1, keepdims=True), _NO_MASS)
        likelihood = np.average(np.log(foretold[:, 0]), weights=self.weight)
        return (joint / foretold, by_neighbors * by_class / foretold), likelihood

    def foretold(self, model):
        """Return P(own label | neighbors' labels) of each row."""
        by_class, by_place = self.likelihood_of_own(model, model.local_share)
        joint = self.posterior_of_neighbors(model) * (by_class + by_place)
        return np.maximum(joint.sum(axis=1), _NO_MASS)

    def posterior_of_neighbors(self, model, power=1):
        """Return P(true label | neighbors' labels), whose votes count ``power`` times.

        Large classes have many neighbors: votes carry the frequencies of classes too. So these are
        softened along where there are votes, and in full where there are none.
        """
        log_votes = self.votes @ np.log(model.neighbor_transition).T.astype(np.float32)
        share = self.votes.sum(axis=1, keepdims=True) / _N_EFFECTIVE_VOTES
        log_prior = (1 - (1 - power) * share) * np.log(self.prior)
        return softmax(power * log_votes + log_prior.astype(np.float32), axis=1)

    def likelihood_of_own(self, model, local_share):
        """Return P(own label | true label) in two parts: by class, and where it is local."""
        share = local_share.astype(np.float32)[self.strata][:, None]
        by_class = (1 - share) * model.transition.T.astype(np.float32)[self.y_codes]
        return by_class, share * self.local[:, None]


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

"""Several judges of given labels, pooled through the noise into one judge of the true ones."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from skdiffusion_label.noise_model._confusion import clear_transitions, normalized
from skdiffusion_label.noise_model._purification import deconvolved

# Entries (rows x classes) that weights are fitted to: a dozen numbers need no more, a second does.
_MAX_ENTRIES, _MIN_ROWS = 40_000, 1_000
_MAX_ROWS = 4_000
_LEAST_PROBABILITY = 1e-4  # of a judge: below, one judge would overrule all others
_LEAST_NOISE = 1e-3  # share of labels given at random that every noise model leaves room for
_SPREAD_PENALTY = 1e-3  # nats for a squared difference of one between weights
_MAX_ITERATIONS = 60  # of L-BFGS
_STRENGTHS = (0.5, 1.0)  # of the noise among the clearest rows: they may be more or less than clear
_MAX_CLASSES_OF_MATRIX = 200  # with more, one rate: a matrix has more entries than there are labels
_N_STRATA = 4  # quarters of the rows by the margin of their two leading classes


@dataclass(frozen=True)
class Pool:
    """Pooled judges under several noise models, each as likely as it foretells given labels.

    Attributes
    ----------
    weights : ndarray of shape (n_models, n_judges)
        Exponents of the judges' probabilities.
    transitions : ndarray of shape (n_models, n_classes, n_classes)
        P(given label = column | true label = row).
    likely : ndarray of shape (n_models,)
        How likely each noise model is; sums to one.
    evidence_of_noise : float
        Standard errors by which the best noise model foretells held-out given labels better than
        none does; zero if none is the best.
    """

    weights: np.ndarray
    transitions: np.ndarray
    likely: np.ndarray
    evidence_of_noise: float

    @property
    def transition_matrix(self):
        """P(given | true), averaged over the noise models."""
        return np.tensordot(self.likely, self.transitions, 1)

    def truth(self, judgements):
        """Return P(true label | x), (n_samples, n_classes), of what the judges say.

        ``judgements`` (n_judges, n_samples, n_classes) are probabilities of given labels.
        """
        parts = zip(self.likely, self.weights, self.transitions, strict=True)
        return sum(
            share * _product(_log_truth(judgements, transition), weights)
            for share, weights, transition in parts
            if share > 0
        )


def fit_pool(judgements, y_codes, sample_weight=None, random_state=0):
    """Weigh judges of given labels so that they judge true ones.

    Under a noise model P(given | true), each judge's probabilities of given labels are traced back
    to the true ones (Richardson), and their product with one exponent for each judge is what the
    true label is. The exponents are those that foretell given labels best through the noise. Noise
    models are none, one rate for all classes and a matrix, both at full and at half strength,
    counted among the rows where the judges are clearest. Each counts by how well it foretells given
    labels of rows that its exponents were not fitted to, in units of the standard error.

    Parameters
    ----------
    judgements : ndarray of shape (n_judges, n_samples, n_classes)
        Probabilities of given labels, each from a judge that has not seen the row's own label.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows, one by default.
    random_state : int, default=0
        Seed of the choice of rows and of the split in two.

    Returns
    -------
    Pool
    """
    n_judges, n_samples, n_classes = judgements.shape
    weight = np.ones(n_samples) if sample_weight is None else sample_weight
    mean = judgements.mean(axis=0)
    transitions = _noise_models(mean, y_codes, weight)
    rows = np.flatnonzero(weight > 0)
    n_rows = min(max(_MAX_ENTRIES // n_classes, _MIN_ROWS), _MAX_ROWS)
    rows = np.random.default_rng(random_state).permutation(rows)[:n_rows]
    judgements, y_codes, weight = judgements[:, rows], y_codes[rows], weight[rows]
    halves = np.arange(len(rows)) % 2 == 0
    all_weights, losses = [], []
    for transition in transitions:
        log_truth = _log_truth(judgements, transition)
        likelihoods = transition[:, y_codes].T
        loss = np.empty(len(rows))
        for half in (halves, ~halves):
            weights = _fit_weights(log_truth[:, half], likelihoods[half], weight[half])
            foretold = (_product(log_truth[:, ~half], weights) * likelihoods[~half]).sum(axis=1)
            loss[~half] = -np.log(foretold)
        all_weights.append(_fit_weights(log_truth, likelihoods, weight))
        losses.append(loss)
    lags = _lags(np.stack(losses), weight)
    likely = normalized(np.exp(-(lags**2) / 2))
    return Pool(np.stack(all_weights), np.stack(transitions), likely, float(lags[0]))


def _noise_models(mean, y_codes, weight):
    """Return candidates for P(given | true), no noise first."""
    n_classes = mean.shape[1]
    identity = np.eye(n_classes)
    found = clear_transitions(mean, y_codes, weight)
    if n_classes > _MAX_CLASSES_OF_MATRIX:
        found = found[:1]
    noisy = [s * found_one + (1 - s) * identity for found_one in found for s in _STRENGTHS]
    return [(1 - _LEAST_NOISE) * model + _LEAST_NOISE / n_classes for model in [identity, *noisy]]


def _lags(losses, weight):
    """Return by how many standard errors each model's mean loss exceeds the best one's."""
    means = np.average(losses, axis=1, weights=weight)
    differences = losses - losses[means.argmin()]
    lag = means - means.min()
    deviation = np.sqrt(np.average((differences - lag[:, None]) ** 2, axis=1, weights=weight))
    return np.divide(lag * np.sqrt(losses.shape[1]), deviation, where=lag > 0, out=np.zeros(len(lag)))


def _log_truth(judgements, transition):
    traced = np.stack([deconvolved(proba, transition) for proba in judgements])
    return np.log(traced.clip(min=_LEAST_PROBABILITY))


def _product(log_truth, weights):
    return softmax(np.tensordot(weights, log_truth, 1), axis=1)


def _fit_weights(log_truth, likelihoods, weight):
    """Return the exponents under which given labels are most likely."""
    n_judges = len(log_truth)
    share = weight / max(weight.sum(), 1e-12)

    def loss(weights):
        truth = _product(log_truth, weights)
        joint = truth * likelihoods
        foretold = joint.sum(axis=1, keepdims=True)
        pull = truth - joint / foretold
        gradient = np.tensordot(log_truth, pull * share[:, None], 2)
        spread = weights - weights.mean()
        value = -share @ np.log(foretold[:, 0]) + _SPREAD_PENALTY * spread @ spread
        return value, gradient + 2 * _SPREAD_PENALTY * spread

    start = np.full(n_judges, 1 / n_judges)
    bounds = [(0, None)] * n_judges
    options = {"maxiter": _MAX_ITERATIONS}
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x


@dataclass(frozen=True)
class LocalNoise:
    """How far given labels follow the place instead of the class, by the judge's margin.

    Attributes
    ----------
    margins : ndarray of shape (3,)
        Quartiles of the margin of the two leading classes.
    shares : ndarray of shape (4,)
        Share of the disagreement with given labels in each quarter that is not known from the
        clearest one, where noise can only go by class.
    """

    margins: np.ndarray
    shares: np.ndarray

    def share_of(self, truth):
        """Return the share (n_samples,) of each row of ``truth`` (n_samples, n_classes)."""
        return self.shares[np.searchsorted(self.margins, _margins(truth))]

    def likelihood(self, truth, y_codes, transition):
        """Return P(given label | true label, x), (n_samples, n_classes).

        A given label that follows the place is as frequent as the judge says, whatever is true.
        """
        share = self.share_of(truth)[:, None]
        at_place = (truth @ transition)[np.arange(len(truth)), y_codes]
        return (1 - share) * transition[:, y_codes].T + share * at_place[:, None]


def fit_local_noise(truth, y_codes, sample_weight=None):
    """Compare the judge's disagreement with given labels where it is clear and where it is torn.

    Parameters
    ----------
    truth : ndarray of shape (n_samples, n_classes)
        Probabilities of true labels, of a judge that has not seen the rows' own labels.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows, one by default.

    Returns
    -------
    LocalNoise
    """
    weight = np.ones(len(truth)) if sample_weight is None else sample_weight
    margins = _margins(truth)
    quartiles = np.quantile(margins[weight > 0], np.arange(1, _N_STRATA) / _N_STRATA)
    strata = np.searchsorted(quartiles, margins)
    disagrees = weight * (truth.argmax(axis=1) != y_codes)
    # Half a row beforehand: none of a few is not never.
    rates = np.bincount(strata, disagrees, minlength=_N_STRATA) + 0.5
    rates /= np.bincount(strata, weight, minlength=_N_STRATA) + 1
    return LocalNoise(quartiles, (1 - rates[-1] / rates).clip(min=0))


def _margins(truth):
    if truth.shape[1] == 1:
        return np.ones(len(truth))
    leading = np.partition(truth, -2, axis=1)[:, -2:]
    return leading[:, 1] - leading[:, 0]

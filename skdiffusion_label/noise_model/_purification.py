"""What a given label says about the true one, beyond the features."""

import numpy as np
from scipy.special import ndtr

from skdiffusion_label.noise_model._confusion import expected_counts, normalized, shrunk_transition

_N_DECONVOLUTIONS = 10  # rounds: what is left of the noise is less than that of the estimate
_N_GROUPS = 4  # quarters of the rows by confidence: the surest against the others
# Share of the disagreement that may depend on the features before given labels mislead. The middle
# between what was trusted in full, .15, and not at all, .2; its error decides about the rest.
_MAX_UNEXPLAINED = 0.175


def given_label_evidence(proba, y_codes):
    """Estimate log P(given label | true label), up to the judge's own errors.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the true label given the features.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.

    Returns
    -------
    evidence : ndarray of shape (n_classes, n_classes)
        Logarithm of P(given label = column | true label = row).
    """
    return np.log(shrunk_transition(expected_counts(proba, y_codes)))


def given_label_trust(proba, y_codes):
    """Judge how far given labels say more about the true ones than the features do.

    How often the judge disagrees with given labels in the quarter of the rows where it is surest is
    the rate of noise that has nothing to do with the features. Labels of other rows should be wrong
    as often, and disagreement be more frequent only by the judge's own errors. Disagreement beyond
    that is noise that depends on the features: where the judge hesitates, given labels then are
    wrong more often than not, and to trust them would harm.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the true label, of a judge that has not seen the row's given label.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.

    Returns
    -------
    trust : float
        Probability that at most 17.5 % of the disagreement is unexplained, given its sampling
        error.
    """
    n_samples, n_classes = proba.shape
    if n_classes == 1 or n_samples < _N_GROUPS:
        return 0.0
    chance = 1 / (n_classes - 1)  # of hitting one certain other class
    confidence = proba.max(axis=1)
    disagrees = proba.argmax(axis=1) != y_codes
    groups = np.array_split(np.argsort(confidence, kind="stable"), _N_GROUPS)
    surest, others = groups[-1], np.concatenate(groups[:-1])
    errors = 1 - confidence[surest].mean()
    n_certain = max(1 - errors * (1 + chance), 1e-12)
    share = disagrees[surest].mean()
    noise_rate = np.clip((share - errors) / n_certain, 0, 1)
    by_noise = confidence - (1 - confidence) * chance
    expected = (1 - confidence + noise_rate * by_noise)[others]
    # A share of zero in a few rows is not known to be zero: all rows say how far it may be off.
    share_of_all = disagrees.mean()
    variance_of_rate = share_of_all * (1 - share_of_all) / len(surest) / n_certain**2
    variance = (expected * (1 - expected)).sum() + variance_of_rate * by_noise[others].sum() ** 2
    n_disagreements = disagrees[others].sum()
    if n_disagreements == 0:
        return 1.0
    n_unexplained = n_disagreements - expected.sum()
    return float(ndtr((_MAX_UNEXPLAINED * n_disagreements - n_unexplained) / np.sqrt(variance)))


def labels_of_evidence(evidence, log_odds):
    """Return the timestep at which a diffused label carries ``evidence``, and labels that do.

    Where all wrong labels are equally likely, row i of the labels is the one-hot label of class i.

    Parameters
    ----------
    evidence : ndarray of shape (n_classes, n_classes)
        log P(given label = column | true label = row), up to a constant for each column.
    log_odds : ndarray of shape (n_timesteps,)
        Log-odds of a diffused one-hot label: signal squared to noise squared.

    Returns
    -------
    timestep : int
        Where this is nearest to the mean log-odds of given labels.
    labels : ndarray of shape (n_classes, n_classes)
        Row i takes the place of given label i.
    """
    n_classes = len(evidence)
    own = evidence.diagonal()
    others = (evidence.sum(axis=0) - own) / max(n_classes - 1, 1)
    log_odds_of_given = max((own - others).mean(), 1e-9)
    timestep = np.abs(np.log(log_odds) - np.log(log_odds_of_given)).argmin()
    return timestep, (evidence - others).T / log_odds[timestep]


def deconvolved(proba, transition_matrix):
    """Return p(true label | x) of which the noise makes p(given label | x), after Richardson."""
    truth = proba
    for _ in range(_N_DECONVOLUTIONS):
        ratio = proba / (truth @ transition_matrix).clip(min=1e-12)
        truth = normalized(truth * (ratio @ transition_matrix.T))
    return truth


def posterior_of_given(proba, y_codes, transition_matrix):
    """Join p(true label | x) and the given label by Bayes' rule.

    Where no class can have been given this label, the features decide.
    """
    joint = proba * transition_matrix[:, y_codes].T
    is_possible = joint.sum(axis=1, keepdims=True) > 0
    return normalized(np.where(is_possible, joint, proba))

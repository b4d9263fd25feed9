"""What a given label says about the true one, beyond the features."""

import numpy as np

from skdiffusion_label.noise_model._confusion import expected_counts, normalized, shrunk_transition

_N_DECONVOLUTIONS = 10  # rounds: what is left of the noise is less than that of the estimate
_N_GROUPS = 4
_FULL_TRUST, _NO_TRUST = 0.15, 0.2  # largest shares of disagreement that remain unexplained


def given_label_evidence(proba, y_codes):
    """Estimate log P(given label | true label), as far as given labels can be trusted.

    Rows are put in four groups by the classifier's confidence. How often it disagrees with the
    given label where it is most confident is the rate of noise that has nothing to do with the
    features. Labels of less confident rows should be wrong as often, and disagreement be more
    frequent only by the classifier's own errors. Disagreement beyond that is noise that depends on
    the features: where the classifier hesitates, given labels then are wrong more often than not,
    and to trust them would harm. Given labels are fully trusted where at most 15 % of a group's
    disagreement is of this kind, and not at all from 20 % on.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the true label given the features.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.

    Returns
    -------
    trust : float
        From 0 to 1.
    evidence : ndarray of shape (n_classes, n_classes)
        ``trust`` times the logarithm of P(given label = column | true label = row).
    """
    n_classes = proba.shape[1]
    if n_classes == 1 or len(proba) < _N_GROUPS:
        return 0.0, np.zeros((n_classes, n_classes))
    trust = _trust(proba, y_codes)
    return trust, trust * np.log(shrunk_transition(expected_counts(proba, y_codes)))


def _trust(proba, y_codes):
    chance = 1 / (proba.shape[1] - 1)  # of hitting one certain other class
    confidence = proba.max(axis=1)
    disagrees = proba.argmax(axis=1) != y_codes
    groups = np.array_split(np.argsort(confidence, kind="stable"), _N_GROUPS)
    errors = 1 - confidence[groups[-1]].mean()
    n_certain = max(1 - errors * (1 + chance), 1e-12)
    noise_rate = np.clip((disagrees[groups[-1]].mean() - errors) / n_certain, 0, 1)
    expected = 1 - confidence * (1 - noise_rate) - (1 - confidence) * noise_rate * chance
    unexplained = max(
        (disagrees[group] - expected[group]).sum() / max(disagrees[group].sum(), 1)
        for group in groups[:-1]
    )
    return float(np.clip((_NO_TRUST - unexplained) / (_NO_TRUST - _FULL_TRUST), 0, 1))


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

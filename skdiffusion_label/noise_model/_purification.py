"""What a given label says about the true one, beyond the features."""

import numpy as np

from skdiffusion_label.noise_model._confusion import normalized

_N_DECONVOLUTIONS = 10  # rounds: what is left of the noise is less than that of the estimate


def deconvolved(proba, transition_matrix):
    """Return p(true label | x) of which the noise makes p(given label | x), after Richardson."""
    transition_matrix = transition_matrix.astype(proba.dtype)
    truth = proba
    for _ in range(_N_DECONVOLUTIONS):
        ratio = proba / (truth @ transition_matrix).clip(min=1e-12)
        truth = normalized(truth * (ratio @ transition_matrix.T))
    return truth


def posterior_of_given(proba, y_codes, transition_matrix):
    """Join p(true label | x) and the given label by Bayes' rule.

    Where no class can have been given this label, the features decide.
    """
    return posterior(proba, transition_matrix[:, y_codes].T)


def posterior(proba, likelihood):
    """Join p(true label | x) and P(given label | true label, x), both (n_samples, n_classes)."""
    joint = proba * likelihood
    is_possible = joint.sum(axis=1, keepdims=True) > 0
    return normalized(np.where(is_possible, joint, proba))


def timestep_of_evidence(transition_matrix, log_odds):
    """Return the timestep at which a diffused label carries as much evidence as a given one.

    Parameters
    ----------
    transition_matrix : ndarray of shape (n_classes, n_classes)
        P(given label = column | true label = row), without zeros.
    log_odds : ndarray of shape (n_timesteps,)
        Log-odds of a diffused one-hot label: signal squared to noise squared.
    """
    evidence = centered_evidence(transition_matrix.T, np.arange(len(transition_matrix)))
    log_odds_of_given = max(evidence.diagonal().mean(), 1e-9)
    return int(np.abs(np.log(log_odds) - np.log(log_odds_of_given)).argmin())


def centered_evidence(likelihood, y_codes):
    """Return the logarithm of ``likelihood`` (n_samples, n_classes), less that of other classes.

    Beside the given label's own class the evidence is zero in the mean, as in a one-hot label.
    """
    evidence = np.log(likelihood.clip(min=1e-30))
    n_samples, n_classes = evidence.shape
    own = evidence[np.arange(n_samples), y_codes]
    others = (evidence.sum(axis=1) - own) / max(n_classes - 1, 1)
    return evidence - others[:, None]

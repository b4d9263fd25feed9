"""What a classifier believes about the true labels of the rows that it learns from."""

import numbers
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, check_cv, cross_val_predict
from sklearn.pipeline import Pipeline

from skdiffusion_label.noise_model import confident_transition, deconvolved, posterior_of_given


@dataclass(frozen=True)
class Beliefs:
    """Probabilities (n_samples, n_classes) of the true labels, in the order of the classes.

    ``proba`` knows the row's features, ``purified`` its given label too. ``posterior`` says how
    likely the given label is right. ``transition_matrix`` is P(given label = column | true label =
    row). ``neighbors`` (n_samples, n_neighbors) are the rows that the classifier has asked,
    ``estimator`` is what was fitted on all rows; None without one.
    """

    proba: np.ndarray
    purified: np.ndarray
    posterior: np.ndarray
    transition_matrix: np.ndarray
    neighbors: np.ndarray | None = None
    estimator: object = None


def purifies(estimator):
    """Tell whether a classifier, or the last step of a pipeline, can purify given labels."""
    final = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    return hasattr(final, "purify_proba")


def beliefs_of_one_fit(estimator, X, y, y_codes, fit_params):
    """Fit a classifier that purifies labels, once and on all rows."""
    fitted = clone(estimator).fit(X, y, **fit_params)
    final = fitted
    if isinstance(fitted, Pipeline):
        final = fitted[-1]
        X = fitted[:-1].transform(X) if len(fitted) > 1 else X
    proba = final.predict_proba(X)
    transition_matrix = getattr(final, "transition_matrix_", None)
    if transition_matrix is None:
        transition_matrix = confident_transition(y_codes, proba)
    neighbors = getattr(final, "neighbors_", None)
    purified = final.purify_proba(X, y, trained_on=True)
    # Training has seen the given labels already, and purification sees them once more: the
    # classifier alone doubts too much, the purified labels trust too much.
    posterior = _normalized(np.sqrt(proba * purified))
    return Beliefs(proba, purified, posterior, transition_matrix, neighbors, fitted)


def beliefs_of_folds(estimator, X, y, y_codes, fit_params, cv, n_jobs, random_state):
    """Let each row be judged by a clone that has not seen its label."""
    if isinstance(cv, numbers.Integral):
        cv = StratifiedKFold(cv, shuffle=True, random_state=random_state)
    proba = cross_val_predict(
        estimator,
        X,
        y,
        cv=check_cv(cv, y, classifier=True),
        method="predict_proba",
        n_jobs=n_jobs,
        params=fit_params,
    )
    return beliefs_from_proba(y_codes, proba)


def beliefs_from_proba(y_codes, proba):
    """Take out-of-sample probabilities of the given label apart into truth and noise."""
    transition_matrix = confident_transition(y_codes, proba)
    truth = deconvolved(proba, transition_matrix)
    purified = posterior_of_given(truth, y_codes, transition_matrix)
    return Beliefs(truth, purified, purified, transition_matrix)


def beliefs_with_annotations(beliefs, annotations, classes):
    """Let all annotators' labels stand in for the given one, their consensus.

    The consensus may leave out classes that some annotator has named.
    """
    distributions = annotations.label_distributions[:, np.isin(annotations.classes, classes)]
    likelihoods = distributions / distributions.mean(axis=0).clip(min=1e-300)
    purified = _normalized(beliefs.proba * likelihoods)
    return replace(beliefs, purified=purified, posterior=purified)


def _normalized(proba):
    return proba / proba.sum(axis=1, keepdims=True).clip(min=1e-300)

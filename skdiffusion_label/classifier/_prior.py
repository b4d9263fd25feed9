"""The prior mean f_q: a classifier's guess of the label, from which the diffusion starts."""

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import assert_all_finite

_N_FOLDS = 5


def fit_prior(prior, features, y, sample_weight, classes, random_state, groups=None):
    """Fit a clone of ``prior`` and guess the training rows' labels out of sample.

    A guess that had seen the row's own label would teach the denoiser to copy wrong labels.

    Returns
    -------
    fitted : classifier
    proba : ndarray of shape (n_samples, n_classes), dtype=float32
        From models fitted on other folds; from ``prior`` itself if it is a ``FrozenEstimator``.
    """
    positive = sample_weight > 0
    fitted = _fit(prior, features[positive], y[positive])
    if not np.isin(fitted.classes_, classes).any():
        raise ValueError(
            f"prior must know some of the labels in y, {classes[:5]}, got classes "
            f"{fitted.classes_[:5]}."
        )
    if isinstance(prior, FrozenEstimator):
        return fitted, prior_mean(fitted, features, classes)
    proba = np.empty((len(features), len(classes)), dtype=np.float32)
    folds = KFold(min(_N_FOLDS, len(features)), shuffle=True, random_state=random_state)
    if groups is not None:
        folds = GroupKFold(min(_N_FOLDS, groups.max() + 1))
    for train, test in folds.split(features, groups=groups):
        train = train[positive[train]]
        if len(np.unique(y[train])) < 2:  # many classifiers refuse to fit one class
            proba[test] = np.isin(classes, y[positive]) / len(np.unique(y[positive]))
            continue
        model = _fit(prior, features[train], y[train])
        proba[test] = prior_mean(model, features[test], classes)
    return fitted, proba


def _fit(prior, features, y):
    """Fit a clone of ``prior``, whose steps pass on arrays whatever is set for all others."""
    with config_context(transform_output="default"):
        return clone(prior).fit(features, y)


def prior_mean(fitted, features, classes):
    """Return the probabilities of ``classes`` (n_samples, n_classes), float32, rows sum to one."""
    columns = np.searchsorted(classes, fitted.classes_)
    known = (columns < len(classes)) & (
        classes[np.minimum(columns, len(classes) - 1)] == fitted.classes_
    )
    proba = np.zeros((len(features), len(classes)), dtype=np.float32)
    with config_context(transform_output="default"):
        proba[:, columns[known]] = fitted.predict_proba(features)[:, known]
    assert_all_finite(proba, input_name="predict_proba of prior")
    totals = proba.sum(axis=1, keepdims=True)
    return np.divide(proba, totals, where=totals > 0, out=np.full_like(proba, 1 / len(classes)))

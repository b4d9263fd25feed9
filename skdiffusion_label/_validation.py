"""Checks of what is given to ``LRADiffusionClassifier.fit``, before any long work."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, validate_data

from skdiffusion_label.retrieval import check_neighbors

_DTYPES = [np.float64, np.float32]


def check_training_data(estimator, X, y, sample_weight, neighbors):
    """Validate the arguments of ``fit``; set ``feature_extractor_`` and ``classes_``.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    sample_weight : ndarray of shape (n_samples,), dtype=float32
        With the class weights in it; the mean of the positive ones is one.
    neighbors : ndarray of shape (n_samples, n_neighbors) or None
    """
    extractor = estimator.feature_extractor
    continues = estimator.warm_start and hasattr(estimator, "weights_")
    checks = {"dtype": _DTYPES, "ensure_min_samples": 2, "reset": not continues}
    if extractor is None:
        X, y = validate_data(estimator, X, y, **checks)
    else:
        check_consistent_length(X, y)
    check_classification_targets(y)
    sample_weight = _check_sample_weight(
        sample_weight, np.asarray(y), dtype=np.float32, ensure_non_negative=True
    )
    if neighbors is not None:
        neighbors = check_neighbors(neighbors, len(sample_weight))
    if extractor is not None:
        extractor = clone(extractor).fit(X, y)
        X, y = validate_data(estimator, extractor.transform(X), y, **checks)
    classes = np.unique(y)
    if continues and not np.array_equal(estimator.classes_, classes):
        raise ValueError(
            "warm_start=True needs y to have the classes of the previous fit, "
            f"{estimator.classes_}, got {classes}."
        )
    class_weight = compute_sample_weight(estimator.class_weight, y)
    if class_weight.min() < 0:
        raise ValueError(f"class_weight must not be negative, got {estimator.class_weight}.")
    sample_weight = sample_weight * class_weight
    positive = sample_weight > 0
    if positive.sum() < 2:
        raise ValueError(
            "sample_weight and class_weight must leave at least two rows of positive weight, got "
            f"{positive.sum()}."
        )
    sample_weight /= sample_weight[positive].mean()
    estimator.feature_extractor_ = extractor
    estimator.classes_ = classes
    return X, y, sample_weight.astype(np.float32), neighbors


def hold_out(estimator, sample_weight, random_state):
    """Return the weights (n_samples,) of rows held out for early stopping, zero for the others."""
    held_out = np.zeros_like(sample_weight)
    if not estimator.early_stopping:
        return held_out
    rows = random_state.permutation(np.flatnonzero(sample_weight > 0))
    n_held_out = int(np.ceil(estimator.validation_fraction * len(rows)))
    if len(rows) - n_held_out < 2:
        raise ValueError(
            f"validation_fraction={estimator.validation_fraction} must leave at least two rows to "
            f"train on, got {len(rows)} rows of positive weight."
        )
    rows = rows[:n_held_out]
    held_out[rows] = sample_weight[rows]
    return held_out

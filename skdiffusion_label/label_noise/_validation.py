"""Checks of labels, rates and probabilities that all noises share."""

from numbers import Real

import numpy as np
from sklearn.utils import assert_all_finite

_TOLERANCE = 1e-3  # of sums of probabilities: classifiers return float32, or rounded numbers


def encode_labels(y, classes=None):
    """Return codes (n_samples,) of the labels, and the classes (n_classes,) that they index.

    Without ``classes``, these are the sorted labels of ``y``. The classes have the dtype of ``y``,
    wider only where the name of a class would be cut off otherwise.
    """
    y = np.asarray(y)
    if y.ndim != 1 or y.size == 0:
        raise ValueError(f"y must be one-dimensional and not empty, got shape {y.shape}.")
    assert_all_finite(y, input_name="y")
    try:
        labels, y_codes = np.unique(y, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"y must hold labels that can be sorted: {error}.") from error
    if classes is None:
        classes = labels
    else:
        classes = _check_classes(classes, y, labels)
        order = np.argsort(classes)
        y_codes = order[np.searchsorted(classes, labels, sorter=order)][y_codes]
    if len(classes) < 2:
        raise ValueError(f"y needs at least two classes, got 1 class: {classes}.")
    return y_codes, classes


def _check_classes(classes, y, labels):
    """Return ``classes`` as an array of the dtype of ``y``."""
    classes = np.asarray(classes)
    try:
        converted = classes.astype(str if y.dtype.kind == "U" else y.dtype)
    except ValueError:
        converted = None
    if not np.array_equal(classes, converted):
        raise ValueError(f"classes must be labels like those of y, {labels}, got {classes}.")
    if classes.ndim != 1 or len(set(converted.tolist())) != len(classes):
        raise ValueError(f"classes must be a list of different labels, got {classes}.")
    missing = [label for label in labels.tolist() if label not in converted.tolist()]
    if missing:
        raise ValueError(f"classes must hold all labels of y, got {classes} without {missing}.")
    return converted.astype(np.result_type(converted, y))


def check_noise_rate(noise_rate):
    """Raise a ValueError unless ``noise_rate`` is a share."""
    is_number = isinstance(noise_rate, Real) and not isinstance(noise_rate, bool)
    if not is_number or not 0 <= noise_rate <= 1:
        raise ValueError(f"noise_rate must be a number in [0, 1], got {noise_rate!r}.")


def check_proba(proba, n_samples, n_classes):
    """Return ``proba`` as a float64 array of shape (n_samples, n_classes)."""
    proba = np.asarray(proba, dtype=np.float64)
    if proba.shape != (n_samples, n_classes):
        raise ValueError(
            "proba must have a row for each label and a column for each class, shape "
            f"{(n_samples, n_classes)}, got shape {proba.shape}. Name classes that y lacks by the "
            "parameter classes."
        )
    check_distributions("proba", proba, tolerance=_TOLERANCE)
    return proba


def check_distributions(name, rows, tolerance):
    """Raise a ValueError unless the rows are probabilities that sum to one."""
    if not (np.isfinite(rows).all() and rows.min() >= 0):
        raise ValueError(f"{name} must hold numbers of at least 0, got {rows}.")
    sums = rows.sum(axis=1)
    if np.abs(sums - 1).max() > tolerance:
        raise ValueError(f"{name} rows must sum to 1, got sums {sums}.")

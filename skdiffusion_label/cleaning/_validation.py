"""Checks that the functions of this room share."""

import numbers

import numpy as np
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.validation import check_consistent_length


def check_labels_and_proba(y, proba, classes=None):
    """Validate labels and probabilities; return codes of labels, float64 probabilities, classes.

    ``classes`` are in the order of the columns: sorted labels by default.
    """
    y = check_labels(y)
    classes = np.unique(y) if classes is None else _check_classes(classes)
    proba = check_proba(proba, len(classes))
    check_consistent_length(y, proba)
    order = np.argsort(classes, kind="stable")
    try:
        positions = np.searchsorted(classes, y, sorter=order).clip(max=len(classes) - 1)
    except TypeError as error:
        raise ValueError(f"y and classes must hold labels of one kind: {error}.") from error
    y_codes = order[positions]
    unknown = classes[y_codes] != y
    if unknown.any():
        raise ValueError(f"y must hold labels among classes, got {y[unknown.argmax()]!r}.")
    return y_codes, proba, classes


def check_labels(y, name="y"):
    """Return labels (n_samples,) as an array in which different ones stay different."""
    check_kind(y, name)
    y = column_or_1d(y)
    assert_all_finite(y, input_name=name)
    return y


def check_kind(labels, name):
    """Raise unless all labels are strings, booleans or numbers: an array would make '1' of 1."""
    dtype = getattr(labels, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return
    kinds = {_kind(label) for label in np.asarray(labels, dtype=object).ravel()}
    if len(kinds) > 1:
        raise ValueError(
            f"{name} must hold labels of one kind, strings, booleans or numbers, got "
            f"{' and '.join(sorted(kinds))}."
        )


def _kind(label):
    if isinstance(label, bool | np.bool_):
        return "booleans"
    if isinstance(label, numbers.Real):
        return "numbers"
    return "strings" if isinstance(label, str) else type(label).__name__


def _check_classes(classes):
    classes = check_labels(classes, "classes")
    labels, counts = np.unique(classes, return_counts=True)
    if counts.max() > 1:
        raise ValueError(
            f"classes must be different labels, got {labels[counts.argmax()]!r} more than once."
        )
    return classes


def check_proba(proba, n_classes, name="proba"):
    """Return probabilities (n_samples, n_classes) in float64."""
    proba = check_array(proba, dtype=np.float64, input_name=name)
    if proba.shape[1] != n_classes:
        raise ValueError(
            f"{name} must have a column for each of the {n_classes} classes, got "
            f"{proba.shape[1]} columns. Pass classes if some of them are not among the labels."
        )
    totals = proba.sum(axis=1)
    if proba.min() < 0 or np.abs(totals - 1).max() > 1e-3:
        row = int(np.maximum(np.abs(totals - 1), -proba.min(axis=1)).argmax())
        raise ValueError(
            f"{name} must hold probabilities that sum to one in each row, got {proba[row]} in row "
            f"{row}."
        )
    return proba

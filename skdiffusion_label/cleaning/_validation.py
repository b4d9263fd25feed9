"""Checks that the functions of this room share."""

import numpy as np
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.validation import check_consistent_length


def check_labels_and_proba(y, proba, classes=None):
    """Validate labels and probabilities; return codes of labels, float64 probabilities, classes.

    ``classes`` are in the order of the columns: sorted labels by default.
    """
    y = column_or_1d(y)
    assert_all_finite(y, input_name="y")
    proba = check_array(proba, dtype=np.float64, input_name="proba")
    check_consistent_length(y, proba)
    classes = np.unique(y) if classes is None else column_or_1d(classes)
    if proba.shape[1] != len(classes):
        raise ValueError(
            f"proba must have a column for each of the {len(classes)} classes, got "
            f"{proba.shape[1]} columns. Pass classes if some of them are not among the labels."
        )
    totals = proba.sum(axis=1)
    if proba.min() < 0 or np.abs(totals - 1).max() > 1e-3:
        row = int(np.maximum(np.abs(totals - 1), -proba.min(axis=1)).argmax())
        raise ValueError(
            f"proba must hold probabilities that sum to one in each row, got {proba[row]} in row "
            f"{row}."
        )
    order = np.argsort(classes, kind="stable")
    positions = np.searchsorted(classes, y, sorter=order).clip(max=len(classes) - 1)
    y_codes = order[positions]
    unknown = classes[y_codes] != y
    if unknown.any():
        raise ValueError(f"y must hold labels among classes, got {y[unknown.argmax()]!r}.")
    return y_codes, proba, classes

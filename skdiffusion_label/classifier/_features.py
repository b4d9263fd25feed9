"""From what ``fit`` is given to features."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_n_features, validate_data

from skdiffusion_label.classifier._streams import SMALL_DTYPES
from skdiffusion_label.classifier._validation import (
    check_block,
    check_dense,
    check_numbers,
    check_rows,
)
from skdiffusion_label.noise_model import filled_labels

# What scikit-learn checks of rows, by name; what is small stays as it is, and numbers are checked
# in blocks.
CHECKS = {
    "dtype": [np.float64, np.float32, *SMALL_DTYPES],
    "order": "C",
    "ensure_all_finite": False,
}


def read_rows(estimator, X, y, told, continues, random_state):
    """Check all that ``fit`` is given; return the fitted extractor or None, features and rows.

    ``told`` is what :func:`check_rows` takes by name. An estimator that ``continues`` from its
    previous fit keeps the extractor.
    """
    y, is_missing = filled_labels(y)
    told = {**told, "is_missing": is_missing, "random_state": random_state}
    checks = {"ensure_min_samples": 2, "reset": not continues}
    if hasattr(X, "map_rows_of_partitions"):  # rows that are elsewhere, and checked there
        rows = check_rows(estimator, X, y, **told)
        _check_n_features(estimator, X, reset=not continues)
        X.map_rows_of_partitions(check_block)
        return None, X, rows
    checks |= CHECKS
    if estimator.feature_extractor is None:
        features, y = validate_data(estimator, X, y, **checks)
        check_numbers(features, estimator)
        rows = check_rows(estimator, features, y, **told)
        return None, features, rows
    rows = check_rows(estimator, X, y, **told)
    if continues:
        extractor = estimator.feature_extractor_
        features = extractor.transform(X)
    else:
        extractor, features = _fit_extractor(clone(estimator.feature_extractor), X, y, is_missing)
    features, _ = validate_data(estimator, check_dense(features), y, **checks)
    check_numbers(features, estimator)
    return extractor, features, rows


def _fit_extractor(extractor, X, y, is_missing):
    """Fit to the rows that have a label, and transform all."""
    if is_missing.any():
        given = np.flatnonzero(~is_missing)
        extractor.fit(_safe_indexing(X, given), _safe_indexing(y, given))
        return extractor, extractor.transform(X)
    if hasattr(extractor, "fit_transform"):
        return extractor, extractor.fit_transform(X, y)
    return extractor, extractor.fit(X, y).transform(X)


def draw_seed(random_state):
    """Return a seed drawn from a ``RandomState``."""
    return int(random_state.randint(np.iinfo(np.int32).max))

"""Checks of what is given to ``fit``, before any long work. They set nothing."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from skdiffusion_label.classifier._streams import map_rows
from skdiffusion_label.noise_model import check_verified, codes_of_given
from skdiffusion_label.retrieval import check_neighbors

# A larger number mostly stands for a missing one.
_LARGEST_FEATURE = 1e18


@dataclass(frozen=True)
class TrainingRows:
    """What ``fit`` is told about its n rows besides their features.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    y_codes : ndarray of shape (n,), dtype=int64
        Given labels as positions in ``classes``.
    weight, held_out : ndarray of shape (n,), dtype=float32
        Weights of the rows in training, and of those that early stopping is judged by: each row has
        at least one zero. The mean of the positive ones is one.
    class_weight : ndarray of shape (n_classes,)
        Weights of the classes, in training or where judges predict.
    neighbors : ndarray of shape (n, n_neighbors) or None
        Neighbors found elsewhere.
    verified : ndarray of shape (n,), dtype=bool
        Which labels are known to be right.
    given : ndarray of shape (n,), dtype=int64
        Codes of the labels that these had been given before, -1 where that is not known.
    groups : ndarray of shape (n,), dtype=int64, or None
        Rows of one group do not vouch for each other.
    stands_for : ndarray of shape (n,), dtype=float32, or None
        How many rows a row stands for, on average one, where these are a part of all.
    """

    classes: np.ndarray
    y_codes: np.ndarray
    weight: np.ndarray
    held_out: np.ndarray
    class_weight: np.ndarray
    neighbors: np.ndarray | None
    verified: np.ndarray
    given: np.ndarray
    groups: np.ndarray | None = None
    stands_for: np.ndarray | None = None

    @property
    def trained(self):
        """Positions of the rows that are trained on."""
        return np.flatnonzero(self.weight > 0)

    @property
    def vote_weight(self):
        """Weights of the rows' votes: a rare class, drawn more often, is heard where it is."""
        return self.weight if self.stands_for is None else self.weight / self.stands_for

    @property
    def strata(self):
        """Codes (n,) of the given labels, apart where they are verified."""
        return 2 * self.y_codes + self.verified

    def take(self, rows):
        """Return what is told of ``rows``, whose groups are coded anew, but for neighbors."""
        names = ["y_codes", "weight", "held_out", "verified", "given"]
        names += [] if self.stands_for is None else ["stands_for"]
        taken = {name: getattr(self, name)[rows] for name in names}
        groups = self.groups
        if groups is not None:
            groups = np.unique(groups[rows], return_inverse=True)[1]
        return replace(self, **taken, groups=groups)

    def weighted(self, stands_for):
        """Return the same with weights multiplied by how many rows each stands for."""
        return replace(self, weight=self.weight * stands_for, stands_for=stands_for)

    @property
    def of_equal_classes(self):
        """The same with classes that all weigh one: judges weigh them in the network's place."""
        return replace(self, class_weight=np.ones_like(self.class_weight))

    @property
    def labels(self):
        """What the noise model is told of them, by name."""
        return {
            "y_codes": self.y_codes,
            "sample_weight": self.weight,
            "verified": self.verified,
            "given": self.given,
        }

    def identity(self):
        """Return what training makes of these rows, for the name of a checkpoint."""
        return self.y_codes, self.weight, self.held_out, self.class_weight


def check_rows(
    estimator,
    X,
    y,
    sample_weight,
    neighbors,
    random_state,
    *,
    verified=None,
    given=None,
    groups=None,
    is_missing=None,
):
    """Return :class:`TrainingRows`; rows to hold out are drawn from ``random_state``.

    Rows whose label ``is_missing`` weigh nothing.
    """
    check_consistent_length(X, y)
    check_classification_targets(y)
    y = np.asarray(y)
    is_missing = np.zeros(len(y), dtype=bool) if is_missing is None else is_missing
    weight = _check_weight(sample_weight, y, is_missing)
    verified = check_verified(verified, is_missing)
    groups = _check_groups(groups, neighbors, y)
    n_held_out = _n_held_out(estimator, np.count_nonzero(weight))
    if neighbors is not None:
        neighbors = check_neighbors(neighbors, len(y))
    classes, y_codes = np.unique(y, return_inverse=True)
    class_weight = _check_class_weight(estimator.class_weight, classes, y[~is_missing])
    held_out = np.zeros_like(weight)
    if n_held_out:
        rows = random_state.permutation(np.flatnonzero(weight > 0))[:n_held_out]
        held_out[rows] = weight[rows]
    return TrainingRows(
        classes,
        y_codes,
        weight - held_out,
        held_out,
        class_weight,
        neighbors,
        verified,
        codes_of_given(given, classes, verified),
        groups,
    )


def _check_groups(groups, neighbors, y):
    """Return codes (n,) of groups, or None where each row is one of its own."""
    if groups is None:
        return None
    groups = column_or_1d(groups)
    check_consistent_length(groups, y)
    if neighbors is not None:
        raise ValueError(
            "groups and neighbors cannot be combined: leave rows of the same group out of "
            "neighbors, and pass these alone."
        )
    try:
        names, groups = np.unique(groups, return_inverse=True)
    except TypeError as error:  # such as None, which has no order
        raise ValueError(f"groups must be values of one kind for all rows: {error}.") from error
    if len(names) < 2:
        raise ValueError(f"groups must be at least two, got {names[0]!r} alone.")
    return None if len(names) == len(groups) else groups


def _check_weight(sample_weight, y, is_missing):
    """Return weights whose positive ones have a mean of one, in float32."""
    weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
    weight = np.where(is_missing, 0, weight)
    if weight.any():
        weight = weight / weight.max()  # whose sum is finite
        weight /= weight[weight > 0].mean()
    return weight.astype(np.float32)


def _n_held_out(estimator, n_rows):
    fraction = estimator.validation_fraction if estimator.n_iter_no_change is not None else 0
    n_held_out = int(np.ceil(fraction * n_rows))
    if n_rows - n_held_out < 2:
        raise ValueError(
            "At least two rows of positive weight, in float32 beside those of the others, must be "
            f"left to train on, got {n_rows} of which "
            f"validation_fraction={estimator.validation_fraction} holds out {n_held_out}."
        )
    return n_held_out


def _check_class_weight(class_weight, classes, y):
    """Return the weight of each class (n_classes,)."""
    weights = compute_class_weight(class_weight, classes=classes, y=y)
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        raise ValueError(
            "class_weight must be finite and not negative, nor zero for all classes, got "
            f"{class_weight}."
        )
    return weights / weights.max()


def check_numbers(features, estimator=None):
    """Raise unless numbers are finite, and not so large that they would mean nothing.

    They are read in blocks: scikit-learn's check reads a file that is mapped as a whole.
    """
    if features.dtype == np.uint8:
        return
    kind = None if estimator is None else type(estimator).__name__
    (largest,) = map_rows(partial(_largest_of_rows, kind), features)
    if largest.max() <= _LARGEST_FEATURE:
        return
    row = np.argmax(largest > _LARGEST_FEATURE)
    column = np.argmax(np.abs(features[row]) > _LARGEST_FEATURE)
    names = getattr(estimator, "feature_names_in_", None)
    name = "" if names is None else f" ({names[column]!r})"
    raise ValueError(
        f"X must hold numbers between -{_LARGEST_FEATURE:g} and {_LARGEST_FEATURE:g}, got "
        f"{features[row, column]:g} in row {row}, column {column}{name}. If it stands for a "
        "missing value, replace it by a real one; else choose a larger unit."
    )


def check_block(block):
    """Raise unless a block of features is finite and of moderate size."""
    check_numbers(block)
    return ()


def _largest_of_rows(estimator_name, block):
    assert_all_finite(block, input_name="X", estimator_name=estimator_name)
    return (np.maximum(block.max(axis=1), -block.min(axis=1)),)


def check_dense(features):
    """Return ``features`` that an extractor has returned, unless they are a sparse matrix."""
    if sparse.issparse(features):
        raise TypeError(
            "feature_extractor must return a dense array, got a sparse matrix; append "
            "TruncatedSVD to it, for example."
        )
    return features


def check_continuation(estimator, classes, network):
    """Raise unless a warm start can go on with ``classes`` and the settings of ``network``."""
    if not np.array_equal(estimator.classes_, classes):
        raise ValueError(
            "warm_start=True needs y to have the classes of the previous fit, "
            f"{estimator.classes_}, got {classes}."
        )
    if network != estimator._network:
        raise ValueError(
            f"warm_start=True needs the network of the previous fit, {estimator._network}, "
            f"got {network}."
        )

"""Models of given labels: linear, and forests."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from skdiffusion_label.classifier._tables import by_blocks
from skdiffusion_label.retrieval import Discriminant, draw_folds, fit_discriminant

# Pure leaves for labels of which few are wrong, leaves of ten rows for labels of which many are,
# and splits at random, which differ most from what other models say.
_FORESTS = (
    (RandomForestClassifier, 1),
    (RandomForestClassifier, 10),
    (ExtraTreesClassifier, 1),
)
_MAX_ROWS_OF_TREE = 5_000
_MAX_TREES, _MIN_TREES = 100, 10
# Rows of a tree times the square root of the features, times tens of classes, times trees: a second
# or two for each forest.
_FOREST_BUDGET = 3e6
_SHARE_OF_FREQUENCIES = 0.02  # in a forest's probabilities: its zeros are not certain


@dataclass(frozen=True)
class Models:
    """Models of given labels, to judge new rows.

    Attributes
    ----------
    discriminant : Discriminant
    forests : tuple of classifiers
    frequencies : ndarray of shape (n_classes,)
        Of the given labels.
    """

    discriminant: Discriminant
    forests: tuple
    frequencies: np.ndarray

    def judge(self, standardized):
        """Return probabilities of given labels: of the linear model's logarithm, then of forests.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
        of_forests : list of ndarray of shape (n_samples, n_classes)
        """
        of_forests = [
            _with_all_classes(forest.predict_proba(standardized), forest.classes_, self.frequencies)
            for forest in self.forests
        ]
        return self.discriminant.log_proba(standardized), of_forests


def fit_models(standardized, rows, random_state, n_jobs):
    """Fit :class:`Models`, and let each training row be judged by what has not seen its label.

    Returns
    -------
    models : Models
    log_proba, of_forests
        As of :meth:`Models.judge`.
    """
    n_classes = len(rows.classes)
    counts = np.bincount(rows.y_codes, rows.weight, minlength=n_classes) + 1
    frequencies = (counts / counts.sum()).astype(np.float32)
    discriminant, log_proba = fit_discriminant(
        standardized,
        rows.y_codes,
        n_classes,
        sample_weight=rows.weight,
        groups=rows.groups,
        random_state=random_state,
    )
    forests, of_forests = [], []
    for kind, leaf_size in _FORESTS:
        fit = partial(_fit_forest, kind, leaf_size, random_state=random_state, n_jobs=n_jobs)
        forest = fit(standardized, rows)
        forests.append(forest)
        if rows.groups is None:
            of_forests.append(_judged_out_of_bag(forest, standardized, rows, frequencies))
        else:
            of_forests.append(_judged_across_groups(fit, standardized, rows, frequencies))
    return Models(discriminant, tuple(forests), frequencies), log_proba, of_forests


def _fit_forest(kind, leaf_size, standardized, rows, *, random_state, n_jobs):
    n_rows = min(len(rows.trained), _MAX_ROWS_OF_TREE)
    cost_of_tree = n_rows * standardized.shape[1] ** 0.5 * max(len(rows.classes) / 10, 1)
    forest = kind(
        int(np.clip(_FOREST_BUDGET / cost_of_tree, _MIN_TREES, _MAX_TREES)),
        min_samples_leaf=leaf_size,
        bootstrap=True,
        max_samples=n_rows,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    trained = rows.trained
    return forest.fit(standardized[trained], rows.y_codes[trained], rows.weight[trained])


def _judged_across_groups(fit, standardized, rows, frequencies):
    """Return what forests say that have not seen a row's group: out of bag is mostly some of it."""
    proba = np.tile(frequencies, (len(standardized), 1))
    for fold in draw_folds(len(standardized), rows.groups):
        weight = rows.weight.copy()
        weight[fold] = 0
        if weight.any():
            forest = fit(standardized, replace(rows, weight=weight))
            found = forest.predict_proba(standardized[fold])
            proba[fold] = _with_all_classes(found, forest.classes_, frequencies)
    return proba


def _judged_out_of_bag(forest, standardized, rows, frequencies):
    """Return what the trees say that a row is new to: of rows not trained on, all of them."""
    is_new = np.full((len(standardized), len(forest.estimators_)), True)
    for column, seen in enumerate(forest.estimators_samples_):
        is_new[rows.trained[seen], column] = False

    def judge(some):
        proba = _out_of_bag(forest, standardized[some], is_new[some])
        return _with_all_classes(proba, forest.classes_, frequencies)

    return by_blocks(judge, len(standardized), len(frequencies))


def _out_of_bag(forest, rows, is_new):
    """Return the mean of the trees (n, n_trees) that a row is new to; NaN where there are none.

    scikit-learn's own estimate warns if there is such a row.
    """
    total = np.zeros((len(rows), len(forest.classes_)))
    for tree, is_new_to_it in zip(forest.estimators_, is_new.T, strict=True):
        if is_new_to_it.any():
            total[is_new_to_it] += tree.predict_proba(rows[is_new_to_it])
    n_trees = is_new.sum(axis=1, keepdims=True)
    return np.where(n_trees > 0, total / np.maximum(n_trees, 1), np.nan)


def _with_all_classes(proba, codes, frequencies):
    """Return ``proba`` of ``codes`` with a column for each class, mixed with the frequencies."""
    full = np.zeros((len(proba), len(frequencies)), dtype=np.float32)
    full[:, codes] = proba
    unknown = np.isnan(full).any(axis=1)
    full[unknown] = frequencies
    return (1 - _SHARE_OF_FREQUENCIES) * full + _SHARE_OF_FREQUENCIES * frequencies

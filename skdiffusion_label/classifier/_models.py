"""Models of given labels: linear, and forests."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from skdiffusion_label.classifier._forests import grow_forest
from skdiffusion_label.classifier._tables import Table
from skdiffusion_label.retrieval import Discriminant, draw_folds, fit_discriminant

# Pure leaves for labels of which few are wrong, leaves of ten rows for labels of which many are,
# and splits at random, which differ most from what other models say.
_FORESTS = (
    partial(DecisionTreeClassifier, max_features="sqrt"),
    partial(DecisionTreeClassifier, max_features="sqrt", min_samples_leaf=10),
    partial(ExtraTreeClassifier, max_features="sqrt"),
)
_MAX_ROWS_OF_TREE = 5_000
_MAX_TREES, _MIN_TREES = 200, 10
# Rows of a tree times the square root of the features, times tens of classes, times trees: a second
# or two for each forest. Three times as many are worth .000, .001 and .007 of accuracy to
# 45,000 embeddings under three kinds of noise.
_FOREST_BUDGET = 2e6
_SHARE_OF_FREQUENCIES = 0.02  # in a forest's probabilities: its zeros are not certain


@dataclass(frozen=True)
class Models:
    """Models of given labels, to judge new rows.

    Attributes
    ----------
    discriminant : Discriminant
    forests : tuple of Forest
    frequencies : ndarray of shape (n_classes,)
        Of the given labels.
    """

    discriminant: Discriminant
    forests: tuple
    frequencies: np.ndarray

    def leaves(self, standardized):
        """Return where rows end in the trees of each forest, (n_samples, n_trees) each.

        A tree is read from memory once for all of them: thousands cost half as much as hundreds.
        """
        return [forest.leaves(standardized) for forest in self.forests]

    def judge(self, standardized, leaves):
        """Return probabilities of given labels: of the linear model's logarithm, then of forests.

        Parameters
        ----------
        standardized : ndarray of shape (n_samples, n_features)
        leaves : list of ndarray of shape (n_samples, n_trees)
            Where these rows end.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
        of_forests : list of ndarray of shape (n_samples, n_classes)
        """
        forests = zip(self.forests, leaves, strict=True)
        of_forests = [_judged_by_all(one, ends, self.frequencies) for one, ends in forests]
        return self.discriminant.log_proba(standardized), of_forests


def fit_models(standardized, rows, random_state, n_jobs, share_of_trees=1):
    """Fit :class:`Models`, and let each training row be judged by what has not seen its label.

    Where less depends on it, forests have a ``share_of_trees``.

    Returns
    -------
    models : Models
    log_proba : CrossFitted
    of_forests : list of Table
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
    for make_tree in _FORESTS:
        grow = partial(_grow, make_tree, standardized, random_state, n_jobs, share_of_trees)
        forest, seen = grow(rows)
        forests.append(forest)
        if rows.groups is None:
            of_forests.append(_judged_out_of_bag(forest, seen, standardized, rows, frequencies))
        else:
            of_forests.append(_judged_across_groups(grow, standardized, rows, frequencies))
    return Models(discriminant, tuple(forests), frequencies), log_proba, of_forests


def _grow(make_tree, standardized, random_state, n_jobs, share_of_trees, rows):
    """Grow a forest; return it, and the rows that each tree has seen, as positions."""
    trained = rows.trained
    n_drawn = min(len(trained), _MAX_ROWS_OF_TREE)
    cost_of_tree = n_drawn * standardized.shape[1] ** 0.5 * max(len(rows.classes) / 10, 1)
    n_trees = share_of_trees * min(_FOREST_BUDGET / cost_of_tree, _MAX_TREES)
    given = standardized[trained], rows.y_codes[trained], rows.weight[trained]
    sizes = len(rows.classes), max(int(n_trees), _MIN_TREES), n_drawn
    forest, seen = grow_forest(make_tree, given, *sizes, random_state, n_jobs)
    return forest, [trained[seen_by_tree] for seen_by_tree in seen]


def _judged_across_groups(grow, standardized, rows, frequencies):
    """Return what forests say that have not seen a row's group: out of bag is mostly some of it."""
    proba = np.tile(frequencies, (len(standardized), 1))
    for fold in draw_folds(len(standardized), rows.groups):
        weight = rows.weight.copy()
        weight[fold] = 0
        if weight.any():
            forest, _ = grow(replace(rows, weight=weight))
            proba[fold] = _judged_by_all(forest, forest.leaves(standardized[fold]), frequencies)
    return proba


def _judged_out_of_bag(forest, seen, standardized, rows, frequencies):
    """Return what the trees say that a row is new to: of rows not trained on, these are all.

    scikit-learn's own estimate warns of rows that are new to none.
    """
    leaves = forest.leaves(standardized)
    is_new = np.full(leaves.shape, True)
    for column, seen_by_tree in enumerate(seen):
        is_new[seen_by_tree, column] = False

    def judge(some):
        return _judged(forest, leaves[some], is_new[some], frequencies)

    return Table(judge, (len(standardized), len(frequencies)))


def _judged_by_all(forest, leaves, frequencies):
    return _judged(forest, leaves, np.ones(leaves.shape, dtype=bool), frequencies)


def _judged(forest, leaves, is_counted, frequencies):
    """Return the mean of the trees that count, mixed with the frequencies; these if none counts."""
    proba = forest.mean(leaves, is_counted).astype(np.float32)
    proba[~is_counted.any(axis=1)] = frequencies
    return (1 - _SHARE_OF_FREQUENCIES) * proba + _SHARE_OF_FREQUENCIES * frequencies

"""Models of given labels that judge new rows too: linear, neighbors in its space, and forests."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import StandardScaler

from skdiffusion_label.classifier._judgement import by_blocks, gathered
from skdiffusion_label.noise_model import Pool, fit_pool
from skdiffusion_label.retrieval import Discriminant, VoteBank, fit_discriminant

_LEAF_SIZES = 1, 10  # rows: for labels of which few are wrong, and of which many are
_MAX_ROWS_OF_TREE = 5_000
_MAX_TREES, _MIN_TREES = 100, 10
# Rows of a tree times the square root of the features, times tens of classes, times trees: a second
# or two for each forest.
_FOREST_BUDGET = 3e6
_SHARE_OF_FREQUENCIES = 0.02  # in a forest's probabilities: its zeros are not certain
_LEAST_WEIGHT = 0.01  # in the pool, below which a forest is not kept
# Of the exponents of the linear model and of its neighbors in the prior guess. The denoiser learns
# what they know better than they do: with 1, accuracy on banking queries with 40 % wrong labels
# falls from .915 to .908, with 0, that on 15 clean ones for each class from .834 to .809.
_SHARE_OF_LEARNABLE = 0.5
# Rows are judged in blocks of one shape: see the chains.
_ROWS_PER_BLOCK = 512


@dataclass(frozen=True)
class ModelPool:
    """Models of given labels, pooled to the true ones: the prior guess f_q.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    scaler : StandardScaler
    discriminant : Discriminant
    bank : VoteBank or None
        Of neighbors in the space of the discriminant.
    forests : tuple of RandomForestClassifier
    frequencies : ndarray of shape (n_classes,)
        Of the given labels.
    pool : Pool
        Its judges are the linear model, the neighbors' votes and these forests.
    """

    classes_: np.ndarray
    scaler: StandardScaler
    discriminant: Discriminant
    bank: VoteBank | None
    forests: tuple
    frequencies: np.ndarray
    pool: Pool

    def predict_proba(self, features):
        """Return the probabilities of true labels (n_samples, n_classes)."""
        standardized = self.scaler.transform(features).astype(np.float32)
        n_rows = len(standardized)
        padding = np.zeros((-n_rows % _ROWS_PER_BLOCK, standardized.shape[1]), np.float32)
        blocks = np.concatenate([standardized, padding]).reshape(
            -1, _ROWS_PER_BLOCK, standardized.shape[1]
        )
        return np.concatenate([self._truth(block) for block in blocks])[:n_rows]

    def _truth(self, standardized):
        log_proba = self.discriminant.log_proba(standardized)
        judgements = [np.exp(log_proba)]
        if self.bank is not None:
            judgements += self.bank.vote(log_proba)
        for forest in self.forests:
            proba = forest.predict_proba(standardized)
            judgements.append(_with_all_classes(proba, forest.classes_, self.frequencies))
        return self.pool.truth(np.stack(judgements))


@dataclass(frozen=True)
class _Exponential:
    """The exponentials of a table, made row by row."""

    logarithms: np.ndarray

    def __getitem__(self, rows):
        return np.exp(self.logarithms[rows])


@dataclass(frozen=True)
class FittedModels:
    """Models of given labels, and what they say of rows whose own label they have not seen.

    Attributes
    ----------
    scaler : StandardScaler
    discriminant : Discriminant
    forests : tuple of RandomForestClassifier
    frequencies : ndarray of shape (n_classes,)
    log_proba : ndarray of shape (n_samples, n_classes), dtype=float32
        Of given labels, by the linear model.
    judgements : list of tables of shape (n_samples, n_classes), dtype=float32
        Probabilities of given labels, to be indexed by rows: of the linear model, then of the
        forests.
    """

    scaler: StandardScaler
    discriminant: Discriminant
    forests: tuple
    frequencies: np.ndarray
    log_proba: np.ndarray
    judgements: list

    def pooled(self, bank, bank_judgements, rows, random_state):
        """Return a :class:`ModelPool` and its guesses (n, n_classes) for the training rows.

        ``bank_judgements`` are the votes of ``bank`` on the training rows; None and none without.
        """
        linear, *of_forests = self.judgements
        shape = self.log_proba.shape
        judgements = gathered([linear, *bank_judgements, *of_forests], shape)
        pool = fit_pool(judgements, rows.y_codes, rows.weight, random_state)
        n_others = len(judgements) - len(of_forests)
        weights = pool.weights.copy()
        weights[:, :n_others] *= _SHARE_OF_LEARNABLE
        guess = replace(pool, weights=weights)
        means = by_blocks(lambda some: guess.truth(judgements[:, some]), *shape)
        is_heard = weights[pool.likely > _LEAST_WEIGHT].max(axis=0) > _LEAST_WEIGHT
        is_heard[:n_others] = True
        pool = replace(pool, weights=weights[:, is_heard])
        forests = tuple(itertools.compress(self.forests, is_heard[n_others:]))
        model_pool = ModelPool(
            rows.classes, self.scaler, self.discriminant, bank, forests, self.frequencies, pool
        )
        return model_pool, means


def fit_models(scaler, standardized, rows, random_state, n_jobs):
    """Fit :class:`FittedModels` to the training rows."""
    n_classes = len(rows.classes)
    counts = np.bincount(rows.y_codes, rows.weight, minlength=n_classes) + 1
    frequencies = (counts / counts.sum()).astype(np.float32)
    discriminant, log_proba = fit_discriminant(
        standardized,
        rows.y_codes,
        n_classes,
        sample_weight=rows.weight,
        random_state=random_state,
    )
    forests, judgements = [], [_Exponential(log_proba)]
    for leaf_size in _LEAF_SIZES:
        forest, proba = _fit_forest(
            standardized, rows, leaf_size, frequencies, random_state, n_jobs
        )
        forests.append(forest)
        judgements.append(proba)
    return FittedModels(scaler, discriminant, tuple(forests), frequencies, log_proba, judgements)


def _fit_forest(standardized, rows, leaf_size, frequencies, random_state, n_jobs):
    """Return a forest and its out-of-bag probabilities; other rows are judged by all trees."""
    n_rows = min(len(rows.trained), _MAX_ROWS_OF_TREE)
    cost_of_tree = n_rows * standardized.shape[1] ** 0.5 * max(len(frequencies) / 10, 1)
    forest = RandomForestClassifier(
        int(np.clip(_FOREST_BUDGET / cost_of_tree, _MIN_TREES, _MAX_TREES)),
        min_samples_leaf=leaf_size,
        max_samples=n_rows,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    trained = rows.trained
    forest.fit(standardized[trained], rows.y_codes[trained], rows.weight[trained])
    is_new = np.full((len(standardized), len(forest.estimators_)), True)
    for column, seen in enumerate(forest.estimators_samples_):
        is_new[trained[seen], column] = False

    def judge(some):
        proba = _out_of_bag(forest, standardized[some], is_new[some])
        return _with_all_classes(proba, forest.classes_, frequencies)

    return forest, by_blocks(judge, len(standardized), len(frequencies))


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

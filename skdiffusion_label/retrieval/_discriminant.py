"""A linear model of given labels, cross-fitted at the price of one, and the space it spans."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_N_FOLDS = 5
# Rows, up to which folds are twice as many: what a model has not seen is missed most where rows are
# few, and of few rows models are cheap.
_FEW_ROWS = 2_000
_SHRINKAGES = (0.02, 0.1, 0.4, 0.8)  # of the covariance towards the identity
_LOG_SHARPNESS = (-4.0, 2.0)  # range of the logarithm of the factor of logits
_ROWS_AT_ONCE = 1_000  # that are brought into the space that the model spans
_MAX_ROWS = 4_000  # to which the sharpness is fitted: one number


@dataclass(frozen=True)
class Discriminant:
    """Linear discriminant analysis of given labels.

    Attributes
    ----------
    coefficients : ndarray of shape (n_features, n_classes), dtype=float32
    intercept : ndarray of shape (n_classes,), dtype=float32
    """

    coefficients: np.ndarray
    intercept: np.ndarray

    def logits(self, standardized):
        """Return log P(given label | x), (n_samples, n_classes), up to a constant."""
        return standardized @ self.coefficients + self.intercept

    def log_proba(self, standardized):
        """Return log P(given label | x), (n_samples, n_classes)."""
        return log_softmax(self.logits(standardized), axis=1)

    def sharpened(self, factor):
        """Return the model with logits multiplied by ``factor``."""
        factor = np.float32(factor)
        return Discriminant(factor * self.coefficients, factor * self.intercept)


@dataclass(frozen=True)
class CrossFitted:
    """Rows judged by models that have not seen their labels, when they are asked for.

    Attributes
    ----------
    models : list of list of Discriminant
        By two folds, which may be one: each has seen all others.
    fold_of : ndarray of shape (n_samples,)
        Numbers of the folds.
    standardized : ndarray of shape (n_samples, n_features), dtype=float32
    """

    models: list
    fold_of: np.ndarray
    standardized: np.ndarray

    def __getitem__(self, rows):
        """Return log P(given label | x), (n, n_classes), of ``rows``."""
        return log_softmax(self.logits(rows), axis=1)

    def logits(self, rows, fold=None):
        """Return it up to a constant; by models that have not seen ``fold`` either, if given."""
        points, folds = self.standardized[rows], self.fold_of[rows]
        logits = np.empty((len(points), len(self.models[0][0].intercept)), dtype=np.float32)
        for own, models in enumerate(self.models):
            model = models[own if fold is None else fold]
            logits[folds == own] = model.logits(points[folds == own])
        return logits

    def take(self, rows):
        """Return the same of ``rows`` alone."""
        return replace(self, fold_of=self.fold_of[rows], standardized=self.standardized[rows])


def fit_discriminant(
    standardized, y_codes, n_classes, *, sample_weight=None, groups=None, random_state=0
):
    """Fit linear discriminant analysis to given labels.

    The covariance is shrunk towards the identity, and the logits are multiplied by a factor, as
    foretells best the given labels of rows that the model has not seen.

    Parameters
    ----------
    standardized : ndarray of shape (n_samples, n_features), dtype=float32
        Features of mean zero and variance one.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    n_classes : int
        Number of classes.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows in the model, one by default.
    groups : ndarray of shape (n_samples,), default=None
        Integer-coded groups, which stay together in the folds.
    random_state : int, default=0
        Seed of the split into five folds, or ten of few rows.

    Returns
    -------
    discriminant : Discriminant
        Fitted on all rows.
    log_proba : CrossFitted
        Each row judged by a model that has not seen its label.
    """
    n_samples = len(standardized)
    weight = np.ones(n_samples, dtype=np.float32) if sample_weight is None else sample_weight
    n_folds = 2 * _N_FOLDS if n_samples <= _FEW_ROWS else _N_FOLDS
    folds = draw_folds(n_samples, groups, random_state, n_folds)
    order = np.concatenate(folds)
    if groups is not None:
        order = np.random.default_rng(random_state).permutation(n_samples)
    points, basis = _in_few_dimensions(standardized)
    moments = [_moments(points[f], y_codes[f], n_classes, weight[f]) for f in folds]
    total = [sum(parts) for parts in zip(*moments, strict=True)]
    # The moments of the other folds are the total less those of this one.
    others = [_less(total, own) for own in moments]
    fold_of = np.empty(n_samples, dtype=np.int8)
    for number, fold in enumerate(folds):
        fold_of[fold] = number
    judged = order[:_MAX_ROWS]
    best_loss = np.inf
    for shrinkage in _SHRINKAGES:
        models = [_discriminant(*moment, shrinkage) for moment in others]
        crossed = CrossFitted([[model] * len(folds) for model in models], fold_of, points)
        factor, loss = _sharpness(crossed.logits(judged), y_codes[judged], weight[judged])
        if loss < best_loss:
            best_loss, best = loss, (shrinkage, factor, models)
    shrinkage, factor, alone = best

    def of_features(model):
        return Discriminant(basis @ model.coefficients, model.intercept).sharpened(factor)

    models = [[of_features(model)] * len(folds) for model in alone]
    for one, other in itertools.combinations(range(len(folds)), 2):
        of_both = _discriminant(*_less(others[one], moments[other]), shrinkage)
        models[one][other] = models[other][one] = of_features(of_both)
    crossed = CrossFitted(models, fold_of, standardized)
    return of_features(_discriminant(*total, shrinkage)), crossed


def draw_folds(n_samples, groups=None, random_state=0, n_folds=_N_FOLDS):
    """Split rows at random into folds, in which groups stay together.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    groups : ndarray of shape (n_samples,), default=None
        Integer-coded from 0; each row is one of its own by default.
    random_state : int, default=0
        Seed.
    n_folds : int, default=5
        Number of folds.

    Returns
    -------
    list of ndarray
        Positions of the rows of each fold; fewer folds if there are fewer groups.
    """
    rng = np.random.default_rng(random_state)
    if groups is None:
        return np.array_split(rng.permutation(n_samples), min(n_folds, n_samples))
    order = rng.permutation(groups.max() + 1)
    parts = np.array_split(order, min(n_folds, len(order)))
    return [np.flatnonzero(np.isin(groups, part)) for part in parts]


def bhattacharyya_space(log_proba):
    """Map probabilities to their square roots.

    The inner product of two mapped rows is the Bhattacharyya coefficient of their probabilities.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Logarithms of the probabilities.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
    """
    return np.exp(log_proba / 2)


@dataclass(frozen=True)
class SupervisedSpace:
    """Points of :func:`bhattacharyya_space`, made when they are asked for.

    Attributes
    ----------
    log_proba : CrossFitted
    """

    log_proba: CrossFitted

    @property
    def shape(self):
        """(n_samples, n_classes)."""
        return len(self.log_proba.fold_of), len(self.log_proba.models[0][0].intercept)

    def __getitem__(self, rows):
        """Return the points of a slice or of an array of indices."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.shape[0]))
        return self.placed(rows)

    def placed(self, rows, fold=None):
        """Return the points of ``rows`` by models that have not seen ``fold`` either, if given."""
        points = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        for some in np.array_split(np.arange(len(rows)), len(rows) // _ROWS_AT_ONCE + 1):
            logits = self.log_proba.logits(rows[some], fold)
            points[some] = bhattacharyya_space(log_softmax(logits, axis=1))
        return points

    def take(self, rows):
        """Return the same of ``rows`` alone."""
        return SupervisedSpace(self.log_proba.take(rows))


def _in_few_dimensions(points):
    """Return points (n, m) as (n, k) in an orthonormal basis (m, k) that spans them.

    With fewer rows than dimensions nothing else matters: the identity, to which the covariance is
    shrunk, is the same in any basis.
    """
    n_points, n_dimensions = points.shape
    if n_points >= n_dimensions:
        return points, np.eye(n_dimensions, dtype=points.dtype)
    basis = np.linalg.qr(points.T.astype(np.float64))[0].astype(points.dtype)
    return points @ basis, basis


def _sharpness(logits, y_codes, weight):
    """Return the best factor of the logits and the mean log loss with it."""
    if not weight.any():
        return 1.0, 0.0

    def loss(log_factor):
        log_proba = log_softmax(np.exp(log_factor) * logits, axis=1)
        return -np.average(log_proba[np.arange(len(y_codes)), y_codes], weights=weight)

    found = minimize_scalar(loss, bounds=_LOG_SHARPNESS, method="bounded", options={"xatol": 0.02})
    return float(np.exp(found.x)), found.fun


def _moments(features, y_codes, n_classes, weight):
    """Sum what the discriminant needs; sums of disjoint rows can be added and subtracted."""
    weighted = features * weight[:, None]
    members = sparse.csc_array(
        (np.ones(len(y_codes), dtype=np.float32), y_codes, np.arange(len(y_codes) + 1)),
        shape=(n_classes, len(y_codes)),
    )
    class_sums = (members @ weighted).astype(np.float64)
    counts = np.bincount(y_codes, weight, minlength=n_classes)
    return counts, class_sums, (features.T @ weighted).astype(np.float64)


def _less(moments, part):
    return [whole - some for whole, some in zip(moments, part, strict=True)]


def _discriminant(counts, class_sums, second_moment, shrinkage):
    counts = np.maximum(counts, 0)
    means = class_sums / np.maximum(counts, 1)[:, None]
    n_samples = max(counts.sum(), 1)
    covariance = (second_moment - (means.T * counts) @ means) / n_samples
    # The features are standardized: the identity is their scale even where a fold is constant.
    covariance = (1 - shrinkage) * covariance + shrinkage * np.eye(len(covariance))
    coefficients = cho_solve(cho_factor(covariance), means.T)
    prior = (counts + 1) / (n_samples + len(counts))
    intercept = np.log(prior) - np.einsum("cd,dc->c", means, coefficients) / 2
    return Discriminant(coefficients.astype(np.float32), intercept.astype(np.float32))

"""The space in which neighbors are looked up."""

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

_N_FOLDS = 5
_SHRINKAGE = 0.05


def supervised_spaces(standardized, y_codes, n_classes, *, sample_weight=None, random_state=0):
    """Map each row to the square roots of its class probabilities under a linear model.

    The model is linear discriminant analysis of the given labels with a covariance shrunk towards
    the identity. The inner product of two mapped rows is the Bhattacharyya coefficient of their
    class probabilities.

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
    random_state : int, default=0
        Seed of the split into five folds.

    Returns
    -------
    space : ndarray of shape (n_samples, n_classes), dtype=float32
        Rows of unit length, all mapped by one model: the space to look up neighbors in.
    cross_fitted_space : ndarray of shape (n_samples, n_classes), dtype=float32
        Each row mapped by a model that has not seen its label: to be judged by the given labels.
    """
    n_samples = len(standardized)
    weight = np.ones(n_samples, dtype=np.float32) if sample_weight is None else sample_weight
    order = np.random.default_rng(random_state).permutation(n_samples)
    folds = np.array_split(order, min(_N_FOLDS, n_samples))
    moments = [_moments(standardized[f], y_codes[f], n_classes, weight[f]) for f in folds]
    total = [sum(parts) for parts in zip(*moments, strict=True)]
    cross_fitted_space = np.empty((n_samples, n_classes), dtype=np.float32)
    for fold, moment in zip(folds, moments, strict=True):
        # The moments of the other folds are the total less those of this one.
        others = [whole - part for whole, part in zip(total, moment, strict=True)]
        cross_fitted_space[fold] = _mapped(standardized[fold], others)
    return _mapped(standardized, total), cross_fitted_space


def _mapped(standardized, moments):
    coefficients, intercept = _discriminant(*moments)
    logits = standardized @ coefficients + intercept
    roots = np.exp((logits - logits.max(axis=1, keepdims=True)) / 2)
    return roots / np.linalg.norm(roots, axis=1, keepdims=True)


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


def _discriminant(counts, class_sums, second_moment):
    counts = np.maximum(counts, 0)
    means = class_sums / np.maximum(counts, 1)[:, None]
    n_samples = max(counts.sum(), 1)
    covariance = (second_moment - (means.T * counts) @ means) / n_samples
    # The features are standardized: the identity is their scale even where a fold is constant.
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * np.eye(len(covariance))
    coefficients = cho_solve(cho_factor(covariance), means.T)
    prior = (counts + 1) / (n_samples + len(counts))
    intercept = np.log(prior) - np.einsum("cd,dc->c", means, coefficients) / 2
    return coefficients.astype(np.float32), intercept.astype(np.float32)

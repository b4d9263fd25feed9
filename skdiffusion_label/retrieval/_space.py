"""The space in which neighbors are looked up."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

_SHRINKAGE = 0.1


def supervised_space(
    standardized, y_codes, n_classes, *, sample_weight=None, n_folds=1, random_state=0
):
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
    n_folds : int, default=1
        With more than one, each row is mapped by a model that has not seen its label. To be judged
        by the given labels a space has to be made so; to look up neighbors the space of one fold is
        better, as a single model has mapped all rows.
    random_state : int, default=0
        Seed of the split into folds.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), dtype=float32
        Rows of unit length.
    """
    n_samples = len(standardized)
    weight = np.ones(n_samples, dtype=np.float32) if sample_weight is None else sample_weight
    folds = np.random.default_rng(random_state).permutation(n_samples) % n_folds
    members = [np.flatnonzero(folds == fold) for fold in range(n_folds)]
    moments = [_moments(standardized[m], y_codes[m], n_classes, weight[m]) for m in members]
    total = [sum(parts) for parts in zip(*moments, strict=True)]
    space = np.empty((n_samples, n_classes), dtype=np.float32)
    for rows, moment in zip(members, moments, strict=True):
        # The moments of the other folds are the total less those of this one.
        seen = total if n_folds == 1 else [t - m for t, m in zip(total, moment, strict=True)]
        coefficients, intercept = _discriminant(*seen)
        logits = standardized[rows] @ coefficients + intercept
        space[rows] = np.exp((logits - logits.max(axis=1, keepdims=True)) / 2)
    return space / np.linalg.norm(space, axis=1, keepdims=True)


def _moments(features, y_codes, n_classes, weight):
    """Sum what the discriminant needs; sums of disjoint rows can be added and subtracted."""
    weighted = features * weight[:, None]
    class_sums = np.zeros((n_classes, features.shape[1]))
    np.add.at(class_sums, y_codes, weighted)
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

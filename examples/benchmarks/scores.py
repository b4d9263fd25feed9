"""Scores of class probabilities and of rankings."""

import numpy as np
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score


def expected_calibration_error(y_true, proba, n_bins=15):
    """Return the mean gap of accuracy and top probability in equal-width bins, weighted by rows."""
    confidence = proba.max(axis=1)
    is_right = proba.argmax(axis=1) == y_true
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, is_right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(y_true))


def score_proba(y_true, proba):
    """Return the scores of class probabilities whose columns are the codes of the classes."""
    n_classes = proba.shape[1]
    one_hot = np.eye(n_classes)[y_true]
    predicted = proba.argmax(axis=1)
    recalls = [np.mean(predicted[y_true == code] == code) for code in np.unique(y_true)]
    return {
        "accuracy": float(np.mean(predicted == y_true)),
        "balanced_accuracy": float(np.mean(recalls)),
        "log_loss": float(log_loss(y_true, proba, labels=np.arange(n_classes))),
        "brier_score": float(np.square(proba - one_hot).sum(axis=1).mean()),
        "calibration_error": expected_calibration_error(y_true, proba),
    }


def score_ranking(is_wrong, suspicion):
    """Return how well ``suspicion`` puts wrong labels before right ones."""
    return {
        "auroc": float(roc_auc_score(is_wrong, suspicion)),
        "auprc": float(average_precision_score(is_wrong, suspicion)),
    }


def all_class_proba(proba, classes, n_classes):
    """Return float64 probabilities with a column for each class, also those unseen in fit."""
    full = np.zeros((len(proba), n_classes))
    full[:, classes] = proba
    return full / full.sum(axis=1, keepdims=True)

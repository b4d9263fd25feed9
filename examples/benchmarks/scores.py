"""Scores of class probabilities and of rankings."""

from dataclasses import replace

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, log_loss, roc_auc_score

N_TENTHS = 10  # of the range of probabilities


def expected_calibration_error(y_true, proba, n_bins=15):
    """Return the calibration error of the most probable class."""
    return calibration_error(proba.argmax(axis=1) == y_true, proba.max(axis=1), n_bins)


def reliability(happened, probability):
    """Return by tenth of the probability the share of rows, and of what was foretold and happened.

    All are shares of all rows, so that they can be averaged over runs.
    """
    tenths = _bins(probability, N_TENTHS)
    parts = {"rows": np.ones(len(tenths)), "foretold": probability, "happened": happened}
    return {
        f"tenth_{tenth}_{name}": float(values[tenths == tenth].sum() / len(tenths))
        for name, values in parts.items()
        for tenth in range(N_TENTHS)
    }


def calibration_error(happened, probability, n_bins=15):
    """Return the mean gap of frequency and probability in equal-width bins, weighted by rows."""
    gaps = np.bincount(_bins(probability, n_bins), happened - probability, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(probability))


def _bins(probability, n_bins):
    """Return in which of so many bins of equal width each probability is."""
    return np.minimum((probability * n_bins).astype(int), n_bins - 1)


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


def score_binary(y_true, proba):
    """Return the AUROC of probabilities of two classes; nothing for more."""
    return {"auroc": float(roc_auc_score(y_true, proba[:, 1]))} if proba.shape[1] == 2 else {}


def score_verdicts(y_clean, y_given, judgement):
    """Return :func:`score_judgement`, and good and harm done.

    Without wrong labels there is no ranking to score, and no issue is right.
    """
    is_wrong = y_clean != y_given
    ranking = replace(judgement, transition_matrix=None)  # whose classes are those given
    own = score_judgement(y_clean, y_given, ranking) if is_wrong.any() else {}
    names = ("auroc", "auprc", "calibration_error")
    scores = {f"issue_{name}": own[name] for name in names if name in own}
    if judgement.p_error is not None:
        shares = reliability(is_wrong, judgement.p_error)
        scores |= {f"issue_{name}": share for name, share in shares.items()}
    if judgement.is_issue is not None:
        is_found = judgement.is_issue & is_wrong
        scores["n_flagged"] = int(judgement.is_issue.sum())
        if is_wrong.any():
            scores["issue_precision"] = float(is_found.sum() / max(1, judgement.is_issue.sum()))
            scores["issue_recall"] = float(is_found.sum() / is_wrong.sum())
    if judgement.clean_labels is not None:
        is_right = judgement.clean_labels == y_clean
        counts = np.bincount(y_clean)
        is_rare = counts[y_clean] == counts[counts > 0].min()
        scores["labels_right_given"] = float(np.mean(y_given == y_clean))
        scores["labels_right_mended"] = float(np.mean(is_right))
        scores["recall_of_rarest"] = float(np.mean(is_right[is_rare]))
    return scores


def score_judgement(y_clean, y_given, judgement):
    """Return how well wrong labels are told from right ones, and what the mended ones are worth."""
    is_wrong = y_clean != y_given
    scores = {
        "auroc": float(roc_auc_score(is_wrong, judgement.suspicion)),
        "auprc": float(average_precision_score(is_wrong, judgement.suspicion)),
    }
    if judgement.is_issue is not None:
        scores["f1"] = float(f1_score(is_wrong, judgement.is_issue))
    if judgement.p_error is not None:
        scores["calibration_error"] = calibration_error(is_wrong, judgement.p_error)
    if judgement.clean_labels is not None:
        scores["clean_label_accuracy"] = float(np.mean(judgement.clean_labels == y_clean))
    if judgement.transition_matrix is not None:
        scores["transition_error"] = _transition_error(
            y_clean, y_given, judgement.transition_matrix
        )
    return scores


def _transition_error(y_clean, y_given, transition_matrix):
    """Return the total variation distance of each row's distribution of given labels, averaged."""
    counts = np.zeros(transition_matrix.shape)
    np.add.at(counts, (y_clean, y_given), 1)
    n_rows = counts.sum(axis=1, keepdims=True)
    distances = np.abs(counts / np.maximum(n_rows, 1) - transition_matrix).sum(axis=1) / 2
    return float(np.average(distances, weights=n_rows[:, 0]))


def all_class_proba(proba, classes, n_classes):
    """Return float64 probabilities with a column for each class, also those unseen in fit."""
    full = np.zeros((len(proba), n_classes))
    full[:, classes] = proba
    return full / full.sum(axis=1, keepdims=True)

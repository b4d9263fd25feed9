"""Scores of how likely given labels are right."""

import numpy as np
from scipy.special import entr

from skdiffusion_label.cleaning._validation import check_labels_and_proba

_TINY = 1e-6


def label_quality_scores(y, proba, *, method="self_confidence", classes=None):
    """Score each given label from 0 (certainly wrong) to 1 (certainly right).

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    proba : array-like of shape (n_samples, n_classes)
        Out-of-sample class probabilities, as of ``cross_val_predict(..., method="predict_proba")``.
    method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}, \
            default="self_confidence"
        The probability of the given label; half of one plus its lead over the most probable other
        class; or the entropy of the row over the probability of the given label, mapped to [0, 1].
        Names, values and direction are those of ``cleanlab.rank``.
    classes : array-like of shape (n_classes,), default=None
        Labels of the columns of ``proba``, the sorted labels in ``y`` by default.

    Returns
    -------
    ndarray of shape (n_samples,), dtype=float64
        The lower, the more suspicious.

    Raises
    ------
    ValueError
        If ``method`` is another, if ``proba`` does not hold probabilities or has another number of
        columns than there are classes, or if ``y`` holds a label that is not among ``classes``.

    References
    ----------
    C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
    Labels", JAIR 70, 2021.

    Examples
    --------
    >>> from skdiffusion_label.cleaning import label_quality_scores
    >>> label_quality_scores(["cat", "dog"], [[0.9, 0.1], [0.8, 0.2]])
    array([0.9, 0.2])
    """
    y_codes, proba, _ = check_labels_and_proba(y, proba, classes)
    rows = np.arange(len(y_codes))
    own = proba[rows, y_codes]
    if method == "self_confidence":
        return own
    if method == "normalized_margin":
        others = proba.copy()
        others[rows, y_codes] = -np.inf
        best_other = others.max(axis=1) if others.shape[1] > 1 else np.zeros(len(own))
        return (own - best_other + 1) / 2
    if method == "confidence_weighted_entropy":
        entropy = entr(proba).sum(axis=1) / max(np.log(proba.shape[1]), _TINY)
        ratio = entropy / own.clip(min=_TINY)
        # A certain row has no entropy, be its label right or wrong; cleanlab scores 0 for both.
        is_certain = ratio <= _TINY
        ratio = np.where(is_certain, 1.0, ratio)
        return np.where(is_certain, own, np.log1p(ratio) / ratio)
    raise ValueError(
        "method must be 'self_confidence', 'normalized_margin' or 'confidence_weighted_entropy', "
        f"got {method!r}."
    )

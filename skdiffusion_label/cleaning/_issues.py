"""Which labels are wrong: a table with a row for each label."""

import numbers
import warnings

import numpy as np
from sklearn.utils import check_scalar

from skdiffusion_label.cleaning._beliefs import beliefs_from_proba, beliefs_of_folds
from skdiffusion_label.cleaning._validation import check_labels, check_labels_and_proba

_N_SUPPORTERS = 5


def find_label_issues(
    y,
    proba=None,
    *,
    estimator=None,
    X=None,
    cv=5,
    classes=None,
    target_precision=None,
    n_jobs=None,
    random_state=None,
):
    """Find wrong labels, from out-of-sample probabilities or with any classifier.

    The probabilities of given labels are taken apart into those of true labels and the noise in
    between, see :func:`estimate_transition_matrix`, and joined again by Bayes' rule. Before that,
    probabilities that are too timid for how well they foretell the given labels are sharpened. If
    they foretell nothing, no label is an issue. If the given labels are foretold as well without
    noise, no label is to be replaced: issues are to be reviewed. Both with a warning.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    proba : array-like of shape (n_samples, n_classes), default=None
        Out-of-sample class probabilities. Either these or ``estimator`` and ``X``.
    estimator : classifier, default=None
        With ``predict_proba``. Clones of it are fitted on ``cv`` folds.
    X : array-like of shape (n_samples, n_features), default=None
        Rows for ``estimator``.
    cv : int, splitter or iterable, default=5
        Folds; a number means shuffled stratified ones.
    classes : array-like of shape (n_classes,), default=None
        Labels of the columns of ``proba``, the sorted labels in ``y`` by default.
    target_precision : float, default=None
        Expected share of issues that are wrong labels, in (0, 1); see :class:`LabelCleaner`.
    n_jobs : int, default=None
        Folds that are fitted at once.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds, and of ``estimator`` and its parts where these have none of their own.

    Returns
    -------
    DataFrame of shape (n_samples, 8)
        The columns of ``LabelCleaner.label_issues_``, without the neighbors.

    Raises
    ------
    ValueError
        If neither or both of ``proba`` and ``estimator`` are given, and as
        :func:`label_quality_scores`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdiffusion_label.cleaning import find_label_issues
    >>> X, y = load_iris(return_X_y=True)
    >>> y[::7] = (y[::7] + 1) % 3
    >>> model = LogisticRegression(max_iter=1000)
    >>> issues = find_label_issues(y, estimator=model, X=X, random_state=0)
    >>> bool(issues["is_label_issue"][7]), int(issues["suggested_label"][7])
    (True, 0)
    """
    _check_target_precision(target_precision)
    if (proba is None) == (estimator is None):
        raise ValueError("find_label_issues takes either proba or estimator and X.")
    if estimator is not None:
        if X is None:
            raise ValueError("X must be given along with estimator.")
        y = check_labels(y)
        classes, y_codes = np.unique(y, return_inverse=True)
        beliefs = beliefs_of_folds(estimator, X, y, y_codes, {}, cv, n_jobs, random_state)
    else:
        y_codes, proba, classes = check_labels_and_proba(y, proba, classes)
        beliefs = beliefs_from_proba(y_codes, proba)
    if beliefs.abstention is not None:
        warnings.warn(beliefs.abstention, UserWarning, stacklevel=2)
    return issues_table(y_codes, classes, beliefs, target_precision)


def _check_target_precision(target_precision):
    """Raise unless it is None or a number in (0, 1)."""
    if target_precision is not None:
        check_scalar(
            target_precision,
            "target_precision",
            numbers.Real,
            min_val=0,
            max_val=1,
            include_boundaries="neither",
        )
        if np.isnan(target_precision):
            raise ValueError("target_precision == nan, must be a number in (0, 1).")


def issues_table(y_codes, classes, beliefs, target_precision, index=None):
    """Return the DataFrame of :class:`LabelCleaner`, without the neighbors."""
    import pandas as pd

    rows = np.arange(len(y_codes))
    quality = beliefs.posterior[rows, y_codes]
    p_error = 1 - quality
    is_issue = _most_suspicious(p_error, target_precision)
    suggested = beliefs.purified.argmax(axis=1)
    suggested_proba = beliefs.purified[rows, suggested]
    is_sure = suggested_proba >= (0.5 if target_precision is None else target_precision)
    is_open = (suggested == y_codes) | (beliefs.abstention is not None)
    action = np.select([~is_issue, is_open, is_sure], ["keep", "review", "relabel"], "drop")
    return pd.DataFrame(
        {
            "is_label_issue": is_issue,
            "label_quality": quality,
            "given_label": classes[y_codes],
            "predicted_label": classes[beliefs.proba.argmax(axis=1)],
            "suggested_label": classes[suggested],
            "suggested_proba": suggested_proba,
            "p_label_error": p_error,
            "action": action,
        },
        index=index,
    )


def _most_suspicious(p_error, target_precision):
    """Mark what is more likely wrong than right, or as much as keeps the expected precision."""
    if target_precision is None:
        return p_error > 0.5
    order = np.argsort(-p_error, kind="stable")
    precision = np.cumsum(p_error[order]) / np.arange(1, len(p_error) + 1)
    is_issue = np.zeros(len(p_error), dtype=bool)
    is_issue[order[: np.count_nonzero(precision >= target_precision)]] = True
    return is_issue


def supporters(neighbors, y_codes, suggested_codes):
    """Return for each row a list of its nearest neighbors that carry the suggested label."""
    speak_for_it = y_codes[neighbors] == suggested_codes[:, None]
    return [
        row[support][:_N_SUPPORTERS].tolist()
        for row, support in zip(neighbors, speak_for_it, strict=True)
    ]

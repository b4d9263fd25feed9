"""Which labels are wrong: a table with a row for each label."""

import numbers
import warnings

import numpy as np
from sklearn.utils import check_scalar

from skdiffusion_label.cleaning._beliefs import dense
from skdiffusion_label.cleaning._folds import beliefs_from_proba, beliefs_of_folds
from skdiffusion_label.cleaning._reading import known_labels
from skdiffusion_label.cleaning._validation import check_labels, check_labels_and_proba
from skdiffusion_label.noise_model import row_blocks, with_verified

_N_SUPPORTERS = 5
_LEAST_SUGGESTED = 0.5  # probability of a label that replaces another: more likely than all others


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
        If neither or both of ``proba`` and ``estimator`` are given, if ``n_jobs`` is zero, and as
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
    if n_jobs == 0:
        raise ValueError("n_jobs == 0, must be None or an integer other than 0.")
    if (proba is None) == (estimator is None):
        raise ValueError("find_label_issues takes either proba or estimator and X.")
    if estimator is not None:
        if X is None:
            raise ValueError("X must be given along with estimator.")
        read = known_labels(*np.unique(check_labels(y), return_inverse=True))
        folds = {"cv": cv, "n_jobs": n_jobs, "random_state": random_state}
        beliefs = beliefs_of_folds(estimator, X, read, {}, {}, **folds)
    else:
        y_codes, proba, classes = check_labels_and_proba(y, proba, classes)
        read = known_labels(classes, y_codes)
        beliefs = beliefs_from_proba(y_codes, proba)
    if beliefs.abstention is not None:
        warnings.warn(beliefs.abstention, UserWarning, stacklevel=2)
    return issues_table(read, beliefs, target_precision)


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


def issues_table(read, beliefs, target_precision, index=None):
    """Return the DataFrame of :class:`LabelCleaner`, without the neighbors.

    ``read`` is :class:`LabelsRead`.
    """
    import pandas as pd

    y_codes, classes, is_missing = read.y_codes, read.classes, read.is_missing
    quality = np.select([is_missing, read.verified], [np.nan, 1.0], beliefs.p_right)
    is_judged = read.is_taught & ~read.verified
    is_issue = np.zeros(len(y_codes), dtype=bool)
    is_issue[is_judged] = _most_suspicious(1 - quality[is_judged], target_precision)
    predicted, suggested = np.empty_like(y_codes), np.empty_like(y_codes)
    suggested_proba = np.empty(len(y_codes))
    for some in row_blocks(*beliefs.proba.shape):
        proba = dense(beliefs.proba[some])
        purified = with_verified(beliefs.purified(some), y_codes[some], read.verified[some])
        purified = np.where(is_missing[some, None], proba, purified)
        predicted[some], suggested[some] = proba.argmax(axis=1), purified.argmax(axis=1)
        suggested_proba[some] = purified.max(axis=1)
    is_given = (suggested == y_codes) & ~is_missing
    suggested_proba = np.where(is_given, quality, suggested_proba)
    is_open = is_given | (beliefs.abstention is not None)
    return pd.DataFrame(
        {
            "is_label_issue": is_issue,
            "label_quality": quality,
            "given_label": read.labels(),
            "predicted_label": classes[predicted],
            "suggested_label": classes[suggested],
            "suggested_proba": suggested_proba,
            "p_label_error": 1 - quality,
            "action": _actions(read, is_issue, is_open, suggested_proba >= _LEAST_SUGGESTED),
        },
        index=index,
    )


def _actions(read, is_issue, is_open, is_sure):
    """Return what is to be done with each row; some are left to learn from."""
    conditions = {
        "drop": read.excluded,
        "label": read.is_missing,
        "keep": ~is_issue,
        "review": is_open,
        "relabel": is_sure,
    }
    action = np.select(list(conditions.values()), list(conditions), "drop")
    if (action[~read.excluded] == "drop").all():
        action[~read.excluded] = "review"
    return action


def _most_suspicious(p_error, target_precision):
    """Mark what is more likely wrong than right, as far as that keeps the expected precision."""
    is_issue = p_error > 0.5
    if target_precision is None:
        return is_issue
    order = np.argsort(-p_error, kind="stable")
    precision = np.cumsum(p_error[order]) / np.arange(1, len(p_error) + 1)
    is_issue[order[np.count_nonzero(precision >= target_precision) :]] = False
    return is_issue


def supporters(neighbors, y_codes, suggested_codes, index=None):
    """Return for each row a list of its nearest neighbors that carry the suggested label.

    By their ``index``, if there is one.
    """
    names = np.arange(len(y_codes)) if index is None else np.asarray(index)
    speak_for_it = y_codes[neighbors] == suggested_codes[:, None]
    return [
        names[row[support][:_N_SUPPORTERS]].tolist()
        for row, support in zip(neighbors, speak_for_it, strict=True)
    ]

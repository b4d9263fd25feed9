"""LabelCleaner: an estimator whose result is the mended labels."""

import numbers
import warnings

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context
from sklearn.utils import (
    _safe_indexing,
    assert_all_finite,
    column_or_1d,
    indexable,
)
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from skdiffusion_label.cleaning._annotators import aggregate_annotations
from skdiffusion_label.cleaning._beliefs import (
    beliefs_of_folds,
    beliefs_of_one_fit,
    beliefs_with_annotations,
    purifies,
)
from skdiffusion_label.cleaning._issues import issues_table, supporters
from skdiffusion_label.cleaning._validation import check_kind


class LabelCleaner(MetaEstimatorMixin, BaseEstimator):
    """Find wrong labels and mend them.

    Any classifier with ``predict_proba`` judges the labels. One that can purify labels, as
    :class:`~skdiffusion_label.LRADiffusionClassifier`, alone or at the end of a pipeline, is fitted
    once: its neighbors speak for a row in the row's absence. Others are fitted on folds, and judge
    rows that they have not seen; what they learn of given labels is taken apart into true labels
    and noise, see :func:`find_label_issues`, which also says what becomes of classifiers that are
    sure of nothing.

    It resamples as imbalanced-learn's samplers do, and works as a step of their pipelines.

    Parameters
    ----------
    estimator : classifier, default=None
        A clone of it is fitted. None is ``LRADiffusionClassifier(random_state=random_state)``.
    cv : int, splitter or iterable, default=5
        Folds for classifiers that cannot purify labels; a number means shuffled stratified ones.
    target_precision : float, default=None
        Expected share of wrong labels among the issues, in (0, 1): issues are as many of the most
        suspicious labels as keep it. None: all labels that are more likely wrong than right. A
        suggestion has to be as probable for a label to be replaced by it; 0.5 under None.
    n_jobs : int, default=None
        Folds that are fitted at once.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds, and of the classifier and its parts where these have none of their own.

    Attributes
    ----------
    label_issues_ : DataFrame of shape (n_samples, 8 or 9)
        A row for each row of ``X``, with the index of ``y`` if it has one:

        - ``is_label_issue``: whether the label is probably wrong;
        - ``label_quality``: probability that the given label is right;
        - ``given_label``: the label that was given, or the consensus of several annotators;
        - ``predicted_label``: the most probable class given the features alone;
        - ``suggested_label``: the most probable class given the features and the given label;
        - ``suggested_proba``: its probability;
        - ``p_label_error``: probability that the given label is wrong;
        - ``action``: "keep"; "relabel" with the suggested label; "drop", as the label is wrong but
          no other is sure; "review", as the label is probably wrong and yet more probable than any
          other, or as no label is replaced (``abstention_``);
        - ``neighbors``: positions of up to five nearest neighbors that were given the suggested
          label; only if the classifier has neighbors.
    clean_labels_ : ndarray of shape (n_samples,)
        The suggested label where the action is "relabel" or "drop", else the given one.
    transition_matrix_ : ndarray of shape (n_classes, n_classes)
        Estimate of P(given label = column | true label = row).
    abstention_ : str or None
        Why no label has been replaced, if the given labels cannot support it; ``fit`` warns then.
    noise_rate_ : float
        Expected share of wrong labels: the mean of ``p_label_error``.
    sample_indices_ : ndarray of shape (n_resampled,)
        Rows that ``fit_resample`` has kept, in order.
    estimator_ : classifier or None
        Fitted on all rows; None if folds have judged.
    annotations_ : Bunch or None
        What :func:`aggregate_annotations` has made of several annotators' labels.
    classes_ : ndarray of shape (n_classes,)
        Class labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from skdiffusion_label.cleaning import LabelCleaner
    >>> X, y = make_blobs(400, random_state=0, cluster_std=0.5)
    >>> row = np.arange(400)
    >>> y_given = np.where(row % 4 == 0, (y + 1 + row % 8 // 4) % 3, y)
    >>> cleaner = LabelCleaner(random_state=0).fit(X, y_given)
    >>> float(np.mean(cleaner.clean_labels_ == y)) > 0.95
    True
    >>> cleaner.label_issues_["is_label_issue"].iloc[:5].tolist()
    [True, False, False, False, True]
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "cv": ["cv_object"],
        "target_precision": [Interval(numbers.Real, 0, 1, closed="neither"), None],
        "n_jobs": [numbers.Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator=None, *, cv=5, target_precision=None, n_jobs=None, random_state=None
    ):
        self.estimator = estimator
        self.cv = cv
        self.target_precision = target_precision
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)  # the estimator is the user's
    def fit(self, X, y, **fit_params):
        """Judge all labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever the classifier takes.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Given labels, or those of several annotators with None or NaN where there is none. The
            classifier then learns from the consensus of :func:`aggregate_annotations`, whose
            confidence counts in ``suggested_label`` and ``p_label_error``.
        **fit_params : dict
            Passed to the classifier's ``fit``, as ``sample_weight``.

        Returns
        -------
        self : LabelCleaner
        """
        check_consistent_length(X, y)
        labels, annotations = _consensus(y)
        (X,) = indexable(X)
        classes, y_codes = np.unique(labels, return_inverse=True)
        beliefs = self._judge(X, labels, y_codes, fit_params)
        if annotations is not None:
            beliefs = beliefs_with_annotations(beliefs, annotations, classes)
        index = getattr(y, "index", None)
        index = index if np.ndim(index) == 1 else None
        table = issues_table(y_codes, classes, beliefs, self.target_precision, index)
        suggested = beliefs.purified.argmax(axis=1)
        if beliefs.neighbors is not None:
            table["neighbors"] = supporters(beliefs.neighbors, y_codes, suggested)
        is_mended = table["action"].isin(["relabel", "drop"])
        lost = _lost_classes(classes, y_codes, np.where(is_mended, suggested, y_codes))
        for reason in filter(None, (beliefs.abstention, lost)):
            warnings.warn(reason, UserWarning, stacklevel=3)  # past the check of parameters
        self.classes_, self.annotations_ = classes, annotations
        self.label_issues_ = table
        self.clean_labels_ = classes[np.where(is_mended, suggested, y_codes)]
        self.transition_matrix_ = beliefs.transition_matrix
        self.noise_rate_ = float(table["p_label_error"].mean())
        self.estimator_ = beliefs.estimator
        self.abstention_ = beliefs.abstention
        self.sample_indices_ = np.flatnonzero(table["action"] != "drop")
        return self

    def _judge(self, X, y, y_codes, fit_params):
        """Return what the classifier believes of the labels."""
        estimator = self.estimator
        if estimator is None:
            from skdiffusion_label import LRADiffusionClassifier

            estimator = LRADiffusionClassifier(random_state=self.random_state)
        if purifies(estimator):
            return beliefs_of_one_fit(estimator, X, y, y_codes, fit_params, self.random_state)
        return beliefs_of_folds(
            estimator, X, y, y_codes, fit_params, self.cv, self.n_jobs, self.random_state
        )

    def fit_resample(self, X, y, **fit_params):
        """Judge all labels and return the rows worth learning from, with mended labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever the classifier takes.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Given labels, see :meth:`fit`.
        **fit_params : dict
            Passed to the classifier's ``fit``.

        Returns
        -------
        X_resampled : of the type of X
            All rows but those whose action is "drop".
        y_resampled : ndarray or, if y is one, Series of shape (n_resampled,)
            Their labels: the suggested one where the action is "relabel".
        """
        self.fit(X, y, **fit_params)
        table = self.label_issues_
        labels = table["given_label"].where(table["action"] != "relabel", table["suggested_label"])
        labels = labels.iloc[self.sample_indices_]
        if not hasattr(y, "iloc"):
            labels = labels.to_numpy(dtype=self.classes_.dtype)
        elif np.ndim(y) == 1:
            labels = labels.rename(y.name).astype(y.dtype)
        return _safe_indexing(indexable(X)[0], self.sample_indices_), labels


def _lost_classes(classes, y_codes, clean_codes):
    """Return a warning of classes that have less than half as many rows as before, or None."""
    counts = np.bincount(y_codes, minlength=len(classes))
    kept = np.bincount(clean_codes, minlength=len(classes))
    lost = classes[kept < counts / 2]
    if not len(lost):
        return None
    return (
        f"{len(lost)} classes have lost more than half of their rows, among them {lost[:5]}. Look "
        "at what became of them before you go on."
    )


def _consensus(y):
    """Return one label for each row, and what several annotators' labels led to, or None."""
    annotations = None
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        annotations = aggregate_annotations(y)
        y = annotations.labels
    check_kind(y, "y")
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return y, annotations

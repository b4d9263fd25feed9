"""LabelCleaner: an estimator whose result is the mended labels."""

import numbers
import warnings

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.model_selection import GroupKFold, check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skdiffusion_label.cleaning._beliefs import (
    beliefs_of_new_rows,
    beliefs_of_one_fit,
    beliefs_with_annotations,
    judged_by_purifier,
)
from skdiffusion_label.cleaning._folds import beliefs_of_folds
from skdiffusion_label.cleaning._issues import issues_table, supporters
from skdiffusion_label.cleaning._persistence import columns_of, frame_of
from skdiffusion_label.cleaning._reading import read_labels, read_new_labels
from skdiffusion_label.cleaning._resampling import resampled_labels
from skdiffusion_label.cleaning._routing import last_step, purifies, routed
from skdiffusion_label.cleaning._summary import SummaryMixin


class LabelCleaner(SummaryMixin, MetaEstimatorMixin, BaseEstimator):
    """Find wrong labels and mend them.

    Any classifier with ``predict_proba`` judges the labels. One that can purify labels, as
    :class:`~skdiffusion_label.LRADiffusionClassifier`, alone or at the end of a pipeline, is fitted
    once: its neighbors speak for a row in the row's absence. Others are fitted on folds, and judge
    rows that they have not seen; what they learn of given labels is taken apart into true labels
    and noise, see :func:`find_label_issues`, which also says what becomes of classifiers that are
    sure of nothing. They are then fitted on all rows, to judge new ones.

    It resamples as imbalanced-learn's samplers do, and works as a step of their pipelines.

    Parameters
    ----------
    estimator : classifier, default=None
        A clone of it is fitted. None is ``LRADiffusionClassifier(random_state=random_state)``.
    cv : int, splitter or iterable, default=5
        Folds for classifiers that cannot purify labels; a number means shuffled stratified ones.
    target_precision : float, default=None
        Expected share of wrong labels among the issues, in (0, 1): the higher it is, the fewer
        labels are issues, the most suspicious ones. None: all labels that are more likely wrong
        than right.
    missing_label : default=None
        What stands for a label that is missing, as -1 in scikit-learn's semi-supervised
        classifiers; beside None, NaN and pandas.NA.
    n_jobs : int, default=None
        Folds that are fitted at once.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds, and of the classifier and its parts where these have none of their own.
    verbose : int, default=0
        Print progress: of the folds, or of a classifier that purifies labels.

    Attributes
    ----------
    label_issues_ : DataFrame of shape (n_samples, 8 to 10)
        A row for each row of ``X``, with the index of ``y`` if it has one:

        - ``is_label_issue``: whether the label is probably wrong;
        - ``label_quality``: probability that the given label is right;
        - ``given_label``: the label that was given, or the consensus of several annotators;
        - ``predicted_label``: the most probable class given the features alone;
        - ``suggested_label``: the most probable class given the features and the given label;
        - ``suggested_proba``: its probability, ``label_quality`` if it is the given label;
        - ``p_label_error``: probability that the given label is wrong;
        - ``action``: "keep"; "relabel" with the suggested label; "drop", as the label is wrong but
          no other is sure; "review", as the label is probably wrong and yet more probable than any
          other, or as no label is replaced (``abstention_``); "label" with the suggested one, as
          none was given; "drop" also where people have decided so;
        - ``verified``: whether the label is known to be right; only if some may be;
        - ``neighbors``: up to five nearest neighbors that were given the suggested label, by the
          index of ``y`` or their positions; only if the classifier has neighbors.
    clean_labels_ : ndarray of shape (n_samples,)
        The suggested label where the action is "relabel", "drop" or "label", else the given one.
    fingerprint_ : str
        Of the rows and labels, as they were given: decisions are about these.
    transition_matrix_ : ndarray of shape (n_classes, n_classes)
        Estimate of P(given label = column | true label = row).
    abstention_ : str or None
        Why no label has been replaced, if the given labels cannot support it; ``fit`` warns then.
    noise_rate_ : float
        Expected share of wrong labels: the mean of ``p_label_error``.
    sample_indices_ : ndarray of shape (n_resampled,)
        Rows that ``fit_resample`` has kept, in order.
    estimator_ : classifier
        Fitted on all rows. One that cannot purify labels foretells given labels.
    annotations_ : Bunch or None
        What :func:`aggregate_annotations` has made of several annotators' labels, and of what the
        classifier says of the rows.
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
        "missing_label": [str, numbers.Real, None],
        "n_jobs": [
            Interval(numbers.Integral, None, -1, closed="right"),
            Interval(numbers.Integral, 1, None, closed="left"),
            None,
        ],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        cv=5,
        target_precision=None,
        missing_label=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.cv = cv
        self.target_precision = target_precision
        self.missing_label = missing_label
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)  # the estimator is the user's
    def fit(
        self,
        X,
        y,
        *,
        verified=None,
        given=None,
        groups=None,
        sample_weight=None,
        decisions=None,
        new_classes=(),
        **fit_params,
    ):
        """Judge all labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever the classifier takes.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Given labels, or those of several annotators; None, NaN or pandas.NA where there is
            none. A row that no annotator has labelled has none. From several annotators the
            classifier learns the consensus of :func:`aggregate_annotations`, whose confidence
            counts in ``suggested_label`` and ``p_label_error``.
        verified : array-like of shape (n_samples,), dtype=bool, default=None
            Which labels are known to be right: they are certain, and never issues.
        given : array-like of shape (n_samples,), default=None
            Labels before verification, of which those of verified rows count. Without them, rows
            that were verified because they looked wrong are a poor sample of the noise, and others
            may get worse. :meth:`apply` knows them.
        groups : array-like of shape (n_samples,), default=None
            Patient, video or document that a row belongs to: rows of one group do not vouch for
            each other. For classifiers that take groups, and for the splitter ``cv``; a number of
            folds then means stratified folds of whole groups.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, for the classifier.
        decisions, new_classes
            See :meth:`apply`.
        **fit_params : dict
            Passed to the classifier's ``fit``; under scikit-learn's metadata routing, along with
            groups and weights, to whoever has requested it.

        Returns
        -------
        self : LabelCleaner
        """
        check_consistent_length(X, y)
        read = read_labels(X, y, self.missing_label, verified, given, decisions, new_classes)
        (X,) = indexable(X)
        params = {"groups": groups, "sample_weight": sample_weight, **fit_params}
        beliefs = self._judge(X, read, params)
        annotations = None
        if read.opinions is not None:
            beliefs, annotations = beliefs_with_annotations(beliefs, read)
        table, codes = self._table(read, beliefs, y, verified is not None or decisions is not None)
        lost = _lost_classes(read, codes)
        for reason in filter(None, (beliefs.abstention, lost)):
            warnings.warn(reason, UserWarning, stacklevel=3)  # past the check of parameters
        self.classes_, self.annotations_ = read.classes, annotations
        self.fingerprint_ = read.fingerprint
        self.label_issues_ = table
        self.clean_labels_ = read.classes[codes]
        self.transition_matrix_ = beliefs.transition_matrix
        self.noise_rate_ = float(table["p_label_error"].mean())
        self.estimator_, self._noise_of_folds = beliefs.estimator, beliefs.noise
        self.abstention_ = beliefs.abstention
        self.sample_indices_ = np.flatnonzero(table["action"] != "drop")
        return self

    def apply(self, X, y, decisions, *, new_classes=(), **fit_params):
        """Put in what people have decided, and judge all labels again.

        Decided labels are verified; rows that are excluded get the action "drop", and nothing is
        learned from them. Decisions on planted rows (``control``) do not count.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as they were given to ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Labels, as they were given to ``fit``.
        decisions : DataFrame, path, or list of these
            What :func:`read_decisions` returns, or its file. Of several, the last one on a row
            counts: earlier decisions are to be given again.
        new_classes : sequence, default=()
            Labels that no row has been given so far, and that decisions may introduce.
        **fit_params : dict
            See :meth:`fit`.

        Returns
        -------
        self : LabelCleaner

        Raises
        ------
        ValueError
            If decisions have another fingerprint than ``X`` and ``y``, or name a row or a label
            that there is not.
        """
        return self.fit(X, y, decisions=decisions, new_classes=new_classes, **fit_params)

    def _judge(self, X, read, params):
        """Return what the classifier believes of the labels."""
        estimator = self._estimator()
        of_estimator, of_splitter = routed(self, estimator, params)
        if purifies(estimator):
            estimator = clone(estimator)
            if self.verbose and hasattr(last_step(estimator), "verbose"):
                last_step(estimator).set_params(verbose=self.verbose)
            return beliefs_of_one_fit(estimator, X, read, of_estimator, self.random_state)
        names = "cv", "n_jobs", "random_state", "verbose"
        folds = {name: getattr(self, name) for name in names} | {"keeps_estimator": True}
        return beliefs_of_folds(estimator, X, read, of_estimator, of_splitter, **folds)

    def _estimator(self):
        if self.estimator is not None:
            return self.estimator
        from skdiffusion_label import LRADiffusionClassifier

        return LRADiffusionClassifier(random_state=self.random_state)

    def _table(self, read, beliefs, y, tells_verified):
        """Return the table of issues, and the codes (n_samples,) of mended labels."""
        index = getattr(y, "index", None)
        index = index if np.ndim(index) == 1 else None
        table = issues_table(read, beliefs, self.target_precision, index)
        if tells_verified:
            table["verified"] = read.verified
        suggested = np.searchsorted(read.classes, table["suggested_label"])
        if beliefs.neighbors is not None:
            table["neighbors"] = supporters(beliefs.neighbors, read.y_codes, suggested, index)
        is_mended = table["action"].isin(["relabel", "drop", "label"])
        return table, np.where(is_mended, suggested, read.y_codes)

    def fit_resample(self, X, y, **fit_params):
        """Judge all labels and return the rows worth learning from, with mended labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever the classifier takes.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Given labels, see :meth:`fit`.
        **fit_params : dict
            See :meth:`fit`.

        Returns
        -------
        X_resampled : of the type of X
            All rows but those whose action is "drop".
        y_resampled : ndarray or, if y is one, pandas' or polars' Series of shape (n_resampled,)
            Their labels: the suggested one where the action is "relabel" or "label".
        """
        self.fit(X, y, **fit_params)
        labels = resampled_labels(y, self.label_issues_, self.sample_indices_, self.classes_)
        return _safe_indexing(indexable(X)[0], self.sample_indices_), labels

    def judge(self, X, y):
        """Judge the labels of new rows by the classifier that has been fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that were not given to ``fit``, or whatever the classifier takes.
        y : array-like of shape (n_samples,)
            Their given labels, all of them among ``classes_``; None, NaN or pandas.NA where there
            is none.

        Returns
        -------
        DataFrame of shape (n_samples, 8)
            As ``label_issues_``, without the neighbors.

        Raises
        ------
        ValueError
            If ``y`` holds other labels.
        """
        check_is_fitted(self)
        check_consistent_length(X, y)
        read = read_new_labels(y, self.classes_, self.missing_label)
        if self._noise_of_folds is None:
            judged = judged_by_purifier(self.estimator_, X, read.y_codes)
        else:
            rows = X, read.y_codes, self.classes_
            judged = self._noise_of_folds.judge(self.estimator_, *rows)
        beliefs = beliefs_of_new_rows(read, self.abstention_, *judged)
        return self._table(read, beliefs, y, False)[0]

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "label_issues_" in state:
            state["label_issues_"] = columns_of(state["label_issues_"])
        return state

    def __setstate__(self, state):
        state = dict(state)
        if "label_issues_" in state:
            state["label_issues_"] = frame_of(state["label_issues_"])
        super().__setstate__(state)

    def get_metadata_routing(self):
        """Return who takes what ``fit`` is told, by scikit-learn's metadata routing.

        Returns
        -------
        MetadataRouter
        """
        estimator = self._estimator()
        if self.estimator is None:
            estimator.set_fit_request(sample_weight=True, groups=True)
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        splitter = check_cv(self.cv, classifier=True)
        if isinstance(self.cv, numbers.Integral) or self.cv is None:
            splitter = GroupKFold()  # as a number of folds is of whole groups, if there are any
        fits = MethodMapping().add(caller="fit", callee="fit")
        splits = MethodMapping().add(caller="fit", callee="split")
        router.add(estimator=estimator, method_mapping=fits)
        return router.add(splitter=splitter, method_mapping=splits)


def _lost_classes(read, clean_codes):
    """Return a warning of classes that have less than half as many rows as before, or None."""
    classes, is_given = read.classes, ~read.is_missing
    counts = np.bincount(read.y_codes[is_given], minlength=len(classes))
    kept = np.bincount(clean_codes[is_given], minlength=len(classes))
    lost = classes[kept < counts / 2]
    if not len(lost):
        return None
    return (
        f"{len(lost)} classes have lost more than half of their rows, among them {lost[:5]}. Look "
        "at what became of them before you go on."
    )

"""What ``y`` says of the labels: who has one, who has several, and what people have decided."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skdiffusion_label.cleaning._annotators import aggregate_annotations, encode_annotations
from skdiffusion_label.cleaning._decisions import codes_of_texts, gathered_decisions
from skdiffusion_label.cleaning._fingerprint import fingerprint
from skdiffusion_label.cleaning._validation import check_kind, check_labels
from skdiffusion_label.noise_model import check_verified, codes_of_given, filled_labels


@dataclass(frozen=True)
class LabelsRead:
    """Labels of n rows as codes, and what is known of them.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
    y_codes : ndarray of shape (n,)
        The verified label, or else the given one; any code where there is none.
    given : ndarray of shape (n,)
        Labels before they were verified, -1 where these are not known.
    is_missing, verified, excluded : ndarray of shape (n,), dtype=bool
        Rows without a label, those whose label is known to be right, and those that are not to be
        learned from.
    opinions : array-like of shape (n, n_annotators) or None
        Several annotators' labels, whose consensus is the given one.
    fingerprint : str
        Of rows and labels, as they came.
    """

    classes: np.ndarray
    y_codes: np.ndarray
    given: np.ndarray
    is_missing: np.ndarray
    verified: np.ndarray
    excluded: np.ndarray
    opinions: object = None
    fingerprint: str = ""

    @property
    def is_taught(self):
        """Rows that are learned from."""
        return ~(self.is_missing | self.excluded)

    @property
    def given_labels(self):
        """Labels (n,) before they were verified, or None where they are not known."""
        return self.labels(self.given, self.given < 0)

    def labels(self, codes=None, has_none=None):
        """Return labels (n,), with None where there are to be none."""
        labels = self.classes[self.y_codes if codes is None else codes]
        has_none = self.is_missing if has_none is None else has_none
        if has_none.any():
            labels = labels.astype(object)
            labels[has_none] = None
        return labels


def known_labels(classes, y_codes, is_missing=None):
    """Return :class:`LabelsRead` of which none is verified or excluded."""
    none = np.zeros(len(y_codes), dtype=bool)
    is_missing = none if is_missing is None else is_missing
    given = np.where(is_missing, -1, y_codes)
    return LabelsRead(classes, y_codes, given, is_missing, none, none)


def read_labels(
    X, y, missing_label=None, verified=None, given=None, decisions=None, new_classes=()
):
    """Return :class:`LabelsRead`, with the decisions put in.

    ``given`` (n,) are labels before they were verified, by default not known.
    """
    labels, is_missing, opinions = _consensus(y, missing_label)
    classes, y_codes = np.unique(labels, return_inverse=True)
    read = known_labels(classes, y_codes, is_missing)
    verified = check_verified(verified, is_missing)
    read = replace(
        read,
        given=np.where(verified, codes_of_given(given, classes, verified), read.given),
        verified=verified,
        opinions=opinions,
        fingerprint=fingerprint(X, read.labels()),
    )
    return read if decisions is None else _decided(read, decisions, new_classes)


def read_new_labels(y, classes, missing_label=None):
    """Return :class:`LabelsRead` of rows that are new to a fitted classifier with ``classes``."""
    if np.ndim(y) != 1:
        raise ValueError(f"y must hold one label for each row, got shape {np.shape(y)}.")
    y, is_missing = filled_labels(_without_marks(y, missing_label), filling=classes[0])
    y = check_labels(y)
    y_codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    unknown = classes[y_codes] != y
    if unknown.any():
        label = y.tolist()[unknown.argmax()]
        raise ValueError(f"y must hold labels seen in fit, among {classes[:5]}, got {label!r}.")
    return known_labels(classes, y_codes, is_missing)


def _without_marks(y, missing_label):
    """Return labels with None in place of what stands for a missing one."""
    if missing_label is None:
        return y
    return np.where(np.asarray(y) == missing_label, None, np.asarray(y, dtype=object))


def _decided(read, decisions, new_classes):
    decided = gathered_decisions(decisions, read.fingerprint)
    for row, _, _ in decided:
        if row >= len(read.y_codes):
            raise ValueError(
                f"decisions must be about one of {len(read.y_codes)} rows, got row {row}."
            )
    excluded, verified = read.excluded.copy(), read.verified.copy()
    excluded[[row for row, decision, _ in decided if decision == "exclude"]] = True
    labelled = [(row, label) for row, decision, label in decided if decision != "exclude"]
    rows = np.array([row for row, _ in labelled], dtype=np.int64)
    new, classes = codes_of_texts([str(label) for _, label in labelled], read.classes, new_classes)
    moved = np.searchsorted(classes, read.classes)
    y_codes, given = moved[read.y_codes], np.where(read.given < 0, -1, moved[read.given])
    y_codes[rows] = new
    verified[rows] = True
    is_missing = read.is_missing & ~verified
    return replace(
        read,
        classes=classes,
        y_codes=y_codes,
        given=given,
        verified=verified & ~excluded,
        excluded=excluded,
        is_missing=is_missing,
    )


def _consensus(y, missing_label):
    """Return labels, where there are none, and the labels of several annotators, or None."""
    opinions = None
    y = _without_marks(y, missing_label)
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        _refuse_indicators(y)
        opinions, y = y, _consensus_of(y)
    y, is_missing = filled_labels(y)
    check_kind(y, "y")
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return y, is_missing, opinions


def _consensus_of(opinions):
    """Return the labels that annotators agree on, None where none of them has given one."""
    codes, classes = encode_annotations(opinions)
    has_one = (codes >= 0).any(axis=1)
    if has_one.all():
        return aggregate_annotations(opinions).labels
    labels = np.full(len(codes), None)
    labels[has_one] = aggregate_annotations(np.asarray(opinions, dtype=object)[has_one]).labels
    return labels


def _refuse_indicators(y):
    """Raise if ``y`` marks the classes of each row, instead of naming one for each annotator."""
    is_indicator = sparse.issparse(y) or (
        np.asarray(y).dtype.kind in "biu" and type_of_target(y) == "multilabel-indicator"
    )
    if is_indicator:
        raise ValueError(
            "y must hold one label for each row, or those of several annotators, got a multilabel "
            "indicator. If zeros and ones are annotators' labels, pass them as strings."
        )


def data_fingerprint(X, y, *, missing_label=None):
    """Return what decisions about these rows and labels carry as their fingerprint.

    It tells, without a fit, whether decisions of a review belong to data.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows, or whatever the classifier takes.
    y : array-like of shape (n_samples,) or (n_samples, n_annotators)
        Given labels, see :meth:`LabelCleaner.fit`.
    missing_label : str or number, default=None
        See :class:`LabelCleaner`.

    Returns
    -------
    str
        ``fingerprint_`` of a :class:`LabelCleaner` that is fitted on them.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiffusion_label.cleaning import data_fingerprint
    >>> X = np.array([[0.0], [1.0]])
    >>> data_fingerprint(X, ["cat", "dog"]) == data_fingerprint(X, ["cat", "cat"])
    False
    """
    return read_labels(X, y, missing_label).fingerprint

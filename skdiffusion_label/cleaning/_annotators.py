"""Several annotators: from their labels to label distributions."""

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.validation import check_consistent_length

from skdiffusion_label.cleaning._validation import check_kind, check_proba
from skdiffusion_label.noise_model import dawid_skene

_LEAST_PROBABILITY = (
    1e-3  # of what features say: some class that annotators name may be new to them
)


def aggregate_annotations(annotations, proba=None):
    """Infer labels from those of several annotators, each as reliable as it turns out to be.

    Expectation maximization after Dawid and Skene [1]_: annotators' confusion matrices and the true
    labels are estimated in turn, starting from the majority. Matrices are shrunk towards one noise
    rate for all classes, so that annotators with few labels count like an average one.

    Parameters
    ----------
    annotations : array-like of shape (n_samples, n_annotators)
        Labels, all of them strings, booleans or numbers; None or NaN where an annotator has given
        none. Each row needs at least one, unless ``proba`` says something of it.
    proba : array-like of shape (n_samples, n_classes), default=None
        What is known of the true labels besides, such as out-of-sample probabilities given the
        rows' features; columns in the order of the sorted labels. Annotators are then judged by
        these too, however little they overlap.

    Returns
    -------
    Bunch
        - ``labels``: ndarray of shape (n_samples,), the most probable labels;
        - ``label_distributions``: ndarray of shape (n_samples, n_classes), their probabilities;
        - ``classes``: ndarray of shape (n_classes,);
        - ``confusion_matrices``: ndarray of shape (n_annotators, n_classes, n_classes),
          P(annotator's label = column | true label = row);
        - ``reliability``: ndarray of shape (n_annotators,), P(annotator's label is right);
        - ``n_labels``: ndarray of shape (n_samples,), how many labels each row has.

    Raises
    ------
    ValueError
        If ``annotations`` is not two-dimensional, if a row has no label and there is no ``proba``,
        or if labels are of different kinds.

    References
    ----------
    .. [1] A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using
       the EM algorithm", Applied Statistics 28(1), 1979.

    Examples
    --------
    >>> from skdiffusion_label.cleaning import aggregate_annotations
    >>> rows = [["cat", "cat", "dog"], ["dog", "dog", None], ["cat", "cat", "cat"]]
    >>> aggregate_annotations(rows).labels
    array(['cat', 'dog', 'cat'], dtype='<U3')
    """
    codes, classes = encode_annotations(annotations)
    has_none = (codes < 0).all(axis=1)
    if proba is None and has_none.any():
        raise ValueError(
            "annotations must have at least one label in each row, row "
            f"{int(has_none.argmax())} has none."
        )
    if proba is not None:
        proba = check_proba(proba, len(classes))
        check_consistent_length(codes, proba)
        proba = (1 - _LEAST_PROBABILITY) * proba + _LEAST_PROBABILITY / len(classes)
    posterior, prior, matrices = dawid_skene(codes, len(classes), proba)
    return Bunch(
        labels=classes[posterior.argmax(axis=1)],
        label_distributions=posterior,
        classes=classes,
        confusion_matrices=matrices,
        reliability=np.einsum("c,acc->a", prior, matrices),
        n_labels=(codes >= 0).sum(axis=1),
    )


def encode_annotations(annotations):
    """Return codes (n_samples, n_annotators) of labels, -1 where there is none, and classes."""
    import pandas as pd

    labels = np.asarray(annotations, dtype=object)
    if labels.ndim != 2 or labels.size == 0:
        raise ValueError(
            f"annotations must be two-dimensional and not empty, got shape {labels.shape}."
        )
    is_given = ~pd.isna(labels)
    if not is_given.any():
        raise ValueError(f"annotations must hold labels, got none in {len(labels)} rows.")
    given = labels[is_given].tolist()
    check_kind(given, "annotations")
    # As objects: an array of integers and floats would round large integers.
    distinct = sorted(set(given))
    classes = np.array(distinct)
    if classes.tolist() != distinct:
        classes = np.array(distinct, dtype=object)
    code_of = {label: code for code, label in enumerate(distinct)}
    codes = np.full(labels.shape, -1)
    codes[is_given] = [code_of[label] for label in given]
    return codes, classes

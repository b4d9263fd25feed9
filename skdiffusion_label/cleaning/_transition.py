"""Estimate how labels came to be wrong."""

from skdiffusion_label.cleaning._folds import beliefs_from_proba
from skdiffusion_label.cleaning._validation import check_labels_and_proba


def estimate_transition_matrix(y, proba, *, classes=None):
    """Estimate P(given label | true label), as :func:`find_label_issues` does.

    Several matrices are estimated: no noise; one rate for all classes and a full matrix, counted
    among the rows whose probabilities are clearest for a class, in full and at half strength; and
    the full matrix counted anew among all rows by what their probabilities and their own labels
    say. The result is their mean, each as likely as it foretells given labels that it has not been
    estimated from. With more than 200 classes there is one rate for all.
    :class:`~skdiffusion_label.LRADiffusionClassifier` estimates its ``transition_matrix_`` in the
    same way, from several judges.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    proba : array-like of shape (n_samples, n_classes)
        Out-of-sample class probabilities.
    classes : array-like of shape (n_classes,), default=None
        Labels of the columns of ``proba``, the sorted labels in ``y`` by default.

    Returns
    -------
    ndarray of shape (n_classes, n_classes), dtype=float64
        P(given label = column | true label = row); rows sum to one. One less the diagonal are the
        noise rates of the classes. The identity if ``proba`` foretell the given labels no better
        than their frequencies do.

    Raises
    ------
    ValueError
        As :func:`label_quality_scores`.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from skdiffusion_label.cleaning import estimate_transition_matrix
    >>> from skdiffusion_label.label_noise import flip_labels, pair_transition
    >>> X, y = make_blobs(1500, cluster_std=0.5, random_state=0)
    >>> y_given = flip_labels(y, pair_transition(3, 0.3), random_state=0)
    >>> proba = cross_val_predict(LogisticRegression(), X, y_given, method="predict_proba")
    >>> estimate_transition_matrix(y_given, proba).round(1)
    array([[0.7, 0.3, 0. ],
           [0. , 0.7, 0.3],
           [0.3, 0. , 0.7]])
    """
    y_codes, proba, _ = check_labels_and_proba(y, proba, classes)
    return beliefs_from_proba(y_codes, proba).transition_matrix

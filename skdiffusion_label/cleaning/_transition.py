"""Estimate how labels came to be wrong."""

from skdiffusion_label.cleaning._validation import check_labels_and_proba
from skdiffusion_label.noise_model import confident_transition


def estimate_transition_matrix(y, proba, *, classes=None):
    """Estimate P(given label | true label) by confident counting.

    A row counts as an example of class j if j is the most probable of the classes whose probability
    is at least the mean that this class has among rows labeled with it [1]_.
    :class:`~skdiffusion_label.LRADiffusionClassifier` estimates a matrix of its own in ``fit``,
    ``transition_matrix_``.

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
        noise rates of the classes. Classes without confident examples get a row of the identity.

    Raises
    ------
    ValueError
        As :func:`label_quality_scores`.

    References
    ----------
    .. [1] C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty in
       Dataset Labels", JAIR 70, 2021.

    Examples
    --------
    >>> from skdiffusion_label.cleaning import estimate_transition_matrix
    >>> proba = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]
    >>> estimate_transition_matrix([0, 0, 1, 1], proba).round(2)
    array([[0.67, 0.33],
           [0.  , 1.  ]])
    """
    y_codes, proba, _ = check_labels_and_proba(y, proba, classes)
    return confident_transition(y_codes, proba)

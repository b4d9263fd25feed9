"""Noise where classes are hard to tell apart, by the class probabilities of some classifier."""

from numbers import Real

import numpy as np
from scipy.optimize import brentq
from sklearn.utils import check_random_state

from skdiffusion_label.label_noise._validation import (
    check_noise_rate,
    check_proba,
    encode_labels,
)

# Probability of keeping the top class by its margin over the runner-up, before scaling.
_KEEP = {
    1: lambda margin: (1 + margin**2) / 2,
    2: lambda margin: margin**3,
    3: lambda margin: (margin**3 + margin**2 + margin) / 3,
}
_LOWEST_LOG_SCALE = -40  # keeps one label in 1e17: none
_ROUNDING = 1e-9  # of a mean of shares, far below one label in any data set


def margin_noise(y, proba, noise_rate, *, jitter=0.2, classes=None, random_state=None):
    """Flip the labels with the smallest margins to the most probable wrong class.

    The margin of a row is the probability of its label less that of the most probable wrong class.
    Exactly ``int(noise_rate * n_samples)`` labels are flipped.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities, best out of fold: those of ``cross_val_predict``. Columns in sorted
        order of the classes, or as in ``classes``.
    noise_rate : float
        Share of labels to flip, in [0, 1].
    jitter : float, default=0.2
        Scale of Gumbel noise that is added to the margins, so that rows of small margin are
        likely, not certain, to be flipped. 0.0 is deterministic.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order of the columns; by default the sorted labels of ``y``.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same labels in each call.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        Given labels, of the dtype of ``y``.

    Raises
    ------
    ValueError
        If ``noise_rate`` or ``jitter`` is out of its range, ``proba`` has not the shape said above
        or its rows are no probabilities, or ``classes`` lacks a label of ``y``.

    See Also
    --------
    poly_margin_noise : Published noise that flips by margin.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from skdiffusion_label.label_noise import margin_noise
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000)
    >>> proba = cross_val_predict(model, X, y, method="predict_proba")
    >>> y_noisy = margin_noise(y, proba, 0.3, random_state=0)
    >>> int(np.sum(y_noisy != y))
    45
    """
    y_codes, classes = encode_labels(y, classes)
    check_noise_rate(noise_rate)
    if not (isinstance(jitter, Real) and 0 <= jitter < np.inf):
        raise ValueError(f"jitter must be a finite number of at least 0, got {jitter!r}.")
    proba = check_proba(proba, len(y_codes), len(classes))
    rows = np.arange(len(y_codes))
    wrong_codes = _best_other_class(proba, y_codes)
    margins = proba[rows, y_codes] - proba[rows, wrong_codes]
    margins += jitter * check_random_state(random_state).gumbel(size=len(margins))
    flipped = np.argsort(margins, kind="stable")[: int(noise_rate * len(margins))]
    y_codes[flipped] = wrong_codes[flipped]
    return classes[y_codes]


def poly_margin_noise(y, proba, noise_rate, *, noise_type=1, classes=None, random_state=None):
    """Draw labels by poly-margin-diminishing (PMD) noise of Zhang et al. [1]_.

    Each given label is the most probable class or the runner-up, and never a third. With D the
    difference of their probabilities, the most probable class is kept with probability
    ``min(1, c * k(D))``, where k(D) is

    - type 1: (1 + D^2) / 2,
    - type 2: D^3,
    - type 3: (D^3 + D^2 + D) / 3.

    The authors set ``1 / c`` by hand for each data set and rate, 1.43 for example; here c is solved
    for, so that ``noise_rate`` is the expected share of given labels that differ from ``y``. True
    labels are used for nothing else: a row on which ``proba`` errs with confidence gets a wrong
    label, at every rate. The formulas are those of the authors' code, which made the published
    label files; those of the paper have other exponents. Two classes follow the same rule.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities. The authors take them from a network fitted on these very rows, whose
        mistakes are few. Columns in sorted order of the classes, or as in ``classes``.
    noise_rate : float
        Expected share of labels that differ from ``y``. The least that can be asked for is the
        share on which the most probable class is wrong; the most, that on which the runner-up is.
    noise_type : {1, 2, 3}, default=1
        Which of the formulas above.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order of the columns; by default the sorted labels of ``y``.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same labels in each call.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        Given labels, of the dtype of ``y``.

    Raises
    ------
    ValueError
        If ``noise_rate`` cannot be reached with ``proba``, ``proba`` has not the shape said above
        or its rows are no probabilities, ``noise_type`` is unknown, or ``classes`` lacks a label of
        ``y``.

    See Also
    --------
    margin_noise : Flip the smallest margins at any rate.

    References
    ----------
    .. [1] Y. Zhang et al., "Learning with feature-dependent label noise: a progressive approach",
       ICLR 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skdiffusion_label.label_noise import poly_margin_noise
    >>> X, y = load_digits(return_X_y=True)
    >>> proba = GaussianNB(var_smoothing=0.1).fit(X, y).predict_proba(X)
    >>> y_noisy = poly_margin_noise(y, proba, 0.35, noise_type=3, random_state=0)
    >>> print(f"{np.mean(y_noisy != y):.2f}")
    0.36
    """
    y_codes, classes = encode_labels(y, classes)
    check_noise_rate(noise_rate)
    if noise_type not in _KEEP:
        raise ValueError(f"noise_type must be 1, 2 or 3, got {noise_type!r}.")
    proba = check_proba(proba, len(y_codes), len(classes))
    rows = np.arange(len(y_codes))
    top = proba.argmax(axis=1)
    second = _best_other_class(proba, top)
    keep = _KEEP[noise_type](proba[rows, top] - proba[rows, second])
    keep = np.minimum(1, keep * _solve_scale(keep, top == y_codes, second == y_codes, noise_rate))
    kept = check_random_state(random_state).random_sample(len(keep)) < keep
    return classes[np.where(kept, top, second)]


def _best_other_class(proba, codes):
    others = proba.copy()
    others[np.arange(len(others)), codes] = -1
    return others.argmax(axis=1)


def _solve_scale(keep, top_is_true, second_is_true, noise_rate):
    """Return the factor of ``keep`` (n_samples,) with the expected share of wrong labels."""

    def wrong_share(log_scale):
        scaled = np.minimum(1, np.exp(log_scale) * keep)
        return np.mean(1 - top_is_true * scaled - second_is_true * (1 - scaled))

    # From where nothing is kept to where all is that can be.
    lowest, highest = _LOWEST_LOG_SCALE, 1 - np.log(keep[keep > 0].min(initial=1))
    least, most = sorted([wrong_share(lowest), wrong_share(highest)])
    if not least - _ROUNDING <= noise_rate <= most + _ROUNDING:
        raise ValueError(
            f"noise_rate must lie in [{least:.4f}, {most:.4f}], the shares of labels in y that "
            f"differ from the most probable class of proba and from its runner-up, got "
            f"{noise_rate}."
        )
    target = np.clip(noise_rate, least, most)
    return np.exp(brentq(lambda log_scale: wrong_share(log_scale) - target, lowest, highest))

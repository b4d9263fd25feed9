"""Noise that depends on the features."""

from numbers import Integral

import numpy as np
from scipy.special import ndtr, ndtri, softmax
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import check_array, check_consistent_length, check_random_state

from skdiffusion_label.label_noise._validation import check_noise_rate, encode_labels

_FLIP_RATE_SPREAD = 0.1  # standard deviation of rows' flip rates, as published


def instance_noise(y, X, noise_rate, *, random_state=None):
    """Flip labels by random linear functions of the features: noise of Xia et al. [1]_.

    Each row has a flip rate of its own, normal with standard deviation 0.1 around ``noise_rate``.
    Which class takes the flipped label is drawn from the softmax over the other classes of
    ``x @ W``, where ``W`` is a random matrix for each true class: similar rows of a class are taken
    for the same wrong class.

    The flip rates are cut off at the same distance below and above ``noise_rate``, so that this is
    their mean. The authors cut at 0 and 1, which makes low rates higher: 0.10 where 0.05 is asked.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features, best standardized. The longer the rows, the surer the wrong class is.
    noise_rate : float
        Expected share of wrong labels, in [0, 1].
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same labels in each call.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        Given labels, of the dtype of ``y``.

    Raises
    ------
    ValueError
        If ``noise_rate`` is out of its range, ``X`` is not a finite matrix with a row for each
        label, or ``y`` has a single class.

    References
    ----------
    .. [1] X. Xia et al., "Part-dependent label noise: towards instance-dependent label noise",
       NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import scale
    >>> from skdiffusion_label.label_noise import instance_noise
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy = instance_noise(y, scale(X), 0.3, random_state=0)
    >>> print(f"{(y_noisy != y).mean():.2f}")
    0.29
    """
    y_codes, classes, X = _check_features(y, X, noise_rate)
    random_state = check_random_state(random_state)
    flip_rates = _draw_flip_rates(noise_rate, len(y_codes), random_state)
    noisy_codes = np.empty_like(y_codes)
    for code in range(len(classes)):
        rows = np.flatnonzero(y_codes == code)
        logits = X[rows] @ random_state.standard_normal((X.shape[1], len(classes)))
        logits[:, code] = -np.inf
        distributions = softmax(logits, axis=1) * flip_rates[rows, None]
        distributions[:, code] = 1 - flip_rates[rows]
        noisy_codes[rows] = _draw_codes(distributions, random_state)
    return classes[noisy_codes]


def cluster_noise(y, X, noise_rate, *, n_clusters=10, random_state=None):
    """Flip whole clusters of rows to the class whose center is nearest: cluster-based noise [1]_.

    In each class some rows are drawn as centers. The rows nearest to a center of their class, at
    whatever distance makes exactly ``int(noise_rate * n_samples)`` of them, get the label of the
    other class with the nearest mean. Neighbors are then wrong together. The authors set the
    distance by hand; it is one for all classes, here as there.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features in which Euclidean distance means something. The authors use two dimensions, a
        t-SNE of an image encoder's output.
    noise_rate : float
        Share of labels to flip, in [0, 1].
    n_clusters : int, default=10
        Number of clusters in each class. Many small clusters are like noise of single rows.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same labels in each call.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        Given labels, of the dtype of ``y``.

    Raises
    ------
    ValueError
        If ``noise_rate`` or ``n_clusters`` is out of its range, ``X`` is not a finite matrix with a
        row for each label, or ``y`` has a single class.

    References
    ----------
    .. [1] G. Lim, S. Larson and K. Leach, "Robust testing for deep learning using human label
       noise", DeepTest 2025.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdiffusion_label.label_noise import cluster_noise
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = cluster_noise(y, X, 0.3, n_clusters=3, random_state=0)
    >>> int((y_noisy != y).sum())
    45
    """
    y_codes, classes, X = _check_features(y, X, noise_rate)
    if not isinstance(n_clusters, Integral) or n_clusters < 1:
        raise ValueError(f"n_clusters must be an integer of at least 1, got {n_clusters!r}.")
    random_state = check_random_state(random_state)
    distances = np.empty(len(y_codes))
    means = np.empty((len(classes), X.shape[1]))
    for code in range(len(classes)):
        rows = np.flatnonzero(y_codes == code)
        centers = random_state.permutation(rows)[:n_clusters]
        distances[rows] = euclidean_distances(X[rows], X[centers]).min(axis=1)
        means[code] = X[rows].mean(axis=0)
    to_means = euclidean_distances(X, means)
    to_means[np.arange(len(y_codes)), y_codes] = np.inf
    # Centers, and copies of them, are all at distance zero.
    tie_breaker = random_state.random_sample(len(y_codes))
    flipped = np.lexsort((tie_breaker, distances))[: int(noise_rate * len(y_codes))]
    y_codes[flipped] = to_means[flipped].argmin(axis=1)
    return classes[y_codes]


def _check_features(y, X, noise_rate):
    y_codes, classes = encode_labels(y)
    check_noise_rate(noise_rate)
    X = check_array(X, dtype=[np.float64, np.float32], accept_sparse="csr", input_name="X")
    check_consistent_length(X, y_codes)
    return y_codes, classes, X


def _draw_flip_rates(noise_rate, n_samples, random_state):
    bound = ndtr(min(noise_rate, 1 - noise_rate) / _FLIP_RATE_SPREAD)
    deviations = ndtri(random_state.uniform(1 - bound, bound, size=n_samples))
    return np.clip(noise_rate + _FLIP_RATE_SPREAD * deviations, 0, 1)


def _draw_codes(distributions, random_state):
    cumulative = np.cumsum(distributions, axis=1)
    draws = random_state.random_sample((len(cumulative), 1)) * cumulative[:, -1:]
    # Strictly below: a class of probability zero is never drawn.
    return (draws < cumulative).argmax(axis=1)

"""Several noises, one on top of another."""

import numpy as np
from sklearn.utils import check_random_state


def hybrid_noise(y, noises, *, random_state=None):
    """Apply noises one on top of another: each takes the labels that the one before has given.

    The published hybrids are uniform or asymmetric noise on top of poly-margin-diminishing noise
    [1]_. Uniform noise of rate r on top of rate p leaves
    ``p * (1 - r) + p * r * (n_classes - 2) / (n_classes - 1) + (1 - p) * r`` of the labels wrong:
    some are flipped back. The draws of the noises are independent, which they would not be if each
    were called with the same ``random_state``.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.
    noises : list of callable
        Each is called as ``noise(y, random_state=random_state)`` and returns labels. Fix the other
        arguments of a noise by ``functools.partial``.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same labels in each call.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        Given labels, of the dtype of ``y``.

    References
    ----------
    .. [1] Y. Zhang et al., "Learning with feature-dependent label noise: a progressive approach",
       ICLR 2021.

    Examples
    --------
    >>> from functools import partial
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import scale
    >>> from skdiffusion_label.label_noise import (
    ...     flip_labels, hybrid_noise, instance_noise, uniform_transition
    ... )
    >>> X, y = load_digits(return_X_y=True)
    >>> by_instance = partial(instance_noise, X=scale(X), noise_rate=0.3)
    >>> uniform = partial(flip_labels, transition_matrix=uniform_transition(10, 0.3))
    >>> y_noisy = hybrid_noise(y, [by_instance, uniform], random_state=0)
    >>> print(f"{(y_noisy != y).mean():.2f}")
    0.50
    """
    random_state = check_random_state(random_state)
    y_noisy = np.asarray(y)
    for noise in noises:
        y_noisy = noise(y_noisy, random_state=random_state)
    return y_noisy

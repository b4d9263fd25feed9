"""Class-dependent noise: transition matrices, and labels drawn from them."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skdiffusion_label.label_noise._validation import (
    check_distributions,
    check_noise_rate,
    encode_labels,
)

_TOLERANCE = 1e-6  # of sums of rows, which are typed by hand or computed in float64
CIFAR10_FLIPS = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}
# Neighbors in the alphabet, in blocks of five. The 20 superclasses are others.
CIFAR100_FLIPS = {label: label // 5 * 5 + (label + 1) % 5 for label in range(100)}


def uniform_transition(n_classes, noise_rate):
    """Return the matrix of uniform (symmetric) noise: any wrong class is as likely as another.

    The true class is not among those drawn, so that ``noise_rate`` is the share of wrong labels.
    Where it is drawn too, as in some papers, a rate r makes ``r * (n_classes - 1) / n_classes``
    of the labels wrong.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 2.
    noise_rate : float
        Probability that a label is flipped, in [0, 1].

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), dtype=float64
        P(given label = column | true label = row).

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skdiffusion_label.label_noise import uniform_transition
    >>> uniform_transition(3, 0.4)
    array([[0.6, 0.2, 0.2],
           [0.2, 0.6, 0.2],
           [0.2, 0.2, 0.6]])
    """
    _check_n_classes(n_classes)
    check_noise_rate(noise_rate)
    transition_matrix = np.full((n_classes, n_classes), noise_rate / (n_classes - 1))
    np.fill_diagonal(transition_matrix, 1 - noise_rate)
    return transition_matrix


def pair_transition(n_classes, noise_rate):
    """Return the matrix of pair noise: each class becomes the next one, the last the first.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 2.
    noise_rate : float
        Probability that a label is flipped, in [0, 1].

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), dtype=float64
        P(given label = column | true label = row).

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skdiffusion_label.label_noise import pair_transition
    >>> pair_transition(3, 0.25)
    array([[0.75, 0.25, 0.  ],
           [0.  , 0.75, 0.25],
           [0.25, 0.  , 0.75]])
    """
    _check_n_classes(n_classes)
    next_class = {label: (label + 1) % n_classes for label in range(n_classes)}
    return asymmetric_transition(n_classes, noise_rate, next_class)


def asymmetric_transition(n_classes, noise_rate, flips):
    """Return the matrix of asymmetric noise: some classes are taken for one similar class.

    ``CIFAR10_FLIPS`` and ``CIFAR100_FLIPS`` are the published maps [1]_ [2]_: truck to automobile,
    bird to airplane, cat to dog and back, deer to horse; and each class of CIFAR-100 to the next in
    its block of five.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 2.
    noise_rate : float
        Probability that a label of a class in ``flips`` is flipped, in [0, 1]. With five of ten
        classes in ``CIFAR10_FLIPS``, half as many of all labels are wrong, as in the papers.
    flips : dict of int to int
        The class that takes the flipped labels, for each class that has some. Classes are indices.

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), dtype=float64
        P(given label = column | true label = row).

    Raises
    ------
    ValueError
        If an argument is out of its range, or a class flips to itself.

    References
    ----------
    .. [1] G. Patrini et al., "Making deep neural networks robust to label noise: a loss correction
       approach", CVPR 2017.
    .. [2] Y. Zhang et al., "Learning with feature-dependent label noise: a progressive approach",
       ICLR 2021.

    Examples
    --------
    >>> from skdiffusion_label.label_noise import CIFAR10_FLIPS, asymmetric_transition
    >>> asymmetric_transition(3, 0.25, {0: 2})
    array([[0.75, 0.  , 0.25],
           [0.  , 1.  , 0.  ],
           [0.  , 0.  , 1.  ]])
    >>> asymmetric_transition(10, 0.4, CIFAR10_FLIPS)[9, [1, 9]]
    array([0.4, 0.6])
    """
    _check_n_classes(n_classes)
    check_noise_rate(noise_rate)
    for flip in flips.items():
        in_range = all(isinstance(label, Integral) and 0 <= label < n_classes for label in flip)
        if not in_range or flip[0] == flip[1]:
            raise ValueError(
                f"flips must map classes to other classes, each in 0, ..., {n_classes - 1}, got "
                f"{flip[0]!r} to {flip[1]!r}."
            )
    transition_matrix = np.eye(n_classes)
    true, given = list(flips.keys()), list(flips.values())
    transition_matrix[true, true] -= noise_rate
    transition_matrix[true, given] = noise_rate
    return transition_matrix


def flip_labels(y, transition_matrix, *, classes=None, random_state=None):
    """Draw each given label from the row of its true class: class-dependent noise.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        P(given label = column | true label = row). Rows sum to one.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order of the matrix's rows; by default the sorted labels of ``y``.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same labels in each call.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        Given labels, of the dtype of ``y``.

    Raises
    ------
    ValueError
        If the matrix has not a row for each class or its rows are no probabilities, or if
        ``classes`` lacks a label of ``y``.

    See Also
    --------
    hybrid_noise : Several noises, one on top of another.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiffusion_label.label_noise import flip_labels, uniform_transition
    >>> y = np.repeat(["cat", "dog", "fox"], 1000)
    >>> y_noisy = flip_labels(y, uniform_transition(3, 0.4), random_state=0)
    >>> print(f"{np.mean(y_noisy != y):.2f}")
    0.41
    >>> fox_only = [[1, 0, 0], [0, 1, 0], [0.3, 0.3, 0.4]]  # noise in one class alone
    >>> y_noisy = flip_labels(y, fox_only, random_state=0)
    >>> np.unique(y[y_noisy != y]).tolist()
    ['fox']
    """
    y_codes, classes = encode_labels(y, classes)
    transition_matrix = np.asarray(transition_matrix, dtype=np.float64)
    if transition_matrix.shape != (len(classes), len(classes)):
        raise ValueError(
            f"transition_matrix must have a row and a column for each of {len(classes)} classes, "
            f"got shape {transition_matrix.shape}. Name classes that y lacks by the parameter "
            "classes."
        )
    check_distributions("transition_matrix", transition_matrix, tolerance=_TOLERANCE)
    random_state = check_random_state(random_state)
    noisy_codes = np.empty_like(y_codes)
    for code, distribution in enumerate(transition_matrix):
        rows = np.flatnonzero(y_codes == code)
        noisy_codes[rows] = random_state.choice(
            len(classes), size=len(rows), p=distribution / distribution.sum()
        )
    return classes[noisy_codes]


def _check_n_classes(n_classes):
    if not isinstance(n_classes, Integral) or n_classes < 2:
        raise ValueError(f"n_classes must be an integer of at least 2, got {n_classes!r}.")

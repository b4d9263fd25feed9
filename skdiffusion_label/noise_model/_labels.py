"""Labels that are given, verified or missing."""

from dataclasses import dataclass

import numpy as np

LEAST_NOISE = 1e-3  # share of labels given at random that every noise model leaves room for


@dataclass(frozen=True)
class Labels:
    """Labels of n rows, given through noise, and the true ones that are known.

    Attributes
    ----------
    given : ndarray of shape (n,)
        Integer-coded given labels; the true one where only that is known.
    weight : ndarray of shape (n,)
        Of the rows.
    is_noisy : ndarray of shape (n,), dtype=bool
        Where the given label is known.
    verified : ndarray of shape (n,), dtype=bool
        Where the true label is known.
    truth : ndarray of shape (n,)
        Integer-coded true labels where they are known.
    """

    given: np.ndarray
    weight: np.ndarray
    is_noisy: np.ndarray
    verified: np.ndarray
    truth: np.ndarray

    @property
    def noisy_weight(self):
        """Weights of the rows that tell of noise: those whose given label is known, if any is."""
        counts = self.is_noisy & (self.weight > 0)
        return np.where(counts, self.weight, 0) if counts.any() else self.weight

    @property
    def unknown_weight(self):
        """Weights of the rows whose true label alone is known, or None if there are none."""
        is_unknown = ~self.is_noisy & (self.weight > 0)
        return np.where(is_unknown, self.weight, 0) if is_unknown.any() else None

    def likelihoods(self, rows, transition):
        """Return P(what is known of the label | true label), (n_rows, n_classes), of ``rows``."""
        n_classes = len(transition)
        likelihoods = transition[:, self.given[rows]].T
        verified = self.verified[rows]
        if verified.any():
            likelihoods[verified & ~self.is_noisy[rows]] = 1
            known = np.eye(n_classes)[self.truth[rows][verified]]
            likelihoods[verified] *= (1 - LEAST_NOISE) * known + LEAST_NOISE / n_classes
        return likelihoods


def labels_of(y_codes, sample_weight=None, verified=None, given=None):
    """Return :class:`Labels`.

    Parameters
    ----------
    y_codes : ndarray of shape (n,)
        Integer-coded labels, the true one where it is known.
    sample_weight : ndarray of shape (n,), default=None
        Weights of the rows, one by default.
    verified : ndarray of shape (n,), dtype=bool, default=None
        Where the true label is known: nowhere by default.
    given : ndarray of shape (n,), default=None
        Given labels of rows whose true one is known, -1 where these are not, as by default.

    Returns
    -------
    Labels
    """
    n_samples = len(y_codes)
    weight = np.ones(n_samples) if sample_weight is None else sample_weight
    verified = np.zeros(n_samples, dtype=bool) if verified is None else verified
    given = np.full(n_samples, -1) if given is None else given
    is_replaced = verified & (given >= 0)
    return Labels(
        np.where(is_replaced, given, y_codes), weight, ~verified | is_replaced, verified, y_codes
    )


def check_verified(verified, is_missing):
    """Return a mask (n,) of labels known to be right: boolean, of rows that have a label."""
    if verified is None:
        return np.zeros(len(is_missing), dtype=bool)
    verified = np.asarray(verified)
    if verified.shape != is_missing.shape or verified.dtype != bool:
        raise ValueError(
            f"verified must be a boolean mask of {len(is_missing)} rows, got dtype "
            f"{verified.dtype} and shape {verified.shape}."
        )
    if (verified & is_missing).any():
        row = int((verified & is_missing).argmax())
        raise ValueError(f"verified must mark rows that have a label, row {row} of y has none.")
    return verified


def codes_of_given(given, classes, verified):
    """Return the codes of what verified rows had been given before, -1 where it is no class."""
    codes = np.full(len(verified), -1)
    if given is None:
        return codes
    given = np.asarray(given)
    if given.shape != verified.shape:
        raise ValueError(
            f"given must hold a label for each of {len(verified)} rows, got shape {given.shape}."
        )
    for code, label in enumerate(classes):
        codes[verified & (given == label)] = code
    return codes


def with_verified(distributions, y_codes, verified):
    """Return distributions (n, n_classes) of true labels in which verified ones are certain."""
    if verified.any():
        distributions = distributions.copy()
        distributions[verified] = 0
        distributions[verified, y_codes[verified]] = 1
    return distributions


def filled_labels(y, filling=None):
    """Put some label where there is none, and tell where.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels; None, NaN or pandas.NA where there is none. What is not one-dimensional stays.
    filling : label, default=None
        What to put in; one of the labels of ``y`` by default.

    Returns
    -------
    y : as it came, or ndarray of shape (n_samples,)
        With some label in place of each missing one.
    is_missing : ndarray of shape (n_samples,), dtype=bool

    Raises
    ------
    ValueError
        If all labels are missing and there is no ``filling``.
    """
    dtype = getattr(y, "dtype", None)
    is_numpy = isinstance(dtype, np.dtype) and dtype.kind != "O"
    if not is_numpy and hasattr(y, "to_list"):  # a series, whose array may hold NaN for None
        labels = np.empty(len(y), dtype=object)
        labels[:] = y.to_list()
    else:
        labels = np.asarray(y, dtype=None if is_numpy else object)
    if labels.ndim != 1:
        return y, np.zeros(labels.shape[:1], dtype=bool)
    if not is_numpy:
        is_missing = np.array([_is_missing(label) for label in labels], dtype=bool)
    else:
        is_missing = np.isnan(labels) if dtype.kind == "f" else np.zeros(len(labels), dtype=bool)
    if not is_missing.any():
        return y, is_missing
    if filling is not None:
        labels = labels.astype(object)
        labels[is_missing] = filling
        return np.array(labels.tolist()), is_missing
    if is_missing.all():
        raise ValueError(f"y must hold labels, got none in {len(labels)} rows.")
    given = labels[~is_missing]
    if not is_numpy and len({type(label) for label in given}) == 1:
        given = np.array(given.tolist())
    # The label before, or the first one.
    return given[(np.cumsum(~is_missing) - 1).clip(min=0)], is_missing


def _is_missing(label):
    if label is None or type(label).__name__ == "NAType":  # pandas.NA, equal to nothing
        return True
    return isinstance(label, float | np.floating) and label != label

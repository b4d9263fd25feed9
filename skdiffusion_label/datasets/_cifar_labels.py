"""Labels for the training images of CIFAR-10 and CIFAR-100, some of them wrong."""

import io
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_scalar

from skdiffusion_label.datasets._files import read_file
from skdiffusion_label.datasets._pickles import read_torch_archive, shown

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load_cifar_n_labels(path, *, true_labels=None):
    """Read the labels that people have given to the training images of CIFAR-10 or CIFAR-100.

    CIFAR-N [1]_ has a file for each: ``CIFAR-10_human.pt`` and ``CIFAR-100_human.pt``. They have
    been written by torch and are pickles, which could run anything when they are loaded; here they
    are read without torch and without running anything in them.

    Parameters
    ----------
    path : str or path-like
        The file. Files whose names end in ``_ordered.npy`` are in the order of another library.
    true_labels : array-like of shape (n_train,) or None, default=None
        Clean labels in the order of the images, as :func:`load_cifar` returns them. A file in
        another order is an error. With None, only the file itself is checked.

    Returns
    -------
    Bunch
        All labels of the file by their names there, each an ndarray of shape (n_train,), int64:

        - CIFAR-10: ``clean_label``, ``random_label1``, ``random_label2`` and ``random_label3`` of
          one person each, ``aggre_label``, which is their majority, and ``worse_label``, which is
          a wrong one of the three if there is one;
        - CIFAR-100: ``clean_label``, ``noisy_label``, and the same of the 20 coarse classes,
          ``clean_coarse_label``, ``noisy_coarse_label``.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If the file is not an archive of torch, if it holds anything but a dict of labels, among
        them ``clean_label``, if labels are not integers or are greater than any clean label, if
        there are more of one than of another, or if ``clean_label`` is not ``true_labels``.

    References
    ----------
    .. [1] J. Wei et al., "Learning with noisy labels revisited: a study using real-world human
       annotations", ICLR 2022.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import torch
    >>> from skdiffusion_label.datasets import load_cifar_n_labels
    >>> labels = {"clean_label": np.array([0, 1, 2]), "worse_label": np.array([0, 2, 2])}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "CIFAR-10_human.pt")
    ...     torch.save(labels, path)
    ...     human = load_cifar_n_labels(path, true_labels=[0, 1, 2])
    >>> human.worse_label
    array([0, 2, 2])
    """
    content = read_torch_archive(path)
    names = list(content) if isinstance(content, dict) else []
    if "clean_label" not in names or not all(isinstance(name, str) for name in names):
        found = shown(names) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected a dict of labels with 'clean_label', got {found}.")
    labels = Bunch(**{name: _as_labels(path, name, content[name]) for name in content})
    for name in labels:
        clean_name = "clean_coarse_label" if "coarse" in name else "clean_label"
        _check_beside_clean(path, name, labels[name], clean_name, labels.get(clean_name))
    if true_labels is not None:
        _check_order(path, labels.clean_label, np.asarray(true_labels))
    return labels


def _as_labels(path, name, values):
    if isinstance(values, list | tuple) and any(isinstance(v, list | tuple) for v in values):
        # Few lists that hold each other many times can stand for any number of labels.
        raise ValueError(f"{path}: expected {name!r} to be labels, got lists in a list.")
    try:
        labels = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{path}: expected {name!r} to be labels, got: {error}") from error
    if labels.dtype != np.int64 or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{path}: expected {name!r} to be int64 labels of shape (n_train,), "
            f"got {labels.dtype} of shape {labels.shape}."
        )
    _check_range(path, labels, None, f" of {name!r}")
    return labels


def _check_beside_clean(path, name, labels, clean_name, clean):
    if clean is None:
        raise ValueError(f"{path}: expected the key {clean_name!r} beside {name!r}, got none.")
    if len(labels) != len(clean):
        raise ValueError(
            f"{path}: expected as many labels in {name!r} as in {clean_name!r}, {len(clean)}, "
            f"got {len(labels)}."
        )
    _check_range(path, labels, clean.max() + 1, f" of {name!r}")


def _check_order(path, clean, true_labels):
    if clean.shape != true_labels.shape:
        raise ValueError(
            f"{path}: expected 'clean_label' of the shape of true_labels, {true_labels.shape}, "
            f"got {clean.shape}."
        )
    differ = clean != true_labels
    if differ.any():
        row = int(differ.argmax())
        raise ValueError(
            f"{path}, row {row}: expected 'clean_label' to be true_labels, {true_labels[row]}, "
            f"got {clean[row]}; {differ.sum()} of {len(differ)} rows differ, so the file is in "
            "another order or of another data set."
        )


def load_pmd_labels(path, *, n_classes=None):
    """Read labels with poly-margin-diminishing noise, alone or with other noise on top.

    Such files [1]_, as ``cifar10-1-0.35.npy`` or ``cifar10-1-0.35_U_0.3.npy``, hold labels of the
    first 45,000 training images, in the order of :func:`load_cifar`. The other 5,000 images are
    for validation. Other files of labels in this format are read too, of any length.

    Parameters
    ----------
    path : str or path-like
        The file, in NumPy's format. Pickled objects in it are not loaded.
    n_classes : int or None, default=None
        If given, labels must be less than this.

    Returns
    -------
    ndarray of shape (n_labeled,), int64
        Given labels of the first ``n_labeled`` training images.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    TypeError
        If ``n_classes`` is neither an integer nor None.
    ValueError
        If ``n_classes`` is less than 2, or if the file is damaged, is not an array of int64 of
        shape (n_labeled,), or has labels outside of 0 to ``n_classes - 1``.

    References
    ----------
    .. [1] Y. Zhang et al., "Learning with feature-dependent label noise: a progressive approach",
       ICLR 2021.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from skdiffusion_label.datasets import load_pmd_labels
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "cifar10-1-0.35.npy")
    ...     np.save(path, np.array([3, 9, 0]))
    ...     labels = load_pmd_labels(path, n_classes=10)
    >>> labels
    array([3, 9, 0])
    """
    if n_classes is not None:
        check_scalar(n_classes, "n_classes", Integral, min_val=2)
    labels = _read_array(path)
    _check_range(path, labels, n_classes)
    return labels


def _read_array(path):
    data = read_file(path, "an array of labels")
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = _HEADER_READERS[version](file)
    except Exception as error:  # a damaged header raises what Python's parser does
        raise ValueError(
            f"{path}: expected an array of int64 in NumPy's format, got: {repr(error)[:300]}"
        ) from error
    if dtype != np.int64 or len(shape) != 1 or not shape[0]:
        raise ValueError(
            f"{path}: expected int64 labels of shape (n_labeled,), got {dtype} of shape {shape}."
        )
    n_bytes = len(data) - file.tell()
    if n_bytes != shape[0] * dtype.itemsize:
        raise ValueError(
            f"{path}: expected {shape[0] * dtype.itemsize} bytes of {shape[0]} labels, "
            f"got {n_bytes}."
        )
    return np.frombuffer(data, dtype, offset=file.tell()).astype(np.int64)


def _check_range(path, labels, n_classes, of=""):
    """Raise a ValueError unless labels are from 0 to ``n_classes - 1``, or any from 0 with None."""
    is_outside = labels < 0 if n_classes is None else (labels < 0) | (labels >= n_classes)
    if is_outside.any():
        row = int(is_outside.argmax())
        rule = "of at least 0" if n_classes is None else f"from 0 to {n_classes - 1}"
        raise ValueError(f"{path}, row {row}{of}: expected a label {rule}, got {labels[row]}.")

"""CIFAR-10 and CIFAR-100, the images."""

import os
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from skdiffusion_label.datasets._pickles import read_pickle, shown

_N_CHANNELS, _SIZE = 3, 32  # of each published image, in pixels
_N_VALUES = _N_CHANNELS * _SIZE**2


class _Layout(NamedTuple):
    """The names of files and of the keys in them."""

    folder: str
    meta: str
    train: tuple[str, ...]
    test: str
    names_key: bytes
    labels_key: bytes


_LAYOUTS = {
    "cifar10": _Layout(
        folder="cifar-10-batches-py",
        meta="batches.meta",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        names_key=b"label_names",
        labels_key=b"labels",
    ),
    "cifar100": _Layout(
        folder="cifar-100-python",
        meta="meta",
        train=("train",),
        test="test",
        names_key=b"fine_label_names",
        labels_key=b"fine_labels",
    ),
}


def load_cifar(root, *, dataset="cifar10"):
    """Read the images and the clean labels of CIFAR-10 or CIFAR-100.

    Given labels for the training images are read by :func:`load_cifar_n_labels` and
    :func:`load_pmd_labels`; the training images are in the order of these files.

    These files [1]_, of the version for Python, are read below ``root``::

        cifar-10-batches-py/batches.meta, data_batch_1 to data_batch_5, test_batch
        cifar-100-python/meta, train, test

    They are pickles, which could run anything when they are loaded; here they are read without
    running anything in them.

    Parameters
    ----------
    root : str or path-like
        The folder that contains ``cifar-10-batches-py`` or ``cifar-100-python``.
    dataset : {"cifar10", "cifar100"}, default="cifar10"
        Which of both. Of CIFAR-100, the 100 fine classes are read.

    Returns
    -------
    Bunch
        - ``train_images``: ndarray of shape (n_train, 32, 32, 3), uint8, RGB;
        - ``train_labels``: ndarray of shape (n_train,), int64, clean labels;
        - ``test_images``: ndarray of shape (n_test, 32, 32, 3), uint8;
        - ``test_labels``: ndarray of shape (n_test,), int64;
        - ``class_names``: list of n_classes str.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If ``dataset`` is not one of both, if a file holds anything but dicts, lists, text and
        numbers, if images or labels are not of their dtype, shape or range, or if the number of
        images in a batch is not the one in ``batches.meta``.

    References
    ----------
    .. [1] A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.

    Examples
    --------
    >>> import pickle, tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skdiffusion_label.datasets import load_cifar
    >>> images = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    >>> batch = {b"data": images, b"fine_labels": [1, 0]}
    >>> meta = {b"fine_label_names": [b"apple", b"aquarium_fish"]}
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Path(root, "cifar-100-python").mkdir()
    ...     for name, content in {"train": batch, "test": batch, "meta": meta}.items():
    ...         path = Path(root, "cifar-100-python", name)
    ...         _ = path.write_bytes(pickle.dumps(content, protocol=2))
    ...     cifar = load_cifar(root, dataset="cifar100")
    >>> cifar.train_images.shape, cifar.train_labels, cifar.class_names
    ((2, 32, 32, 3), array([1, 0]), ['apple', 'aquarium_fish'])
    """
    if dataset not in _LAYOUTS:
        raise ValueError(f"dataset must be 'cifar10' or 'cifar100', got {dataset!r}.")
    layout = _LAYOUTS[dataset]
    folder = os.path.join(root, layout.folder)
    class_names, n_images = _read_meta(os.path.join(folder, layout.meta), layout.names_key)
    batches = [
        _read_batch(os.path.join(folder, name), layout.labels_key, len(class_names), n_images)
        for name in [*layout.train, layout.test]
    ]
    *train_images, test_images = [images for images, _ in batches]
    *train_labels, test_labels = [labels for _, labels in batches]
    return Bunch(
        train_images=np.concatenate(train_images),
        train_labels=np.concatenate(train_labels),
        test_images=test_images,
        test_labels=test_labels,
        class_names=class_names,
    )


def _read_meta(path, names_key):
    """Return the class names, and the number of images in each batch or None."""
    meta = _read_dict(path, [names_key])
    names = meta[names_key]
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise ValueError(
            f"{path}: expected {names_key!r} to be a list of bytes, got {shown(names)}."
        )
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(
            f"{path}: expected at least two different class names, got {shown(names)}."
        )
    try:
        return [name.decode() for name in names], meta.get(b"num_cases_per_batch")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected {names_key!r} in UTF-8, got {shown(names)}.") from None


def _read_batch(path, labels_key, n_classes, n_images):
    """Return images (n, 32, 32, 3) and labels (n,)."""
    batch = _read_dict(path, [b"data", labels_key])
    images = _unpacked_images(path, batch[b"data"])
    if n_images is not None and len(images) != n_images:
        raise ValueError(
            f"{path}: expected {shown(n_images)} images as batches.meta says, got {len(images)}."
        )
    return images, _checked_labels(path, batch[labels_key], len(images), n_classes)


def _unpacked_images(path, values):
    if not isinstance(values, np.ndarray) or values.dtype != np.uint8:
        found = getattr(values, "dtype", type(values).__name__)
        raise ValueError(f"{path}: expected b'data' to be an array of uint8, got {found}.")
    if values.ndim != 2 or values.shape[1] != _N_VALUES or not len(values):
        raise ValueError(
            f"{path}: expected b'data' of shape (n_images, {_N_VALUES}), got {values.shape}."
        )
    # A row holds the red plane, then the green and the blue one.
    images = values.reshape(-1, _N_CHANNELS, _SIZE, _SIZE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images)


def _checked_labels(path, labels, n_images, n_classes):
    if not isinstance(labels, list) or len(labels) != n_images:
        found = f"{len(labels)} of them" if isinstance(labels, list) else type(labels).__name__
        raise ValueError(f"{path}: expected a list of {n_images} labels, got {found}.")
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < n_classes:
            raise ValueError(
                f"{path}, row {row}: expected a label from 0 to {n_classes - 1}, "
                f"got {shown(label)}."
            )
    return np.array(labels, dtype=np.int64)


def _read_dict(path, keys):
    content = read_pickle(path)
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        found = shown(list(content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected a dict with the keys {keys}, got {found}.")
    return content

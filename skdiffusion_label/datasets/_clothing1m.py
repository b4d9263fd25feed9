"""Clothing1M."""

import os

import numpy as np
from sklearn.utils import Bunch

from skdiffusion_label.datasets._images import check_images_exist
from skdiffusion_label.datasets._lines import Lines, read_class_names

_OF_CLASSES = " of category_names_eng.txt"  # as errors name them


def load_clothing1m(root, *, check_images=False):
    r"""Read the lists of Clothing1M.

    Clothing1M [1]_ has a million images of clothes from online shops: labels come from the words
    around the image, and about four in ten are wrong. Fewer images have been labeled by people.

    Below ``root``, these files are read::

        annotations/category_names_eng.txt         one class a line
        annotations/noisy_label_kv.txt             key, a space, label from 0
        annotations/clean_label_kv.txt             the same
        annotations/noisy_train_key_list.txt       one key a line
        annotations/clean_train_key_list.txt       the same
        annotations/clean_val_key_list.txt         the same
        annotations/clean_test_key_list.txt        the same

    A key, such as ``images/7/88/339645240,2782721788.jpg``, is the path of an image in ``root``.

    Parameters
    ----------
    root : str or path-like
        Folder of the data set.
    check_images : bool, default=False
        Whether to look whether each image is there, which takes long on a slow disk.

    Returns
    -------
    Bunch
        - ``train_paths``: ndarray of shape (n_train,) of str, in the order of the key list;
        - ``train_labels``: ndarray of shape (n_train,), int64, given labels;
        - ``train_clean_labels``: ndarray of shape (n_train,), int64, -1 where there is none, as
          for all of the published list;
        - ``clean_train_paths``, ``clean_train_labels``, ``val_paths``, ``val_labels``,
          ``test_paths``, ``test_labels``: the same of the images that people have labeled;
        - ``clean_train_given_labels``, ``val_given_labels``, ``test_given_labels``: int64, the
          labels from the words around these images, -1 where there is none. As published, half of
          them have one;
        - ``class_names``: list of n_classes str.

    Raises
    ------
    FileNotFoundError
        If a list is missing, or an image with ``check_images=True``.
    ValueError
        If a line is not of its form, if a key is twice in a file or has no label, or if a class
        has no image in a key list.

    References
    ----------
    .. [1] T. Xiao et al., "Learning from massive noisy labeled data for image classification",
       CVPR 2015.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skdiffusion_label.datasets import load_clothing1m
    >>> texts = {
    ...     "category_names_eng.txt": "Shirt\nDress",
    ...     "noisy_label_kv.txt": "images/1,0.jpg 1\nimages/2,0.jpg 0\nimages/3,0.jpg 1\n",
    ...     "clean_label_kv.txt": "".join(f"images/{i},0.jpg {i % 2}\n" for i in range(3, 9)),
    ...     "noisy_train_key_list.txt": "images/1,0.jpg\nimages/2,0.jpg",
    ...     "clean_train_key_list.txt": "images/3,0.jpg\nimages/4,0.jpg",
    ...     "clean_val_key_list.txt": "images/5,0.jpg\nimages/6,0.jpg",
    ...     "clean_test_key_list.txt": "images/7,0.jpg\nimages/8,0.jpg",
    ... }
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Path(root, "annotations").mkdir()
    ...     for name, text in texts.items():
    ...         _ = Path(root, "annotations", name).write_text(text)
    ...     clothing = load_clothing1m(root)
    >>> clothing.train_labels, clothing.clean_train_labels, clothing.clean_train_given_labels
    (array([1, 0]), array([1, 0]), array([ 1, -1]))
    """
    class_names = read_class_names(_annotations(root, "category_names_eng"))
    n_classes = len(class_names)
    given = _read_labels(_annotations(root, "noisy_label_kv"), n_classes)
    clean = _read_labels(_annotations(root, "clean_label_kv"), n_classes)
    train = _read_images(root, "noisy_train", given, clean, n_classes)
    clean_train = _read_images(root, "clean_train", clean, given, n_classes)
    val = _read_images(root, "clean_val", clean, given, n_classes)
    test = _read_images(root, "clean_test", clean, given, n_classes)
    if check_images:
        check_images_exist(*[images.paths for images in (train, clean_train, val, test)])
    return Bunch(
        train_paths=train.paths,
        train_labels=train.labels,
        train_clean_labels=train.other_labels,
        clean_train_paths=clean_train.paths,
        clean_train_labels=clean_train.labels,
        clean_train_given_labels=clean_train.other_labels,
        val_paths=val.paths,
        val_labels=val.labels,
        val_given_labels=val.other_labels,
        test_paths=test.paths,
        test_labels=test.labels,
        test_given_labels=test.other_labels,
        class_names=class_names,
    )


def _annotations(root, name):
    return os.path.join(root, "annotations", f"{name}.txt")


def _read_labels(path, n_classes):
    """Return a dict of the label of each key."""
    lines = Lines(path, "'key label'")
    keys, labels = lines.columns(2, " ")
    lines.check_unique(keys)
    return dict(zip(keys, lines.labels(labels, n_classes, _OF_CLASSES).tolist(), strict=True))


def _read_images(root, name, known, other, n_classes):
    """Return the images of a key list: their paths, labels in ``known`` and those in ``other``."""
    keys = Lines(_annotations(root, f"{name}_key_list"), "the key of an image")
    keys.check_unique(keys.lines)
    kind = name.partition("_")[0]
    labels = keys.codes(keys.lines, known, f"a label in {kind}_label_kv.txt")
    keys.check_classes(labels, n_classes, _OF_CLASSES)
    return Bunch(
        paths=keys.paths(root, keys.lines),
        labels=labels,
        other_labels=np.array([other.get(key, -1) for key in keys.lines], dtype=np.int64),
    )

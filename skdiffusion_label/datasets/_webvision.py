"""Mini-WebVision to train on, its validation set and that of ILSVRC12 to test on."""

import os
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_scalar

from skdiffusion_label.datasets._images import check_images_exist
from skdiffusion_label.datasets._lines import Lines

_N_ALL_CLASSES = 1000  # of WebVision 1.0: those of ImageNet


def load_mini_webvision(root, imagenet_root=None, *, n_classes=50, check_images=False):
    r"""Read the lists of mini-WebVision: the first classes of WebVision 1.0, images of Google.

    WebVision [1]_ has images from web searches for the 1000 classes of ILSVRC12 [2]_; the class is
    that of the search. The images of the first 50 classes that Google has found are known as
    mini-WebVision. It is tested on the validation images of WebVision and of ILSVRC12.

    Below ``root``, these files are read::

        info/train_filelist_google.txt    image, a space, label from 0
        info/val_filelist.txt             the same; the file may also lie in root itself
        info/synsets.txt                  WordNet id, a space, names; if there is one

    and below ``imagenet_root``::

        ILSVRC2012_val_label.txt          image, a space, label from 0, a space, WordNet id
        synsets.txt                       where that of root is missing; if there is one

    The images lie in ``root`` itself, in ``root/val_images_256`` and in
    ``imagenet_root/ILSVRC2012_img_val``. Some of them are not RGB.

    Parameters
    ----------
    root : str or path-like
        Folder of WebVision 1.0.
    imagenet_root : str, path-like or None, default=None
        Folder of the validation set of ILSVRC12. None leaves it out.
    n_classes : int, default=50
        The classes from 0 to ``n_classes - 1`` are kept.
    check_images : bool, default=False
        Whether to look whether each image of these classes is there.

    Returns
    -------
    Bunch
        - ``train_paths``: ndarray of shape (n_train,) of str;
        - ``train_labels``: ndarray of shape (n_train,), int64, given labels;
        - ``val_paths``, ``val_labels``: the same of the validation set of WebVision, whose labels
          have been checked by people;
        - ``imagenet_val_paths``, ``imagenet_val_labels``: the same of ILSVRC12, only if
          ``imagenet_root`` is given;
        - ``class_names``: list of n_classes str, such as ``"tench, Tinca tinca"``, or None if
          there is no ``synsets.txt``.

    Raises
    ------
    FileNotFoundError
        If a list is missing, or an image with ``check_images=True``.
    TypeError
        If ``n_classes`` is not an integer.
    ValueError
        If ``n_classes`` is not between 2 and 1000, if a line is not of its form or names an image
        for the second time, if one of the classes kept has no image, or if the WordNet ids of
        ILSVRC12 are not those of ``synsets.txt``.

    References
    ----------
    .. [1] W. Li et al., "WebVision database: visual learning and understanding from web data",
       arXiv:1708.02862, 2017.
    .. [2] O. Russakovsky et al., "ImageNet large scale visual recognition challenge", IJCV 2015.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skdiffusion_label.datasets import load_mini_webvision
    >>> texts = {
    ...     "train_filelist_google.txt": "google/q0001/a.jpg 0\ngoogle/q0002/b.jpg 1\n",
    ...     "val_filelist.txt": "val000001.jpg 1\nval000002.jpg 0\nval000003.jpg 999\n",
    ...     "synsets.txt": "n01440764 tench, Tinca tinca\nn01443537 goldfish\n",
    ... }
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Path(root, "info").mkdir()
    ...     for name, text in texts.items():
    ...         _ = Path(root, "info", name).write_text(text)
    ...     webvision = load_mini_webvision(root, n_classes=2)
    >>> webvision.val_labels
    array([1, 0])
    >>> webvision.class_names
    ['tench, Tinca tinca', 'goldfish']
    """
    check_scalar(n_classes, "n_classes", Integral, min_val=2, max_val=_N_ALL_CLASSES)
    info = os.path.join(root, "info")
    ids, class_names = _read_synsets([info, imagenet_root], n_classes)
    train_paths, train_labels = _read_images(
        os.path.join(info, "train_filelist_google.txt"), root, n_classes
    )
    val_paths, val_labels = _read_images(
        _first_file("val_filelist.txt", [info, root]) or os.path.join(info, "val_filelist.txt"),
        os.path.join(root, "val_images_256"),
        n_classes,
    )
    webvision = Bunch(
        train_paths=train_paths,
        train_labels=train_labels,
        val_paths=val_paths,
        val_labels=val_labels,
        class_names=class_names,
    )
    if imagenet_root is not None:
        webvision.imagenet_val_paths, webvision.imagenet_val_labels = _read_imagenet_images(
            imagenet_root, n_classes, ids
        )
    if check_images:
        check_images_exist(*[webvision[name] for name in webvision if name.endswith("_paths")])
    return webvision


def _first_file(name, folders):
    paths = [os.path.join(folder, name) for folder in folders if folder is not None]
    return next(filter(os.path.isfile, paths), None)


def _read_synsets(folders, n_classes):
    """Return the WordNet ids and the names of the first classes, or None and None."""
    path = _first_file("synsets.txt", folders)
    if path is None:
        return None, None
    synsets = Lines(path, "'n01440764 names'")
    ids, names = [], []
    for row, line in enumerate(synsets.lines):
        wordnet_id, _, name = line.partition(" ")
        if not (_is_wordnet_id(wordnet_id) and name):
            raise synsets.error(row)
        ids.append(wordnet_id)
        names.append(name)
    synsets.check_unique(ids)
    if len(ids) < n_classes:
        raise ValueError(f"{path}: expected at least n_classes={n_classes} lines, got {len(ids)}.")
    return ids[:n_classes], names[:n_classes]


def _is_wordnet_id(text):
    return len(text) == 9 and text[0] == "n" and text[1:].isdecimal()


def _read_images(path, folder, n_classes):
    images = Lines(path, "'image label'")
    keys, labels = images.columns(2, " ")
    return _first_classes(images, folder, keys, labels, n_classes)


def _read_imagenet_images(root, n_classes, ids):
    path = os.path.join(root, "ILSVRC2012_val_label.txt")
    images = Lines(path, "'image label n01440764'")
    keys, labels, image_ids = images.columns(3, " ")
    paths, kept_labels = _first_classes(
        images, os.path.join(root, "ILSVRC2012_img_val"), keys, labels, n_classes
    )
    for row, (label, image_id) in enumerate(zip(labels, image_ids, strict=True)):
        if not _is_wordnet_id(image_id):
            raise images.error(row)
        if ids is not None and int(label) < n_classes and ids[int(label)] != image_id:
            raise images.error(row, f" with {ids[int(label)]}, the id of label {label}")
    return paths, kept_labels


def _first_classes(images, folder, keys, labels, n_classes):
    """Return paths and labels of the images of the first ``n_classes`` classes."""
    labels = images.labels(labels, _N_ALL_CLASSES)
    images.check_unique(keys)
    kept = np.flatnonzero(labels < n_classes)
    images.check_classes(labels[kept], n_classes)
    return images.paths(folder, keys, kept.tolist()), labels[kept]

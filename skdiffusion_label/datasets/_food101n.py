"""Food-101N to train on, Food-101 to test on."""

import os

import numpy as np
from sklearn.utils import Bunch

from skdiffusion_label.datasets._images import check_images_exist
from skdiffusion_label.datasets._lines import Lines, read_class_names

_HEADER = "class_name"
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def load_food101n(root, *, check_images=False):
    r"""Read the lists of Food-101N (train) and Food-101 (test).

    Food-101N [1]_ has images from web searches: the class is that of the search, and about one in
    five is wrong. People have verified some of them. Its test images are those of Food-101 [2]_.

    Below ``root``, these files are read::

        Food-101N_release/meta/classes.txt         header, then one class a line
        Food-101N_release/meta/imagelist.tsv       header, then class/key.jpg
        Food-101N_release/meta/verified_train.tsv  header, then class/key.jpg, a tab, 0 or 1
        Food-101N_release/meta/verified_val.tsv    the same
        food-101/meta/test.txt                     class/id, no header

    The images are ``Food-101N_release/images/class/key.jpg`` and ``food-101/images/class/id.jpg``.
    Some of them are not RGB.

    Parameters
    ----------
    root : str or path-like
        Folder of both data sets.
    check_images : bool, default=False
        Whether to look whether each image is there, which takes long on a slow disk.

    Returns
    -------
    Bunch
        - ``train_paths``: ndarray of shape (n_train,) of str, in the order of ``imagelist.tsv``;
        - ``train_labels``: ndarray of shape (n_train,), int64, given labels: the class of the
          folder, as its place in ``classes.txt`` from 0;
        - ``train_verified``: ndarray of shape (n_train,), int8, of ``verified_train.tsv``: 1 where
          the given label is right, 0 where it is wrong, -1 where nobody has looked;
        - ``val_verified``: ndarray of shape (n_train,), int8, the same of ``verified_val.tsv``;
        - ``test_paths``: ndarray of shape (n_test,) of str;
        - ``test_labels``: ndarray of shape (n_test,), int64;
        - ``class_names``: list of n_classes str.

    Raises
    ------
    FileNotFoundError
        If a list is missing, or an image with ``check_images=True``.
    ValueError
        If a line is not of its form, names an unknown class or is there twice, if a class has no
        image, or if an image has been verified that is not in ``imagelist.tsv``.

    Notes
    -----
    As published, one image, ``a49e6fb26e356c6c41a37b5c18176355.jpg``, is of one class in
    ``imagelist.tsv`` and of another in ``verified_train.tsv``. The class of ``imagelist.tsv`` is
    taken, because there the file lies; what is verified is the other class, so the image counts as
    not verified. Any image of two classes is treated in this way.

    References
    ----------
    .. [1] K.-H. Lee et al., "CleanNet: transfer learning for scalable image classifier training
       with label noise", CVPR 2018.
    .. [2] L. Bossard et al., "Food-101: mining discriminative components with random forests",
       ECCV 2014.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skdiffusion_label.datasets import load_food101n
    >>> texts = {
    ...     "Food-101N_release/meta/classes.txt": "class_name\nramen\nsushi\n",
    ...     "Food-101N_release/meta/imagelist.tsv": "class_name/key\nsushi/a.jpg\nramen/b.jpg\n",
    ...     "Food-101N_release/meta/verified_train.tsv": "class_name/key\tlabel\nramen/b.jpg\t0\n",
    ...     "Food-101N_release/meta/verified_val.tsv": "class_name/key\tlabel\nsushi/a.jpg\t1\n",
    ...     "food-101/meta/test.txt": "ramen/102\nsushi/431\n",
    ... }
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name, text in texts.items():
    ...         path = Path(root, name)
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         _ = path.write_text(text)
    ...     food = load_food101n(root)
    >>> food.class_names, food.train_labels, food.train_verified
    (['ramen', 'sushi'], array([1, 0]), array([-1,  0], dtype=int8))
    """
    meta = os.path.join(root, "Food-101N_release", "meta")
    class_names = read_class_names(os.path.join(meta, "classes.txt"), header=_HEADER)
    images, train_labels = _read_images(os.path.join(meta, "imagelist.tsv"), class_names)
    rows = {image: row for row, image in enumerate(images.lines)}
    train_verified = _read_verified(os.path.join(meta, "verified_train.tsv"), rows)
    val_verified = _read_verified(os.path.join(meta, "verified_val.tsv"), rows)
    test_images, test_labels = _read_test_images(
        os.path.join(root, "food-101", "meta", "test.txt"), class_names
    )
    train_paths = images.paths(os.path.join(root, "Food-101N_release", "images"), images.lines)
    test_paths = test_images.paths(
        os.path.join(root, "food-101", "images"), [f"{line}.jpg" for line in test_images.lines]
    )
    if check_images:
        check_images_exist(train_paths, test_paths)
    return Bunch(
        train_paths=train_paths,
        train_labels=train_labels,
        train_verified=train_verified,
        val_verified=val_verified,
        test_paths=test_paths,
        test_labels=test_labels,
        class_names=class_names,
    )


def _read_images(path, class_names):
    """Return the lines class/key.jpg and the labels of their classes."""
    images = Lines(path, "'class/key.jpg'", header=_HEADER)
    _, keys = images.columns(2, "/")
    for row, key in enumerate(keys):
        if not key.lower().endswith(_IMAGE_SUFFIXES):
            raise images.error(row)
    return images, _labels_of_classes(images, class_names)


def _read_test_images(path, class_names):
    """Return the lines class/id and the labels of their classes."""
    images = Lines(path, "'class/id' without '.jpg'")
    _, ids = images.columns(2, "/")
    for row, image_id in enumerate(ids):
        if image_id.lower().endswith(_IMAGE_SUFFIXES):
            raise images.error(row)
    return images, _labels_of_classes(images, class_names)


def _labels_of_classes(images, class_names):
    names, _ = images.columns(2, "/")
    known = {name: label for label, name in enumerate(class_names)}
    labels = images.codes(names, known, "a class of classes.txt")
    images.check_unique(images.lines)
    images.check_classes(labels, len(class_names), " of classes.txt")
    return labels


def _read_verified(path, rows):
    """Return 1, 0 or -1 for each image; ``rows`` are the rows of images class/key.jpg."""
    verified = Lines(path, "'class/key.jpg', a tab, 0 or 1", header=_HEADER)
    images, flags = verified.columns(2, "\t")
    verified.check_unique(images)
    flags = verified.labels(flags, 2)
    is_right = np.full(len(rows), -1, dtype=np.int8)
    keys = {image.partition("/")[2] for image in rows}
    for line, (image, flag) in enumerate(zip(images, flags, strict=True)):
        if image in rows:
            is_right[rows[image]] = flag
        elif image.partition("/")[2] not in keys:
            raise verified.error(line, " of an image in imagelist.tsv")
    return is_right

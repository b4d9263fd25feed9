"""Miniatures of the published data sets: a few small images in the exact formats on disk.

    python examples/paper/miniatures.py food101n DIRECTORY

Each class has its color and its stripes, below noise in each pixel, so that a simple method can
learn it; three in ten given labels are wrong. Each function writes one data set and returns what
its reader returns, with the true labels of the training images added.
"""

import argparse
import colorsys
import io
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.utils import Bunch

NOISE_RATE = 0.3
FOODS = (
    "apple_pie baby_back_ribs baklava beef_carpaccio beef_tartare beet_salad beignets bibimbap "
    "bread_pudding breakfast_burrito"
).split()
SYNSETS = [
    "n01440764 tench, Tinca tinca",
    "n01443537 goldfish, Carassius auratus",
    "n01484850 great white shark, white shark",
    "n01491361 tiger shark, Galeocerdo cuvieri",
    "n01494475 hammerhead, hammerhead shark",
    "n01496331 electric ray, crampfish",
    "n01498041 stingray",
    "n01514668 cock",
    "n01514859 hen",
    "n01518878 ostrich, Struthio camelus",
]
CLOTHES = (
    "T-Shirt Shirt Knitwear Chiffon Sweater Hoodie Windbreaker Jacket Downcoat Suit Shawl Dress "
    "Vest Underwear"
).split()
CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
CIFAR100_CLASSES = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle".split()
CIFAR100_COARSE_CLASSES = (
    "aquatic_mammals fish flowers food_containers fruit_and_vegetables".split()
)


def draw_images(labels, n_classes, size, rng):
    """Draw images (n, size, size, 3), uint8: the class sets color and stripes."""
    rows, columns = np.mgrid[:size, :size] / size
    images = []
    for label in labels:
        color = 255 * np.array(colorsys.hsv_to_rgb(label / n_classes, 0.8, 0.9))
        angle = np.pi * (label % 4) / 4
        position = rows * np.sin(angle) + columns * np.cos(angle)
        stripes = 0.75 + 0.25 * np.sin(2 * np.pi * ((2 + label // 4) * position + rng.random()))
        image = rng.uniform(0.7, 1.0) * stripes[..., None] * color
        images.append(image + rng.normal(scale=25, size=image.shape))
    return np.clip(images, 0, 255).astype(np.uint8)


def give_labels(labels, n_classes, rng, noise_rate=NOISE_RATE):
    """Give wrong labels to the same share of each class."""
    given = labels.copy()
    for label in range(n_classes):
        rows = rng.permutation(np.flatnonzero(labels == label))
        rows = rows[: round(noise_rate * len(rows))]
        given[rows] = (label + rng.integers(1, n_classes, size=len(rows))) % n_classes
    return given


def make_food101n(root, *, n_classes=6, n_per_class=8, n_test_per_class=3, size=48, random_state=0):
    """Write Food-101N and Food-101 below ``root``; at most 10 classes."""
    rng = np.random.default_rng(random_state)
    root, names = Path(root), _first(FOODS, n_classes)
    true, test = _labels(n_classes, n_per_class), _labels(n_classes, n_test_per_class)
    order = rng.permutation(len(true))
    true = true[order]
    given = give_labels(true, n_classes, rng)
    images = [f"{names[label]}/{rng.bytes(16).hex()}.jpg" for label in given]
    test_images = [f"{names[label]}/{100003 + 17 * row}" for row, label in enumerate(test)]
    train_verified, val_verified = np.full((2, len(true)), -1, dtype=np.int8)
    train_verified[1::2] = (given == true)[1::2]
    val_verified[::6] = (given == true)[::6]
    # As published, one verified image is of a class that is not that of the list of images.
    two_classes = f"{names[(given[2] + 1) % n_classes]}/{images[2].partition('/')[2]}\t1"

    train_folder, test_folder = root / "Food-101N_release", root / "food-101"
    _write_lines(train_folder / "meta/classes.txt", ["class_name", *names])
    _write_lines(train_folder / "meta/imagelist.tsv", ["class_name/key", *images])
    for name, verified, extra in [
        ("verified_train.tsv", train_verified, [two_classes]),
        ("verified_val.tsv", val_verified, []),
    ]:
        lines = [f"{images[row]}\t{verified[row]}" for row in np.flatnonzero(verified >= 0)]
        header = "class_name/key\tverification_label"
        _write_lines(train_folder / "meta" / name, [header, *lines, *extra])
    _write_lines(test_folder / "meta/test.txt", test_images)
    return Bunch(
        train_paths=_write_images(train_folder / "images", images, true, n_classes, size, rng),
        train_labels=given,
        train_verified=train_verified,
        val_verified=val_verified,
        test_paths=_write_images(
            test_folder / "images",
            [f"{key}.jpg" for key in test_images],
            test,
            n_classes,
            size,
            rng,
        ),
        test_labels=test,
        class_names=names,
        train_true_labels=true,
    )


def make_mini_webvision(
    root, imagenet_root, *, n_classes=5, n_per_class=8, n_val_per_class=3, size=48, random_state=0
):
    """Write WebVision and the validation set of ILSVRC12; at most 8 classes, and 2 left out."""
    rng = np.random.default_rng(random_state)
    root, imagenet_root = Path(root), Path(imagenet_root)
    synsets = _first(SYNSETS, n_classes + 2)
    n_all = len(synsets)
    given = _labels(n_all, n_per_class)  # the list goes by class
    true = give_labels(given, n_all, rng)
    images = [f"google/q{label + 1:04d}/{rng.bytes(8).hex()}.jpg" for label in given]
    val = rng.permutation(_labels(n_all, n_val_per_class))
    val_images = [f"val{number + 1:06d}.jpg" for number in range(len(val))]
    imagenet_val = rng.permutation(_labels(n_all, n_val_per_class))
    imagenet_images = [
        f"ILSVRC2012_val_{number + 1:08d}.JPEG" for number in range(len(imagenet_val))
    ]

    _write_lines(root / "info/synsets.txt", synsets)
    _write_lines(root / "info/train_filelist_google.txt", _pairs(images, given))
    _write_lines(root / "info/val_filelist.txt", _pairs(val_images, val))
    ids = [synsets[label].split()[0] for label in imagenet_val]
    _write_lines(
        imagenet_root / "ILSVRC2012_val_label.txt",
        _pairs(_pairs(imagenet_images, imagenet_val), ids),
    )
    drawn = (n_all, size, rng)
    train_paths = _write_images(root, images, true, *drawn)
    val_paths = _write_images(root / "val_images_256", val_images, val, *drawn)
    imagenet_val_paths = _write_images(
        imagenet_root / "ILSVRC2012_img_val", imagenet_images, imagenet_val, *drawn
    )
    return Bunch(
        train_paths=train_paths[given < n_classes],
        train_labels=given[given < n_classes],
        val_paths=val_paths[val < n_classes],
        val_labels=val[val < n_classes],
        imagenet_val_paths=imagenet_val_paths[imagenet_val < n_classes],
        imagenet_val_labels=imagenet_val[imagenet_val < n_classes],
        class_names=[line.partition(" ")[2] for line in synsets[:n_classes]],
        train_true_labels=true[given < n_classes],
    )


def make_clothing1m(root, *, n_per_class=4, n_clean_per_class=2, size=48, random_state=0):
    """Write Clothing1M: 14 classes, ``n_clean_per_class`` images in each of the clean lists."""
    rng = np.random.default_rng(random_state)
    root, n_classes = Path(root), len(CLOTHES)
    n_images = {"noisy_train": n_per_class} | dict.fromkeys(
        ["clean_train", "clean_val", "clean_test"], n_clean_per_class
    )
    true = {name: rng.permutation(_labels(n_classes, count)) for name, count in n_images.items()}
    given = {name: give_labels(labels, n_classes, rng, 0.5) for name, labels in true.items()}
    given["noisy_train"] = give_labels(true["noisy_train"], n_classes, rng)
    keys, paths, noisy_lines, clean_lines = {}, {}, [], []
    for name, labels in true.items():
        # The comma is part of the key.
        keys[name] = [
            f"images/{rng.integers(10)}/{rng.integers(100)}/"
            f"{rng.integers(10**8, 10**9)},{rng.integers(10**8, 10**9)}.jpg"
            for _ in labels
        ]
        if name != "noisy_train":
            clean_lines += _pairs(keys[name], labels)
            given[name][1::2] = -1  # as published, half of the clean images have both labels
        noisy_lines += [line for line in _pairs(keys[name], given[name]) if not line.endswith("-1")]
        paths[name] = _write_images(root, keys[name], labels, n_classes, size, rng)

    folder = root / "annotations"
    _write_lines(folder / "category_names_eng.txt", CLOTHES)
    _write_lines(folder / "noisy_label_kv.txt", rng.permutation(noisy_lines))
    _write_lines(folder / "clean_label_kv.txt", rng.permutation(clean_lines))
    for name in keys:
        _write_lines(folder / f"{name}_key_list.txt", keys[name], last="")
    return Bunch(
        train_paths=paths["noisy_train"],
        train_labels=given["noisy_train"],
        train_clean_labels=np.full(len(given["noisy_train"]), -1),
        clean_train_paths=paths["clean_train"],
        clean_train_labels=true["clean_train"],
        clean_train_given_labels=given["clean_train"],
        val_paths=paths["clean_val"],
        val_labels=true["clean_val"],
        val_given_labels=given["clean_val"],
        test_paths=paths["clean_test"],
        test_labels=true["clean_test"],
        test_given_labels=given["clean_test"],
        class_names=CLOTHES,
        train_true_labels=true["noisy_train"],
    )


def make_cifar10(root, *, n_per_batch=50, random_state=0):
    """Write CIFAR-10, five batches and one to test, and its label files.

    These are ``noise_label/cifar10-1-0.35.npy`` and two hybrids beside it, for the first nine
    tenths of the training images, and ``CIFAR-10_human.pt``.
    """
    rng = np.random.default_rng(random_state)
    folder, n_classes = Path(root) / "cifar-10-batches-py", len(CIFAR10_CLASSES)
    labels = rng.permuted(np.arange(6 * n_per_batch) % n_classes)
    images = draw_images(labels, n_classes, 32, rng)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for number, name in enumerate(names):
        rows = slice(number * n_per_batch, (number + 1) * n_per_batch)
        title = f"training batch {number + 1} of 5" if number < 5 else "testing batch 1 of 1"
        batch = {"batch_label": title, "labels": labels[rows].tolist()}
        _write_python2_pickle(folder / name, batch | {"data": _planes(images[rows])})
    meta = {"num_cases_per_batch": n_per_batch, "label_names": CIFAR10_CLASSES, "num_vis": 3072}
    _write_python2_pickle(folder / "batches.meta", meta)

    n_train = 5 * n_per_batch
    true = labels[:n_train]
    pmd_labels = _write_pmd_labels(Path(root), true[: n_train * 9 // 10], n_classes, rng)
    rates = {"aggre_label": 0.09, "worse_label": 0.4}
    rates |= {f"random_label{number}": 0.17 for number in (1, 2, 3)}
    human_labels = {name: give_labels(true, n_classes, rng, rate) for name, rate in rates.items()}
    human_labels["clean_label"] = true.copy()
    _write_torch_archive(Path(root) / "CIFAR-10_human.pt", human_labels)
    return Bunch(
        train_images=images[:n_train],
        train_labels=true,
        test_images=images[n_train:],
        test_labels=labels[n_train:],
        class_names=CIFAR10_CLASSES,
        pmd_labels=pmd_labels,
        human_labels=human_labels,
    )


def make_cifar100(root, *, n_train=200, n_test=50, random_state=0):
    """Write CIFAR-100 with 10 fine and 5 coarse classes, and ``CIFAR-100_human.pt``."""
    rng = np.random.default_rng(random_state)
    folder, n_classes = Path(root) / "cifar-100-python", len(CIFAR100_CLASSES)
    labels = rng.permuted(np.arange(n_train + n_test) % n_classes)
    images = draw_images(labels, n_classes, 32, rng)
    for name, rows in [("train", slice(n_train)), ("test", slice(n_train, None))]:
        batch = {"batch_label": f"{name}ing batch 1 of 1", "data": _planes(images[rows])}
        batch["fine_labels"] = labels[rows].tolist()
        batch["coarse_labels"] = (labels[rows] // 2).tolist()
        _write_python2_pickle(folder / name, batch)
    _write_python2_pickle(
        folder / "meta",
        {"fine_label_names": CIFAR100_CLASSES, "coarse_label_names": CIFAR100_COARSE_CLASSES},
    )

    true = labels[:n_train]
    noisy = give_labels(true, n_classes, rng, 0.4)
    human_labels = {"clean_label": true.copy(), "noisy_label": noisy}
    human_labels["clean_coarse_label"] = (true // 2).tolist()
    human_labels["noisy_coarse_label"] = (noisy // 2).tolist()
    _write_torch_archive(Path(root) / "CIFAR-100_human.pt", human_labels)
    return Bunch(
        train_images=images[:n_train],
        train_labels=true,
        test_images=images[n_train:],
        test_labels=labels[n_train:],
        class_names=CIFAR100_CLASSES,
        human_labels=human_labels,
    )


def _write_pmd_labels(root, true, n_classes, rng):
    """Write labels of type I with 35 % noise and both hybrids; return them by file name."""
    is_wrong = give_labels(true, n_classes, rng, 0.35) != true
    pmd = np.where(is_wrong, (true + 1) % n_classes, true)  # never a third class
    flips = np.array([0, 1, 0, 5, 7, 3, 6, 7, 8, 1])
    labels = {
        "cifar10-1-0.35.npy": pmd,
        "cifar10-1-0.35_U_0.3.npy": give_labels(pmd, n_classes, rng, 0.3),
        "cifar10-1-0.35_A_0.3.npy": np.where(rng.random(len(pmd)) < 0.3, flips[pmd], pmd),
    }
    (root / "noise_label").mkdir(parents=True, exist_ok=True)
    for name, values in labels.items():
        np.save(root / "noise_label" / name, values)
    return labels


class Python2Pickler(pickle._Pickler):
    """Writes text as Python 2 did, whose strings were bytes: the pickler in Python, not in C."""

    dispatch = dict(pickle._Pickler.dispatch)

    def _save_text(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        short = len(data) < 256
        self.write(pickle.SHORT_BINSTRING if short else pickle.BINSTRING)
        self.write(struct.pack("<B" if short else "<i", len(data)) + data)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = _save_text


def _write_python2_pickle(path, content):
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The NumPy of that time had its core elsewhere.
    names = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    path.write_bytes(buffer.getvalue().replace(*names))


def _write_torch_archive(path, content):
    import torch  # slow to import, and the other data sets do without it

    torch.save(content, path)


def _planes(images):
    """Return rows of the red plane, the green and the blue one."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(len(images), -1))


def _first(values, n):
    if not 2 <= n <= len(values):
        raise ValueError(f"there are names for 2 to {len(values)} classes, got {n} classes.")
    return values[:n]


def _labels(n_classes, n_per_class):
    return np.repeat(np.arange(n_classes), n_per_class)


def _pairs(keys, labels):
    return [f"{key} {label}" for key, label in zip(keys, labels, strict=True)]


def _write_lines(path, lines, last="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + last).encode())


def _write_images(folder, keys, labels, n_classes, size, rng):
    """Write an image of its true class for each key; return the paths as the readers do."""
    paths = [folder / key for key in keys]
    for path, image in zip(paths, draw_images(labels, n_classes, size, rng), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, format="JPEG", quality=90)
    return np.array([str(path) for path in paths])


MAKERS = {
    "food101n": make_food101n,
    "webvision": lambda root: make_mini_webvision(root / "webvision", root / "imagenet"),
    "clothing1m": make_clothing1m,
    "cifar10": make_cifar10,
    "cifar100": make_cifar100,
}


def main():
    """Write the miniature that the command line asks for."""
    parser = argparse.ArgumentParser(description="Write a miniature of a published data set.")
    parser.add_argument("name", choices=MAKERS)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    MAKERS[arguments.name](arguments.directory)
    print(f"{arguments.name} is in {arguments.directory}")


if __name__ == "__main__":
    main()

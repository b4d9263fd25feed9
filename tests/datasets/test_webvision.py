"""Mini-WebVision and the validation set of ILSVRC12 on disk, whole and damaged."""

import os

import pytest
from numpy.testing import assert_array_equal

from skdiffusion_label.datasets import load_mini_webvision

TRAIN = "webvision/info/train_filelist_google.txt"
VAL = "webvision/info/val_filelist.txt"
SYNSETS = "webvision/info/synsets.txt"
IMAGENET = "imagenet/ILSVRC2012_val_label.txt"


def load(folder, **options):
    return load_mini_webvision(
        folder / "webvision", folder / "imagenet", **{"n_classes": 5} | options
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vision")


@pytest.fixture(scope="module")
def expected(miniatures, folder):
    return miniatures.make_mini_webvision(folder / "webvision", folder / "imagenet")


def test_miniature_is_read_back(folder, expected, assert_equal):
    webvision = load(folder, check_images=True)
    assert_equal(webvision, expected)
    assert webvision.keys() == expected.keys() - {"train_true_labels"}
    assert set(webvision.train_labels) == set(range(5))


def test_only_the_first_classes_are_kept(folder, expected):
    webvision = load(folder, n_classes=3)
    assert_array_equal(webvision.train_paths, expected.train_paths[expected.train_labels < 3])
    assert_array_equal(webvision.val_labels, expected.val_labels[expected.val_labels < 3])
    assert webvision.class_names == expected.class_names[:3]
    assert len(load(folder, n_classes=7).train_labels) == 7 * 8


def test_imagenet_is_left_out_without_its_root(folder, expected, assert_equal):
    webvision = load_mini_webvision(folder / "webvision", n_classes=5)
    assert_equal(webvision, expected)
    assert not any(name.startswith("imagenet") for name in webvision)


def test_validation_list_may_lie_in_root_itself(folder, expected, copied):
    root = copied(folder)
    os.rename(root / VAL, root / "webvision" / "val_filelist.txt")
    webvision = load(root, check_images=True)
    assert_array_equal(webvision.val_labels, expected.val_labels)
    assert webvision.val_paths[0].startswith(str(root / "webvision" / "val_images_256"))


def test_names_are_those_of_either_synsets_file_or_none(folder, expected, copied):
    root = copied(folder)
    os.rename(root / SYNSETS, root / "imagenet" / "synsets.txt")
    assert load(root).class_names == expected.class_names
    os.remove(root / "imagenet" / "synsets.txt")
    assert load(root).class_names is None


@pytest.mark.parametrize(
    ("name", "change", "pieces"),
    [
        (TRAIN, b"", ["expected 'image label' in each line, got no line of data"]),
        (TRAIN, (3, "google/q0001/a.jpg"), [", line 3: expected 'image label', got 'google/q"]),
        (TRAIN, (3, "google/q0001/a.jpg\t0"), [", line 3: expected 'image label', got"]),
        (TRAIN, (3, "google/q0001/a.jpg  0"), [", line 3: expected 'image label', got"]),
        (TRAIN, (3, "google/a.jpg 1000"), [", line 3: ", "with a label from 0 to 999, got"]),
        (TRAIN, (3, "google/a.jpg -1"), [", line 3: ", "with a label from 0 to 999, got"]),
        (TRAIN, (3, "google/a.jpg 0.0"), [", line 3: ", "with a label from 0 to 999, got"]),
        (TRAIN, (3, "/etc/a.jpg 0"), [", line 3: expected 'image label' below ", "'/etc/a.jpg 0'"]),
        (TRAIN, (3, "google/../../a.jpg 0"), [", line 3: expected 'image label' below "]),
        (TRAIN, (8, 2), [", line 8: expected 'image label' that no earlier line has (line 2)"]),
        (TRAIN, (4, ""), [", line 4: expected 'image label', got ''."]),
        (TRAIN, "google/q0007/1", [", line 57: expected 'image label', got 'google/q0007/1'."]),
        (TRAIN, b"a.jpg 0\nb.jpg \xfe\n", [", line 2: expected 'image label' in UTF-8, got bytes"]),
        (TRAIN, b"a.jpg 0\nb.jpg 2\n", ["expected lines of all 5 classes, got none of class 1."]),
        (VAL, (2, "val000002.jpg"), [", line 2: expected 'image label', got 'val000002.jpg'."]),
        (VAL, (2, "val000002.jpg one"), [", line 2: ", "with a label from 0 to 999"]),
        (VAL, (2, 1), [", line 2: expected 'image label' that no earlier line has (line 1)"]),
        (SYNSETS, (2, "n01443537"), [", line 2: expected 'n01440764 names', got 'n01443537'."]),
        (SYNSETS, (2, "goldfish"), [", line 2: expected 'n01440764 names', got 'goldfish'."]),
        (SYNSETS, (3, 2), [", line 3: expected 'n01440764 names' that no earlier line has"]),
        (SYNSETS, b"n01440764 tench", ["expected at least n_classes=5 lines, got 1."]),
        (IMAGENET, (6, "ILSVRC2012_val_00000006.JPEG 0"), [", line 6: expected 'image label n0"]),
        (IMAGENET, (6, "a.JPEG 0 tench"), [", line 6: expected 'image label n01440764', got"]),
        (IMAGENET, (6, "a.JPEG 1000 n01440764"), [", line 6: ", "a label from 0 to 999, got"]),
        (
            IMAGENET,
            (6, "a.JPEG 0 n01443537"),
            [", line 6: expected 'image label n01440764' with n01440764, the id of label 0, got"],
        ),
    ],
)
def test_damaged_list_is_an_error_that_says_where(
    folder, expected, copied, damage, name, change, pieces
):
    root = copied(folder)
    damage(root / name, change)
    with pytest.raises(ValueError) as caught:
        load(root)
    for piece in [str(root / name), *pieces]:
        assert piece in str(caught.value)


@pytest.mark.parametrize("name", [TRAIN, VAL, IMAGENET])
def test_missing_list_is_an_error(folder, expected, copied, damage, name):
    root = copied(folder)
    damage(root / name, None)
    with pytest.raises(FileNotFoundError) as caught:
        load(root)
    assert f"{root / name} does not exist; it must be a text file with" in str(caught.value)


@pytest.mark.parametrize("split", ["train", "val", "imagenet_val"])
def test_missing_image_is_an_error_if_asked_for(folder, expected, copied, split):
    root = copied(folder)
    path = load(root)[f"{split}_paths"][2]
    os.remove(path)
    load(root)
    with pytest.raises(FileNotFoundError) as caught:
        load(root, check_images=True)
    assert str(caught.value) == f"{path} does not exist; 1 of the 70 images listed are missing."


@pytest.mark.parametrize(
    ("n_classes", "error", "message"),
    [
        (1, ValueError, "n_classes == 1, must be >= 2"),
        (1001, ValueError, "n_classes == 1001, must be <= 1000"),
        (5.0, TypeError, "n_classes must be an instance of"),
        (8, ValueError, "expected at least n_classes=8 lines, got 7"),
    ],
)
def test_invalid_number_of_classes_is_an_error(folder, expected, n_classes, error, message):
    with pytest.raises(error, match=message):
        load(folder, n_classes=n_classes)

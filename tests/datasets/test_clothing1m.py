"""Clothing1M on disk, whole and damaged."""

import os

import pytest
from numpy.testing import assert_array_equal

from skdiffusion_label.datasets import load_clothing1m

NAMES = "annotations/category_names_eng.txt"
NOISY = "annotations/noisy_label_kv.txt"
CLEAN = "annotations/clean_label_kv.txt"
TRAIN = "annotations/noisy_train_key_list.txt"
CLEAN_TRAIN = "annotations/clean_train_key_list.txt"
VAL = "annotations/clean_val_key_list.txt"
TEST = "annotations/clean_test_key_list.txt"
KEY = "images/0/0/1,2.jpg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clothing")


@pytest.fixture(scope="module")
def expected(miniatures, folder):
    return miniatures.make_clothing1m(folder)


def test_miniature_is_read_back(folder, expected, assert_equal):
    clothing = load_clothing1m(folder, check_images=True)
    assert_equal(clothing, expected)
    assert clothing.keys() == expected.keys() - {"train_true_labels"}
    assert len(clothing.class_names) == 14


def test_key_with_a_comma_is_one_path_and_the_last_line_needs_no_end(folder, expected):
    text = (folder / TRAIN).read_text()
    assert not text.endswith("\n")
    keys = text.split("\n")
    assert all(key.count(",") == 1 for key in keys)
    paths = load_clothing1m(folder).train_paths
    assert paths.tolist() == [os.path.join(folder, key) for key in keys]


def test_images_of_both_kinds_of_labels_have_both(folder, expected, copied, damage):
    root = copied(folder)
    keys = (root / TRAIN).read_text().split("\n")
    damage(root / CLEAN, f"{keys[4]} 13\n")
    clothing = load_clothing1m(root)
    assert clothing.train_clean_labels[4] == 13
    assert (clothing.train_clean_labels >= 0).sum() == 1
    has_both = clothing.val_given_labels >= 0
    assert_array_equal(has_both, expected.val_given_labels >= 0)
    assert 0 < has_both.sum() < len(has_both)
    assert (clothing.val_given_labels != clothing.val_labels)[has_both].any()


@pytest.mark.parametrize(
    ("name", "change", "pieces"),
    [
        (NAMES, b"", ["expected a class name in each line, got no line of data."]),
        (NAMES, (3, 2), [", line 3: expected a class name that no earlier line has (line 2), got"]),
        (NOISY, b"", ["expected 'key label' in each line, got no line of data."]),
        (NOISY, (5, KEY), [f", line 5: expected 'key label', got '{KEY}'."]),
        (NOISY, (5, f"{KEY}\t3"), [", line 5: expected 'key label', got"]),
        (NOISY, (5, f"{KEY},3"), [", line 5: expected 'key label', got"]),
        (NOISY, (5, f"{KEY} 3 1"), [", line 5: expected 'key label', got"]),
        (
            NOISY,
            (5, f"{KEY} 14"),
            [", line 5: expected 'key label' with a label from 0 to 13 of category_names"],
        ),
        (
            NOISY,
            (5, f"{KEY} -1"),
            [", line 5: expected 'key label' with a label from 0 to 13 of category_names"],
        ),
        (
            NOISY,
            (5, f"{KEY} Vest"),
            [", line 5: ", " with a label from 0 to 13 of category_names_eng.txt, got", "Vest"],
        ),
        (NOISY, (5, 1), [", line 5: expected 'key label' that no earlier line has (line 1), got"]),
        (
            NOISY,
            b"\x00\x01\xff 1\n",
            [", line 1: expected 'key label' in UTF-8, got bytes b'\\xff"],
        ),
        (
            CLEAN,
            (2, f"{KEY} 99"),
            [", line 2: expected 'key label' with a label from 0 to 13 of category_names"],
        ),
        (CLEAN, (2, 1), [", line 2: expected 'key label' that no earlier line has (line 1), got"]),
        (CLEAN, "images/0/0/1,", [", line 85: expected 'key label', got 'images/0/0/1,'."]),
        (
            TRAIN,
            (6, KEY),
            [", line 6: expected the key of an image with a label in noisy_label_kv"],
        ),
        (TRAIN, (6, "images/"), [", line 6: expected the key of an image with a label in noisy"]),
        (TRAIN, (6, ""), [", line 6: expected the key of an image, got ''."]),
        (
            TRAIN,
            (6, 2),
            [", line 6: expected the key of an image that no earlier line has (line 2)"],
        ),
        (
            CLEAN_TRAIN,
            (3, KEY),
            [", line 3: expected the key of an image with a label in clean_la"],
        ),
        (VAL, (3, KEY), [", line 3: expected the key of an image with a label in clean_label_kv"]),
        (TEST, (3, KEY), [", line 3: expected the key of an image with a label in clean_label_kv"]),
        (TEST, b"", ["expected the key of an image in each line, got no line of data."]),
    ],
)
def test_damaged_list_is_an_error_that_says_where(
    folder, expected, copied, damage, name, change, pieces
):
    root = copied(folder)
    damage(root / name, change)
    with pytest.raises(ValueError) as caught:
        load_clothing1m(root)
    for piece in [str(root / name), *pieces]:
        assert piece in str(caught.value)


@pytest.mark.parametrize("name", [TRAIN, CLEAN_TRAIN, VAL, TEST])
def test_list_that_is_cut_off_lacks_classes(folder, expected, copied, damage, name):
    root = copied(folder)
    damage(root / name, b"\n".join((root / name).read_bytes().split(b"\n")[:3]))
    with pytest.raises(
        ValueError, match="expected lines of all 14 classes of category_names_eng.txt, got none"
    ) as caught:
        load_clothing1m(root)
    assert str(root / name) in str(caught.value)


@pytest.mark.parametrize("name", [NAMES, NOISY, CLEAN, TRAIN, CLEAN_TRAIN, VAL, TEST])
def test_missing_list_is_an_error(folder, expected, copied, damage, name):
    root = copied(folder)
    damage(root / name, None)
    with pytest.raises(FileNotFoundError) as caught:
        load_clothing1m(root)
    assert f"{root / name} does not exist; it must be a text file with" in str(caught.value)


def test_missing_images_are_counted_only_if_asked_for(folder, expected, copied):
    root = copied(folder)
    clothing = load_clothing1m(root)
    for split in ("test", "val", "clean_train", "train"):
        os.remove(clothing[f"{split}_paths"][1])
    load_clothing1m(root)
    message = f"{clothing.train_paths[1]} does not exist; 4 of the 140 images listed are missing."
    with pytest.raises(FileNotFoundError) as caught:
        load_clothing1m(root, check_images=True)
    assert str(caught.value) == message

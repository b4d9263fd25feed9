"""Food-101N and Food-101 on disk, whole and damaged."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdiffusion_label.datasets import load_food101n

META = "Food-101N_release/meta"
CLASSES = f"{META}/classes.txt"
IMAGES = f"{META}/imagelist.tsv"
VERIFIED = f"{META}/verified_train.tsv"
TEST = "food-101/meta/test.txt"
BINARY = b"class_name\n\xff\xd8\xff\xe0\x00\x10JFIF"
NEW_KEY = "0" * 32 + ".jpg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("food")


@pytest.fixture(scope="module")
def expected(miniatures, folder):
    return miniatures.make_food101n(folder)


def test_miniature_is_read_back(folder, expected, assert_equal):
    food = load_food101n(folder, check_images=True)
    assert_equal(food, expected)
    assert food.keys() == expected.keys() - {"train_true_labels"}
    assert set(food.train_verified) == set(food.val_verified) == {-1, 0, 1}


def test_label_is_the_place_of_the_folder_in_classes_txt(folder, expected, copied, damage):
    root = copied(folder)
    names = expected.class_names
    damage(root / CLASSES, "\n".join(["class_name", *names[::-1]]).encode())
    food = load_food101n(root)
    assert food.class_names == names[::-1]
    assert_array_equal(food.train_labels, len(names) - 1 - expected.train_labels)
    of_paths = [names[::-1].index(path.split("/")[-2]) for path in food.test_paths]
    assert_array_equal(food.test_labels, of_paths)


def test_paths_are_those_of_root_in_the_order_of_the_list(folder):
    food = load_food101n(os.fspath(folder))
    lines = (folder / IMAGES).read_text().splitlines()[1:]
    images = os.path.join(folder, "Food-101N_release", "images")
    assert food.train_paths.tolist() == [os.path.join(images, line) for line in lines]
    assert food.train_paths.dtype.kind == "U"


def test_image_of_two_classes_keeps_that_of_the_list_and_is_not_verified(folder, expected):
    image, _ = (folder / VERIFIED).read_text().splitlines()[-1].split("\t")
    class_name, key = image.split("/")
    (row,) = np.flatnonzero([path.endswith(key) for path in expected.train_paths])
    food = load_food101n(folder)
    assert food.class_names[food.train_labels[row]] != class_name
    assert food.train_verified[row] == -1


def test_windows_line_ends_and_a_missing_last_one_are_read(folder, expected, copied, damage):
    root = copied(folder)
    for name in (CLASSES, IMAGES, VERIFIED, TEST):
        data = (root / name).read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n")
        damage(root / name, data)
    food = load_food101n(root)
    assert_array_equal(food.train_labels, expected.train_labels)
    assert_array_equal(food.train_verified, expected.train_verified)
    assert food.class_names == expected.class_names


@pytest.mark.parametrize(
    ("name", "change", "pieces"),
    [
        (CLASSES, (1, None), ["line 1: expected a header that starts with 'class_name'"]),
        (CLASSES, (4, 3), ["line 4: expected a class name that no earlier line has (line 3)"]),
        (CLASSES, (3, ""), [", line 3: expected a class name", "got ''"]),
        (CLASSES, b"class_name\n", ["expected a class name in each line, got no line of data"]),
        (IMAGES, b"", ["expected 'class/key.jpg' in each line, got no line of data"]),
        (IMAGES, (1, None), [", line 1: expected a header that starts with 'class_name'"]),
        (IMAGES, (7, "apple_pie"), [", line 7: expected 'class/key.jpg', got 'apple_pie'."]),
        (IMAGES, "apple_pie/3f", [", line 50: expected 'class/key.jpg', got 'apple_pie/3f'."]),
        (IMAGES, (5, "apple_pie/.."), [", line 5: expected 'class/key.jpg', got 'apple_pie/..'."]),
        (
            IMAGES,
            (9, f"pizza/{NEW_KEY}"),
            [", line 9: expected 'class/key.jpg' with a class of classes.txt, got 'pizza/0000"],
        ),
        (IMAGES, (9, 4), [", line 9: expected 'class/key.jpg' that no earlier line has (line 4)"]),
        (IMAGES, (6, f"apple_pie\\{NEW_KEY}"), [", line 6: expected 'class/key.jpg', got"]),
        (IMAGES, BINARY, [", line 2: expected 'class/key.jpg' in UTF-8, got bytes b'\\xff"]),
        (
            IMAGES,
            b"class_name\napple_pie/a.jpg",
            ["expected lines of all 6 classes of classes.txt, got none of"],
        ),
        (VERIFIED, (1, None), [", line 1: expected a header that starts with 'class_name'"]),
        (VERIFIED, (3, 2), [", line 3: expected 'class/key.jpg', a tab, 0 or 1 that no earlier"]),
        (VERIFIED, (2, f"apple_pie/{NEW_KEY} 1"), [", line 2: expected 'class/key.jpg', a tab"]),
        (VERIFIED, (2, f"apple_pie/{NEW_KEY}\t2"), [", line 2: ", "with a label from 0 to 1"]),
        (VERIFIED, (2, f"apple_pie/{NEW_KEY}\tyes"), [", line 2: ", "with a label from 0 to 1"]),
        (VERIFIED, (2, f"apple_pie/{NEW_KEY}\t"), [", line 2: ", "expected 'class/key.jpg', a"]),
        (
            VERIFIED,
            (4, f"apple_pie/{NEW_KEY}\t1"),
            [", line 4: expected", "of an image in imagelist.tsv, got 'apple_pie/0000"],
        ),
        (f"{META}/verified_val.tsv", (4, "x\t1"), [", line 4: ", "of an image in imagelist.tsv"]),
        (TEST, (2, "ramen/102"), [", line 2: expected 'class/id' without '.jpg' with a class of"]),
        (TEST, (2, "apple_pie/7.jpg"), [", line 2: expected 'class/id' without '.jpg', got"]),
        (TEST, (2, 1), [", line 2: expected", "that no earlier line has (line 1)"]),
        (TEST, "class_name", [", line 19: expected 'class/id' without '.jpg', got 'class_name'"]),
        (
            TEST,
            b"apple_pie/3",
            ["expected lines of all 6 classes of classes.txt, got none of class 1"],
        ),
    ],
)
def test_damaged_list_is_an_error_that_says_where(
    folder, expected, copied, damage, name, change, pieces
):
    root = copied(folder)
    damage(root / name, change)
    with pytest.raises(ValueError) as caught:
        load_food101n(root)
    for piece in [str(root / name), *pieces]:
        assert piece in str(caught.value)


@pytest.mark.parametrize("name", [CLASSES, IMAGES, VERIFIED, f"{META}/verified_val.tsv", TEST])
def test_missing_list_is_an_error(folder, expected, copied, damage, name):
    root = copied(folder)
    damage(root / name, None)
    with pytest.raises(FileNotFoundError) as caught:
        load_food101n(root)
    assert f"{root / name} does not exist; it must be a text file with" in str(caught.value)


def test_missing_images_are_counted_only_if_asked_for(folder, expected, copied):
    root = copied(folder)
    food = load_food101n(root)
    for path in (food.test_paths[3], food.train_paths[5], food.train_paths[8]):
        os.remove(path)
    assert_array_equal(load_food101n(root).train_labels, expected.train_labels)
    message = f"{food.train_paths[5]} does not exist; 3 of the 66 images listed are missing."
    with pytest.raises(FileNotFoundError) as caught:
        load_food101n(root, check_images=True)
    assert str(caught.value) == message

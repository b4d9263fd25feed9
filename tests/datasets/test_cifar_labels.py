"""Files of labels for CIFAR, whole, damaged and hostile."""

import re
import zipfile

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skdiffusion_label.datasets import load_cifar, load_cifar_n_labels, load_pmd_labels

CLEAN = np.arange(40) % 10
OTHER = np.roll(CLEAN, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cifar")


@pytest.fixture(scope="module")
def expected(miniatures, folder):
    return miniatures.make_cifar10(folder, n_per_batch=20)


@pytest.fixture
def saved(tmp_path):
    """Save labels as torch does; return the path."""

    def save(content):
        torch.save(content, tmp_path / "labels.pt")
        return tmp_path / "labels.pt"

    return save


@pytest.fixture
def saved_array(tmp_path):
    """Save an array as NumPy does, pickled where it holds objects; return the path."""

    def save(array):
        np.save(tmp_path / "labels.npy", array, allow_pickle=True)
        return tmp_path / "labels.npy"

    return save


def test_labels_of_people_are_read_back(folder, expected, assert_equal):
    human = load_cifar_n_labels(
        folder / "CIFAR-10_human.pt", true_labels=load_cifar(folder).train_labels
    )
    assert_equal(human, expected.human_labels)
    assert human.keys() == expected.human_labels.keys()
    rate = np.mean(human.worse_label != human.clean_label)
    assert rate == pytest.approx(0.4, abs=0.05)


def test_coarse_labels_in_lists_are_read_back(miniatures, tmp_path):
    expected = miniatures.make_cifar100(tmp_path)
    human = load_cifar_n_labels(
        str(tmp_path / "CIFAR-100_human.pt"), true_labels=expected.train_labels
    )
    assert human.keys() == expected.human_labels.keys()
    for name, labels in expected.human_labels.items():
        assert human[name].dtype == np.int64
        assert_array_equal(human[name], labels)


def test_lists_of_numpy_numbers_are_read(saved):
    human = load_cifar_n_labels(saved({"clean_label": list(CLEAN), "noisy_label": OTHER.tolist()}))
    assert_array_equal(human.clean_label, CLEAN)
    assert_array_equal(human.noisy_label, OTHER)


def test_file_of_an_older_numpy_is_read(saved, tmp_path):
    old = tmp_path / "old.pt"
    with (
        zipfile.ZipFile(saved({"clean_label": CLEAN})) as archive,
        zipfile.ZipFile(old, "w") as older,
    ):
        for name in archive.namelist():
            data = archive.read(name)
            assert not name.endswith("data.pkl") or b"numpy._core" in data
            older.writestr(name, data.replace(b"numpy._core", b"numpy.core"))
    assert_array_equal(load_cifar_n_labels(old).clean_label, CLEAN)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([CLEAN], "expected a dict of labels with 'clean_label', got list."),
        ({"noise_label": OTHER}, "expected a dict of labels with 'clean_label', got ['noise_la"),
        (
            {"clean_label": CLEAN, 3: OTHER},
            "expected a dict of labels with 'clean_label', got ['cl",
        ),
        (
            {"clean_label": CLEAN.astype(float)},
            "expected 'clean_label' to be int64 labels of shape",
        ),
        (
            {"clean_label": CLEAN.astype(np.int32)},
            "to be int64 labels of shape (n_train,), got int3",
        ),
        (
            {"clean_label": CLEAN.reshape(2, 20)},
            "labels of shape (n_train,), got int64 of shape (2,",
        ),
        ({"clean_label": []}, "to be int64 labels of shape (n_train,), got float64 of shape (0,)."),
        ({"clean_label": ["cat"] * 40}, "expected 'clean_label' to be int64 labels of shape"),
        ({"clean_label": [[1], [2, 3]]}, "expected 'clean_label' to be labels, got lists in a l"),
        ({"clean_label": {}}, "expected 'clean_label' to be int64 labels of shape (n_train,), got"),
        (
            {"clean_label": CLEAN - 1},
            "row 0 of 'clean_label': expected a label of at least 0, got -1",
        ),
        (
            {"clean_label": CLEAN, "worse_label": CLEAN + 1},
            "row 9 of 'worse_label': expected a label from 0 to 9, got 10.",
        ),
        (
            {"clean_label": CLEAN, "worse_label": OTHER[:-1]},
            "expected as many labels in 'worse_label' as in 'clean_label', 40, got 39.",
        ),
        (
            {"clean_label": CLEAN, "noisy_coarse_label": (OTHER // 2).tolist()},
            "expected the key 'clean_coarse_label' beside 'noisy_coarse_label', got none.",
        ),
        (
            {"clean_label": CLEAN, "clean_coarse_label": CLEAN // 2, "noisy_coarse_label": OTHER},
            "row 0 of 'noisy_coarse_label': expected a label from 0 to 4, got 9.",
        ),
        (
            {"clean_label": torch.tensor([0, 1])},
            "expected a pickle of dicts, lists, text and arrays",
        ),
        ({"clean_label": CLEAN.astype(object)}, "got arrays of dtype object, which are refused."),
        (
            {"clean_label": OTHER},
            "row 0: expected 'clean_label' to be true_labels, 0, got 9; 40 of",
        ),
        ({"clean_label": CLEAN[:-1]}, "of the shape of true_labels, (40,), got (39,)."),
    ],
)
def test_damaged_labels_of_people_are_an_error_that_says_where(saved, content, message):
    path = saved(content)
    with pytest.raises(ValueError) as caught:
        load_cifar_n_labels(path, true_labels=CLEAN)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_file_in_another_order_is_found_by_a_single_row(saved):
    swapped = CLEAN.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    path = saved({"clean_label": swapped})
    assert_array_equal(load_cifar_n_labels(path).clean_label, swapped)
    message = "row 3: expected .*; 2 of 40 rows differ, so the file is in another order"
    with pytest.raises(ValueError, match=message):
        load_cifar_n_labels(path, true_labels=CLEAN)


@pytest.mark.parametrize("kind", ["empty", "text", "half", "array", "legacy", "other archive"])
def test_file_that_torch_has_not_written_is_an_error(tmp_path, saved, kind):
    path = saved({"clean_label": CLEAN})
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_bytes(b"\xff\xfe labels")
    elif kind == "half":
        path.write_bytes(path.read_bytes()[:500])
    elif kind == "array":
        with path.open("wb") as file:
            np.save(file, CLEAN)
    elif kind == "legacy":
        torch.save({"clean_label": CLEAN}, path, _use_new_zipfile_serialization=False)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("labels/data.txt", "0 1 2")
    message = f"{path}: expected a zip archive with one data.pkl, as torch.save writes it, got"
    with pytest.raises(ValueError, match=re.escape(message)):
        load_cifar_n_labels(path)


def test_bytes_changed_in_the_archive_are_found(saved):
    path = saved({"clean_label": CLEAN})
    data = bytearray(path.read_bytes())
    data[data.index(b"clean_label") + 40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="Bad CRC-32"):
        load_cifar_n_labels(path)


def test_hostile_archive_does_not_run(saved, hostile):
    content, trace = hostile
    path = saved({"clean_label": CLEAN, "worse_label": content})
    with pytest.raises(ValueError, match="the global .*mkdir, which is refused") as caught:
        load_cifar_n_labels(path)
    assert str(path) in str(caught.value)
    assert not trace.exists()
    # The same file does run where a pickle is trusted.
    torch.load(path, weights_only=False)
    assert trace.is_dir()


@pytest.mark.parametrize("load", [load_cifar_n_labels, load_pmd_labels])
def test_missing_file_is_an_error(tmp_path, load):
    path = tmp_path / "labels"
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(path))} does not exist; it must"):
        load(path)


def test_margin_and_hybrid_labels_are_read_back(folder, expected):
    assert len(expected.pmd_labels) == 3
    for name, labels in expected.pmd_labels.items():
        found = load_pmd_labels(folder / "noise_label" / name, n_classes=10)
        assert found.dtype == np.int64
        assert_array_equal(found, labels)
        assert len(found) == 90  # of 100 training images


def test_labels_of_any_length_and_range_are_read(saved_array):
    labels = np.arange(45_000) % 123
    assert_array_equal(load_pmd_labels(saved_array(labels)), labels)
    assert_array_equal(load_pmd_labels(saved_array(labels), n_classes=123), labels)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (OTHER.astype(np.int32), "expected int64 labels of shape (n_labeled,), got int32 of shape"),
        (OTHER.astype(float), "expected int64 labels of shape (n_labeled,), got float64 of shape"),
        (OTHER.astype(">i8"), "expected int64 labels of shape (n_labeled,), got >i8 of shape"),
        (OTHER.astype(str), "expected int64 labels of shape (n_labeled,), got <U21 of shape"),
        (np.eye(10, dtype=np.int64), "labels of shape (n_labeled,), got int64 of shape (10, 10)."),
        (np.int64(3), "expected int64 labels of shape (n_labeled,), got int64 of shape ()."),
        (OTHER[:0], "expected int64 labels of shape (n_labeled,), got int64 of shape (0,)."),
        (OTHER + 1, "row 0: expected a label from 0 to 9, got 10."),
        (OTHER - 3, "row 1: expected a label from 0 to 9, got -3."),
        (
            OTHER.astype(object),
            "expected int64 labels of shape (n_labeled,), got object of shape (40,).",
        ),
    ],
)
def test_wrong_array_is_an_error_that_says_where(saved_array, array, message):
    path = saved_array(array)
    with pytest.raises(ValueError) as caught:
        load_pmd_labels(path, n_classes=10)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["empty", "text", "half", "longer", "archive"])
def test_damaged_array_is_an_error_that_says_where(saved_array, kind):
    path = saved_array(OTHER)
    data = path.read_bytes()
    if kind == "archive":
        with path.open("wb") as file:
            np.savez(file, OTHER)
    else:
        damaged = {"empty": b"", "text": b"0\n1\n", "half": data[:-9], "longer": data + b"\x00"}
        path.write_bytes(damaged[kind])
    with pytest.raises(ValueError, match="expected (an array of int64|320 bytes of 40)") as caught:
        load_pmd_labels(path)
    assert str(path) in str(caught.value)


def test_hostile_array_does_not_run(saved_array, hostile):
    content, trace = hostile
    path = saved_array(np.array([content, None], dtype=object))
    with pytest.raises(ValueError, match="expected int64 labels of shape .*, got object"):
        load_pmd_labels(path)
    assert not trace.exists()


def test_negative_label_is_an_error_without_a_number_of_classes(saved_array):
    with pytest.raises(ValueError, match="row 1: expected a label of at least 0, got -3"):
        load_pmd_labels(saved_array(OTHER - 3))


@pytest.mark.parametrize(("n_classes", "error"), [(1, ValueError), (10.0, TypeError)])
def test_invalid_number_of_classes_is_an_error(saved_array, n_classes, error):
    with pytest.raises(error, match="n_classes"):
        load_pmd_labels(saved_array(OTHER), n_classes=n_classes)


def test_compressed_archive_is_refused_before_it_grows(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels/data.pkl", b"N0" * 10**6 + b"N.")
    with pytest.raises(ValueError, match="bomb.pt: expected a zip .*a compressed data.pkl"):
        load_cifar_n_labels(path)


@pytest.mark.parametrize("read", [load_cifar_n_labels, load_pmd_labels])
def test_folder_in_the_place_of_a_file_is_an_error(tmp_path, read):
    with pytest.raises(ValueError, match=f"{tmp_path} is a directory; it must be an ar"):
        read(tmp_path)


def test_lists_that_stand_for_more_than_they_hold_are_refused(saved):
    labels = [[0] * 1000] * 1000  # and so on
    with pytest.raises(ValueError, match="expected 'clean_label' to be labels, got lists in a"):
        load_cifar_n_labels(saved({"clean_label": labels}))

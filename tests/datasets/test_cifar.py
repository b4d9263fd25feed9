"""The pickles of CIFAR-10 and CIFAR-100, whole, damaged and hostile."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdiffusion_label.datasets import load_cifar

BATCH = "cifar-10-batches-py/data_batch_3"
TEST = "cifar-10-batches-py/test_batch"
META = "cifar-10-batches-py/batches.meta"
FINE = "cifar-100-python/train"
KEYS = {"train_images", "train_labels", "test_images", "test_labels", "class_names"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cifar")


@pytest.fixture(scope="module")
def expected(miniatures, folder):
    return {
        "cifar10": miniatures.make_cifar10(folder, n_per_batch=20),
        "cifar100": miniatures.make_cifar100(folder, n_train=40, n_test=20),
    }


@pytest.fixture
def repickle(folder, expected, copied):
    """Change the content of a pickle in a copy of the folder; return the copy and its path."""

    def change_pickle(name, protocol=2, **changes):
        root = copied(folder)
        content = pickle.loads((root / name).read_bytes(), encoding="bytes")
        content.update({key.encode(): value for key, value in changes.items()})
        content = {key: value for key, value in content.items() if value is not None}
        (root / name).write_bytes(pickle.dumps(content, protocol=protocol))
        return root, root / name

    return change_pickle


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_miniature_is_read_back(folder, expected, assert_equal, dataset):
    cifar = load_cifar(folder, dataset=dataset)
    assert_equal(cifar, expected[dataset])
    assert cifar.keys() == KEYS


def test_content_is_that_of_the_pickle_module(folder, expected):
    content = pickle.loads((folder / BATCH).read_bytes(), encoding="bytes")
    assert content.keys() == {b"batch_label", b"labels", b"data"}
    cifar = load_cifar(folder)
    assert_array_equal(cifar.train_labels[40:60], content[b"labels"])
    red_plane = content[b"data"][7, :1024].reshape(32, 32)
    assert_array_equal(cifar.train_images[47, :, :, 0], red_plane)
    blue_value = content[b"data"][7, 2048 + 32 * 5 + 9]
    assert cifar.train_images[47, 5, 9, 2] == blue_value


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickles_of_python_3_are_read_too(expected, repickle, protocol):
    root, _ = repickle(BATCH, protocol=protocol)
    assert_array_equal(load_cifar(root).train_images, expected["cifar10"].train_images)


def test_batches_may_be_of_any_size_if_the_meta_file_says_nothing(expected, repickle):
    root, _ = repickle(META, num_cases_per_batch=None)
    batch = {b"data": np.zeros((3, 3072), dtype=np.uint8), b"labels": [1, 2, 3]}
    (root / BATCH).write_bytes(pickle.dumps(batch, protocol=2))
    assert len(load_cifar(root).train_images) == 83


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (BATCH, {"data": None}, "expected a dict with the keys [b'data', b'labels'], got [b'batch"),
        (BATCH, {"labels": None}, "expected a dict with the keys [b'data', b'labels'], got [b'bat"),
        (FINE, {"fine_labels": None}, "expected a dict with the keys [b'data', b'fine_labels']"),
        (BATCH, {"data": np.zeros((20, 3072))}, "expected b'data' to be an array of uint8, got fl"),
        (BATCH, {"data": [[0] * 3072] * 20}, "expected b'data' to be an array of uint8, got list"),
        (
            BATCH,
            {"data": np.zeros((20, 3071), dtype=np.uint8)},
            "expected b'data' of shape (n_images, 3072), got (20, 3071).",
        ),
        (
            BATCH,
            {"data": np.zeros((20, 3, 32, 32), dtype=np.uint8)},
            "expected b'data' of shape (n_images, 3072), got (20, 3, 32, 32).",
        ),
        (
            FINE,
            {"data": np.zeros((0, 3072), dtype=np.uint8), "protocol": 3},
            "expected b'data' of shape (n_images, 3072), got (0, 3072).",
        ),
        (
            TEST,
            {"data": np.zeros((19, 3072), dtype=np.uint8), "labels": [0] * 19},
            "expected 20 images as batches.meta says, got 19.",
        ),
        (BATCH, {"labels": [0] * 19}, "expected a list of 20 labels, got 19 of them."),
        (BATCH, {"labels": np.zeros(20, dtype=int)}, "a list of 20 labels, got ndarray."),
        (BATCH, {"labels": [0] * 19 + [10]}, "row 19: expected a label from 0 to 9, got 10."),
        (BATCH, {"labels": [-1] + [0] * 19}, "row 0: expected a label from 0 to 9, got -1."),
        (BATCH, {"labels": [0, 1.0] * 10}, "row 1: expected a label from 0 to 9, got 1.0."),
        (BATCH, {"labels": [0, True] * 10}, "row 1: expected a label from 0 to 9, got True."),
        (BATCH, {"labels": [b"cat"] * 20}, "row 0: expected a label from 0 to 9, got b'cat'."),
        (META, {"label_names": None}, "expected a dict with the keys [b'label_names'], got [b'nu"),
        (
            META,
            {"label_names": b"cat"},
            "expected b'label_names' to be a list of bytes, got b'cat'",
        ),
        (
            META,
            {"label_names": [1, 2]},
            "expected b'label_names' to be a list of bytes, got [1, 2]",
        ),
        (
            META,
            {"label_names": [b"cat"]},
            "expected at least two different class names, got [b'cat",
        ),
        (META, {"label_names": [b"a", b"a"]}, "expected at least two different class names, got ["),
        (META, {"label_names": [b"a", b"\xff"]}, "expected b'label_names' in UTF-8, got [b'a', b'"),
        (META, {"num_cases_per_batch": 10_000}, "expected 10000 images as batches.meta says"),
    ],
)
def test_damaged_content_is_an_error_that_says_where(repickle, name, changes, message):
    root, path = repickle(name, **changes)
    with pytest.raises(ValueError) as caught:
        load_cifar(root, dataset="cifar100" if name == FINE else "cifar10")
    # The number of images is checked batch by batch.
    checked = path if "num_cases_per_batch" not in changes else path.parent / "data_batch_1"
    assert str(checked) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8\xff\xe0\x00\x10JFIF", b"class_name\n", pickle.dumps([1, 2]), "half"],
    ids=["empty", "image", "text", "list", "half"],
)
@pytest.mark.parametrize("name", [BATCH, TEST, META])
def test_file_that_is_no_pickle_of_a_dict_is_an_error(folder, copied, expected, damage, name, data):
    root = copied(folder)
    whole = (root / name).read_bytes()
    damage(root / name, whole[: len(whole) // 2] if data == "half" else data)
    with pytest.raises(ValueError, match="expected a (pickle of dicts|dict with)") as caught:
        load_cifar(root)
    assert str(root / name) in str(caught.value)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_missing_file_is_an_error(folder, expected, copied, damage, dataset):
    root = copied(folder)
    name = {"cifar10": BATCH, "cifar100": FINE}[dataset]
    damage(root / name, None)
    with pytest.raises(FileNotFoundError) as caught:
        load_cifar(root, dataset=dataset)
    assert str(caught.value) == f"{root / name} does not exist; it must be a pickle."


@pytest.mark.parametrize("protocol", range(6))
def test_hostile_pickle_does_not_run(repickle, hostile, protocol):
    content, trace = hostile
    root, path = repickle(BATCH, protocol=protocol, data=content)
    with pytest.raises(ValueError, match="the global .*mkdir, which is refused") as caught:
        load_cifar(root)
    assert str(path) in str(caught.value)
    assert not trace.exists()
    # The same file does run where a pickle is trusted.
    pickle.loads(path.read_bytes(), encoding="bytes")
    assert trace.is_dir()


def test_unknown_dataset_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="dataset must be 'cifar10' or 'cifar100', got 'mnist'"):
        load_cifar(tmp_path, dataset="mnist")


DEEP = b"]" * 10_000 + b"a" * 9_999


@pytest.mark.parametrize(
    ("name", "program", "message"),
    [
        (META, b"}U\x0blabel_names" + DEEP + b"s.", "expected b'label_names' to be a list of byte"),
        (
            META,
            b"}(U\x0blabel_names](U\x01aU\x01beU\x13num_cases_per_batch" + DEEP + b"u.",
            "images",
        ),
        (BATCH, b"}\x8b\xb8\x0b\0\0" + b"\x01" * 3000 + b"Ns.", "got a huge list"),
    ],
    ids=["deep names", "deep number", "huge key"],
)
def test_content_that_python_cannot_write_is_an_error_that_says_where(
    folder, copied, expected, damage, name, program, message
):
    root = copied(folder)
    damage(root / name, program)
    with pytest.raises(ValueError, match=message) as caught:
        load_cifar(root)
    assert str(root) in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_folder_in_the_place_of_a_file_is_an_error(folder, copied, expected, damage):
    root = copied(folder)
    damage(root / META, None)
    (root / META).mkdir()
    with pytest.raises(ValueError, match="batches.meta is a directory; it must be a pickle"):
        load_cifar(root)

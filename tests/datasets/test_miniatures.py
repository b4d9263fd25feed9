"""The miniatures of examples/paper/miniatures.py: exact formats, classes that can be learned."""

import pickletools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from skdiffusion_label import datasets


def mean_colors(paths):
    return np.array([np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in paths])


@pytest.mark.parametrize("name", ["food101n", "mini_webvision", "clothing1m"])
def test_images_show_their_true_class_and_a_third_of_labels_is_wrong(miniatures, tmp_path, name):
    make = getattr(miniatures, f"make_{name}")
    roots = [tmp_path / "root", tmp_path / "imagenet"][: 2 if name == "mini_webvision" else 1]
    data = make(*roots)
    test = "val" if name == "mini_webvision" else "test"
    model = KNeighborsClassifier(1).fit(mean_colors(data.train_paths), data.train_true_labels)
    accuracy = model.score(mean_colors(data[f"{test}_paths"]), data[f"{test}_labels"])
    assert accuracy > 0.85
    assert np.mean(data.train_labels != data.train_true_labels) == pytest.approx(0.3, abs=0.06)


def test_small_images_show_their_class(miniatures, tmp_path):
    cifar = miniatures.make_cifar10(tmp_path)
    model = KNeighborsClassifier(1).fit(cifar.train_images.mean(axis=(1, 2)), cifar.train_labels)
    assert model.score(cifar.test_images.mean(axis=(1, 2)), cifar.test_labels) > 0.85


def test_pickles_are_those_of_python_2(miniatures, tmp_path):
    miniatures.make_cifar10(tmp_path, n_per_batch=10)
    for name in ("data_batch_1", "batches.meta"):
        data = (tmp_path / "cifar-10-batches-py" / name).read_bytes()
        operations = [(code.name, value) for code, value, _ in pickletools.genops(data)]
        names = {name for name, _ in operations}
        assert operations[0] == ("PROTO", 2)
        assert "SHORT_BINSTRING" in names
        assert not names & {"BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "STACK_GLOBAL"}
    assert ("GLOBAL", "numpy.core.multiarray _reconstruct") in [
        (code.name, value)
        for code, value, _ in pickletools.genops(
            (tmp_path / "cifar-10-batches-py" / "data_batch_1").read_bytes()
        )
    ]


def test_same_random_state_writes_the_same_bytes(miniatures, tmp_path):
    for name in "ab":
        miniatures.make_food101n(tmp_path / name, n_classes=2, n_per_class=3)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert files == sorted(
        path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*.*")
    )
    for file in files:
        if (tmp_path / "a" / file).is_file():
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_more_classes_than_there_are_names_for_is_an_error(miniatures, tmp_path):
    with pytest.raises(ValueError, match="names for 2 to 10 classes, got 11"):
        miniatures.make_food101n(tmp_path, n_classes=11)


def test_command_writes_a_data_set(miniatures, tmp_path):
    command = [sys.executable, miniatures.__file__, "clothing1m", tmp_path / "clothing"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout == f"clothing1m is in {tmp_path / 'clothing'}\n"
    assert len(datasets.load_clothing1m(tmp_path / "clothing").train_paths) == 56

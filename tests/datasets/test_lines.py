"""Long lists, and lines of any kind."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdiffusion_label.datasets import load_mini_webvision
from skdiffusion_label.datasets._lines import Lines


def test_list_of_a_hundred_thousand_lines_keeps_its_order(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(1000, size=100_000)
    keys = [
        f"google/q{label:04d}/{rng.integers(10**9)}_{row}.jpg" for row, label in enumerate(labels)
    ]
    lines = [f"{key} {label}\n" for key, label in zip(keys, labels, strict=True)]
    (tmp_path / "info").mkdir()
    (tmp_path / "info" / "train_filelist_google.txt").write_text("".join(lines))
    (tmp_path / "info" / "val_filelist.txt").write_text("".join(lines[:20_000]))
    webvision = load_mini_webvision(tmp_path, n_classes=50)
    kept = np.flatnonzero(labels < 50)
    assert webvision.train_paths.tolist() == [str(tmp_path / keys[row]) for row in kept]
    assert_array_equal(webvision.train_labels, labels[kept])


def test_only_newlines_end_a_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("crème\u2028brûlée\r\n  a b \n\x0bc\n\n".encode())
    assert Lines(path, "a name").lines == ["crème\u2028brûlée", "a b", "c"]


def test_long_line_is_cut_in_the_error(tmp_path):
    path = tmp_path / "binary.txt"
    path.write_bytes(b"a b\n" + b"\x00" * 10_000)
    with pytest.raises(ValueError, match="line 2: expected two words, got") as caught:
        Lines(path, "two words").columns(2, " ")
    assert len(str(caught.value)) < 1000

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
    path.write_bytes("crème\u2028brûlée\r\n  a b \n\tc\n\n".encode())
    assert Lines(path, "a name").lines == ["crème\u2028brûlée", "a b", "c"]


def test_long_line_is_cut_in_the_error(tmp_path):
    path = tmp_path / "binary.txt"
    path.write_bytes(b"a b\n" + b"\x00" * 10_000)
    with pytest.raises(
        ValueError, match="line 2: expected two words without control .*, got"
    ) as caught:
        Lines(path, "two words").columns(2, " ")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "key",
    ["/etc/a.jpg", "a/../../b.jpg", "..", "a\\..\\..\\b.jpg", "C:/a.jpg", "C:a", "\\\\server\\a"],
)
def test_keys_that_lead_out_of_the_folder_are_an_error(key, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"google/a..b.jpg\n{key}\n")
    lines = Lines(path, "an image")
    with pytest.raises(ValueError, match="list.txt, line 2: expected an image below .*images, got"):
        lines.paths(str(tmp_path / "images"), lines.lines)
    (found,) = lines.paths(str(tmp_path), lines.lines, rows=[0])
    assert found == str(tmp_path / "google" / "a..b.jpg")


def test_folder_in_the_place_of_a_list_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} is a directory; it must be a text file with"):
        Lines(tmp_path, "a name")

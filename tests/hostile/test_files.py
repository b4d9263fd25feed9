"""Files that are damaged, huge or no files: errors that name them, and bounded memory and time."""

import os
import pickle
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch

from skdiffusion_label.datasets import (
    load_cifar,
    load_cifar_n_labels,
    load_clothing1m,
    load_pmd_labels,
)

META = {b"label_names": [b"cat", b"dog"]}


LOAD = """
import resource, sys
from skdiffusion_label import datasets

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, size + 2**30))  # for who fills all
before = peak()
for path in sys.argv[1:]:
    load = datasets.load_pmd_labels if path.endswith(".npy") else datasets.load_cifar_n_labels
    try:
        load(path)
        print("read", peak() - before)
    except ValueError as error:
        assert path in str(error) and len(str(error)) < 1000, error
        print("refused", peak() - before)
"""


def load_elsewhere(paths):
    """Return for each path whether it was read, and the peak of memory so far in megabytes."""
    result = subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, paths)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr[-2000:] or result.returncode
    return [(word, int(peak)) for word, peak in map(str.split, result.stdout.splitlines())]


def as_archive(pickled):
    """Return a file as torch.save writes it."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("labels/data.pkl", pickled)
    return file.getvalue()


DTYPE = b"cnumpy\ndtype\n(X\x02\x00\x00\x00i8\x89\x89tR"
ENCODE = b"c_codecs\nencode\nq\x00("
TEXT = b"X" + (500_000).to_bytes(4, "little") + b"a" * 500_000
BYTES = b"B" + (400_000).to_bytes(4, "little") + b"a" * 400_000
RECONSTRUCT = b"(cnumpy.core.multiarray\n_reconstruct\nq\x03"
ARRAY = b"h\x03(N(K\x00tX\x01\x00\x00\x00btR(K\x01(J" + (50_000).to_bytes(4, "little")

PROGRAMS = {
    "nested tuples as a key": b"}" + b")" + b"\x85" * 300_000 + b"Ns.",
    "nested frozen sets": b"(" * 300_000 + b"\x91" * 300_000 + b".",
    "nine bytes of bytes": b"\x80\x04\x8e\xff\xff\xff\x7f\x00\x00\x00\x00.",
    "nine bytes of text": b"\x8d\xff\xff\xff\x7f\x00\x00\x00\x00.",
    "place of a memo": b"Nr\xff\xff\xff\x7f.",
    "number": b"\x8b\xff\xff\xff\x7f.",
    "long name": b"c" + b"a" * 100_000 + b"\nb\n.",
    "many dicts": b"(" + b"}" * 1_000_000 + b"l.",
    "many marks": b"(" * 1_000_000 + b".",
    "text encoded often": ENCODE
    + TEXT
    + b"q\x01X\x06\x00\x00\x00latin1q\x02tR"
    + b"h\x00h\x01h\x02\x86R" * 6_000
    + b".",
    "arrays of the same data": RECONSTRUCT
    + BYTES
    + b"q\x01"
    + DTYPE
    + b"q\x02"
    + (ARRAY + b"th\x02\x89h\x01tb") * 7_000
    + b".",
}


def write_npy(path, header, data=b""):
    header = header.ljust(117).encode() + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data)
    return path


def test_files_of_labels_neither_crash_nor_fill_memory(tmp_path):
    header = "{'descr': '<i8', 'fortran_order': False, 'shape': (268000000,), }"
    paths = [write_npy(tmp_path / "claims.npy", header, b"\0" * 80)]
    for name, program in PROGRAMS.items():
        paths.append(tmp_path / f"{name}.pt")
        paths[-1].write_bytes(as_archive(program))
    outcomes = load_elsewhere(paths)
    assert [word for word, _ in outcomes] == ["refused"] * len(paths)
    assert outcomes[-1][1] < 200, outcomes
    with pytest.raises(ValueError, match=r"claims.npy: expected 2144000000 bytes of .* got 80\."):
        load_pmd_labels(paths[0])


@pytest.mark.parametrize("header", ["{'descr': (", "{'descr': '<i8\n", "(" * 100, "{", "\\"])
def test_a_damaged_header_is_an_error_that_names_the_file(header, tmp_path):
    path = write_npy(tmp_path / "labels.npy", header)
    with pytest.raises(ValueError, match=r"labels.npy: expected an array of int64"):
        load_pmd_labels(path)


def test_a_labels_file_with_any_byte_changed_is_read_or_named(tmp_path):
    rng = np.random.default_rng(0)
    paths = tmp_path / "labels.npy", tmp_path / "labels.pt"
    np.save(paths[0], np.arange(40) % 10)
    torch.save({"clean_label": np.arange(40) % 10}, paths[1])
    for path, load in zip(paths, (load_pmd_labels, load_cifar_n_labels), strict=True):
        content = path.read_bytes()
        for _ in range(200):
            damaged = bytearray(content)
            damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
            path.write_bytes(damaged)
            try:
                load(path)
            except ValueError as error:
                assert str(path) in str(error)


def test_published_sizes_are_read_in_seconds(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = [b"domestic_cat_s_%06d.png" % row for row in range(10_000)]
    batch = {
        b"data": np.zeros((10_000, 3072), dtype=np.uint8),
        b"labels": [row % 2 for row in range(10_000)],
        b"filenames": names,
    }
    for number in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]:
        (folder / number).symlink_to(folder / "test_batch")
    (folder / "test_batch").write_bytes(pickle.dumps(batch, protocol=3))
    (folder / "batches.meta").write_bytes(pickle.dumps(META, protocol=3))
    assert len(load_cifar(tmp_path).train_labels) == 50_000


# Lists


@pytest.fixture
def clothing(tmp_path):
    """Write a small Clothing1M; return its folder of lists."""
    texts = {
        "category_names_eng": "Shirt\nDress",
        "noisy_label_kv": "images/1.jpg 1\nimages/2.jpg 0\nimages/3.jpg 1\n",
        "clean_label_kv": "".join(f"images/{i}.jpg {i % 2}\n" for i in range(3, 9)),
        "noisy_train_key_list": "images/1.jpg\nimages/2.jpg",
        "clean_train_key_list": "images/3.jpg\nimages/4.jpg",
        "clean_val_key_list": "images/5.jpg\nimages/6.jpg",
        "clean_test_key_list": "images/7.jpg\nimages/8.jpg",
    }
    folder = tmp_path / "annotations"
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_a_byte_order_mark_is_no_part_of_the_first_line(clothing):
    expected = load_clothing1m(clothing.parent)
    for path in clothing.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = load_clothing1m(clothing.parent)
    assert found.class_names == ["Shirt", "Dress"]
    assert found.clean_train_given_labels.tolist() == [1, -1]
    assert found.train_paths.tolist() == expected.train_paths.tolist()


@pytest.mark.parametrize("unseen", ["\0", "\x1f", "\ufeff", "\x85", "\u00a0"])
def test_two_names_do_not_become_one(unseen, clothing):
    path = clothing / "noisy_train_key_list.txt"
    labels = clothing / "noisy_label_kv.txt"
    path.write_text(f"images/1.jpg\nimages/2.jpg\nimages/1.jpg{unseen}", encoding="utf-8")
    labels.write_text(labels.read_text() + f"images/1.jpg{unseen} 0\n", encoding="utf-8")
    try:
        paths = load_clothing1m(clothing.parent).train_paths.tolist()
    except ValueError as error:
        assert f"{labels}, line 4: " in str(error)  # noqa: PT017
    else:
        assert len(set(paths)) == 3
        assert paths[2].endswith(unseen)


def test_one_long_line_does_not_make_all_as_wide(clothing):
    path = clothing / "noisy_train_key_list.txt"
    labels = clothing / "noisy_label_kv.txt"
    keys = [f"{row}.jpg" for row in range(50_000)] + ["a" * 100_000]
    path.write_text("\n".join(keys))
    labels.write_text("".join(f"{key} {row % 2}\n" for row, key in enumerate(keys)))
    with pytest.raises(ValueError, match="line 50001: expected .* of fewer than 100002 char") as e:
        load_clothing1m(clothing.parent)
    assert str(labels) in str(e.value)


@pytest.mark.parametrize("names", ["Shirt Dress", "Shirt\nDress\nSuit"])
def test_a_damaged_list_of_classes_is_named_where_it_shows(names, clothing):
    (clothing / "category_names_eng.txt").write_text(names)
    with pytest.raises(ValueError, match="of category_names_eng.txt, got"):
        load_clothing1m(clothing.parent)


@pytest.mark.parametrize("load", [load_cifar_n_labels, load_pmd_labels])
def test_pipes_and_devices_are_no_files(load, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match=f"{path} is not a regular file; it must be an ar"):
            load(path)


def test_a_file_of_no_data_but_great_size_is_not_read(tmp_path):
    with open(tmp_path / "labels.npy", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="labels.npy has 1099511627776 bytes, more than 10737418"):
        load_pmd_labels(tmp_path / "labels.npy")

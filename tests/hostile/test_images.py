"""Images, caches and checkpoints that change, are damaged, or are something else altogether."""

import os
import resource
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from torch import nn

from skdiffusion_label import LRADiffusionImageClassifier
from skdiffusion_label.embedding import TorchEmbedder, UnreadableImageError

PIXELS = np.random.default_rng(0).integers(256, size=(12, 8, 8, 3), dtype=np.uint8)


def to_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


def embedder(cache=None, **parameters):
    return TorchEmbedder(nn.Flatten(), to_tensor, device="cpu", cache=cache, **parameters)


def means(images):
    return images.reshape(len(images), -1)[:, :4].astype(float)


@pytest.fixture
def paths(tmp_path):
    """Return the images as files."""
    (tmp_path / "images").mkdir()
    paths = [tmp_path / "images" / f"{row}.png" for row in range(len(PIXELS))]
    for path, pixels in zip(paths, PIXELS, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


# What is no file of an image


def in_seconds(function, seconds=10):
    """Call a function that could hang; fail if it does."""

    def interrupt(*_):
        raise AssertionError("It hangs.")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    try:
        return function()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "device", "terabyte"])
def test_only_regular_files_are_read_as_images(kind, cached, tmp_path, monkeypatch):
    path = {"device": Path("/dev/zero")}.get(kind, tmp_path / kind)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "terabyte":
        with open(path, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            file.truncate(2**40)
    reason = "1099511627776 bytes, more than" if kind == "terabyte" else "not a regular file"
    with limited_memory(), pytest.raises(UnreadableImageError, match=f"Row 0 .*{path}.*{reason}"):
        in_seconds(lambda: embedder(tmp_path / "c" if cached else None).transform([str(path)]))


class limited_memory:  # noqa: N801
    """For who would fill it: two gigabytes more than there are in use."""

    def __enter__(self):
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        self.before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size + 2**31, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_AS, self.before)


def png_of(width, height):
    """Return the file of a black image without making it."""

    def chunk(name, data):
        checked = name + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("shape", [(50_000, 50_000), (2**31 - 1, 1), (1, 2**31 - 1)])
def test_decompression_bombs_are_unreadable_images(shape, tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_of(*shape))
    for image in (str(tmp_path / "bomb.png"), png_of(*shape)):
        with limited_memory(), pytest.raises(UnreadableImageError, match="Row 1 .*exceeds limit"):
            embedder().transform([PIXELS[0], image])


# An image that is replaced


class Replacing:
    """A preprocessing meanwhile the files of ``targets`` are replaced by those of ``sources``."""

    def __init__(self, targets, sources, done):
        self.targets, self.sources, self.done = targets, sources, done

    def __call__(self, image):
        if not self.done.exists():
            self.done.touch()
            for target, source in zip(self.targets, self.sources, strict=True):
                target.write_bytes(source.read_bytes())
        return to_tensor(image)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_image_is_known_by_the_bytes_that_were_embedded(num_workers, paths, tmp_path):
    original = [path.read_bytes() for path in paths[:8]]
    cached = TorchEmbedder(
        nn.Flatten(),
        Replacing(paths[4:8], paths[8:], tmp_path / "done"),
        device="cpu",
        cache=tmp_path / "cache",
        batch_size=1,
        num_workers=num_workers,
    )
    cached.transform(paths[:8])
    assert_array_equal(cached.transform(original), embedder().transform(original))
    assert_array_equal(cached.transform(paths[:8]), embedder().transform(paths[:8]))


def test_equal_images_of_which_one_is_replaced_are_not_mixed_up(paths, tmp_path):
    original = paths[5].read_bytes()
    replacing = Replacing(paths[5:6], paths[6:7], tmp_path / "done")
    found = TorchEmbedder(
        nn.Flatten(), replacing, device="cpu", cache=tmp_path / "cache", batch_size=1
    ).transform([paths[0], paths[5], original, paths[5]])
    expected = embedder().transform([paths[0], paths[6], original, paths[6]])
    assert_array_equal(found, expected)


# Caches


@pytest.fixture
def database(tmp_path):
    """Return a cache that holds the embeddings of all images."""
    embedder(tmp_path / "cache").transform(PIXELS)
    (path,) = (tmp_path / "cache").iterdir()
    return path


def change(database, statement, *values):
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    "value",
    [b"\0" * 4 * 192, b"\0" * 4 * 5, b"\0" * 9, b"", "text", 3],
    ids=["zeros", "narrow", "bytes", "empty", "text", "number"],
)
@pytest.mark.parametrize("rows", ["one", "all"])
def test_damaged_rows_of_a_cache_are_not_taken_for_embeddings(rows, value, database):
    which = "" if rows == "all" else " WHERE rowid = (SELECT max(rowid) FROM embeddings)"
    change(database, f"UPDATE embeddings SET embedding = ?{which}", value)
    with pytest.raises(RuntimeError, match=f"{database} is damaged: .*Delete this file"):
        embedder(database.parent).transform(PIXELS)


def test_a_cache_with_any_bit_changed_gives_right_embeddings_or_an_error(database):
    content = database.read_bytes()
    expected = embedder().transform(PIXELS)
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        database.write_bytes(damaged)
        try:
            found = embedder(database.parent).transform(PIXELS)
        except RuntimeError as error:
            assert f"The embedding cache {database} " in str(error)  # noqa: PT017
        else:
            assert_array_equal(found, expected)
        for path in database.parent.iterdir():
            path.unlink()


def test_a_cache_where_no_directory_can_be_is_an_error_that_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match=r"cache .*file/cache cannot be made: .* Choose a dir"):
        embedder(tmp_path / "file" / "cache").transform(PIXELS)


FULL_DISK = """
import resource, sys
import numpy as np
from torch import nn
from skdiffusion_label import LRADiffusionImageClassifier
from skdiffusion_label.embedding import TorchEmbedder

def to_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255

import torch
rng = np.random.default_rng(0)
pixels = rng.integers(256, size=(200, 8, 8, 3), dtype=np.uint8)
X = rng.normal(size=(40, 4)).astype(np.float32)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # no file can be larger
for run in (
    lambda: TorchEmbedder(nn.Flatten(), to_tensor, cache=sys.argv[1]).transform(pixels),
    lambda: LRADiffusionImageClassifier(
        checkpoint_dir=sys.argv[2], label_aggregation="vote", max_iter=1, random_state=0
    ).fit(X, X[:, 0] > 0),
):
    try:
        run()
    except (OSError, RuntimeError) as error:
        print(type(error).__name__, error)
"""


def test_a_full_disk_is_named_with_what_to_do(tmp_path):
    (tmp_path / "states").mkdir()
    arguments = tmp_path / "cache", tmp_path / "states"
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    cache, checkpoint = result.stdout.splitlines()
    assert cache.startswith(f"RuntimeError The embedding cache {tmp_path / 'cache'}"), result.stderr
    assert "can be written to and has space left" in cache
    assert checkpoint.startswith(f"OSError The checkpoint {tmp_path / 'states'}")
    assert "Make room for" in checkpoint
    assert list((tmp_path / "states").iterdir()) == []


# Checkpoints

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def classifier(folder, **parameters):
    return LRADiffusionImageClassifier(
        checkpoint_dir=folder,
        label_aggregation="vote",
        hidden_size=8,
        max_iter=2,
        random_state=0,
        **parameters,
    )


def test_a_checkpoint_with_any_bit_changed_is_refused(tmp_path):
    classifier(tmp_path).fit(X, Y)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(8):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"checkpoint {path} cannot be read; delete it"):
            classifier(tmp_path).fit(X, Y)


@pytest.mark.parametrize("content", [b"", b"\0" * 9, b"text"])
def test_a_checkpoint_that_is_something_else_is_named(content, tmp_path):
    classifier(tmp_path).fit(X, Y)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"checkpoint {path} cannot be read; delete it"):
        classifier(tmp_path).fit(X, Y)


# Factories


def inner():
    return nn.Flatten()


def outer():
    """Return a module that knows the embedding of an image by another one."""
    module = nn.Flatten()
    embedding = TorchEmbedder(inner, to_tensor, device="cpu").transform(PIXELS[:1])
    module.register_buffer("known", torch.from_numpy(embedding))
    return module


def test_a_factory_may_embed_by_another_factory():
    embeddings = in_seconds(lambda: TorchEmbedder(outer, to_tensor, device="cpu").transform(PIXELS))
    assert_array_equal(embeddings, embedder().transform(PIXELS))
    threads = [
        threading.Thread(target=TorchEmbedder(outer, to_tensor).transform, args=(PIXELS,))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)

"""The cache: what is in it is never embedded again, and what has changed is never taken from it."""

import importlib
import importlib.metadata
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import open_clip
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skdiffusion_label.embedding import _cache
from skdiffusion_label.embedding._cache import EmbeddingCache
from skdiffusion_label.embedding._images import UnreadableImageError


@pytest.fixture
def unloadable(touch_weights, monkeypatch):
    """Return a function after whose call no model can be loaded."""

    def refuse(*args, **kwargs):
        raise AssertionError("A model was asked for.")

    def make_unloadable():
        touch_weights()
        monkeypatch.setattr(open_clip, "create_model_from_pretrained", refuse)

    return make_unloadable


def databases(directory):
    return sorted(Path(directory).rglob("*.sqlite"))


@pytest.mark.parametrize("kind", ["paths", "images", "pixels"])
def test_a_second_transform_needs_no_model_and_is_the_same_to_the_byte(
    kind, request, make_embedder, unloadable, tmp_path
):
    X = request.getfixturevalue(kind)
    expected = make_embedder().transform(X)
    embedder = make_embedder(cache=tmp_path / "new" / "cache")
    first = embedder.transform(X)
    unloadable()
    assert embedder.transform(X).tobytes() == first.tobytes()
    assert (
        make_embedder(cache=str(tmp_path / "new/cache"), batch_size=3).transform(X[::-1]).tobytes()
        == first[::-1].tobytes()
    )
    assert_allclose(first, expected, atol=1e-6)


def test_a_second_transform_takes_a_twentieth_of_the_time(make_embedder, tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(600, 32, 32, 3), dtype=np.uint8)
    embedder = make_embedder(cache=tmp_path, batch_size=32)
    embedder.transform(pixels[:1])
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        embedder.transform(pixels)
        seconds.append(time.perf_counter() - start)
    assert seconds[0] >= 20 * min(seconds[1:])


def test_normalized_and_other_embeddings_share_the_cache(
    make_embedder, images, unloadable, tmp_path
):
    raw = make_embedder(cache=tmp_path, normalize=False).transform(images)
    unloadable()
    normalized = make_embedder(cache=tmp_path, normalize=True).transform(images)
    assert_allclose(normalized, raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-5)
    assert_array_equal(make_embedder(cache=tmp_path, normalize=False).transform(images), raw)


def test_another_process_finds_what_this_one_has_embedded(
    make_embedder, clip_directory, paths, tmp_path
):
    expected = make_embedder(cache=tmp_path / "cache").transform(paths)
    code = (
        "import sys\n"
        "from skdiffusion_label.embedding import CLIPEmbedder\n"
        "model, cache, *paths = sys.argv[1:]\n"
        "embedder = CLIPEmbedder(model, None, cache=cache, device='cpu')\n"
        "print(embedder.transform(paths).tobytes().hex(), 'open_clip' in sys.modules)"
    )
    arguments = f"local-dir:{clip_directory}", str(tmp_path / "cache"), *paths
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.split() == [expected.tobytes().hex(), "False"], result.stderr


def test_folds_embed_each_image_once(make_embedder, images, labels, n_embedded, tmp_path):
    pipeline = make_pipeline(make_embedder(cache=tmp_path), LogisticRegression(C=100))
    assert cross_val_score(pipeline, images, labels, cv=4).min() == 1.0
    assert sum(n_embedded) == len(images)


def test_a_joblib_memory_is_a_cache_that_it_clears(make_embedder, images, n_embedded, tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)
    for _ in range(2):
        make_embedder(cache=memory).transform(images)
    assert sum(n_embedded) == 20
    assert len(databases(memory.store_backend.location)) == 1
    memory.clear(warn=False)
    assert databases(tmp_path) == []
    make_embedder(cache=memory).transform(images)
    assert sum(n_embedded) == 40
    for _ in range(2):
        make_embedder(cache=joblib.Memory(None)).transform(images)
    assert sum(n_embedded) == 80


def test_an_image_that_occurs_twice_is_embedded_once(make_embedder, paths, n_embedded, tmp_path):
    X = [paths[0], *paths, Path(paths[3]).read_bytes(), paths[0]] * 2
    embeddings = make_embedder(cache=tmp_path).transform(X)
    assert sum(n_embedded) == 20
    assert_allclose(embeddings, make_embedder().transform(X), atol=1e-6)
    assert_array_equal(embeddings[0], embeddings[-1])


def test_more_rows_than_are_looked_up_at_once_come_back_in_order(
    make_embedder, n_embedded, tmp_path
):
    n_rows = 1300
    X = np.arange(n_rows * 12, dtype=np.uint32).view(np.uint8).reshape(n_rows, 4, 4, 3)
    expected = make_embedder(batch_size=100).transform(X)
    embedder = make_embedder(batch_size=100, cache=tmp_path)
    embedder.transform(X[::3])
    n_embedded.clear()
    assert_allclose(embedder.transform(X), expected, atol=1e-6)
    assert n_embedded == [100] * 8 + [66]


@pytest.mark.parametrize("change", ["weights", "configuration", "precision"])
def test_another_model_finds_nothing(
    change, make_embedder, make_clip, clip_directory, images, n_embedded, tmp_path
):
    make_embedder(cache=tmp_path / "cache").transform(images)
    other = tmp_path / "other"
    if change == "weights":
        make_clip(other, seed=1)
    else:
        shutil.copytree(clip_directory, other)
    if change == "configuration":
        config = json.loads((other / "open_clip_config.json").read_text())
        config["preprocess_cfg"]["mean"] = [0.1, 0.1, 0.1]
        (other / "open_clip_config.json").write_text(json.dumps(config))
    precision = "bf16" if change == "precision" else "fp32"
    parameters = {"model_name": f"local-dir:{other}", "precision": precision}
    embeddings = make_embedder(cache=tmp_path / "cache", **parameters).transform(images)
    assert sum(n_embedded) == 40
    assert_array_equal(embeddings, make_embedder(**parameters).transform(images))


def test_another_version_of_open_clip_finds_nothing(
    make_embedder, images, n_embedded, monkeypatch, tmp_path
):
    version = importlib.metadata.version
    make_embedder(cache=tmp_path).transform(images)
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.1" if "clip" in name else version(name)
    )
    make_embedder(cache=tmp_path).transform(images)
    assert sum(n_embedded) == 40


def test_weights_that_change_in_their_place_are_noticed(
    make_embedder, make_clip, images, n_embedded, tmp_path
):
    directory = make_clip(tmp_path / "clip", seed=0)
    embedder = make_embedder(model_name=f"local-dir:{directory}", cache=tmp_path / "cache")
    before = embedder.transform(images)
    shutil.rmtree(directory)
    make_clip(directory, seed=1)
    after = embedder.transform(images)
    assert sum(n_embedded) == 40
    assert np.abs(after - before).max() > 0.01


def test_a_directory_that_has_moved_is_the_same_model(
    make_embedder, clip_directory, images, unloadable, tmp_path
):
    expected = make_embedder(cache=tmp_path / "cache").transform(images)
    moved = shutil.copytree(clip_directory, tmp_path / "moved")
    unloadable()
    embedder = make_embedder(model_name=f"local-dir:{moved}", cache=tmp_path / "cache")
    assert_array_equal(embedder.transform(images), expected)


def test_files_are_known_by_content(make_embedder, images, n_embedded, tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path, image in zip(paths, images, strict=False):
        image.save(path)
    embedder = make_embedder(cache=tmp_path / "cache")
    first, second = embedder.transform(paths)
    paths[0].write_bytes(paths[1].read_bytes())
    assert_array_equal(embedder.transform(paths), [second, second])
    assert sum(n_embedded) == 2
    images[2].save(paths[0])
    assert np.abs(embedder.transform(paths)[0] - first).max() > 0.01
    assert sum(n_embedded) == 3


@pytest.mark.parametrize("bad", ["truncated", "missing"])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_what_was_embedded_before_an_error_is_kept(
    bad, num_workers, make_embedder, paths, truncated, unloadable, tmp_path
):
    X = [*paths[:10], truncated if bad == "truncated" else "missing.png", *paths[10:]]
    embedder = make_embedder(cache=tmp_path, batch_size=4, num_workers=num_workers)
    with pytest.raises(UnreadableImageError, match="Row 10"):
        embedder.transform(X)
    unloadable()
    assert embedder.transform(paths[:10]).shape == (10, 64)


def test_unreadable_images_are_not_remembered(make_embedder, paths, truncated, images, tmp_path):
    late = tmp_path / "late.png"
    X = [paths[0], truncated, str(late), paths[0], truncated, str(late)]
    embedder = make_embedder(cache=tmp_path / "cache", handle_unreadable="nan")
    for _ in range(2):
        with pytest.warns(UserWarning, match="4 of 6 images .*Row 1 .*Row 2 .*Row 4"):
            embeddings = embedder.transform(X)
        assert_array_equal(np.isnan(embeddings).all(axis=1), [0, 1, 1, 0, 1, 1])
    images[5].save(late)
    with pytest.warns(UserWarning, match="2 of 6 images"):
        embeddings = embedder.transform(X)
    assert_array_equal(np.isnan(embeddings).all(axis=1), [0, 1, 0, 0, 1, 0])


def test_a_file_that_appears_between_look_up_and_reading_is_embedded(
    make_embedder, paths, tmp_path
):
    late = tmp_path / "late.png"

    def write(*args):
        late.write_bytes(Path(paths[-1]).read_bytes())

    embedder = make_embedder(cache=tmp_path / "cache", batch_size=4)
    # All rows are looked up before the first batch is embedded.
    handle = torch.nn.modules.module.register_module_forward_pre_hook(write)
    with handle:
        embeddings = embedder.transform([*paths[:-1], late])
    assert_allclose(embeddings, make_embedder().transform(paths), atol=1e-6)


KILLED = """
import os, signal
import numpy as np
import torch
from torchvision import transforms
from skdiffusion_label.embedding import TorchEmbedder

def be_killed_by_nine(image):
    value = image.getpixel((0, 0))
    if value == 9 and "KILL" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    with open("preprocessed", "a") as file:
        print(value, file=file)
    return image

def run():
    steps = [transforms.Resize(2), be_killed_by_nine, transforms.ToTensor()]
    X = np.arange(16, dtype="u1")[:, None, None] * np.ones((2, 2), dtype="u1")
    embedder = TorchEmbedder(
        torch.nn.Flatten(), transforms.Compose(steps), batch_size=4, device="cpu", cache="cache"
    )
    return embedder.transform(X)[:, 0] * 255
"""


def test_a_killed_process_loses_no_finished_batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("killed.py").write_text(KILLED)
    process = subprocess.run(
        [sys.executable, "-c", "import killed; killed.run()"],
        env={**os.environ, "KILL": "1"},
        timeout=120,
    )
    assert process.returncode == -signal.SIGKILL
    Path("preprocessed").unlink()
    assert_allclose(importlib.import_module("killed").run(), range(16), rtol=1e-5)
    assert Path("preprocessed").read_text().split() == [str(n) for n in range(8, 16)]


WRITER = """
import importlib.util, sys
from pathlib import Path
import numpy as np
spec = importlib.util.spec_from_file_location("cache", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
cache = module.EmbeddingCache(Path(sys.argv[2]), "model", "0")
offset = int(sys.argv[3])
for start in range(0, 400, 8):
    rows = (np.arange(start, start + 8) + offset) % 400
    keys = [b"%d" % row for row in rows]
    cache.put(keys, np.repeat(rows[:, None], 5, axis=1).astype("f4"))
    known, _ = cache.get(keys)
    assert set(known) == set(keys)
"""


def test_processes_write_at_the_same_time(tmp_path):
    (tmp_path / "writer.py").write_text(WRITER)
    writers = [
        subprocess.Popen(
            [sys.executable, tmp_path / "writer.py", _cache.__file__, tmp_path / "cache", offset],
            stderr=subprocess.PIPE,
            text=True,
        )
        for offset in ("0", "100", "396")
    ]
    for writer in writers:
        _, message = writer.communicate(timeout=120)
        assert writer.returncode == 0, message
    keys = [b"%d" % row for row in range(400)]
    positions, embeddings = EmbeddingCache(tmp_path / "cache", "model", "0").get(keys)
    expected = np.repeat(np.arange(400)[:, None], 5, axis=1)
    assert_array_equal(embeddings[[positions[key] for key in keys]], expected)


def test_a_damaged_cache_says_which_file_to_delete(make_embedder, images, tmp_path):
    embedder = make_embedder(cache=tmp_path)
    embedder.transform(images)
    (database,) = databases(tmp_path)
    content = bytearray(database.read_bytes())
    for damage in (b"not a database" * 500, bytes(content[:100]) + b"\xff" * (len(content) - 100)):
        database.write_bytes(damage)
        with pytest.raises(RuntimeError, match=f"{database} is damaged: .*Delete this file"):
            embedder.transform(images)
    database.unlink()
    assert_allclose(embedder.transform(images), make_embedder().transform(images), atol=1e-6)


def test_a_cache_that_cannot_be_used_says_why(make_embedder, images, tmp_path):
    embedder = make_embedder(cache=tmp_path)
    embedder.transform(images)
    (database,) = databases(tmp_path)
    database.unlink()
    database.mkdir()
    with pytest.raises(RuntimeError, match=f"{database} cannot be used: unable to open"):
        embedder.transform(images)
    (tmp_path / "file").touch()
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match="cache must be a directory, got the file"):
            getattr(make_embedder(cache=tmp_path / "file"), method)(images)


def test_what_is_stored_is_plain_float32(make_embedder, tmp_path):
    image = Image.new("RGB", (8, 8))
    embedding = make_embedder(cache=tmp_path, normalize=False).transform([image])
    connection = sqlite3.connect(databases(tmp_path)[0])
    ((key, blob, _),) = connection.execute("SELECT * FROM embeddings").fetchall()
    connection.close()
    assert len(key) == 20
    assert blob == embedding[0].astype("<f4").tobytes()

"""CLIPEmbedder against open_clip itself, and as a scikit-learn transformer."""

import json
import os
import pickle
import random
import threading
import weakref
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from joblib.externals.loky import ProcessPoolExecutor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skdiffusion_label.embedding import CLIPEmbedder, TorchEmbedder
from skdiffusion_label.embedding._images import UnreadableImageError


def images_of_each_kind(pixels, images, paths):
    """Return the same images in all kinds of containers and forms."""
    objects = np.empty(len(images), dtype=object)
    objects[:] = images
    tensors = torch.tensor(pixels).permute(0, 3, 1, 2)
    return {
        "list": images,
        "tuple": tuple(images),
        "object array": objects,
        "column": objects[:, None],
        "Series": pd.Series(images),
        "DataFrame": pd.DataFrame({"path": paths}),
        "paths": paths,
        "pathlib": [Path(path) for path in paths],
        "string array": np.array(paths),
        "bytes": [Path(path).read_bytes() for path in paths],
        "array": pixels,
        "list of arrays": list(pixels),
        "tensor": tensors,
        "list of tensors": list(tensors),
        "mixture": [images[0], paths[1], pixels[2], tensors[3], *images[4:]],
    }


KINDS = list(images_of_each_kind(np.zeros((5, 1, 1, 3), np.uint8), [0] * 5, [__file__] * 5))


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_of_each_kind_of_input_are_those_of_open_clip(
    kind, make_embedder, reference, pixels, images, paths
):
    X = images_of_each_kind(pixels, images, paths)[kind]
    embeddings = make_embedder(normalize=False).transform(X)
    assert embeddings.dtype == np.float32
    assert_allclose(embeddings, reference.embed(images), atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA", "I"])
def test_images_of_any_mode_are_embedded_as_open_clip_does(mode, make_embedder, reference, images):
    images = [image.convert(mode) for image in images[:3]]
    assert_allclose(
        make_embedder(normalize=False).transform(images), reference.embed(images), atol=1e-6
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_channels", [1, 3, 4])
def test_float_tensors_are_embedded_like_images(
    dtype, n_channels, make_embedder, reference, pixels, images
):
    tensors = torch.tensor(pixels[:4]).permute(0, 3, 1, 2).to(dtype) / 255
    tensors = torch.cat([tensors, torch.zeros_like(tensors)], dim=1)[:, :n_channels]
    as_rgb = tensors.float().repeat(1, 3, 1, 1) if n_channels == 1 else tensors.float()[:, :3]
    embeddings = make_embedder(normalize=False).transform(tensors)
    assert_allclose(embeddings, reference.embed(as_rgb), atol=1e-6)


def test_gray_arrays_and_images_of_mixed_sizes_are_embedded(make_embedder, reference, images):
    gray = np.stack([np.asarray(image.convert("L")) for image in images[:3]])
    expected = reference.embed([image.convert("L") for image in images[:3]])
    embedder = make_embedder(normalize=False)
    assert_allclose(embedder.transform(gray), expected, atol=1e-6)
    assert_allclose(embedder.transform(gray[..., None]), expected, atol=1e-6)
    mixed = [images[0], images[1].resize((70, 50)), images[2].resize((1, 1))]
    assert_allclose(embedder.transform(mixed), reference.embed(mixed), atol=1e-6)


def test_rows_have_unit_length_unless_told_otherwise(make_embedder, images):
    raw = make_embedder(normalize=False).transform(images)
    embeddings = make_embedder().transform(images)
    assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.01
    expected = torch.nn.functional.normalize(torch.tensor(raw), dim=1).numpy()
    assert_allclose(embeddings, expected, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 100])
def test_batches_do_not_matter(batch_size, make_embedder, images):
    expected = make_embedder().transform(images)
    embeddings = make_embedder(batch_size=batch_size).transform(images)
    assert_allclose(embeddings, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("precision", "atol"),
    [
        ("fp16", 0.01),
        ("bf16", 0.05),
        ("pure_fp16", 0.01),
        ("pure_bf16", 0.05),
        ("amp", 0.01),
        ("amp_bf16", 0.05),
    ],
)
def test_low_precision_is_near_and_comes_back_as_float32(precision, atol, make_embedder, images):
    exact = make_embedder()
    coarse = make_embedder(precision=precision)
    for method, argument in [("transform", images), ("encode_text", ["a cat", "a dog"])]:
        expected, embeddings = (getattr(e, method)(argument) for e in (exact, coarse))
        assert embeddings.dtype == np.float32
        assert_allclose(embeddings, expected, atol=atol)
        assert not np.array_equal(embeddings, expected)


def test_checkpoint_files_are_loaded_into_the_models_of_open_clip(
    tmp_path, make_embedder, reference, images, monkeypatch
):
    # A file goes with a built-in name: for this test, the tiny model is one.
    directory = Path(make_embedder().model_name.removeprefix("local-dir:"))
    config = json.loads((directory / "open_clip_config.json").read_text())["model_cfg"]
    models = {**open_clip.factory._MODEL_CONFIGS, "tiny-clip": config}
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", models)
    torch.save(reference.model.state_dict(), tmp_path / "tiny.pt")
    safetensors = directory / "open_clip_model.safetensors"
    model, preprocess = open_clip.create_model_from_pretrained(
        "tiny-clip", str(tmp_path / "tiny.pt")
    )
    batch = torch.stack([preprocess(image) for image in images])
    with torch.inference_mode():
        expected = model.eval().encode_image(batch).numpy()
    for file in (str(tmp_path / "tiny.pt"), tmp_path / "tiny.pt", safetensors):
        embedder = CLIPEmbedder("tiny-clip", file, normalize=False, device="cpu")
        assert_allclose(embedder.fit_transform(images), expected, atol=1e-6)
        assert embedder.get_feature_names_out()[-1] == "clipembedder63"


def test_texts_are_embedded_as_open_clip_does(make_embedder, reference):
    texts = [f"a photo of {n} cats." for n in range(300)]
    tokens = open_clip.get_tokenizer("ViT-B-32", context_length=77)(texts)
    with torch.inference_mode():
        expected = reference.model.encode_text(tokens).numpy()
    embeddings = make_embedder(normalize=False).encode_text(texts)
    assert embeddings.dtype == np.float32
    assert_allclose(embeddings, expected, atol=1e-6)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert_allclose(make_embedder().encode_text(tuple(texts)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "error"), [("a cat", TypeError), ([1], TypeError), ([], ValueError)]
)
def test_texts_have_to_be_a_list_of_str(texts, error, make_embedder):
    with pytest.raises(error, match="texts must"):
        make_embedder().encode_text(texts)


def test_worker_processes_give_the_same_embeddings(make_embedder, paths, truncated):
    embedder = make_embedder(num_workers=2)
    assert_array_equal(embedder.transform(paths), make_embedder().transform(paths))
    with pytest.raises(UnreadableImageError, match=f"^Row 9 of X .*: {truncated} "):
        embedder.transform([*paths[:9], truncated, *paths[9:]])


# What it is for scikit-learn


def test_it_works_unfitted_and_keeps_the_index_of_a_series(make_embedder, images):
    embedder = make_embedder().set_output(transform="pandas")
    index = [f"row {n}" for n in range(len(images))]
    frame = embedder.transform(pd.Series(images, index=index))
    assert list(frame.index) == index
    assert list(frame.columns) == [f"clipembedder{n}" for n in range(64)]
    assert set(frame.dtypes) == {np.dtype(np.float32)}


def test_clones_and_pickles_hold_parameters_alone(make_embedder, images):
    embedder = make_embedder(batch_size=4)
    expected = embedder.fit_transform(images)
    assert clone(embedder).get_params() == embedder.get_params()
    content = pickle.dumps(embedder)
    assert len(content) < 1000
    assert_array_equal(pickle.loads(content).transform(images), expected)
    assert embedder.set_params(normalize=False, batch_size=5).get_params()["batch_size"] == 5
    assert vars(embedder) == embedder.get_params()


def test_tags_say_that_images_are_taken(make_embedder):
    tags = make_embedder().__sklearn_tags__()
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.input_tags.string
    assert tags.no_validation
    assert not tags.requires_fit


@pytest.mark.parametrize("kind", ["list", "Series", "string array", "array", "object array"])
def test_pipelines_are_cross_validated_on_images(
    kind, make_embedder, pixels, images, paths, labels
):
    X = images_of_each_kind(pixels, images, paths)[kind]
    pipeline = make_pipeline(make_embedder(), LogisticRegression(C=100))
    assert cross_val_score(pipeline, X, labels, cv=2).min() == 1.0
    pipeline.fit(X, labels)
    assert len(pipeline[:-1].get_feature_names_out()) == 64
    frozen = make_pipeline(FrozenEstimator(make_embedder().fit(X)), LogisticRegression(C=100))
    assert cross_val_score(frozen, X, labels, cv=2).min() == 1.0


@pytest.mark.parametrize(
    "parameters",
    [
        {"batch_size": 0},
        {"num_workers": -1},
        {"precision": "int8"},
        {"handle_unreadable": "skip"},
        {"cache": 3},
        {"model_name": None},
        {"normalize": "l2"},
    ],
)
def test_wrong_parameters_are_named(parameters, make_embedder, images):
    (name,) = parameters
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of CLIPEmbedder must be"):
            getattr(make_embedder(**parameters), method)(images)


def test_a_device_that_is_not_here_is_named(make_embedder, images):
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match="device must be .* got 'warp'"):
            getattr(make_embedder(device="warp"), method)(images)


# Unreadable images


def test_an_unreadable_image_is_named_when_its_turn_comes(make_embedder, paths, truncated):
    for bad in (truncated, "missing.png"):
        with pytest.raises(UnreadableImageError, match=f"^Row 3 of X .*: {bad} "):
            make_embedder().fit_transform([*paths[:3], bad, *paths[3:]])


def test_unreadable_images_become_nan_with_one_warning(make_embedder, paths, truncated):
    X = ["a.png", *paths, truncated, "b.png", "c.png"]
    embedder = make_embedder(handle_unreadable="nan")
    with pytest.warns(UserWarning) as caught:
        embeddings = embedder.transform(X)
    (warning,) = caught
    assert Path(warning.filename) == Path(__file__)
    message = str(warning.message)
    assert message.startswith("4 of 24 images cannot be read")
    assert "Row 0 of X" in message
    assert truncated in message
    assert "c.png" not in message
    assert_array_equal(np.isnan(embeddings).all(axis=1), [True] + [False] * 20 + [True] * 3)
    assert_allclose(embeddings[1:-3], make_embedder().transform(paths), atol=1e-6)


def test_a_single_unreadable_image_is_a_row_of_nan(make_embedder, truncated):
    with pytest.warns(UserWarning, match="1 of 1 images"):
        embeddings = make_embedder(handle_unreadable="nan").transform([truncated])
    assert embeddings.shape == (1, 64)
    assert np.isnan(embeddings).all()


# What it leaves alone, and what it costs


def test_global_random_states_are_left_alone(make_embedder, loaded_names, images, paths):
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    make_embedder().fit(images).transform(images)
    make_embedder(num_workers=1).transform(paths)
    make_embedder().encode_text(["a cat"])
    assert len(loaded_names) == 1  # a model was made
    assert torch.equal(torch.get_rng_state(), states[0])
    assert_array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]


def test_a_model_is_loaded_when_needed_and_once(make_embedder, loaded_names, images, labels):
    embedder = make_embedder().fit(images)
    clone(embedder).set_output(transform="pandas").get_feature_names_out()
    assert loaded_names == []
    pipeline = make_pipeline(embedder, LogisticRegression())
    cross_val_score(pipeline, images, labels, cv=3)
    make_embedder(normalize=False, batch_size=3).transform(images)
    embedder.encode_text(["a cat"])
    assert len(loaded_names) == 1


def test_threads_wait_for_one_model(make_embedder, loaded_names, images):
    threads = [threading.Thread(target=make_embedder().transform, args=(images,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded_names) == 1


def test_few_models_are_kept(make_embedder, loaded_names, images):
    for precision in ("fp32", "bf16", "fp32", "fp16", "fp32", "bf16"):
        make_embedder(precision=precision).transform(images[:1])
    assert len(loaded_names) == 4  # bf16 twice: it had made room for fp16


def test_images_in_memory_do_not_grow_with_their_number(paths):
    alive, most = [], 0

    def preprocess(image):
        nonlocal alive, most
        alive = [reference for reference in alive if reference() is not None]
        alive.append(weakref.ref(image))
        most = max(most, len(alive))
        return torch.zeros(4)

    TorchEmbedder(torch.nn.Identity(), preprocess, batch_size=4).transform(paths * 100)
    assert 1 <= most <= 4


def test_a_progress_bar_counts_images(make_embedder, images, capsys, tmp_path):
    make_embedder().transform(images)
    assert capsys.readouterr().err == ""
    for _ in range(2):
        make_embedder(verbose=1, cache=tmp_path).transform(images)
        assert "20/20" in capsys.readouterr().err


def test_a_worker_of_loky_loads_the_weights_once(make_embedder, clip_directory, images):
    def embed(embedder):
        import logging
        import os

        embeddings = embedder.transform(images[:2])
        return os.getpid(), id(embedder._load_encoder()), logging.getLogger().handlers, embeddings

    with ProcessPoolExecutor(max_workers=1) as executor:
        # As folds of a cross-validation get them: clones.
        tasks = [executor.submit(embed, make_embedder(normalize=n)) for n in (True, False, False)]
        (process, encoder, handlers, embeddings), *others = [task.result() for task in tasks]
    assert process != os.getpid()
    # open_clip logs by the root logger, which would give that a handler for good.
    assert handlers == []
    assert_allclose(embeddings, make_embedder().transform(images[:2]), atol=1e-6)
    for *again, raw in others:
        assert again == [process, encoder, handlers]
        assert_allclose(raw, make_embedder(normalize=False).transform(images[:2]), atol=1e-6)

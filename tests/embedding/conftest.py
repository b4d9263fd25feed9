"""A tiny CLIP model with random weights, written once, and images for it."""

import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from skdiffusion_label.embedding import CLIPEmbedder

EXAMPLES = Path(__file__).parents[2] / "examples"


def write_clip(directory, seed):
    """Write a model as a directory for ``local-dir:``."""
    runpy.run_path(str(EXAMPLES / "tiny_clip.py"))["make_clip"](directory, random_state=seed)
    return directory


@pytest.fixture(scope="session")
def make_clip():
    return write_clip


@pytest.fixture(scope="session")
def clip_directory(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "tiny", seed=0)


@pytest.fixture(scope="session")
def reference(clip_directory):
    """The tiny model as open_clip loads and runs it."""
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{clip_directory}")
    model.eval()

    def embed(images):
        with torch.inference_mode():
            return np.concatenate(
                [model.encode_image(preprocess(image)[None]).numpy() for image in images]
            )

    return SimpleNamespace(model=model, preprocess=preprocess, embed=embed)


@pytest.fixture
def make_embedder(clip_directory):
    """Return a function that makes embedders of the tiny model."""

    def make(**parameters):
        parameters = {"model_name": f"local-dir:{clip_directory}", "device": "cpu", **parameters}
        return CLIPEmbedder(**{"pretrained": None, "batch_size": 8, **parameters})

    return make


@pytest.fixture(scope="session")
def pixels():
    """Images (20, 40, 36, 3), uint8, of two kinds: dark ones and bright ones."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 128, size=(20, 40, 36, 3), dtype=np.uint8)
    pixels[1::2] += 127
    pixels.flags.writeable = False
    return pixels


@pytest.fixture(scope="session")
def labels():
    return np.array(["dark", "bright"] * 10)


@pytest.fixture(scope="session")
def images(pixels):
    return [Image.fromarray(image) for image in pixels]


@pytest.fixture(scope="session")
def paths(images, tmp_path_factory):
    """Return the images as PNG files."""
    directory = tmp_path_factory.mktemp("images")
    names = [directory / f"{row:02}.png" for row in range(len(images))]
    for name, image in zip(names, images, strict=True):
        image.save(name)
    return [str(name) for name in names]


@pytest.fixture(scope="session")
def truncated(paths, tmp_path_factory):
    """Return a PNG file that ends too early."""
    path = tmp_path_factory.mktemp("damaged") / "truncated.png"
    content = Path(paths[0]).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return str(path)


@pytest.fixture
def touch_weights(clip_directory):
    """Return a function after whose call no model that is loaded is the tiny one any more."""

    def touch():
        for path in Path(clip_directory).iterdir():
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))

    return touch


@pytest.fixture
def loaded_names(touch_weights, monkeypatch):
    """Return a list to which each model that is loaded adds a name; the tiny one is not yet."""
    touch_weights()
    names = []
    load = open_clip.create_model_from_pretrained

    def counted(name, *args, **kwargs):
        names.append(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(open_clip, "create_model_from_pretrained", counted)
    return names


@pytest.fixture
def n_embedded():
    """Return a list to which each batch of images that a module embeds adds its length."""
    lengths, depth = [], 0

    def enter(module, inputs):
        nonlocal depth
        depth += 1

    def leave(module, inputs, output):
        nonlocal depth
        depth -= 1
        if depth == 0 and getattr(inputs[0], "ndim", None) == 4:  # transforms take others
            lengths.append(len(inputs[0]))

    hooks = torch.nn.modules.module
    handles = [
        hooks.register_module_forward_pre_hook(enter),
        hooks.register_module_forward_hook(leave, always_call=True),
    ]
    yield lengths
    for handle in handles:
        handle.remove()

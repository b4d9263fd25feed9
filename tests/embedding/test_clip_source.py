"""Where weights come from, and what is said when they do not."""

import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from numpy.testing import assert_array_equal

from skdiffusion_label.embedding import CLIPEmbedder

X = np.zeros((2, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(params=["fit", "transform"])
def method(request):
    return request.param


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return the cache directory of a hub that cannot be reached."""
    import huggingface_hub

    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return cache


def test_random_weights_are_refused_with_a_list_of_tags(method, loaded_names):
    with pytest.raises(ValueError, match="(?s)pretrained must name weights.* got None.*openai"):
        getattr(CLIPEmbedder("ViT-B-32", None), method)(X)
    with pytest.raises(ValueError, match="got None. ViT-H-16 has no tags"):
        getattr(CLIPEmbedder("ViT-H-16", None), method)(X)
    assert loaded_names == []


def test_an_unknown_model_is_met_with_the_nearest_names(method):
    with pytest.raises(ValueError, match="got 'ViT-B32'. Nearest: .*ViT-B-32"):
        getattr(CLIPEmbedder("ViT-B32", "openai"), method)(X)
    with pytest.raises(ValueError, match="got 'ViT-B32'. Nearest: .*ViT-B-32"):
        getattr(CLIPEmbedder("ViT-B32", None), method)(X)
    with pytest.raises(ValueError, match="got '§'. Nearest: none; open_clip.list_models"):
        getattr(CLIPEmbedder("§", "openai"), method)(X)


def test_a_directory_in_the_place_of_a_model_is_met_with_how_to_name_it(
    method, make_embedder, clip_directory
):
    for pretrained in (None, "openai"):
        with pytest.raises(
            ValueError, match=f"got '{clip_directory}'. .*local-dir:{clip_directory}"
        ):
            getattr(CLIPEmbedder(str(clip_directory), pretrained), method)(X)
    with pytest.raises(ValueError, match="got '/nowhere/clip'. Nearest"):
        getattr(CLIPEmbedder("/nowhere/clip", "openai"), method)(X)


def test_an_unknown_tag_is_met_with_those_of_the_model(method):
    for name in ("ViT-B-32", "ViT-B/32"):
        with pytest.raises(ValueError, match="of ViT-B-32 .* got 'laion'. Tags of .*: openai, "):
            getattr(CLIPEmbedder(name, "laion"), method)(X)


@pytest.mark.parametrize("name", ["local-dir:/somewhere", "hf-hub:org/repo"])
def test_weights_are_not_named_twice(name, method):
    with pytest.raises(ValueError, match=f"pretrained must be None for model_name='{name}'.*'op"):
        getattr(CLIPEmbedder(name, "openai"), method)(X)


@pytest.mark.parametrize("file", ["weights.pt", "./weights", Path("weights")])
def test_a_missing_checkpoint_file_is_named(file, method):
    with pytest.raises(FileNotFoundError, match="got '.*weights.*', where there is no file"):
        getattr(CLIPEmbedder("ViT-B-32", file), method)(X)


def test_a_directory_has_to_be_complete(method, make_embedder, clip_directory, tmp_path):
    directory = tmp_path / "clip"
    embedder = make_embedder(model_name=f"local-dir:{directory}")
    with pytest.raises(FileNotFoundError, match=f"must name a directory, got '{directory}'"):
        getattr(embedder, method)(X)
    directory.mkdir()
    with pytest.raises(FileNotFoundError, match="must hold open_clip_config.json"):
        getattr(embedder, method)(X)
    shutil.copy(clip_directory / "open_clip_config.json", directory)
    with pytest.raises(FileNotFoundError, match="must hold .*safetensors"):
        getattr(embedder, method)(X)


def test_weights_of_another_size_are_refused(make_embedder, clip_directory, tmp_path):
    directory = shutil.copytree(clip_directory, tmp_path / "clip")
    config = (directory / "open_clip_config.json").read_text()
    for change in ('"layers": 2', '"layers": 3'), ('"width": 64', '"width": 128'):
        (directory / "open_clip_config.json").write_text(config.replace(*change, 1))
        message = f"weights in {directory}.*safetensors cannot be loaded into .*'local-dir:"
        with pytest.raises(ValueError, match=message):
            make_embedder(model_name=f"local-dir:{directory}").transform(X)
    file = clip_directory / "open_clip_model.safetensors"
    with pytest.raises(ValueError, match=f"weights in {file} cannot be loaded into .*'ViT-B-32'"):
        CLIPEmbedder("ViT-B-32", file, device="cpu").transform(X)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("\xff", "UnicodeDecodeError"),
        ("[1]", "TypeError"),
        ("{}", "KeyError\\('model_cfg'\\)"),
        ('{"model_cfg": {"embed_dim": 64}}', "KeyError\\('vision_cfg'\\)"),
    ],
)
def test_a_damaged_configuration_is_named_itself(
    change, reason, method, make_embedder, clip_directory, tmp_path
):
    directory = shutil.copytree(clip_directory, tmp_path / "clip")
    (directory / "open_clip_config.json").write_text(change, encoding="latin1")
    with pytest.raises(
        ValueError, match=f"clip/open_clip_config.json must be JSON .* got {reason}"
    ):
        getattr(make_embedder(model_name=f"local-dir:{directory}"), method)(X)


class Program(torch.nn.Module):
    def forward(self, images):
        return images


def test_a_program_of_torchscript_is_met_with_the_tag(tmp_path):
    example = torch.zeros(1)
    with warnings.catch_warnings():  # TorchScript is deprecated, and what people have
        warnings.simplefilter("ignore")
        torch.jit.trace(Program(), example).save(tmp_path / "ViT-B-32.pt")
    with pytest.raises(ValueError, match="ViT-B-32.pt are a TorchScript archive.*='openai'"):
        CLIPEmbedder("ViT-B-32", tmp_path / "ViT-B-32.pt", device="cpu").transform(X)


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("hostile"),)


def test_code_in_a_checkpoint_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Hostile()}, "weights.pt")
    with pytest.raises(ValueError, match=r"weights in .*weights.pt cannot be loaded"):
        CLIPEmbedder("ViT-B-32", "./weights.pt", device="cpu").transform(X)
    assert not Path("hostile").exists()
    pickle.loads(pickle.dumps(Hostile()))
    assert Path("hostile").exists()


def test_weights_that_cannot_be_downloaded_are_met_with_ways_out(hub, loaded_names):
    for parameters in (("ViT-B-32", "openai"), ("hf-hub:org/repo", None)):
        with pytest.raises(
            OSError, match="(?s)cannot be loaded: .*no network .*local-dir:/path"
        ) as info:
            CLIPEmbedder(*parameters, device="cpu").transform(X)
        assert repr(parameters[0]) in str(info.value)
    with pytest.raises(OSError, match="'hf-hub:org/repo'.*no network"):
        CLIPEmbedder("hf-hub:org/repo", None, device="cpu").get_feature_names_out()


def test_a_downloaded_repository_is_known_by_its_commit(
    hub, make_embedder, clip_directory, make_clip, loaded_names, n_embedded, tmp_path
):
    repository = hub / "models--org--tiny"
    shutil.copytree(clip_directory, repository / "snapshots" / "c1")
    make_clip(repository / "snapshots" / "c2", seed=1)
    (repository / "refs").mkdir()
    embeddings = {}
    for commit in ("c1", "c2", "c1"):
        (repository / "refs" / "main").write_text(commit)
        embedder = make_embedder(model_name="hf-hub:org/tiny", cache=tmp_path / "cache")
        embeddings[commit] = embedder.fit_transform(X[:1])
        assert len(embedder.get_feature_names_out()) == 64
    assert sum(n_embedded) == 2
    assert_array_equal(embeddings["c1"], make_embedder().transform(X[:1]))
    assert np.abs(embeddings["c2"] - embeddings["c1"]).max() > 0.01


@pytest.mark.parametrize("error", ["RuntimeError('operator torchvision::nms does not exist')", ""])
def test_a_broken_installation_is_met_with_what_to_install(error, method, tmp_path, monkeypatch):
    if error:
        (tmp_path / "open_clip.py").write_text(f"raise {error}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "open_clip")
    else:
        monkeypatch.setitem(sys.modules, "open_clip", None)
    message = "(?s)open_clip cannot be imported: .*pip install torch torchvision --index-url"
    with pytest.raises(ImportError, match=message):
        getattr(CLIPEmbedder(), method)(X)


def test_the_model_that_runs_is_in_evaluation_mode_and_needs_no_gradient(make_embedder):
    model = make_embedder()._load_encoder().model
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert isinstance(model, open_clip.CLIP)


@pytest.mark.parametrize(("tag", "is_quick"), [("openai", True), ("laion2b_s34b_b79k", False)])
def test_tags_bring_the_activation_that_they_were_trained_with(tag, is_quick, images, monkeypatch):
    seen = []

    def no_network(*args, force_quick_gelu, **kwargs):
        seen.append(force_quick_gelu)
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: "there")
    monkeypatch.setattr(open_clip, "create_model_from_pretrained", no_network)
    with pytest.raises(OSError, match="no network"):
        CLIPEmbedder("ViT-B-32", tag, device="cpu").transform(images)
    assert seen == [is_quick]


WITHOUT_NETWORK = """
import os, socket, time
server = socket.socket()
server.bind(("127.0.0.1", 0))
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.getsockname()[1]}"
import numpy as np
import open_clip
from skdiffusion_label.embedding import CLIPEmbedder

for names in (("ViT-B-32", "openai"), ("hf-hub:org/repo", None)):
    embedder = CLIPEmbedder(*names, device="cpu")
    start = time.monotonic()
    try:
        embedder.transform(np.zeros((1, 8, 8, 3), np.uint8))
    except OSError as error:
        assert "no network" in str(error), error
        print(time.monotonic() - start)
    server.listen()  # and never answer
"""


def test_without_a_network_the_error_comes_in_seconds(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETWORK],
        env={**os.environ, "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    refused, unanswered = map(float, result.stdout.split())
    assert 0 < refused < 20 and 3 < unanswered < 20, result.stderr

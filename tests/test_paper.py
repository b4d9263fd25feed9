"""Tests of the paper's experiments in examples/paper, whole, on miniatures of the data sets."""

import contextlib
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

from skdiffusion_label.embedding import CLIPEmbedder

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "paper")]
encoders, epoch_log, experiments, miniatures, tiny_clip = map(
    importlib.import_module, "encoders epoch_log experiments miniatures tiny_clip".split()
)

N_EPOCHS = 2
FIGURES = {
    "cifar": {"CIFAR-10, cifar10-1-0.35": 96.54},
    "food101n": {"Food-101": 93.42},
    "webvision": {"WebVision": 84.16, "ILSVRC12": 82.56},
    "clothing1m": {"Clothing1M": 75.7},
}
# Pixels of a file and images of a folder train an encoder: beyond reading, experiments are one
# program.
WITH_ENCODER = ["cifar", "food101n"]


@pytest.fixture(scope="module")
def command():
    """The command line, ``python examples/paper``."""
    spec = importlib.util.spec_from_file_location("paper", EXAMPLES / "paper" / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The name of a tiny CLIP."""
    return tiny_clip.make_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Arguments of the command line that name an experiment's miniature, written once."""
    folder = tmp_path_factory.mktemp("data")
    miniatures.make_cifar10(folder, n_per_batch=10)
    miniatures.make_food101n(folder, n_classes=4, n_per_class=6)
    miniatures.make_mini_webvision(folder, folder / "imagenet", n_classes=4, n_per_class=6)
    miniatures.make_clothing1m(folder, n_per_class=2, n_clean_per_class=1)
    root = ["--root", str(folder)]
    labels = ["--labels", str(folder / "noise_label" / "cifar10-1-0.35.npy")]
    return {
        "cifar": ["cifar", *root, *labels, "--image-size", "8"],
        "food101n": ["food101n", *root, "--image-size", "32"],
        "webvision": [
            "webvision",
            *root,
            *("--imagenet-root", str(folder / "imagenet"), "--n-classes", "4"),
            *("--image-size", "32"),
        ],
        "clothing1m": ["clothing1m", *root, "--image-size", "32"],
    }


@pytest.fixture(scope="module")
def options(clip):
    options = ["--clip-model", clip, "--encoder", "resnet18", "--encoder-weights", "random"]
    return [*options, "--epochs", str(N_EPOCHS), "--device", "cpu"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder that does not outlast these tests: checkpoints are large."""
    folder = tmp_path_factory.mktemp("runs")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def finished(command, data, options, runs):
    """Return a function that runs an experiment once; it returns the folder and what is printed."""

    @cache
    def finished(name):
        more = [] if name in WITH_ENCODER else ["--encoder", "none"]
        with contextlib.redirect_stdout(io.StringIO()) as printed, one_thread():
            command.main([*data[name], *options, *more, "--output", str(runs / name)])
        return runs / name, printed.getvalue()

    return finished


def one_thread():
    """As in the killed process: other threads would add up in another order."""
    return threadpool_limits(1)


def read_epochs(path):
    """Return the entries of a log's epochs."""
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


KILLED = """
import os, runpy, signal, sys
sys.path.insert(0, sys.argv[1])
from epoch_log import EpochLog
log_epoch = EpochLog.on_fit_task_end
def log_and_be_killed(*args):
    log_epoch(*args)
    os.kill(os.getpid(), signal.SIGKILL)
EpochLog.on_fit_task_end = log_and_be_killed
sys.argv[:2] = []
runpy.run_path(sys.path[0], run_name="__main__")
"""


def run_and_be_killed(argv):
    """Run a command in a process that is killed once it has logged an epoch."""
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(EXAMPLES / "paper"), "paper", *argv],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr


@pytest.mark.parametrize("name", FIGURES)
def test_an_experiment_is_reported_beside_the_paper(name, finished):
    folder, printed = finished(name)
    for test_set, figure in FIGURES[name].items():
        (line,) = [line for line in printed.splitlines() if line.startswith(f"{test_set}  ")]
        assert line.endswith(f"  {figure:.2f}")
    assert "not checked against the paper" in printed
    assert f"max_iter is {N_EPOCHS}, not 200." in printed
    result = json.loads((folder / f"{name}.json").read_text())
    assert result["published"] == FIGURES[name] and result["n_epochs"] == N_EPOCHS
    assert all(0 <= result["accuracy"][test_set] <= 100 for test_set in FIGURES[name])


def test_a_killed_experiment_goes_on_to_the_same_numbers(
    command, finished, data, options, runs, monkeypatch
):
    name = "food101n"
    unbroken, _ = finished(name)
    broken = runs / f"broken {name}"
    argv = [*data[name], *options, "--output", str(broken)]
    log = broken / f"{name}.jsonl"
    run_and_be_killed(argv)
    (before,) = read_epochs(log)
    assert not (broken / f"{name}.json").exists()
    monkeypatch.setattr(CLIPEmbedder, "_load_encoder", None)  # so that nothing can be embedded
    with one_thread():
        command.main(argv)

    epochs = read_epochs(log)
    assert epochs[0] == before
    assert [epoch["epoch"] for epoch in epochs] == [*range(1, N_EPOCHS + 1)]
    losses, expected = (
        [epoch["loss"] for epoch in read_epochs(path)] for path in (log, unbroken / log.name)
    )
    assert losses == expected and len(set(losses)) == N_EPOCHS
    results = [json.loads((run / f"{name}.json").read_text()) for run in (unbroken, broken)]
    assert results[0] == results[1]


def test_human_labels_are_learned_and_have_no_figure(command, clip, tmp_path, capsys):
    truth = miniatures.make_cifar10(tmp_path)
    argv = ["cifar", "--root", str(tmp_path), "--labels", str(tmp_path / "CIFAR-10_human.pt")]
    argv += ["--output", str(tmp_path), "--clip-model", clip, "--encoder", "none"]
    argv += ["--settings", "default", "--epochs", "40", "--label-set", "random_label1"]
    command.main(argv)

    result = json.loads((tmp_path / "cifar.json").read_text())
    n_wrong = np.sum(truth.human_labels["random_label1"] != truth.train_labels)
    assert 0.1 < n_wrong / len(truth.train_labels) < 0.25
    assert result["configuration"]["n_train"] == len(truth.train_labels)
    assert result["accuracy"]["CIFAR-10, random_label1"] > 90
    assert result["published"] == {"CIFAR-10, random_label1": None}
    printed = capsys.readouterr().out
    assert "no figure known" in printed and "prediction_type is logits, not epsilon." in printed

    with pytest.raises(SystemExit):
        command.main([*argv, "--seed", "1"])
    message = "cifar.jsonl is the log of another configuration: seed 0, not 1."
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--root", "/nowhere"], "/nowhere/cifar-10-batches-py/batches.meta does not exist"),
        (["--label-set", "worse_label"], "--label-set is for a file of CIFAR-N, got worse_label"),
        (["--encoder-weights", "/nowhere.pt"], "No such file or directory: '/nowhere.pt'"),
        (["--clip-model", "local-dir:/nowhere"], "must name a directory, got '/nowhere'"),
        (["--epochs", "0"], "argument --epochs: must be at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named_before_any_work(change, message, command, data, tmp_path, capsys):
    output = tmp_path / "output"
    with pytest.raises(SystemExit):
        command.main([*data["cifar"], "--output", str(output), *change])
    assert message in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize("label_set", [None, "worst_label"])
def test_an_unknown_set_of_human_labels_is_an_error(label_set, command, tmp_path, capsys):
    miniatures.make_cifar10(tmp_path, n_per_batch=10)
    argv = ["cifar", "--root", str(tmp_path), "--labels", str(tmp_path / "CIFAR-10_human.pt")]
    argv += ["--output", str(tmp_path)] + ([] if label_set is None else ["--label-set", label_set])
    with pytest.raises(SystemExit):
        command.main(argv)
    errors = capsys.readouterr().err
    assert "--label-set must be one of aggre_label, worse_label" in errors
    assert f"got {label_set}." in errors


def test_fine_labels_of_the_first_images_are_read(tmp_path, monkeypatch):
    truth = miniatures.make_cifar100(tmp_path)
    arguments = SimpleNamespace(
        root=tmp_path,
        dataset="cifar100",
        labels=tmp_path / "CIFAR-100_human.pt",
        label_set="noisy_label",
    )
    monkeypatch.setattr(experiments, "N_CIFAR_ROWS", 180)
    images, labels, test_sets = experiments.read_cifar(arguments)
    assert np.array_equal(images, truth.train_images[:180])
    assert np.array_equal(labels, truth.human_labels["noisy_label"][:180])
    test_images, test_labels = test_sets["CIFAR-100, noisy_label"]
    assert np.array_equal(test_images, truth.test_images)
    assert np.array_equal(test_labels, truth.test_labels)

    arguments.label_set = "noisy_coarse_label"
    with pytest.raises(ValueError, match="must be one of .*, got noisy_coarse_label"):
        experiments.read_cifar(arguments)


def test_more_labels_than_images_are_an_error(command, data, tmp_path, capsys):
    np.save(tmp_path / "labels.npy", np.zeros(51, dtype=np.int64))
    argv = [*data["cifar"], "--labels", str(tmp_path / "labels.npy"), "--output", str(tmp_path)]
    with pytest.raises(SystemExit):
        command.main(argv)
    assert "labels.npy has 51 labels for 50 training images." in capsys.readouterr().err


def test_missing_imagenet_weights_say_what_to_do(command, data, tmp_path, capsys, monkeypatch):
    def download(*arguments, **options):
        raise URLError("no network here")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(SystemExit):
        command.main([*data["food101n"], "--output", str(tmp_path)])
    errors = capsys.readouterr().err
    assert "weights of resnet50 cannot be downloaded: <urlopen error no network here>" in errors
    assert f"{tmp_path}/hub/checkpoints, or take --encoder-weights FILE or random." in errors


# Encoders


def arguments_of(experiment, source):
    return SimpleNamespace(
        experiment=experiment, encoder="resnet18", encoder_weights=str(source), image_size=32
    )


def test_weights_of_a_file_are_taken_but_for_the_head(tmp_path):
    weights = encoders.make_resnet("resnet18", 7, is_small=False).state_dict()
    torch.save(weights, tmp_path / "weights.pt")
    arguments = arguments_of("food101n", tmp_path / "weights.pt")
    network = encoders.encoder_parameters(arguments, 12)["encoder"]()
    own = network.state_dict()
    trunk = [key for key in own if not key.startswith("fc.")]
    assert len(trunk) == len(own) - 4  # the weights and biases of two linear layers
    assert all(torch.equal(own[key], weights[key]) for key in trunk)
    assert all(weight.requires_grad for weight in network.parameters())
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 12)


@pytest.mark.parametrize(
    ("experiment", "content", "message"),
    [
        ("cifar", partial(encoders.make_resnet, "resnet18", 3, False), "form for small images of"),
        ("food101n", partial(encoders.make_resnet, "resnet34", 3, False), "must fit resnet18"),
        ("food101n", partial(torch.zeros, 3), "must fit resnet18"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(experiment, content, message, tmp_path):
    content = content()
    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=message):
        encoders.encoder_parameters(arguments_of(experiment, tmp_path / "weights.pt"), 12)


@pytest.mark.parametrize(("name", "width"), [("resnet34", 512), ("resnet50", 2048)])
def test_heads_are_the_published_ones(name, width):
    with torch.device("meta"):
        small, large = (encoders.make_resnet(name, 64, is_small) for is_small in (True, False))
    assert [layer.weight.shape for layer in small.fc] == [(64, width)]
    assert [layer.weight.shape for layer in large.fc] == [(512, width), (64, 512)]
    assert small.conv1.stride == (1, 1) and large.conv1.stride == (2, 2)


@pytest.mark.parametrize(("is_small", "shape"), [(True, (40, 40)), (False, (97, 61))])
def test_transforms_give_one_size_and_only_training_is_random(is_small, shape):
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    image = Image.fromarray(pixels)  # gray
    augment, prepare = encoders.make_transforms(32, is_small, ((0.5,) * 3, (0.25,) * 3))
    drawn = torch.stack([augment(image) for _ in range(8)])
    assert drawn.shape == (8, 3, 32, 32) and len(drawn.unique(dim=0)) > 1
    prepared = prepare(image)
    assert torch.equal(prepared, prepare(image)) and prepared.shape == (3, 32, 32)
    assert prepared.dtype == torch.float32 and prepared.min() < -1 and prepared.max() > 1


# The log


def test_log_has_what_the_loss_curve_has(tmp_path):
    path, configuration = tmp_path / "log.jsonl", {"seed": 0, "sizes": (1, 2)}

    def log_of(*losses):
        log = epoch_log.EpochLog(path, configuration)
        return log, SimpleNamespace(loss_curve_=list(losses))

    log, estimator = log_of(3.0)
    log.on_fit_task_end(estimator, None)
    log, estimator = log_of(3.0, 2.0)  # killed after the checkpoint of the second
    log.on_fit_task_begin(estimator, None)
    estimator.loss_curve_.append(1.0)
    log.on_fit_task_end(estimator, None)
    epochs = read_epochs(path)
    assert [epoch["loss"] for epoch in epochs] == [3.0, 2.0, 1.0]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert epochs[1]["seconds"] is None and epochs[2]["seconds"] >= 0

    log, estimator = log_of(5.0)  # the checkpoints are gone
    log.on_fit_task_end(estimator, None)
    assert [epoch["loss"] for epoch in read_epochs(path)] == [5.0]
    assert [file.name for file in tmp_path.iterdir()] == ["log.jsonl"]


# The tiny CLIP


def test_tiny_clip_is_the_same_each_time_and_leaves_random_numbers_alone(clip, tmp_path):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    names = [tiny_clip.make_clip(tmp_path / str(seed), random_state=seed) for seed in (0, 1)]
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])
    assert names[0] == f"local-dir:{tmp_path / '0'}"
    images = np.random.default_rng(0).integers(256, size=(3, 40, 32, 3), dtype=np.uint8)
    expected, same, other = (
        CLIPEmbedder(name, None, device="cpu").transform(images) for name in (clip, *names)
    )
    assert np.array_equal(expected, same) and not np.allclose(expected, other)


def test_tiny_clip_takes_texts_and_other_sizes(tmp_path, capsys):
    tiny_clip.main([str(tmp_path), "--image-size", "16"])
    embedder = CLIPEmbedder(capsys.readouterr().out.strip(), None, device="cpu")
    texts = embedder.encode_text(["a photo of a cat.", "a photo of a dog."])
    images = embedder.transform(np.zeros((1, 20, 20, 3), dtype=np.uint8))
    assert texts.shape == (2, images.shape[1]) and not np.allclose(texts[0], texts[1])

"""Training that is interrupted and goes on."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import FunctionTransformer
from torch import nn
from torchvision.transforms import v2

from skdiffusion_label import LRADiffusionImageClassifier
from skdiffusion_label.classifier import _checkpoint

SETTINGS = {
    **{"hidden_size": 16, "max_iter": 6, "batch_size": 32, "random_state": 0, "verbose": 1},
    # Judges are asked before training, whose state alone is saved.
    "label_aggregation": "vote",
}


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(150, centers=3, n_features=4, cluster_std=4, random_state=0)
    return X, y


@pytest.fixture(scope="module")
def unbroken(blobs):
    """What is trained without interruption, and writes nothing."""
    return LRADiffusionImageClassifier(**SETTINGS).fit(*blobs)


@pytest.fixture(scope="module")
def saved(blobs, tmp_path_factory):
    """A folder with the state of a training that has come to its end."""
    folder = tmp_path_factory.mktemp("saved")
    LRADiffusionImageClassifier(**SETTINGS, checkpoint_dir=folder).fit(*blobs)
    return folder


@pytest.fixture
def trained(saved, tmp_path):
    """A classifier whose training has come to its end, and its folder."""
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    return LRADiffusionImageClassifier(**SETTINGS, checkpoint_dir=tmp_path), tmp_path


def fit_and_die(clf, data, n_epochs, monkeypatch):
    """Fit until ``n_epochs`` have been saved, then die before anything else happens."""
    with monkeypatch.context() as patch:
        save, n_saved = _checkpoint.Checkpoint.save, []

        def save_and_die(self, content):
            save(self, content)
            n_saved.append(content)
            if len(n_saved) == n_epochs:
                raise Killed

        patch.setattr(_checkpoint.Checkpoint, "save", save_and_die)
        with pytest.raises(Killed):
            clf.fit(*data)


@pytest.fixture
def epochs(capsys):
    """Return what lists the epochs that fits have told of since it was asked last."""

    def told():
        lines = capsys.readouterr().out.splitlines()
        return [line for line in lines if line.startswith("Epoch ")]

    return told


@pytest.mark.parametrize(
    ("parameters", "n_epochs"),
    [
        ({"label_aggregation": "judges"}, 1),
        ({"n_iter_no_change": 30, "dropout": 0.5}, 4),
        ({"prediction_type": "sample", "n_sampling_steps": 3}, 6),
        ({"encoder": lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())}, 4),
    ],
    ids=["judges", "early stopping", "several steps", "module"],
)
def test_interrupted_fit_ends_like_an_unbroken_one(
    parameters, n_epochs, blobs, tmp_path, monkeypatch, epochs
):
    clf = LRADiffusionImageClassifier(**{**SETTINGS, **parameters})
    unbroken = clone(clf).fit(*blobs)
    clf.set_params(checkpoint_dir=tmp_path)
    fit_and_die(clone(clf), blobs, n_epochs, monkeypatch)
    epochs()
    resumed = clf.fit(*blobs)
    assert len(epochs()) == 6 - n_epochs
    assert resumed.loss_curve_ == unbroken.loss_curve_
    assert resumed.validation_scores_ == unbroken.validation_scores_
    assert resumed.n_iter_ == unbroken.n_iter_ == 6
    X, y = blobs
    assert_array_equal(resumed.predict_proba(X), unbroken.predict_proba(X))
    assert_array_equal(resumed.purify_proba(X, y), unbroken.purify_proba(X, y))


def test_fit_that_has_stopped_early_is_not_trained_on(blobs, tmp_path, epochs):
    clf = LRADiffusionImageClassifier(**{**SETTINGS, "max_iter": 50}, n_iter_no_change=30)
    clf.set_params(checkpoint_dir=tmp_path, n_iter_no_change=2)
    first = clone(clf).fit(*blobs)
    assert first.n_iter_ < 50
    epochs()
    second = clf.fit(*blobs)
    assert epochs() == []
    assert second.n_iter_ == first.n_iter_
    assert_array_equal(second.predict_proba(blobs[0]), first.predict_proba(blobs[0]))


def images_of(pixels):
    return [Image.fromarray(np.full((4, 4, 3), value, np.uint8)) for value in pixels]


@pytest.mark.parametrize("change", ["activation", "dropout", "images", "transform"])
def test_another_encoder_starts_from_the_beginning(change, tmp_path, epochs):
    pixels = np.arange(60) * 4 % 250
    y = np.arange(60) % 2
    layers = [nn.Flatten(), nn.Linear(48, 8), nn.ReLU()]
    clf = LRADiffusionImageClassifier(
        FunctionTransformer(lambda X: np.arange(60)[:, None]),  # the same for all images
        encoder=nn.Sequential(*layers),
        encoder_transform=v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]),
        checkpoint_dir=tmp_path,
        **SETTINGS,
    )
    clone(clf).fit(images_of(pixels), y)
    if change == "activation":
        clf.set_params(encoder=nn.Sequential(*layers[:2], nn.Tanh()))
    elif change == "dropout":
        clf.set_params(encoder=nn.Sequential(*layers, nn.Dropout(0.5)))
    elif change == "images":
        pixels = pixels[::-1]
    else:
        clf.set_params(encoder_transform=v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32)]))
    epochs()
    clf.fit(images_of(pixels), y)
    assert len(epochs()) == clf.max_iter


@pytest.mark.parametrize(
    "change",
    [{"random_state": 1}, {"max_iter": 7}, {"learning_rate": 0.01}, {"dropout": 0.0}, "X", "y"],
    ids=str,
)
def test_another_fit_starts_from_the_beginning(change, blobs, trained, epochs):
    clf, folder = trained
    X, y = blobs
    if change == "X":
        X = X + np.linspace(0, 1, len(X))[:, None]
    elif change == "y":
        y = (y + (np.arange(len(y)) < 30)) % 3
    else:
        clf.set_params(**change)
    epochs()
    clf.fit(X, y)
    assert len(epochs()) == clf.max_iter
    assert len(list(folder.glob("*.pt"))) == 2


def test_folds_of_a_cross_validation_keep_apart(blobs, tmp_path, epochs):
    clf = LRADiffusionImageClassifier(**SETTINGS, checkpoint_dir=str(tmp_path / "new" / "folder"))
    first = cross_val_score(clf, *blobs, cv=3)
    epochs()
    assert_array_equal(cross_val_score(clf, *blobs, cv=3), first)
    assert epochs() == []


class StopAfter:
    """A callback that ends training."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = lambda self, estimator, context, **arguments: None

    def on_fit_task_end(self, estimator, context, **arguments):
        return len(estimator.loss_curve_) >= self.n_epochs


@pytest.mark.skipif(find_spec("sklearn.callback") is None, reason="needs callbacks")
def test_a_callback_s_stop_is_the_end_of_its_fit_alone(blobs, unbroken, tmp_path):
    clf = LRADiffusionImageClassifier(**SETTINGS, checkpoint_dir=tmp_path)
    for _ in range(2):
        assert clf.set_callbacks(StopAfter(3)).fit(*blobs).n_iter_ == 3
    clf.set_callbacks()
    assert clf.fit(*blobs).loss_curve_ == unbroken.loss_curve_


@pytest.mark.parametrize("kind", ["list", "int32", "float64", "object"])
def test_labels_of_whatever_type_are_the_same_labels(kind, blobs, unbroken, trained, epochs):
    clf, _ = trained
    X, y = blobs
    if kind == "object":  # which have to be strings
        y = y.astype(str)
        clone(clf).fit(X, y)
    epochs()
    clf.fit(X, y.tolist() if kind == "list" else y.astype(kind))
    assert epochs() == []
    assert clf.loss_curve_ == unbroken.loss_curve_


def test_what_is_gone_on_from_is_said(blobs, tmp_path, monkeypatch, capsys):
    clf = LRADiffusionImageClassifier(**SETTINGS, checkpoint_dir=tmp_path)
    fit_and_die(clone(clf), blobs, 2, monkeypatch)
    assert "Going on" not in capsys.readouterr().out
    clf.fit(*blobs)
    assert "Going on after epoch 2" in capsys.readouterr().out


def test_home_folder_may_be_abbreviated(blobs, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    LRADiffusionImageClassifier(**SETTINGS, checkpoint_dir="~/states").fit(*blobs)
    assert len(list((tmp_path / "states").glob("*.pt"))) == 1


def test_nothing_is_written_unless_asked(blobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LRADiffusionImageClassifier(**SETTINGS).fit(*blobs)
    assert os.listdir(tmp_path) == []


def test_damaged_checkpoint_is_named(blobs, trained):
    clf, folder = trained
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"checkpoint {path} cannot be read; delete it"):
        clf.fit(*blobs)


KILLED = """
import os, signal, sys
from sklearn.datasets import make_blobs
from skdiffusion_label import LRADiffusionImageClassifier

replace, n_replaced = os.replace, []

def replace_or_die(source, target):
    n_replaced.append(target)
    if len(n_replaced) == 3:
        os.truncate(source, 500)
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = replace_or_die
X, y = make_blobs(150, centers=3, n_features=4, cluster_std=4, random_state=0)
settings = dict(hidden_size=16, max_iter=6, batch_size=32, random_state=0)
settings["label_aggregation"] = "vote"
LRADiffusionImageClassifier(**settings, checkpoint_dir=sys.argv[1]).fit(X, y)
"""


def test_kill_while_writing_leaves_the_previous_state(blobs, unbroken, tmp_path, epochs):
    process = subprocess.run([sys.executable, "-c", KILLED, tmp_path], timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.tmp"))) == 1
    (tmp_path / "notes.tmp").write_text("of somebody else")
    clf = LRADiffusionImageClassifier(**SETTINGS, checkpoint_dir=tmp_path)
    epochs()
    assert_array_equal(clf.fit(*blobs).predict_proba(blobs[0]), unbroken.predict_proba(blobs[0]))
    assert len(epochs()) == 4
    assert [path.name for path in tmp_path.glob("*.tmp")] == ["notes.tmp"]


def test_a_fit_that_dies_leaves_no_half_trained_estimator(blobs, tmp_path, monkeypatch):
    clf = LRADiffusionImageClassifier(**SETTINGS, n_iter_no_change=30, checkpoint_dir=tmp_path)
    fit_and_die(clf, blobs, 2, monkeypatch)
    for method in (clf.predict, clf.predict_proba):
        with pytest.raises(NotFittedError):
            method(blobs[0])


def test_threads_may_run_the_same_fit(blobs, unbroken, tmp_path):
    clf = LRADiffusionImageClassifier(**SETTINGS, checkpoint_dir=tmp_path)
    expected = unbroken.predict_proba(blobs[0])
    with ThreadPoolExecutor(4) as pool:
        for fitted in pool.map(lambda _: clone(clf).fit(*blobs), range(4)):
            assert_array_equal(fitted.predict_proba(blobs[0]), expected)
    assert len(list(tmp_path.iterdir())) == 1

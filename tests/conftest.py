"""Fixtures that tests of the whole classifier share."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.classifier import _models


def _read_only(*arrays):
    for array in arrays:
        array.flags.writeable = False
    return arrays


@pytest.fixture(scope="module", autouse=True)
def few_trees():
    """Grow forests of ten trees instead of two hundred, which are most of the time of a small fit.

    Modules of tests that are about what users are shown have a fixture of this name instead.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_models, "_MAX_TREES", _models._MIN_TREES)
        yield


@pytest.fixture(scope="session")
def fast():
    """Parameters of a classifier that is fitted in less than a second."""
    return {
        "n_neighbors": 10,
        "metric": "euclidean",
        "retrieval_space": "features",
        "hidden_size": 32,
        "n_timesteps": 20,
        "noise_schedule": "cosine",
        "max_iter": 10,
        "batch_size": 64,
        "learning_rate": 1e-2,
        "n_draws": 4,
        "random_state": 0,
    }


@pytest.fixture(scope="session")
def quick(fast):
    """Parameters of one that is fitted in half of this time, where predictions do not matter."""
    return {**fast, "label_aggregation": "vote", "max_iter": 3}


@pytest.fixture(scope="session")
def blobs():
    """Three classes in four dimensions: X, true labels, given labels of which 30 % are redrawn."""
    X, y = make_blobs(200, n_features=4, centers=3, cluster_std=1.5, random_state=0)
    rng = np.random.default_rng(0)
    y_given = np.where(rng.random(len(y)) < 0.3, rng.integers(3, size=len(y)), y)
    return _read_only(X, y, y_given)


@pytest.fixture(scope="session")
def noisy_digits():
    """Digits: X, true labels, given labels of which 40 % are redrawn."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    y_given = np.where(rng.random(len(y)) < 0.4, rng.integers(10, size=len(y)), y)
    return _read_only(X, y, y_given)


@pytest.fixture(scope="module")
def fitted(fast, blobs):
    """Return a classifier fitted on the blobs, to be looked at and never changed."""
    X, _, y_given = blobs
    return LRADiffusionClassifier(**fast).fit(X, y_given)

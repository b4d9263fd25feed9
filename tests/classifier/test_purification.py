"""Purified labels under every prediction type."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.diffusion import PREDICTION_TYPES
from skdiffusion_label.noise_model import LocalNoise

LEARNS = {
    "n_neighbors": 10,
    "retrieval_space": "features",
    "hidden_size": 128,
    "learning_rate": 1e-2,
    "batch_size": 64,
    "max_iter": 30,
    "random_state": 0,
}
# Noise is harder to predict than a label, and its first guess says less. As published, there is no
# prior guess.
LEARNS_NOISE = {**LEARNS, "max_iter": 100, "n_sampling_steps": 5, "dropout": 0.0, "prior": None}
N_ROWS = 500
TIES = 0.034  # two standard errors of an accuracy of .82 on these rows


def learner(prediction_type, **parameters):
    learns = LEARNS_NOISE if prediction_type == "epsilon" else LEARNS
    return LRADiffusionClassifier(prediction_type=prediction_type, **{**learns, **parameters})


def other_labels(y):
    return (y + 1) % 10


@pytest.fixture(scope="module")
def digits(noisy_digits):
    """Rows to fit, and new ones: labels of the former have been learned from already."""
    return tuple(array[:N_ROWS] for array in noisy_digits), tuple(
        array[N_ROWS : 2 * N_ROWS] for array in noisy_digits
    )


@pytest.fixture(
    scope="module",
    params=[
        ("logits", "linear"),
        ("sample", "linear"),
        ("epsilon", "linear"),
        ("epsilon", "cosine"),
    ],
    ids="-".join,
)
def purifier(request, digits):
    prediction_type, noise_schedule = request.param
    (X, _, y_given), _ = digits
    return learner(prediction_type, noise_schedule=noise_schedule).fit(X, y_given)


def test_purified_labels_are_right_at_any_trust(purifier, digits):
    _, (X, y, y_given) = digits
    predicted = np.mean(purifier.predict(X) == y)
    assert predicted > 0.75 > np.mean(y_given == y) + 0.08
    # A label that is right in two of three cases tells a third of the errors.
    assert np.mean(purifier.purify_labels(X, y_given) == y) > predicted + 0.01
    n_timesteps = purifier.n_timesteps
    for timestep in (n_timesteps // 2, 3 * n_timesteps // 4, n_timesteps - 1):
        assert np.mean(purifier.purify_labels(X, y_given, timestep) == y) > predicted - TIES


def test_the_last_timestep_ignores_the_given_label_and_predicts(purifier, digits):
    _, (X, y, _) = digits
    last = purifier.n_timesteps - 1
    proba = purifier.purify_proba(X, y, last)
    assert_allclose(purifier.purify_proba(X, other_labels(y), last), proba, atol=1e-3)
    # Up to the least signal: a start at this timestep is scaled by it, and prediction's is not.
    assert np.abs(purifier.predict_proba(X) - proba).mean() < 0.01


def test_the_first_timestep_keeps_the_given_label(purifier, digits):
    (X, y, _), _ = digits
    assert np.mean(purifier.purify_labels(X, y, 0) == y) > 0.95


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_labels_that_follow_the_place_do_not_count(prediction_type, digits):
    (X, y, y_given), _ = digits
    clf = learner(prediction_type, max_iter=5).fit(X, y_given)
    trusting = clf.purify_proba(X, y_given)
    assert np.abs(trusting - clf.purify_proba(X, other_labels(y_given))).max() > 0.02
    clf._local_noise = LocalNoise(clf._local_noise.margins, np.ones(4))
    assert_allclose(
        clf.purify_proba(X, y_given), clf.purify_proba(X, other_labels(y_given)), atol=1e-6
    )

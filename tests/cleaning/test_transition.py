"""Confident counting, against cleanlab and against matrices that labels were drawn from."""

import numpy as np
import pytest
from cleanlab.count import (
    compute_confident_joint,
    estimate_latent,
    estimate_py_and_noise_matrices_from_probabilities,
)
from numpy.testing import assert_allclose, assert_array_equal

from skdiffusion_label.cleaning import estimate_transition_matrix
from skdiffusion_label.label_noise import (
    asymmetric_transition,
    flip_labels,
    pair_transition,
    uniform_transition,
)

MATRICES = {
    "none": np.eye(4),
    "uniform": uniform_transition(4, 0.3),
    "pair": pair_transition(4, 0.35),
    "asymmetric": asymmetric_transition(4, 0.4, {0: 2, 3: 1}),
    "uneven": np.array(
        [[0.9, 0.1, 0, 0], [0.2, 0.6, 0.1, 0.1], [0, 0, 1, 0], [0.1, 0.1, 0.2, 0.6]]
    ),
}


def simulated(matrix, n_samples=20_000, concentration=30.0, random_state=0):
    """Draw given labels, and calibrated probabilities of these."""
    rng = np.random.default_rng(random_state)
    n_classes = len(matrix)
    true = rng.choice(n_classes, size=n_samples, p=np.arange(2, n_classes + 2) / 14)
    proba = np.eye(n_classes)[true] * concentration + 0.2
    proba = proba / proba.sum(axis=1, keepdims=True)
    y = flip_labels(true, matrix, random_state=random_state)
    return true, y, proba @ matrix


def blurred(matrix, random_state=0):
    """Draw given labels, and probabilities of these as of a classifier that is often unsure."""
    true, y, proba = simulated(matrix, random_state=random_state)
    rng = np.random.default_rng(random_state)
    truth = rng.dirichlet(np.full(len(matrix), 0.4), size=len(y)) + 3 * np.eye(len(matrix))[true]
    return y, truth / 4 @ matrix


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_known_matrices_are_recovered_within_sampling_error(matrix):
    true, y, proba = simulated(matrix)
    estimated = estimate_transition_matrix(y, proba)
    counts = np.bincount(true)[:, None]
    assert np.all(np.abs(estimated - matrix) < 4.5 * np.sqrt(matrix * (1 - matrix) / counts) + 1e-9)


@pytest.mark.parametrize("data", [blurred, lambda m: simulated(m)[1:]], ids=["unsure", "sure"])
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_matrix_is_that_of_cleanlab(matrix, data):
    y, proba = data(matrix)
    estimated = estimate_transition_matrix(y, proba)
    joint = compute_confident_joint(y, proba, calibrate=False).astype(float)  # rows: given labels
    joint *= np.bincount(y)[:, None] / joint.sum(axis=1, keepdims=True)
    assert_allclose(estimated, estimate_latent(joint, y)[1].T, atol=1e-3)
    # What cleanlab itself takes for it is rounded to whole rows.
    _, noise, _, _ = estimate_py_and_noise_matrices_from_probabilities(y, proba)
    assert_allclose(estimated, noise.T, atol=2e-3)


def test_confident_examples_by_hand():
    # Thresholds are the means 0.75 and 0.57; the third row is confident of neither class.
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.9, 0.1], [0.3, 0.7], [0.1, 0.9]])
    y = np.array([0, 0, 0, 1, 1, 1])
    assert_allclose(estimate_transition_matrix(y, proba), [[3 / 4, 1 / 4], [0, 1]])


def test_columns_belong_to_classes_in_their_order():
    _, y, proba = simulated(MATRICES["uneven"])
    order = [2, 0, 3, 1]
    names = np.array(["ant", "bee", "cat", "dog"])
    shuffled = estimate_transition_matrix(names[y], proba[:, order], classes=names[order])
    expected = estimate_transition_matrix(y, proba)[np.ix_(order, order)]
    assert_allclose(shuffled, expected, rtol=1e-12)
    assert_array_equal(
        estimate_transition_matrix(names[y], proba), estimate_transition_matrix(y, proba)
    )


def test_classes_without_labels_get_a_row_of_the_identity():
    _, y, proba = simulated(MATRICES["uniform"])
    wider = np.insert(proba, 1, 0, axis=1)
    estimated = estimate_transition_matrix(y, wider, classes=[0, 9, 1, 2, 3])
    assert_array_equal(estimated[1], np.eye(5)[1])
    assert_array_equal(
        np.delete(np.delete(estimated, 1, axis=0), 1, axis=1), estimate_transition_matrix(y, proba)
    )


@pytest.mark.parametrize("random_state", range(3))
def test_rows_sum_to_one_whatever_the_probabilities(random_state):
    rng = np.random.default_rng(random_state)
    proba = rng.dirichlet(np.ones(6), size=30)
    estimated = estimate_transition_matrix(rng.integers(5, size=30), proba, classes=range(6))
    assert estimated.min() >= 0
    assert_allclose(estimated.sum(axis=1), 1)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="proba must have a column for each of the 2 classes"):
        estimate_transition_matrix([0, 1], np.eye(3)[:2])
    with pytest.raises(ValueError, match="y must hold labels among classes, got .*2"):
        estimate_transition_matrix([0, 2], np.eye(2), classes=[0, 1])

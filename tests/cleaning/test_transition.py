"""The estimated matrix, against those that labels were drawn from, and beside cleanlab's."""

import numpy as np
import pytest
from cleanlab.count import estimate_py_and_noise_matrices_from_probabilities
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
    # Room for labels given at random: .001 in all, and what shrinking adds to it.
    error = 4.5 * np.sqrt(matrix * (1 - matrix) / counts) + 0.002
    assert np.all(np.abs(estimated - matrix) < error)


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_matrix_of_an_unsure_classifier_is_as_right_as_that_of_cleanlab(matrix):
    y, proba = blurred(matrix)
    _, noise, _, _ = estimate_py_and_noise_matrices_from_probabilities(y, proba)
    error = np.abs(estimate_transition_matrix(y, proba) - matrix).max()
    assert error < max(0.02, np.abs(noise.T - matrix).max())


def test_probabilities_that_foretell_nothing_tell_of_no_noise():
    _, y, _ = simulated(MATRICES["pair"], n_samples=500)
    proba = np.random.default_rng(1).dirichlet(np.ones(4), size=500)
    assert_array_equal(estimate_transition_matrix(y, proba), np.eye(4))


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


def test_classes_without_labels_leave_the_others_as_they_are():
    _, y, proba = simulated(MATRICES["uniform"])
    wider = np.insert(proba, 1, 0, axis=1)
    estimated = estimate_transition_matrix(y, wider, classes=[0, 9, 1, 2, 3])
    others = np.delete(np.delete(estimated, 1, axis=0), 1, axis=1)
    # How likely the noise models are may change a little.
    assert_allclose(others, estimate_transition_matrix(y, proba), atol=0.03)
    assert_allclose(estimated.sum(axis=1), 1)


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

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdiffusion_label.label_noise import pair_transition, uniform_transition
from skdiffusion_label.noise_model import (
    deconvolved,
    posterior,
    posterior_of_given,
)


def random_proba(n_samples=200, n_classes=4, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.5), size=n_samples)


# Tracing probabilities of given labels back to the true ones


def test_without_noise_nothing_is_traced_back():
    proba = random_proba()
    assert_allclose(deconvolved(proba, np.eye(4)), proba, atol=1e-12)


@pytest.mark.parametrize(
    "matrix", [uniform_transition(4, 0.4), pair_transition(4, 0.4)], ids=["even", "pair"]
)
def test_what_the_noise_made_of_certain_rows_is_traced_back_to_them(matrix):
    codes = np.arange(40) % 4
    given = matrix[codes]
    truth = deconvolved(given, matrix)
    assert_allclose(truth.sum(axis=1), 1)
    assert (truth.argmax(axis=1) == codes).all()
    # Ten rounds come close, and no further than the noise would hide.
    assert truth.max(axis=1).min() > 0.9 > 0.6 >= given.max(axis=1).max()


@pytest.mark.parametrize(
    "matrix", [uniform_transition(4, 0.4), pair_transition(4, 0.3)], ids=["even", "pair"]
)
def test_traced_back_probabilities_are_nearer_to_the_truth(matrix):
    truth = random_proba()
    given = truth @ matrix
    traced = deconvolved(given, matrix)

    def error(proba):
        return np.abs(proba @ matrix - given).sum(axis=1).mean()

    # Richardson's rounds raise the likelihood of what is to be explained.
    assert error(traced) < 0.2 * error(given)
    assert np.abs(traced - truth).mean() < 0.6 * np.abs(given - truth).mean()


def test_noise_that_forgets_the_class_leaves_what_was_said():
    proba = random_proba()
    assert_allclose(deconvolved(proba, np.full((4, 4), 0.25)), proba, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_truth_has_the_type_of_the_probabilities(dtype):
    assert deconvolved(random_proba().astype(dtype), uniform_transition(4, 0.3)).dtype == dtype


# Bayes' rule


def test_posterior_is_bayes_rule():
    proba, likelihood = random_proba(), np.random.default_rng(1).random((200, 4))
    expected = [p * q / (p * q).sum() for p, q in zip(proba, likelihood, strict=True)]
    assert_allclose(posterior(proba, likelihood), expected)


def test_label_that_no_class_can_have_been_given_leaves_the_decision_to_the_features():
    proba = np.array([[0.7, 0.3, 0.0], [0.7, 0.3, 0.0]])
    likelihood = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    assert_allclose(posterior(proba, likelihood), [[0.7, 0.3, 0.0], [0.0, 1.0, 0.0]])


def test_posterior_of_given_takes_the_column_of_the_given_label():
    proba, matrix = random_proba(), pair_transition(4, 0.4)
    y_codes = np.arange(200) % 4
    found = posterior_of_given(proba, y_codes, matrix)
    assert_array_equal(found, posterior(proba, matrix.T[y_codes]))
    # The true class is that of the label or the one before, and no other.
    rows = np.arange(200)
    assert_allclose(found[rows, y_codes] + found[rows, y_codes - 1], 1)


def test_one_rate_is_traced_back_as_any_matrix():
    proba, matrix = random_proba(), uniform_transition(4, 0.3)
    almost = matrix.copy()
    almost[0, 1] += 1e-9  # no longer one rate
    assert_allclose(deconvolved(proba, matrix), deconvolved(proba, almost), atol=1e-6)

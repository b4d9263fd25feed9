"""Transition matrices, the published maps, and labels drawn from a matrix."""

import numpy as np
import pytest
from scipy.stats import binomtest

from skdiffusion_label.label_noise import (
    CIFAR10_FLIPS,
    CIFAR100_FLIPS,
    asymmetric_transition,
    flip_labels,
    pair_transition,
    uniform_transition,
)

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()


@pytest.mark.parametrize("build", [uniform_transition, pair_transition])
@pytest.mark.parametrize("n_classes", [2, 3, 100])
@pytest.mark.parametrize("noise_rate", [0, 0.35, 1])
def test_rows_sum_to_one_and_the_diagonal_is_what_is_kept(build, n_classes, noise_rate):
    matrix = build(n_classes, noise_rate)
    assert matrix.shape == (n_classes, n_classes)
    assert matrix.dtype == np.float64
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.diag(matrix), 1 - noise_rate)


def test_uniform_noise_treats_wrong_classes_alike():
    matrix = uniform_transition(7, 0.3)
    np.testing.assert_allclose(matrix[~np.eye(7, dtype=bool)], 0.05)


def test_pair_noise_moves_to_the_next_class():
    np.testing.assert_allclose(pair_transition(4, 1), np.roll(np.eye(4), 1, axis=1))


def test_two_classes_know_one_way_of_being_wrong():
    np.testing.assert_array_equal(uniform_transition(2, 0.4), pair_transition(2, 0.4))


def test_published_map_of_cifar10():
    matrix = asymmetric_transition(10, 0.4, CIFAR10_FLIPS)
    flips = {
        (CIFAR10[true], CIFAR10[given]) for true, given in np.argwhere(np.isclose(matrix, 0.4))
    }
    assert flips == {
        ("truck", "automobile"),
        ("bird", "airplane"),
        ("cat", "dog"),
        ("dog", "cat"),
        ("deer", "horse"),
    }
    kept = np.array([1, 1, 0.6, 0.6, 0.6, 0.6, 1, 1, 1, 0.6])
    np.testing.assert_allclose(np.diag(matrix), kept)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_published_map_of_cifar100():
    matrix = asymmetric_transition(100, 0.3, CIFAR100_FLIPS)
    block = pair_transition(5, 0.3)
    np.testing.assert_allclose(matrix, np.kron(np.eye(20), block))


@pytest.mark.parametrize(
    ("matrix", "n_classes"),
    [
        (uniform_transition(2, 0.4), 2),
        (pair_transition(5, 0.45), 5),
        (asymmetric_transition(10, 0.4, CIFAR10_FLIPS), 10),
        ([[1, 0, 0], [0, 1, 0], [0.1, 0.3, 0.6]], 3),
        (uniform_transition(100, 0.2), 100),
    ],
)
def test_labels_follow_the_matrix(matrix, n_classes):
    n_each = 3000
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(n_classes), n_each))
    y_noisy = flip_labels(y, matrix, random_state=0)
    counts = np.zeros((n_classes, n_classes), dtype=int)
    np.add.at(counts, (y, y_noisy), 1)
    matrix = np.asarray(matrix)
    np.testing.assert_array_equal(counts[matrix == 0], 0)
    np.testing.assert_array_equal(counts[matrix == 1], n_each)
    deviations = (counts - n_each * matrix) / np.sqrt(n_each * np.maximum(matrix, 1e-9))
    # For 10,000 cells of the largest matrix, this is passed by chance in one of 1,000 cases.
    assert np.abs(deviations).max() < 5.5


def test_rows_of_a_class_are_flipped_independently():
    y = np.repeat([0, 1], 5000)
    wrong = flip_labels(y, uniform_transition(2, 0.5), random_state=0) != y
    assert binomtest(int(np.sum(wrong[1:] == wrong[:-1])), 9999, 0.5).pvalue > 1e-4
    assert binomtest(int(np.sum(wrong[:5000] == wrong[5000:])), 5000, 0.5).pvalue > 1e-4


@pytest.mark.parametrize("n_classes", [1, 0, 2.0, "3"])
@pytest.mark.parametrize("build", [uniform_transition, pair_transition])
def test_number_of_classes_is_checked(build, n_classes):
    with pytest.raises(ValueError, match="n_classes must be an integer of at least 2, got "):
        build(n_classes, 0.3)


@pytest.mark.parametrize("flips", [{0: 3}, {-1: 0}, {1: 1}, {"cat": "dog"}, {0.0: 1}])
def test_map_is_checked(flips):
    with pytest.raises(ValueError, match=r"flips must map classes to other classes, .* got "):
        asymmetric_transition(3, 0.3, flips)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"a row and a column for each of 2 classes, got shape \(3, 3\)"),
        (np.ones(2), r"transition_matrix must have .* got shape \(2,\)"),
        ([[0.5, 0.4], [0, 1]], r"transition_matrix rows must sum to 1, got sums \[0.9 1. \]"),
        ([[1.5, -0.5], [0, 1]], "transition_matrix must hold numbers of at least 0"),
        ([[np.nan, 1], [0, 1]], "transition_matrix must hold numbers of at least 0"),
    ],
)
def test_matrix_is_checked(matrix, message):
    with pytest.raises(ValueError, match=message):
        flip_labels([0, 1], matrix)

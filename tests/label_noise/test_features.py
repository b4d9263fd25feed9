"""Noise from features."""

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from scipy.stats import binomtest
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestNeighbors

from skdiffusion_label.label_noise import cluster_noise, instance_noise
from skdiffusion_label.label_noise._features import _draw_flip_rates


@pytest.mark.parametrize("noise_rate", [0.02, 0.1, 0.5, 0.8, 0.99])
def test_flip_rates_differ_and_their_mean_is_the_rate_asked_for(noise_rate):
    flip_rates = _draw_flip_rates(noise_rate, 100000, np.random.RandomState(0))
    spread = min(noise_rate, 1 - noise_rate)
    assert np.abs(flip_rates - noise_rate).max() <= spread
    assert abs(flip_rates.mean() - noise_rate) < 5 * flip_rates.std() / np.sqrt(100000)
    if noise_rate == 0.5:
        assert abs(flip_rates.std() - 0.1) < 1e-3


def test_rows_of_a_class_that_are_alike_are_taken_for_the_same_class():
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((6, 20))
    kind = np.repeat(np.arange(6), 500)
    X = 10 * directions[kind]
    y = kind % 3
    y_noisy = instance_noise(y, X, 0.4, random_state=0)
    for k in range(6):
        wrong = y_noisy[kind == k][y_noisy[kind == k] != k % 3]
        assert binomtest(len(wrong), 500, 0.4).pvalue > 1e-4
        assert np.bincount(wrong).max() > 0.95 * len(wrong)


def test_rows_without_features_are_taken_for_any_class():
    y = np.repeat(np.arange(4), 1000)
    y_noisy = instance_noise(y, np.zeros((4000, 2)), 0.6, random_state=0)
    counts = np.zeros((4, 4), dtype=int)
    np.add.at(counts, (y, y_noisy), 1)
    for count in counts[~np.eye(4, dtype=bool)]:
        assert binomtest(int(count), 1000, 0.2).pvalue > 1e-4


def test_clusters_are_wrong_together():
    X, y = make_blobs(2000, centers=4, random_state=0)
    wrong = cluster_noise(y, X, 0.3, random_state=0) != y
    neighbors = NearestNeighbors(n_neighbors=6).fit(X).kneighbors(return_distance=False)
    assert wrong[neighbors][wrong].mean() > 0.7
    assert wrong[neighbors][~wrong].mean() < 0.15


def test_wrong_labels_are_those_of_the_nearest_other_mean():
    X, y = make_blobs(1000, centers=5, random_state=1)
    y_noisy = cluster_noise(y, X, 0.4, n_clusters=5, random_state=0)
    means = np.stack([X[y == k].mean(axis=0) for k in range(5)])
    distances = np.linalg.norm(X[:, None] - means, axis=2)
    distances[np.arange(1000), y] = np.inf
    wrong = y_noisy != y
    np.testing.assert_array_equal(y_noisy[wrong], distances.argmin(axis=1)[wrong])


def test_a_single_cluster_is_a_ball_around_a_row_of_its_class():
    X = np.random.default_rng(0).uniform(size=(400, 2))
    y = np.repeat([0, 1], 200)
    wrong = cluster_noise(y, X, 0.25, n_clusters=1, random_state=0) != y
    for k in (0, 1):
        members, others = X[(y == k) & wrong], X[(y == k) & ~wrong]
        farthest_member = cdist(members, members).max(axis=1)
        nearest_other = cdist(members, others).min(axis=1)
        assert np.any(farthest_member < nearest_other)


def test_more_clusters_than_rows_and_copies_of_rows():
    X = np.repeat([[0.0], [1.0]], 50, axis=0)
    y = np.repeat(["a", "b"], 50)
    wrong = cluster_noise(y, X, 0.3, n_clusters=1000, random_state=0) != y
    assert wrong.sum() == 30
    assert 0 < wrong[:50].sum() < 30


@pytest.mark.parametrize("noise", [instance_noise, cluster_noise])
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array])
def test_sparse_features_are_taken(noise, container):
    X, y = make_blobs(300, centers=3, random_state=0)
    X[X < 0] = 0
    np.testing.assert_array_equal(
        noise(y, container(X), 0.3, random_state=0), noise(y, X, 0.3, random_state=0)
    )


@pytest.mark.parametrize("noise", [instance_noise, cluster_noise])
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 1)), "inconsistent numbers of samples"),
        (np.zeros(2), "Expected 2D array"),
        ([[0.0], [np.inf]], "Input X contains infinity"),
    ],
)
def test_features_are_checked(noise, X, message):
    with pytest.raises(ValueError, match=message):
        noise([0, 1], X, 0.5)


@pytest.mark.parametrize("n_clusters", [0, -1, 2.5, "many"])
def test_number_of_clusters_is_checked(n_clusters):
    with pytest.raises(ValueError, match="n_clusters must be an integer of at least 1, got "):
        cluster_noise([0, 1], [[0.0], [1.0]], 0.5, n_clusters=n_clusters)

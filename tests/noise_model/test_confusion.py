import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdiffusion_label.label_noise import pair_transition, uniform_transition
from skdiffusion_label.noise_model._confusion import (
    clear_counts,
    expected_counts,
    one_rate,
    shrunk_transition,
)


def draw(proba, rng):
    drawn = (rng.random((len(proba), 1)) > proba.cumsum(axis=1)).sum(axis=1)
    return drawn.clip(max=proba.shape[1] - 1)


def simulate(matrix, n_samples=4000, seed=0):
    """Return what a judge of given labels says, from sure to torn, and given labels."""
    rng = np.random.default_rng(seed)
    n_classes = len(matrix)
    true = rng.integers(n_classes, size=n_samples)
    # The judge knows of half of the rows, and hesitates more and more about the others.
    sureness = rng.uniform(0, 2, size=n_samples).clip(max=1)[:, None]
    truth = sureness * np.eye(n_classes)[true] + (1 - sureness) / n_classes
    return truth @ matrix, draw(matrix[true], rng)


def test_counts_are_summed_by_true_and_given_label():
    distributions = np.array([[0.7, 0.3], [0.2, 0.8], [1.0, 0.0]])
    assert_allclose(expected_counts(distributions, np.array([0, 1, 1])), [[0.7, 1.2], [0.3, 0.8]])


def test_one_rate_keeps_the_share_of_right_labels():
    counts = np.array([[8.0, 1, 1], [5, 5, 0], [2, 2, 6]])
    matrix = one_rate(counts)
    assert_allclose(matrix, uniform_transition(3, 11 / 30))
    assert_allclose(one_rate(counts * 7), matrix)


def test_class_without_counts_gets_the_common_rate_and_a_large_class_its_own():
    counts = np.array([[600.0, 400, 0], [0, 1000, 0], [0, 0, 0]])
    matrix = shrunk_transition(counts)
    assert_allclose(matrix.sum(axis=1), 1)
    assert_allclose(matrix[2], one_rate(counts)[2], atol=1e-6)
    assert_allclose(matrix[:2], [[0.6, 0.4, 0], [0, 1, 0]], atol=0.005)


@pytest.mark.parametrize("noise_rate", [0.0, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("n_classes", [2, 4, 10])
@pytest.mark.parametrize("seed", range(3))
def test_even_noise_is_counted_among_clear_rows(noise_rate, n_classes, seed):
    if n_classes == 2 and noise_rate > 0.4:
        noise_rate = 0.3  # of two classes, more than half wrong are the other way round
    matrix = uniform_transition(n_classes, noise_rate)
    proba, given = simulate(matrix, seed=seed)
    counts = clear_counts(proba, given, np.ones(4000))
    rate, by_class = one_rate(counts), shrunk_transition(counts)
    # Four standard errors of a share among 1,200 rows are .057 at most; twice it is .03.
    assert rate.diagonal().mean() == pytest.approx(1 - noise_rate, abs=0.03)
    assert by_class.diagonal().mean() == pytest.approx(1 - noise_rate, abs=0.03)
    assert_allclose(rate, uniform_transition(n_classes, 1 - rate[0, 0]))


@pytest.mark.parametrize("noise_rate", [0.2, 0.4])
@pytest.mark.parametrize("n_classes", [4, 10])
@pytest.mark.parametrize("seed", range(3))
def test_pair_flips_are_counted_among_clear_rows(noise_rate, n_classes, seed):
    proba, given = simulate(pair_transition(n_classes, noise_rate), seed=seed)
    counts = clear_counts(proba, given, np.ones(4000))
    rate, by_class = one_rate(counts), shrunk_transition(counts)
    assert rate.diagonal().mean() == pytest.approx(1 - noise_rate, abs=0.03)
    assert by_class.diagonal().mean() == pytest.approx(1 - noise_rate, abs=0.03)
    # Where labels went, one rate cannot tell, and the matrix can.
    next_class = np.roll(by_class, -1, axis=1).diagonal()
    assert next_class.mean() == pytest.approx(noise_rate, abs=0.04)


def test_rows_that_are_torn_are_not_counted():
    proba, given = simulate(uniform_transition(4, 0.2))
    torn = np.sort(proba, axis=1)[:, -1] - np.sort(proba, axis=1)[:, -2] < 0.5
    other = np.where(torn, (given + 1) % 4, given)
    found, same = (clear_counts(proba, labels, np.ones(4000)) for labels in (given, other))
    assert_allclose(found, same)


def test_all_rows_of_a_class_of_few_are_counted():
    proba = np.array([[0.9, 0.1]] * 5 + [[0.2, 0.8]] * 5)
    given = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 0])
    assert_allclose(clear_counts(proba, given, np.ones(10)), [[4, 1], [2, 3]])


def test_rows_count_by_their_weight_and_not_at_all_without():
    proba, given = simulate(uniform_transition(4, 0.2))
    rng = np.random.default_rng(1)
    weight = (rng.random(4000) < 0.5).astype(float)
    kept = weight > 0
    other = np.where(kept, given, rng.integers(4, size=4000))
    found = clear_counts(proba, other, weight)
    assert_allclose(found, clear_counts(proba[kept], given[kept], np.ones(kept.sum())))
    weight = np.where(np.arange(10) < 5, 3.0, 1.0)
    proba = np.array([[0.9, 0.1]] * 10)
    counts = clear_counts(proba, (np.arange(10) >= 5).astype(int), weight)
    assert_allclose(counts, [[15, 5], [0, 0]])


def test_single_class_has_no_noise():
    counts = clear_counts(np.ones((20, 1)), np.zeros(20, dtype=int), np.ones(20))
    for matrix in one_rate(counts), shrunk_transition(counts):
        assert_allclose(matrix, [[1.0]])


def test_judge_is_left_as_it_is():
    proba, given = simulate(uniform_transition(4, 0.2), 100)
    proba.flags.writeable = False
    clear_counts(proba, given, np.ones(100))


def test_wrong_labels_scatter_as_far_as_the_counts_do():
    """Half of a class goes to one other; elsewhere every tenth label goes anywhere."""
    true = uniform_transition(10, 0.1)
    true[3] = 0.5 * (np.arange(10) == 3) + 0.5 * (np.arange(10) == 8)
    rng = np.random.default_rng(0)
    counts = np.stack([rng.multinomial(60, row) for row in true]).astype(float)
    estimate = shrunk_transition(counts)
    assert_allclose(estimate.sum(axis=1), 1)
    assert estimate[3, 8] > 0.25
    # What is seldom, and has not been seen, is expected: a likelihood of it is no surprise.
    unseen = (counts == 0) & (np.arange(10) != 3)[:, None]
    assert estimate[unseen].min() > 0.0015
    # Between pairs alone, what has not been seen is hardly expected.
    pairs = shrunk_transition(np.round(60 * pair_transition(10, 0.4)))
    assert pairs[pairs < 0.3].max() < 0.002

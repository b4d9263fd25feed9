import numpy as np
import pytest

from skdiffusion_label.retrieval import count_votes, vote_proba


@pytest.mark.parametrize("weighted", [False, True])
def test_votes_are_counted_by_label(weighted):
    rng = np.random.default_rng(0)
    y_codes = rng.integers(4, size=50)
    neighbors = rng.integers(50, size=(20, 7))
    weight = rng.random(50).astype(np.float32) if weighted else None
    expected = np.zeros((20, 4))
    for i in range(20):
        for j in neighbors[i]:
            expected[i, y_codes[j]] += weight[j] if weighted else 1
    votes = count_votes(neighbors, y_codes, 4, weight)
    assert votes.dtype == np.float32
    np.testing.assert_allclose(votes, expected, rtol=1e-6)


def test_class_that_no_neighbor_has_gets_no_vote():
    votes = count_votes(np.array([[0, 1], [1, 1]]), np.array([2, 0]), 5)
    np.testing.assert_array_equal(votes, [[1, 0, 1, 0, 0], [2, 0, 0, 0, 0]])


def test_probabilities_are_votes_and_one_more_by_frequency():
    votes = np.array([[7, 3, 0], [0, 0, 10]], dtype=np.float32)
    proba = vote_proba(votes, np.array([50.0, 30.0, 20.0]), 10)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba, (votes + [0.5, 0.3, 0.2]) / 11, rtol=1e-6)


@pytest.mark.parametrize("sizes", [[50, 30, 20], [50, 3, 4], [2, 1, 1], [0.3, 0.2, 40]])
@pytest.mark.parametrize("n_neighbors", [1, 10, 50])
def test_probabilities_sum_to_one(n_neighbors, sizes):
    votes = np.random.default_rng(0).multinomial(n_neighbors, [0.5, 0.3, 0.2], size=40)
    proba = vote_proba(votes.astype(np.float32), np.array(sizes), n_neighbors)
    assert (proba > 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)


def test_class_of_four_rows_wins_a_vote_of_ten_neighbors():
    # All its rows are neighbors, and six of the large class.
    sizes = np.array([96.0, 4.0])
    votes = np.array([[6, 4], [10, 0], [9, 1], [8, 2]], dtype=np.float32)
    proba = vote_proba(votes, sizes, 10)
    # What it wins counts as a share of what it can: of four.
    expected = np.array([6.96, 4.04 / 0.4])
    np.testing.assert_allclose(proba[0], expected / expected.sum(), rtol=1e-6)
    assert proba[0].argmax() == 1
    # With half of its rows it still loses.
    assert (proba[1:].argmax(axis=1) == 0).all()


def test_training_row_of_a_class_of_four_is_known_by_the_three_others():
    votes = np.array([[4, 3, 3]], dtype=np.float32)
    assert vote_proba(votes, np.array([48.0, 48.0, 4.0]), 10)[0].argmax() == 2


def test_class_without_rows_gets_nothing():
    votes = np.array([[7, 3, 0]], dtype=np.float32)
    proba = vote_proba(votes, np.array([60.0, 40.0, 0.0]), 10)
    np.testing.assert_allclose(proba, [[7.6 / 11, 3.4 / 11, 0]], rtol=1e-6)


def test_votes_at_random_foretell_no_more_than_the_frequencies():
    rng = np.random.default_rng(0)
    y_codes = rng.choice(3, p=[0.6, 0.3, 0.1], size=3000)
    votes = rng.multinomial(50, [0.6, 0.3, 0.1], size=3000).astype(np.float32)
    sizes = np.bincount(y_codes, minlength=3).astype(float)
    proba = vote_proba(votes, sizes, 50)
    loss = -np.log(proba[np.arange(3000), y_codes]).mean()
    of_frequencies = -(sizes / 3000 * np.log(sizes / 3000)).sum()
    assert of_frequencies < loss < of_frequencies + 0.05


def test_weights_of_rows_weigh_their_votes():
    y_codes, weight = np.array([0, 1, 1, 0]), np.array([3, 1, 0, 2], dtype=np.float32)
    neighbors = np.array([[0, 1, 2]])
    votes = count_votes(neighbors, y_codes, 2, weight)
    np.testing.assert_array_equal(votes, [[3, 1]])
    sizes = np.bincount(y_codes, weight, minlength=2)
    proba = vote_proba(votes, sizes, 3)
    # Five votes of the first class for three neighbors, but one of the second: a third of them.
    expected = np.array([3 + 5 / 6, (1 + 1 / 6) * 3])
    np.testing.assert_allclose(proba[0], expected / expected.sum(), rtol=1e-6)

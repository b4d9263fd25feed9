import numpy as np

from skdiffusion_label.noise_model import vote_distributions


def random_votes(n_samples=300, n_classes=4, n_neighbors=10, seed=0):
    rng = np.random.default_rng(seed)
    y_codes = rng.integers(n_classes, size=n_samples)
    votes = rng.multinomial(n_neighbors, np.full(n_classes, 1 / n_classes), size=n_samples)
    return votes.astype(np.float32), y_codes, rng


def assert_distributions(distributions, shape):
    assert distributions.shape == shape
    assert distributions.dtype == np.float32
    assert (distributions >= 0).all()
    np.testing.assert_allclose(distributions.sum(axis=1), 1, rtol=1e-5)


def test_vote_is_the_frequency_among_neighbors_and_the_row_itself():
    votes, y_codes, _ = random_votes(n_neighbors=10)
    expected = (votes + np.eye(4)[y_codes]) / 11
    distributions = vote_distributions(votes, y_codes)
    assert_distributions(distributions, (300, 4))
    np.testing.assert_allclose(distributions, expected, rtol=1e-6)


def test_own_label_votes_with_its_own_weight():
    votes, y_codes, rng = random_votes(n_neighbors=10)
    weight = rng.random(300).astype(np.float32) * 3
    expected = (votes + weight[:, None] * np.eye(4)[y_codes]) / (10 + weight[:, None])
    np.testing.assert_allclose(vote_distributions(votes, y_codes, weight), expected, rtol=1e-5)


def test_own_label_of_a_row_of_weight_zero_is_not_used():
    votes, y_codes, _ = random_votes()
    weight = (np.arange(300) >= 50).astype(np.float32)
    other = np.where(weight == 0, (y_codes + 2) % 4, y_codes)
    np.testing.assert_array_equal(
        vote_distributions(votes, y_codes, weight), vote_distributions(votes, other, weight)
    )


def test_row_without_any_vote_gets_the_class_frequencies():
    votes, y_codes, _ = random_votes()
    weight = np.ones(300, dtype=np.float32)
    votes[7], weight[7] = 0, 0
    distributions = vote_distributions(votes, y_codes, weight)
    frequencies = np.bincount(np.delete(y_codes, 7), minlength=4) / 299
    np.testing.assert_allclose(distributions[7], frequencies, rtol=1e-5)
    assert_distributions(distributions, (300, 4))


def test_row_without_neighbors_votes_for_its_own_label():
    distributions = vote_distributions(np.zeros((3, 4), dtype=np.float32), np.array([2, 0, 2]))
    np.testing.assert_array_equal(distributions, np.eye(4)[[2, 0, 2]])


def test_single_class_is_certain():
    votes, y_codes = np.full((6, 1), 5, dtype=np.float32), np.zeros(6, dtype=np.int64)
    np.testing.assert_array_equal(vote_distributions(votes, y_codes), np.ones((6, 1)))


def test_arguments_are_left_as_they_are():
    votes, y_codes, rng = random_votes()
    weight = rng.random(300).astype(np.float32)
    for array in (votes, y_codes, weight):
        array.flags.writeable = False
    vote_distributions(votes, y_codes, weight)

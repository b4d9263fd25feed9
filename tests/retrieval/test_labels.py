import numpy as np
import pytest

from skdiffusion_label.retrieval import annotator_distributions, count_votes, vote_distributions


def pair_flips(n_classes, noise_rate):
    """Return the matrix that moves a label to the next class with ``noise_rate``."""
    identity = np.eye(n_classes)
    return (1 - noise_rate) * identity + noise_rate * np.roll(identity, 1, axis=1)


def simulate(transition_matrix, n_samples=4000, n_neighbors=10, purity=0.9, seed=0):
    """Return true labels, given labels and the votes of neighbors that are mostly alike."""
    rng = np.random.default_rng(seed)
    n_classes = len(transition_matrix)
    true = rng.integers(n_classes, size=n_samples)
    cumulative = transition_matrix.cumsum(axis=1)

    def corrupt(labels):
        return (rng.random(labels.shape)[..., None] > cumulative[labels]).sum(axis=-1)

    neighbor_true = np.where(
        rng.random((n_samples, n_neighbors)) < purity,
        true[:, None],
        rng.integers(n_classes, size=(n_samples, n_neighbors)),
    )
    neighbor_given = corrupt(neighbor_true)
    votes = (neighbor_given[:, :, None] == np.arange(n_classes)).sum(axis=1).astype(np.float32)
    return true, corrupt(true), votes


def random_votes(n_samples=300, n_classes=4, n_neighbors=10, seed=0):
    rng = np.random.default_rng(seed)
    y_codes = rng.integers(n_classes, size=n_samples)
    neighbors = rng.integers(n_samples, size=(n_samples, n_neighbors))
    return count_votes(neighbors, y_codes, n_classes), y_codes, rng


def assert_distributions(distributions, shape):
    assert distributions.shape == shape
    assert distributions.dtype == np.float32
    assert (distributions >= 0).all()
    np.testing.assert_allclose(distributions.sum(axis=1), 1, rtol=1e-5)


# Counting


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


# The published vote


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


# Neighbors as annotators


@pytest.mark.parametrize("seed", range(3))
def test_annotators_recover_pair_flips_where_the_vote_fails(seed):
    transition_matrix = pair_flips(5, 0.4)
    true, given, votes = simulate(transition_matrix, seed=seed)
    distributions, neighbor_posterior, estimate = annotator_distributions(votes, given)
    # Four standard errors of a share among the 800 rows of a class.
    tolerance = 4 * (0.6 * 0.4 / 800) ** 0.5
    np.testing.assert_allclose(estimate, transition_matrix, atol=tolerance)
    vote_is_right = (vote_distributions(votes, given).argmax(axis=1) == true).mean()
    assert (distributions.argmax(axis=1) == true).mean() > vote_is_right + 0.05
    assert (neighbor_posterior.argmax(axis=1) == true).mean() > vote_is_right + 0.03


def test_annotators_recover_symmetric_noise_and_class_frequencies():
    transition_matrix = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
    true, given, votes = simulate(transition_matrix)
    distributions, _, estimate = annotator_distributions(votes, given)
    np.testing.assert_allclose(estimate, transition_matrix, atol=0.05)
    frequencies = np.bincount(true, minlength=4) / len(true)
    np.testing.assert_allclose(distributions.mean(axis=0), frequencies, atol=0.03)


def test_annotators_are_right_about_clean_labels():
    true, given, votes = simulate(np.eye(4), purity=1.0)
    distributions, neighbor_posterior, estimate = annotator_distributions(votes, given)
    np.testing.assert_array_equal(given, true)
    np.testing.assert_allclose(distributions, np.eye(4)[true], atol=1e-3)
    np.testing.assert_allclose(neighbor_posterior, np.eye(4)[true], atol=1e-3)
    np.testing.assert_allclose(estimate, np.eye(4), atol=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_annotators_return_distributions(weighted):
    votes, y_codes, rng = random_votes()
    weight = rng.random(300).astype(np.float32) if weighted else None
    distributions, neighbor_posterior, transition = annotator_distributions(votes, y_codes, weight)
    assert_distributions(distributions, (300, 4))
    assert_distributions(neighbor_posterior, (300, 4))
    assert (transition > 0).all()
    np.testing.assert_allclose(transition.sum(axis=1), 1)


def test_posterior_is_bayes_rule_on_the_own_label():
    votes, y_codes, _ = random_votes()
    distributions, neighbor_posterior, transition = annotator_distributions(votes, y_codes)
    # Given the true label, own label and neighbors' labels are independent.
    expected = neighbor_posterior * transition[:, y_codes].T
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(distributions, expected, rtol=1e-3, atol=1e-6)


def test_arguments_are_left_as_they_are():
    votes, y_codes, rng = random_votes()
    weight = rng.random(300).astype(np.float32)
    copies = votes.copy(), y_codes.copy(), weight.copy()
    for function in (vote_distributions, annotator_distributions):
        function(votes, y_codes, weight)
        for array, copy in zip((votes, y_codes, weight), copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_own_label_of_a_row_of_weight_zero_is_not_used():
    _, given, votes = simulate(pair_flips(5, 0.4), n_samples=500)
    weight = np.ones(500, dtype=np.float32)
    weight[:50] = 0
    other = given.copy()
    other[:50] = (given[:50] + 2) % 5
    np.testing.assert_array_equal(
        vote_distributions(votes, given, weight), vote_distributions(votes, other, weight)
    )
    for first, second in zip(
        annotator_distributions(votes, given, weight),
        annotator_distributions(votes, other, weight),
        strict=True,
    ):
        np.testing.assert_array_equal(first, second)
    distributions, neighbor_posterior, _ = annotator_distributions(votes, given, weight)
    np.testing.assert_allclose(distributions[:50], neighbor_posterior[:50], rtol=1e-5)
    assert not np.allclose(distributions[50:], neighbor_posterior[50:], atol=1e-2)


def test_rows_of_weight_zero_do_not_enter_the_matrices():
    _, given, votes = simulate(pair_flips(5, 0.4), n_samples=500)
    weight = (np.arange(500) >= 50).astype(np.float32)
    distributions, _, transition = annotator_distributions(votes, given, weight)
    kept_distributions, _, kept_transition = annotator_distributions(votes[50:], given[50:])
    np.testing.assert_allclose(transition, kept_transition, atol=1e-4)
    np.testing.assert_allclose(distributions[50:], kept_distributions, atol=1e-4)


def test_many_neighbors_are_not_taken_for_independent_votes():
    # Ten votes and a hundred in the same proportions say the same.
    votes, y_codes, _ = random_votes(n_neighbors=10)
    for ten_times, once in zip(
        annotator_distributions(10 * votes, y_codes),
        annotator_distributions(votes, y_codes),
        strict=True,
    ):
        np.testing.assert_allclose(ten_times, once, rtol=1e-4, atol=1e-6)


def test_names_of_the_classes_do_not_matter():
    _, given, votes = simulate(pair_flips(5, 0.4), n_samples=1000)
    order = np.array([3, 0, 4, 1, 2])
    distributions, _, transition = annotator_distributions(votes, given)
    renamed, _, renamed_transition = annotator_distributions(
        votes[:, order], np.argsort(order)[given]
    )
    np.testing.assert_allclose(renamed, distributions[:, order], atol=1e-3)
    np.testing.assert_allclose(renamed_transition, transition[np.ix_(order, order)], atol=1e-3)


def test_single_class_is_certain():
    votes = np.full((6, 1), 5, dtype=np.float32)
    y_codes = np.zeros(6, dtype=np.int64)
    for distributions in (
        vote_distributions(votes, y_codes),
        *annotator_distributions(votes, y_codes),
    ):
        np.testing.assert_array_equal(distributions, np.ones_like(distributions))


def test_row_without_votes_rests_on_prior_and_own_label():
    _, given, votes = simulate(pair_flips(5, 0.4), n_samples=1000)
    votes[3] = 0
    distributions, neighbor_posterior, transition = annotator_distributions(votes, given)
    assert_distributions(distributions, (1000, 5))
    # Without votes what is left is the prior: about the mean posterior.
    np.testing.assert_allclose(neighbor_posterior[3], distributions.mean(axis=0), atol=0.02)
    expected = neighbor_posterior[3] * transition[:, given[3]]
    np.testing.assert_allclose(distributions[3], expected / expected.sum(), rtol=1e-4)


def test_votes_that_are_all_empty_leave_finite_distributions():
    votes, y_codes = np.zeros((20, 3), dtype=np.float32), np.arange(20) % 3
    distributions, neighbor_posterior, transition = annotator_distributions(votes, y_codes)
    assert_distributions(distributions, (20, 3))
    assert_distributions(neighbor_posterior, (20, 3))
    np.testing.assert_allclose(transition.sum(axis=1), 1)
    np.testing.assert_array_equal(distributions.argmax(axis=1), y_codes)

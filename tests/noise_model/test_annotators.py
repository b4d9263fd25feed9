import numpy as np
import pytest

from skdiffusion_label.noise_model import (
    annotator_distributions,
    held_out_losses,
    vote_distributions,
)
from skdiffusion_label.retrieval import count_votes, find_neighbors


def pair_flips(n_classes, noise_rate):
    """Return the matrix that moves a label to the next class with ``noise_rate``."""
    identity = np.eye(n_classes)
    return (1 - noise_rate) * identity + noise_rate * np.roll(identity, 1, axis=1)


def even_noise(n_classes, noise_rate):
    """Return the matrix that draws a share ``noise_rate`` of labels anew from all classes."""
    return (1 - noise_rate) * np.eye(n_classes) + noise_rate / n_classes


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


def normalized(counts):
    return counts / counts.sum(axis=-1, keepdims=True)


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


@pytest.mark.parametrize("noise_rate", [0.3, 0.4, 0.45])
@pytest.mark.parametrize("seed", range(3))
def test_annotators_recover_pair_flips_where_the_vote_fails(seed, noise_rate):
    transition_matrix = pair_flips(5, noise_rate)
    true, given, votes = simulate(transition_matrix, seed=seed)
    distributions, estimate, _ = annotator_distributions(votes, given)
    # Four standard errors of a share among the 800 rows of a class.
    np.testing.assert_allclose(estimate, transition_matrix, atol=4 * (0.5 * 0.5 / 800) ** 0.5)
    vote = vote_distributions(votes, given)
    loss, vote_loss = (
        -np.log(proba[np.arange(len(true)), true] + 1e-6).mean() for proba in (distributions, vote)
    )
    assert loss < 0.15 < 0.3 < vote_loss
    assert (distributions.argmax(axis=1) == true).mean() > 0.98
    assert (vote.argmax(axis=1) == true).mean() < {0.3: 0.93, 0.4: 0.8, 0.45: 0.7}[noise_rate]


@pytest.mark.parametrize("seed", range(3))
def test_annotators_recover_that_one_of_two_classes_is_mislabelled_more_often(seed):
    transition_matrix = np.array([[0.6, 0.4], [0.1, 0.9]])
    true, given, votes = simulate(transition_matrix, seed=seed)
    distributions, estimate, _ = annotator_distributions(votes, given)
    np.testing.assert_allclose(estimate, transition_matrix, atol=0.06)
    vote_is_right = (vote_distributions(votes, given).argmax(axis=1) == true).mean()
    assert (distributions.argmax(axis=1) == true).mean() > vote_is_right + 0.03


@pytest.mark.parametrize("n_classes", [2, 4, 10])
@pytest.mark.parametrize("noise_rate", [0.2, 0.4, 0.6])
def test_annotators_recover_symmetric_noise_and_class_frequencies(noise_rate, n_classes):
    transition_matrix = even_noise(n_classes, noise_rate)
    true, given, votes = simulate(transition_matrix)
    distributions, estimate, _ = annotator_distributions(votes, given)
    np.testing.assert_allclose(estimate, transition_matrix, atol=0.07)
    frequencies = np.bincount(true, minlength=n_classes) / len(true)
    np.testing.assert_allclose(distributions.mean(axis=0), frequencies, atol=0.02)
    # At least half of the wrong labels are corrected.
    error = (distributions.argmax(axis=1) != true).mean()
    assert error < 0.5 * (given != true).mean()


def test_annotators_are_right_about_clean_labels():
    true, given, votes = simulate(np.eye(4), purity=1.0)
    distributions, estimate, _ = annotator_distributions(votes, given)
    losses = held_out_losses(votes, given)
    np.testing.assert_array_equal(given, true)
    np.testing.assert_allclose(distributions, np.eye(4)[true], atol=1e-3)
    np.testing.assert_allclose(losses, 0, atol=0.02)
    np.testing.assert_allclose(estimate, np.eye(4), atol=1e-3)


def test_loss_of_pure_neighbors_is_that_of_the_noise_itself():
    # Neighbors that give the true class away foretell a given label by its row of the noise matrix.
    true, given, _ = simulate(even_noise(4, 0.4), n_samples=2000)
    counts = np.zeros((4, 4))
    np.add.at(counts, (true, given), 1)
    votes = 10 * np.eye(4, dtype=np.float32)[true]
    losses = held_out_losses(votes, given)
    # A row of the matrix is learned from 400 labels.
    np.testing.assert_allclose(losses, -np.log(normalized(counts)[true, given]), atol=0.25)
    assert losses.mean() == pytest.approx(-np.log(normalized(counts)[true, given]).mean(), abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_follow_the_neighborhood_are_not_blamed_on_the_class(seed):
    true, _, votes = simulate(np.eye(4), n_neighbors=20, purity=0.6, seed=seed)
    rng = np.random.default_rng(seed)
    cumulative = normalized(votes).cumsum(axis=1)
    local = (rng.random((len(true), 1)) > cumulative).sum(axis=1).clip(max=3)
    given = np.where(rng.random(len(true)) < 0.5, local, true)
    _, estimate, _ = annotator_distributions(votes, given)
    kept = np.mean(given == true)
    assert kept < 0.87
    assert estimate.diagonal().min() > kept + 0.04


def margin_noise_votes(noise_rate, seed, n_samples=2000, n_classes=4, n_neighbors=20):
    """Return true and given labels, wrong ones near the border to the next class, and votes."""
    rng = np.random.default_rng(seed)
    X = 2 * np.eye(n_classes)[rng.integers(n_classes, size=n_samples)]
    X += 0.7 * rng.normal(size=X.shape)
    true, runner_up = np.argsort(-X)[:, :2].T
    highest, second = np.sort(X)[:, -1], np.sort(X)[:, -2]
    closeness = np.exp(second - highest)
    is_wrong = rng.random(n_samples) < closeness * noise_rate / closeness.mean()
    given = np.where(is_wrong, runner_up, true)
    neighbors = find_neighbors(X, n_neighbors, metric="euclidean")
    return true, given, count_votes(neighbors, given, n_classes)


@pytest.mark.parametrize("noise_rate", [0.1, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_annotators_lose_little_against_the_vote_where_noise_depends_on_the_features(
    seed, noise_rate
):
    true, given, votes = margin_noise_votes(noise_rate, seed)
    rows = np.arange(len(true))
    (accuracy, loss), (vote_accuracy, vote_loss) = (
        ((proba.argmax(axis=1) == true).mean(), -np.log(proba[rows, true] + 1e-6).mean())
        for proba in (annotator_distributions(votes, given)[0], vote_distributions(votes, given))
    )
    assert accuracy > vote_accuracy - 0.02
    assert loss < vote_loss


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_neighbors", [1, 2, 10])
def test_annotators_return_distributions(n_neighbors, weighted):
    votes, y_codes, rng = random_votes(n_neighbors=n_neighbors)
    weight = rng.random(300).astype(np.float32) if weighted else None
    distributions, transition, _ = annotator_distributions(votes, y_codes, weight)
    losses = held_out_losses(votes, y_codes, weight)
    assert_distributions(distributions, (300, 4))
    assert losses.shape == (300,)
    assert np.isfinite(losses).all() and (losses > 0).all()
    assert (transition > 0).all()
    np.testing.assert_allclose(transition.sum(axis=1), 1)


def test_one_neighbor_is_enough_to_correct_some_labels():
    true, given, votes = simulate(even_noise(4, 0.4), n_neighbors=1)
    distributions, estimate, _ = annotator_distributions(votes, given)
    assert (distributions.argmax(axis=1) == true).mean() >= (given == true).mean()
    rows = np.arange(len(true))
    assert -np.log(distributions[rows, true]).mean() < 0.8 < np.log(4)
    assert (estimate.argmax(axis=1) == np.arange(4)).all()


def test_arguments_are_left_as_they_are():
    votes, y_codes, rng = random_votes()
    weight = rng.random(300).astype(np.float32)
    for array in (votes, y_codes, weight):
        array.flags.writeable = False
    for function in (vote_distributions, annotator_distributions, held_out_losses):
        function(votes, y_codes, weight)


def test_own_label_of_a_row_of_weight_zero_is_not_used():
    _, given, votes = simulate(pair_flips(5, 0.4), n_samples=500)
    weight = (np.arange(500) >= 50).astype(np.float32)
    other = np.where(weight == 0, (given + 2) % 5, given)
    np.testing.assert_array_equal(
        vote_distributions(votes, given, weight), vote_distributions(votes, other, weight)
    )
    first, second = (annotator_distributions(votes, labels, weight) for labels in (given, other))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("aggregate", [vote_distributions, annotator_distributions])
def test_rows_of_weight_zero_might_as_well_be_missing(aggregate):
    # Votes of the ignored rows are torn, those of the others are not.
    _, given, votes = simulate(pair_flips(5, 0.3), n_samples=500)
    votes[:100] = 2 + np.random.default_rng(0).random((100, 5), dtype=np.float32)
    weight = (np.arange(500) >= 100).astype(np.float32)
    found, alone = aggregate(votes, given, weight), aggregate(votes[100:], given[100:])
    if aggregate is annotator_distributions:
        (found, transition, _), (alone, alone_transition, _) = found, alone
        np.testing.assert_allclose(transition, alone_transition, atol=1e-5)
    np.testing.assert_allclose(found[100:], alone, atol=1e-5)


def test_many_neighbors_are_not_taken_for_independent_votes():
    # Ten thousand votes and a thousand in the same proportions say the same.
    votes, y_codes, _ = random_votes(n_neighbors=10)
    more, less = (annotator_distributions(times * votes, y_codes) for times in (1000, 100))
    for array, same in zip(more, less, strict=True):
        np.testing.assert_allclose(array, same, atol=0.005)


def test_order_of_the_rows_does_not_matter():
    votes, y_codes, rng = random_votes()
    weight = rng.random(300).astype(np.float32)
    order = rng.permutation(300)
    ordered = annotator_distributions(votes, y_codes, weight)
    shuffled = annotator_distributions(votes[order], y_codes[order], weight[order])
    np.testing.assert_allclose(shuffled[0], ordered[0][order], atol=1e-5)
    np.testing.assert_allclose(shuffled[1], ordered[1], atol=1e-6)


@pytest.mark.parametrize("ties", [False, True])
def test_names_of_the_classes_do_not_matter(ties):
    _, given, votes = simulate(pair_flips(5, 0.4), n_samples=1000)
    if not ties:
        noise = np.random.default_rng(0).uniform(0, 0.1, size=votes.shape)
        votes += noise.astype(np.float32)
    order = np.array([3, 0, 4, 1, 2])
    distributions, transition, _ = annotator_distributions(votes, given)
    renamed = annotator_distributions(votes[:, order], np.argsort(order)[given])
    np.testing.assert_allclose(renamed[1], transition[np.ix_(order, order)], atol=1e-5)
    np.testing.assert_allclose(renamed[0], distributions[:, order], atol=1e-4)


# Degenerate input


def test_single_class_is_certain():
    votes, y_codes = np.full((6, 1), 5, dtype=np.float32), np.zeros(6, dtype=np.int64)
    np.testing.assert_array_equal(vote_distributions(votes, y_codes), np.ones((6, 1)))
    distributions, transition, _ = annotator_distributions(votes, y_codes)
    losses = held_out_losses(votes, y_codes)
    np.testing.assert_array_equal(distributions, np.ones((6, 1)))
    np.testing.assert_allclose(losses, 0, atol=1e-6)
    np.testing.assert_array_equal(transition, [[1.0]])


def test_class_without_rows_is_nobody_s_label():
    _, given, votes = simulate(pair_flips(4, 0.4), n_samples=1000)
    votes = np.pad(votes, ((0, 0), (0, 2)))
    distributions, transition, _ = annotator_distributions(votes, given)
    losses = held_out_losses(votes, given)
    assert_distributions(distributions, (1000, 6))
    assert distributions[:, 4:].max() < 0.02
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(transition.sum(axis=1), 1)
    # What is unknown about a class is taken from the others: one noise rate.
    np.testing.assert_allclose(transition[4, [0, 1, 2, 3, 5]], transition[4, 0], rtol=1e-3)
    assert transition[4, 4] == pytest.approx(transition[:4].diagonal().mean(), abs=0.1)


def test_row_without_votes_rests_on_prior_and_own_label():
    _, given, votes = simulate(pair_flips(5, 0.4), n_samples=1000)
    votes[3] = 0
    distributions, *_ = annotator_distributions(votes, given)
    losses = held_out_losses(votes, given)
    assert_distributions(distributions, (1000, 5))
    assert np.isfinite(losses).all()
    # The label is that of its own class or of the one before.
    possible = [given[3], given[3] - 1]
    assert distributions[3, possible].sum() > 0.9
    assert distributions[3, possible].min() > 0.2
    # Without votes what is foretold is how often the class is given.
    frequency = np.mean(given == given[3])
    assert losses[3] == pytest.approx(-np.log(frequency), abs=0.1)


def test_votes_that_are_all_empty_leave_the_given_labels():
    votes, y_codes = np.zeros((20, 3), dtype=np.float32), np.arange(20) % 3
    distributions, transition, _ = annotator_distributions(votes, y_codes)
    losses = held_out_losses(votes, y_codes)
    assert_distributions(distributions, (20, 3))
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(transition.sum(axis=1), 1)
    np.testing.assert_array_equal(distributions.argmax(axis=1), y_codes)


# Held-out losses, class frequencies, and when to stop


@pytest.mark.parametrize("n_classes", [4, 20, 77])
@pytest.mark.parametrize("seed", range(3))
def test_votes_at_random_foretell_nothing(seed, n_classes):
    votes, y_codes, _ = random_votes(1000, n_classes, 12, seed)
    assert np.log(n_classes) < held_out_losses(votes, y_codes).mean() < np.log(n_classes) + 0.2


def test_row_without_votes_and_without_own_label_gets_the_class_frequencies():
    rng = np.random.default_rng(0)
    y_codes = (np.arange(1000) % 10 == 0).astype(int)
    votes, weight = rng.multinomial(10, [0.9, 0.1], size=1000), np.ones(1000, dtype=np.float32)
    votes[:100], weight[:100] = 0, 0
    distributions, *_ = annotator_distributions(votes.astype(np.float32), y_codes, weight)
    np.testing.assert_allclose(distributions[:100], [[0.9, 0.1]] * 100, atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_classes_stay_what_they_are_where_labels_say_little(seed):
    # Few neighbors are right: rounds of estimation then drift, and the likelihood falls.
    true, given, votes = simulate(even_noise(4, 0.8), n_neighbors=50, purity=0.75, seed=seed)
    distributions, *_ = annotator_distributions(votes, given)
    vote_is_right = (votes.argmax(axis=1) == true).mean()
    assert (distributions.argmax(axis=1) == true).mean() > vote_is_right - 0.03

import numpy as np
import pytest

from skdiffusion_label.retrieval import (
    _choice,
    annotator_distributions,
    choose_annotators,
    choose_retrieval,
)
from skdiffusion_label.retrieval._choice import candidate_n_neighbors

METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])


def clusters(codes, seed=0, spread=0.3):
    """Return points around one corner for each code."""
    rng = np.random.default_rng(seed)
    corners = 2 * np.eye(codes.max() + 1)
    return corners[codes] + spread * rng.normal(size=(len(codes), codes.max() + 1))


def noisy_problem(n_samples=600, n_classes=4, noise_rate=0.4, seed=0):
    """Return true labels and given labels of which a share is drawn at random."""
    rng = np.random.default_rng(seed)
    true = rng.integers(n_classes, size=n_samples)
    wrong = rng.random(n_samples) < noise_rate
    return true, np.where(wrong, rng.integers(n_classes, size=n_samples), true), rng


@METRICS
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", [("informative", "random"), ("random", "informative")])
def test_informative_space_is_preferred_to_a_random_one(order, seed, metric):
    true, given, rng = noisy_problem(seed=seed)
    spaces = {"informative": clusters(true, seed), "random": rng.normal(size=(600, 4))}
    space, n_neighbors = choose_retrieval(
        {name: spaces[name] for name in order}, [10, 25], given, 4, metric=metric
    )
    assert space == "informative"
    assert n_neighbors in (10, 25)


def test_space_is_judged_by_the_given_labels_not_by_the_true_ones():
    # Where wrong labels depend on x, a space that tells the wrong ones foretells better.
    true, given, _ = noisy_problem()
    spaces = {"true": clusters(true), "given": clusters(given)}
    space, _ = choose_retrieval(spaces, [10], given, 4, metric="cosine")
    assert space == "given"


def test_loss_of_pure_neighbors_is_that_of_the_noise_itself():
    # Neighbors that give the true class away foretell a given label by its row of the noise matrix.
    true, given, _ = noisy_problem(n_samples=2000)
    counts = np.zeros((4, 4))
    np.add.at(counts, (true, given), 1)
    noise_matrix = counts / counts.sum(axis=1, keepdims=True)
    votes = 10 * np.eye(4, dtype=np.float32)[true]
    loss = _choice._losses(annotator_distributions(votes, given), given)
    np.testing.assert_allclose(loss, -np.log(noise_matrix[true, given]), atol=0.01)


def test_rows_of_weight_zero_are_not_judged_and_do_not_vote():
    true, given, _ = noisy_problem(noise_rate=0.2)
    ignored = np.arange(600) % 3 > 0
    weight = (~ignored).astype(np.float32)
    # The ignored two thirds have labels that only the other space explains.
    decoy = np.random.default_rng(1).integers(4, size=600)
    labels = np.where(ignored, decoy, given)
    spaces = {"true": clusters(true), "decoy": clusters(decoy)}
    assert choose_retrieval(spaces, [25], labels, 4, metric="cosine")[0] == "decoy"
    chosen, _ = choose_retrieval(spaces, [25], labels, 4, metric="cosine", sample_weight=weight)
    assert chosen == "true"


def test_at_most_two_thousand_rows_are_judged(monkeypatch):
    judged = []

    def no_neighbors(space, n_neighbors, *, metric, rows, is_candidate):
        judged.append(rows)
        # All rows of positive weight are candidates, those that are not judged as well.
        np.testing.assert_array_equal(is_candidate, weight > 0)
        return np.zeros((len(rows), n_neighbors), dtype=np.int64)

    monkeypatch.setattr(_choice, "find_neighbors", no_neighbors)
    y_codes = np.arange(5000) % 3
    weight = (np.arange(5000) >= 500).astype(np.float32)
    spaces = {"a": np.zeros((5000, 2)), "b": np.zeros((5000, 2))}
    for seed in (0, 0, 1):
        choose_retrieval(
            spaces, [5], y_codes, 3, metric="cosine", sample_weight=weight, random_state=seed
        )
    for rows in judged:
        assert len(rows) == len(np.unique(rows)) == 2000
        assert rows.min() >= 500
    np.testing.assert_array_equal(judged[0], judged[1])
    np.testing.assert_array_equal(judged[0], judged[2])
    assert not np.array_equal(judged[0], judged[4])


@pytest.mark.parametrize("weighted", [False, True])
def test_all_of_two_thousand_rows_are_judged(weighted, monkeypatch):
    judged = []

    def no_neighbors(space, n_neighbors, *, metric, rows, is_candidate):
        judged.append(rows)
        np.testing.assert_array_equal(is_candidate, kept)
        return np.zeros((len(rows), n_neighbors), dtype=np.int64)

    monkeypatch.setattr(_choice, "find_neighbors", no_neighbors)
    n_samples = 2500 if weighted else 2000
    kept = np.ones(n_samples, dtype=bool)
    kept[2000:] = False
    choose_retrieval(
        {"a": np.zeros((n_samples, 2))},
        [5],
        np.arange(n_samples) % 3,
        3,
        metric="cosine",
        sample_weight=kept.astype(np.float32) if weighted else None,
    )
    np.testing.assert_array_equal(judged, [np.arange(2000)])


@METRICS
@pytest.mark.parametrize("seed", range(3))
def test_rows_of_weight_zero_might_as_well_be_missing(seed, metric):
    true, given, rng = noisy_problem(400, seed=seed)
    spaces = {"informative": clusters(true, seed), "random": rng.normal(size=(400, 4))}
    kept = rng.random(400) < 0.3
    alone = {name: space[kept] for name, space in spaces.items()}
    expected = choose_retrieval(alone, [50, 10, 25], given[kept], 4, metric=metric)
    weight = kept.astype(np.float32)
    chosen = choose_retrieval(spaces, [50, 10, 25], given, 4, metric=metric, sample_weight=weight)
    assert chosen == expected


def test_first_number_of_neighbors_stays_unless_another_is_clearly_better():
    rng = np.random.default_rng(0)
    first, noise = rng.random(1000), rng.normal(size=1000)
    noise = (noise - noise.mean()) / noise.std()
    standard_error = 1000**-0.5
    slightly_better = first - noise - 1.9 * standard_error
    clearly_better = first - noise - 2.1 * standard_error
    worse = first + 0.1
    assert _choice._first_not_beaten([(7, first), (10, worse)]) == 7
    assert _choice._first_not_beaten([(7, first), (10, slightly_better)]) == 7
    assert _choice._first_not_beaten([(7, first), (10, clearly_better), (25, worse)]) == 10
    assert _choice._first_not_beaten([(7, first)]) == 7
    assert _choice._first_not_beaten([(7, first), (10, first)]) == 7


def assert_same_fit(fit, expected):
    for array, same in zip(fit, expected, strict=True):
        np.testing.assert_array_equal(array, same)


def votes_of(labels):
    """Count labels (n, k) of neighbors by class."""
    return (labels[:, :, None] == np.arange(4)).sum(axis=1).astype(np.float32)


def independent_votes(n_samples, seed=0):
    """Return the votes of ten independent neighbors and given labels."""
    rng = np.random.default_rng(seed)
    true = rng.integers(4, size=n_samples)
    wrong = rng.random((n_samples, 11)) < 0.5
    labels = np.where(wrong, rng.integers(4, size=(n_samples, 11)), true[:, None])
    return votes_of(labels[:, 1:]), labels[:, 0]


def repeated_votes(n_samples, seed=0):
    """Return the votes of two opinions, each said five times, and given labels."""
    rng = np.random.default_rng(seed)
    true = rng.integers(4, size=n_samples)
    wrong = rng.random((n_samples, 3)) < 0.5
    labels = np.where(wrong, rng.integers(4, size=(n_samples, 3)), true[:, None])
    return 5 * votes_of(labels[:, 1:]), labels[:, 0]


def gain_of_five(votes, given, sample_weight=None, rows=slice(None)):
    """Return by how many standard errors five votes foretell given labels better than ten."""
    ten, five = (
        _choice._losses(
            annotator_distributions(votes, given, sample_weight, n_effective_votes=n), given
        )[rows]
        for n in (10.0, 5.0)
    )
    return (ten - five).mean() / ((ten - five).std() / len(ten) ** 0.5)


def test_independent_neighbors_count_as_ten_votes():
    votes, given = independent_votes(2000)
    expected = annotator_distributions(votes, given, n_effective_votes=10.0)
    assert_same_fit(choose_annotators(votes, given), expected)


def test_neighbors_that_repeat_each_other_count_as_five_votes():
    votes, given = repeated_votes(2000)
    assert gain_of_five(votes, given) > 2
    expected = annotator_distributions(votes, given, n_effective_votes=5.0)
    assert_same_fit(choose_annotators(votes, given), expected)


@pytest.mark.parametrize("seed", [1, 3, 6])
def test_neighbors_count_as_ten_votes_where_five_are_better_but_not_significantly(seed):
    votes, given = repeated_votes(300, seed)
    assert 0 < gain_of_five(votes, given) < 2
    expected = annotator_distributions(votes, given, n_effective_votes=10.0)
    assert_same_fit(choose_annotators(votes, given), expected)


@pytest.mark.parametrize("n_effective_votes", [10.0, 5.0])
def test_rows_of_weight_zero_do_not_judge_the_number_of_votes(n_effective_votes):
    is_ten = n_effective_votes == 10
    votes, given = (independent_votes if is_ten else repeated_votes)(2000)
    votes = np.vstack([votes, repeated_votes(2000, seed=1)[0]])
    given = np.concatenate([given, np.zeros(2000, dtype=np.int64)])
    weight = (np.arange(4000) < 2000).astype(np.float32)
    # Rows of weight zero do not enter the fits: give them the labels that speak for the other one.
    foretold = {}
    for n in (10.0, 5.0):
        _, posterior, transition = annotator_distributions(
            votes, given, weight, n_effective_votes=n
        )
        foretold[n] = posterior[2000:] @ transition
    other = 15 - n_effective_votes
    given[2000:] = (foretold[other] / foretold[n_effective_votes]).argmax(axis=1)
    assert (gain_of_five(votes, given, weight) > 2) == is_ten
    assert (gain_of_five(votes, given, weight, weight > 0) > 2) != is_ten

    fit = choose_annotators(votes, given, weight)
    expected = annotator_distributions(votes, given, weight, n_effective_votes=n_effective_votes)
    assert_same_fit(fit, expected)
    alone = choose_annotators(votes[:2000], given[:2000])
    np.testing.assert_allclose(fit[0][:2000], alone[0], atol=1e-4)
    np.testing.assert_allclose(fit[1][:2000], alone[1], atol=1e-4)
    np.testing.assert_allclose(fit[2], alone[2], atol=1e-4)


def test_small_number_of_neighbors_is_chosen_where_clusters_are_small():
    # Clusters of twelve rows: the labels of fifty neighbors are those of other clusters.
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(60), 12)
    centers = rng.normal(size=(60, 20))
    space = centers[cluster] + 0.01 * rng.normal(size=(720, 20))
    y_codes = rng.integers(3, size=60)[cluster]
    _, n_neighbors = choose_retrieval({"space": space}, [50, 10], y_codes, 3, metric="cosine")
    assert n_neighbors == 10


@pytest.mark.parametrize("n_samples", [2, 3, 8])
def test_number_of_neighbors_is_less_than_that_of_rows(n_samples):
    space = np.random.default_rng(0).normal(size=(n_samples, 3))
    y_codes = np.arange(n_samples) % 2
    name, n_neighbors = choose_retrieval({"space": space}, [50, 10], y_codes, 2, metric="cosine")
    assert (name, n_neighbors) == ("space", n_samples - 1)


@pytest.mark.parametrize("n_candidates", [2, 3, 8])
def test_number_of_neighbors_is_less_than_that_of_rows_of_positive_weight(n_candidates):
    space = np.random.default_rng(0).normal(size=(40, 3))
    weight = (np.arange(40) >= 40 - n_candidates).astype(np.float32)
    name, n_neighbors = choose_retrieval(
        {"space": space}, [50, 10], np.arange(40) % 2, 2, metric="cosine", sample_weight=weight
    )
    assert (name, n_neighbors) == ("space", n_candidates - 1)


@pytest.mark.parametrize(
    ("n_samples", "n_classes", "first"),
    [(100, 2, 10), (1000, 5, 20), (10_000, 4, 50), (3_000, 10, 30), (7, 7, 10)],
)
def test_candidates_start_at_a_tenth_of_the_class_size_within_limits(n_samples, n_classes, first):
    candidates = candidate_n_neighbors(n_samples, n_classes)
    assert candidates[0] == first
    assert set(candidates) == {first, 10, 25, 50}
    assert len(set(candidates)) == len(candidates)

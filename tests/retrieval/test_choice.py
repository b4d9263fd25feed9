from functools import partial

import numpy as np
import pytest

from skdiffusion_label.retrieval import _choice, count_votes, find_neighbors
from skdiffusion_label.retrieval import choose_space as choose_space_by
from skdiffusion_label.retrieval._choice import usual_n_neighbors


def foretell(votes, y_codes, sample_weight=None):
    """Return log losses of given labels by the share of neighbors that carry them."""
    n_votes = votes.sum(axis=1)
    return -np.log((votes[np.arange(len(votes)), y_codes] + 0.1) / (n_votes + 1))


choose_space = partial(choose_space_by, foretell=foretell)
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
    spaces = {name: spaces[name] for name in order}
    assert choose_space(spaces, 10, given, 4, metric=metric) == "informative"


def test_space_is_judged_by_the_given_labels_not_by_the_true_ones():
    # Where wrong labels depend on x, a space that tells the wrong ones foretells better.
    true, given, _ = noisy_problem()
    spaces = {"true": clusters(true), "given": clusters(given)}
    assert choose_space(spaces, 10, given, 4, metric="cosine") == "given"


@METRICS
@pytest.mark.parametrize("weighted", [False, True])
def test_space_of_the_smallest_mean_loss_is_chosen(weighted, metric):
    true, given, rng = noisy_problem()
    weight = rng.integers(0, 3, size=600).astype(np.float32) if weighted else None
    has_vote = weight > 0 if weighted else np.ones(600, dtype=bool)
    rows = np.flatnonzero(has_vote)
    spaces = {str(spread): clusters(true, spread=spread) for spread in (1.0, 0.8, 0.9, 1.2)}
    losses = []
    for space in spaces.values():
        neighbors = find_neighbors(space, 7, metric=metric, is_candidate=has_vote)[rows]
        votes = count_votes(neighbors, given, 4, weight)
        losses.append(foretell(votes, given[rows]).mean())
    chosen = choose_space(spaces, 7, given, 4, metric=metric, sample_weight=weight)
    assert chosen == list(spaces)[np.argmin(losses)] != "1.2"


def test_first_of_spaces_that_are_equally_good_is_chosen():
    true, given, _ = noisy_problem()
    space = clusters(true)
    for names in ("ab", "ba"):
        assert (
            choose_space({name: space for name in names}, 10, given, 4, metric="cosine")
            == (names[0])
        )


def test_rows_of_weight_zero_are_not_judged_and_do_not_vote():
    true, given, _ = noisy_problem(noise_rate=0.2)
    ignored = np.arange(600) % 3 > 0
    weight = (~ignored).astype(np.float32)
    # The ignored two thirds have labels that only the other space explains.
    decoy = np.random.default_rng(1).integers(4, size=600)
    labels = np.where(ignored, decoy, given)
    spaces = {"true": clusters(true), "decoy": clusters(decoy)}
    assert choose_space(spaces, 25, labels, 4, metric="cosine") == "decoy"
    chosen = choose_space(spaces, 25, labels, 4, metric="cosine", sample_weight=weight)
    assert chosen == "true"


def test_at_most_a_thousand_rows_are_judged(monkeypatch):
    judged = []

    def no_neighbors(space, n_neighbors, *, metric, rows, is_candidate):
        judged.append(rows)
        # All rows of positive weight are candidates, those that are not judged as well.
        np.testing.assert_array_equal(is_candidate, weight > 0)
        return np.zeros((len(rows), n_neighbors), dtype=np.int64)

    monkeypatch.setattr(_choice, "find_neighbors", no_neighbors)
    y_codes = np.arange(2000) % 3
    weight = (np.arange(2000) >= 500).astype(np.float32)
    spaces = {"a": np.zeros((2000, 2)), "b": np.zeros((2000, 2))}
    for seed in (0, 0, 1):
        choose_space(
            spaces, 5, y_codes, 3, metric="cosine", sample_weight=weight, random_state=seed
        )
    assert len(judged) == 6
    for rows in judged:
        assert len(rows) == len(np.unique(rows)) == 1000
        assert rows.min() >= 500
    np.testing.assert_array_equal(judged[0], judged[1])
    np.testing.assert_array_equal(judged[0], judged[2])
    assert not np.array_equal(judged[0], judged[4])


@pytest.mark.parametrize("weighted", [False, True])
def test_all_of_a_thousand_rows_are_judged(weighted, monkeypatch):
    judged = []

    def no_neighbors(space, n_neighbors, *, metric, rows, is_candidate):
        judged.append(rows)
        np.testing.assert_array_equal(is_candidate, kept)
        return np.zeros((len(rows), n_neighbors), dtype=np.int64)

    monkeypatch.setattr(_choice, "find_neighbors", no_neighbors)
    n_samples = 1500 if weighted else 1000
    kept = np.ones(n_samples, dtype=bool)
    kept[1000:] = False
    choose_space(
        {"a": np.zeros((n_samples, 2))},
        5,
        np.arange(n_samples) % 3,
        3,
        metric="cosine",
        sample_weight=kept.astype(np.float32) if weighted else None,
    )
    np.testing.assert_array_equal(judged, [np.arange(1000)])


@METRICS
@pytest.mark.parametrize("seed", range(3))
def test_rows_of_weight_zero_might_as_well_be_missing(seed, metric):
    true, given, rng = noisy_problem(400, seed=seed)
    spaces = {"informative": clusters(true, seed), "random": rng.normal(size=(400, 4))}
    kept = rng.random(400) < 0.3
    alone = {name: space[kept] for name, space in spaces.items()}
    expected = choose_space(alone, 10, given[kept], 4, metric=metric)
    weight = kept.astype(np.float32)
    chosen = choose_space(spaces, 10, given, 4, metric=metric, sample_weight=weight)
    assert chosen == expected == "informative"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [2, 3, 8])
def test_number_of_neighbors_is_less_than_that_of_rows_of_positive_weight(
    n_rows, weighted, monkeypatch
):
    asked = []

    def watched(space, n_neighbors, **kwargs):
        asked.append(n_neighbors)
        return find_neighbors(space, n_neighbors, **kwargs)

    monkeypatch.setattr(_choice, "find_neighbors", watched)
    n_samples = 40 if weighted else n_rows
    space = np.random.default_rng(0).normal(size=(n_samples, 3))
    weight = (np.arange(40) >= 40 - n_rows).astype(np.float32) if weighted else None
    y_codes = np.arange(n_samples) % 2
    options = dict(metric="cosine", sample_weight=weight)
    assert choose_space({"space": space}, 50, y_codes, 2, **options) == "space"
    assert choose_space({"space": space}, 1, y_codes, 2, **options) == "space"
    assert asked == [n_rows - 1, 1]


@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_few_classes_and_classes_without_rows_are_no_obstacle(n_classes):
    rng = np.random.default_rng(0)
    spaces = {"a": rng.normal(size=(30, 3)), "b": rng.normal(size=(30, 3))}
    y_codes = np.arange(30) % min(n_classes, 3)
    assert choose_space(spaces, 5, y_codes, n_classes, metric="euclidean") in spaces


@pytest.mark.parametrize(
    ("n_samples", "n_classes", "expected"),
    [
        (7, 7, 10),
        (100, 2, 10),
        (1099, 10, 10),
        (1100, 10, 11),
        (1000, 5, 20),
        (3_000, 10, 30),
        (10_000, 20, 50),
        (10_000, 4, 50),
    ],
)
def test_usual_number_of_neighbors_is_a_tenth_of_the_class_size_within_limits(
    n_samples, n_classes, expected
):
    assert usual_n_neighbors(n_samples, n_classes) == expected

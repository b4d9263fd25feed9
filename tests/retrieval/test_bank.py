import pickle

import numpy as np
import pytest

from skdiffusion_label.retrieval import (
    _bank,
    count_votes,
    draw_candidates,
    find_neighbors,
    fit_discriminant,
    numbers_of_neighbors,
    vote_proba,
)
from skdiffusion_label.retrieval import choose_space as choose_space_among
from skdiffusion_label.retrieval._discriminant import SupervisedSpace

METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])


# Who may be a neighbor


def test_all_of_five_thousand_rows_are_candidates():
    has_vote = np.arange(7_000) >= 2000
    is_candidate = draw_candidates(np.arange(7_000) % 3, 3, has_vote)
    np.testing.assert_array_equal(is_candidate, has_vote)


def test_number_of_candidates_of_many_rows_is_bounded():
    rng = np.random.default_rng(0)
    y_codes = rng.choice(4, p=[0.4, 0.3, 0.2, 0.1], size=40_000)
    has_vote = rng.random(40_000) < 0.9
    is_candidate = draw_candidates(y_codes, 4, has_vote)
    assert is_candidate.sum() == 5_000
    assert has_vote[is_candidate].all()
    # Each class takes part by its frequency, with four standard errors.
    frequencies = np.bincount(y_codes[is_candidate]) / 5_000
    np.testing.assert_allclose(frequencies, [0.4, 0.3, 0.2, 0.1], atol=4 * (0.25 / 5_000) ** 0.5)


def test_rare_classes_keep_their_rows():
    y_codes = np.zeros(30_000, dtype=np.int64)
    y_codes[:20] = 1  # all of them
    y_codes[20:320] = 2  # 130 of them
    has_vote = np.arange(30_000) % 10 > 0
    is_candidate = draw_candidates(y_codes, 4, has_vote)
    n_candidates = np.bincount(y_codes[is_candidate], minlength=4)
    assert n_candidates[1] == 18
    assert n_candidates[2] == 130
    assert 5_000 <= is_candidate.sum() <= 5_000 + 18 + 130
    assert has_vote[is_candidate].all()


def test_candidates_are_drawn_anew_for_another_seed_alone():
    y_codes, has_vote = np.arange(11_000) % 3, np.ones(11_000, dtype=bool)
    first, same, other = (draw_candidates(y_codes, 3, has_vote, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert has_vote.all()


# How many are asked


@pytest.mark.parametrize(
    ("n_candidates", "n_classes", "expected"),
    [
        (1000, 10, [10, 50]),
        (110, 10, [10, 50]),
        (100, 10, [9, 45]),
        (1500, 300, [4, 20]),  # five rows of each class
        (300, 300, [2, 10]),
        (30, 3, [9, 29]),
        (6, 3, [2, 5]),
        (4, 1, [3, 3]),
        (3, 3, [2, 2]),
        (2, 2, [1, 1]),
    ],
)
def test_few_and_five_times_as_many_neighbors_are_asked(n_candidates, n_classes, expected):
    assert numbers_of_neighbors("auto", n_candidates, n_classes) == expected


@pytest.mark.parametrize(("n_neighbors", "expected"), [(1, [1]), (7, [7]), (99, [99]), (500, [99])])
def test_number_of_neighbors_that_is_given_is_the_only_one(n_neighbors, expected):
    assert numbers_of_neighbors(n_neighbors, 100, 3) == expected


# Votes on new rows


def random_log_proba(n_samples, n_classes=4, seed=0):
    proba = np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.5), size=n_samples)
    return np.log(proba + 1e-6).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("numbers", [[1], [5, 25], [10, 99]])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_bank_votes_as_neighbors_in_its_space_do(numbers, weighted, metric):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(130, 4)) + 100 * (metric == "euclidean")
    is_candidate = np.arange(130) < 100
    y_codes = rng.integers(4, size=130)
    weight = rng.uniform(0.5, 2, size=130).astype(np.float32) if weighted else np.ones(130)
    bank = _bank.make_bank(points, is_candidate, y_codes, 4, weight, numbers, metric)
    neighbors = find_neighbors(
        points, numbers[-1], metric=metric, rows=np.arange(100, 130), is_candidate=is_candidate
    )
    sizes = np.bincount(y_codes[:100], weight[:100])
    judgements = bank.votes(bank.nearest(points[100:]))
    assert len(judgements) == len(numbers)
    for judgement, number in zip(judgements, numbers, strict=True):
        votes = count_votes(neighbors[:, :number], y_codes, 4, weight)
        expected = vote_proba(votes, sizes, number)
        np.testing.assert_allclose(judgement, expected, rtol=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_bank_of_a_large_space_is_made_when_it_is_asked(metric, monkeypatch):
    rng = np.random.default_rng(0)
    features, y_codes = rng.normal(size=(130, 6)).astype(np.float32), rng.integers(4, size=130)
    _, log_proba = fit_discriminant(features, y_codes, 4)
    space = SupervisedSpace(log_proba)
    is_candidate, asked = np.arange(130) % 5 > 0, space[np.arange(0, 130, 5)]
    given = is_candidate, y_codes, 4, np.ones(130), [3, 15], metric
    at_hand = _bank.make_bank(space[:], *given)
    monkeypatch.setattr(_bank, "_MANY_ENTRIES", 1)
    monkeypatch.setattr(_bank, "_ROWS_AT_ONCE", 30)
    bank = pickle.loads(pickle.dumps(_bank.make_bank(space, *given)))
    assert not isinstance(bank.points, np.ndarray)
    np.testing.assert_allclose(bank.at_hand().points, at_hand.points, atol=1e-6)
    for votes, expected in zip(
        bank.votes(bank.nearest(asked)), at_hand.votes(at_hand.nearest(asked)), strict=True
    ):
        np.testing.assert_allclose(votes, expected, rtol=1e-6)


def test_bank_s_neighbors_are_all_others_where_it_is_small():
    points = np.random.default_rng(0).normal(size=(3, 2))
    everyone, y_codes = np.ones(3, dtype=bool), np.array([0, 1, 3])
    bank = _bank.make_bank(points, everyone, y_codes, 4, np.ones(3), [2], "cosine")
    (proba,) = bank.votes(bank.nearest(points))
    assert proba.shape == (3, 4)
    # Each row is the nearest of its own.
    assert (proba[[0, 1, 2], [0, 1, 3]] > 0.3).all()
    np.testing.assert_array_equal(proba[:, 2], 0)


def test_a_row_s_votes_do_not_depend_on_zeros_or_on_its_length():
    rng = np.random.default_rng(0)
    points = np.vstack([np.zeros(5), rng.normal(size=(60, 5))])
    everyone, y_codes = np.ones(61, dtype=bool), np.arange(61) % 3
    bank = _bank.make_bank(points, everyone, y_codes, 3, np.ones(61), [7], "cosine")
    (proba,) = bank.votes(bank.nearest(np.vstack([points, np.zeros(5)])))
    assert np.isfinite(proba).all()
    (scaled,) = bank.votes(bank.nearest(1e6 * points))
    np.testing.assert_array_equal(scaled, proba[:61])


# Where they are asked


def choose_space(spaces, n_neighbors, y_codes, n_classes, **options):
    options = {"is_candidate": np.ones(len(y_codes), dtype=bool), "metric": "cosine"} | options
    return choose_space_among(spaces, n_neighbors, y_codes, n_classes, **options)


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
    assert choose_space(spaces, 10, given, 4) == "given"


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
        proba = vote_proba(votes, np.bincount(given, weight), 7)
        losses.append(-np.log(proba[np.arange(len(rows)), given[rows]]).mean())
    options = dict(metric=metric, sample_weight=weight, is_candidate=has_vote)
    chosen = choose_space(spaces, 7, given, 4, **options)
    assert chosen == list(spaces)[np.argmin(losses)] != "1.2"


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_first_of_spaces_that_are_equally_good_is_chosen(names):
    true, given, _ = noisy_problem()
    space = clusters(true)
    assert choose_space(dict.fromkeys(names, space), 10, given, 4) == names[0]


def test_rows_that_are_no_candidates_are_not_judged_and_do_not_vote():
    true, given, _ = noisy_problem(noise_rate=0.2)
    ignored = np.arange(600) % 3 > 0
    # The ignored two thirds have labels that only the other space explains.
    decoy = np.random.default_rng(1).integers(4, size=600)
    labels = np.where(ignored, decoy, given)
    spaces = {"true": clusters(true), "decoy": clusters(decoy)}
    assert choose_space(spaces, 25, labels, 4) == "decoy"
    assert choose_space(spaces, 25, labels, 4, is_candidate=~ignored) == "true"


def test_at_most_a_thousand_candidates_are_judged_by_all_of_them(monkeypatch):
    judged = []

    def search(space, n_neighbors, *, metric, rows, is_candidate, groups):
        judged.append(rows)
        np.testing.assert_array_equal(is_candidate, kept)
        return np.zeros((len(rows), n_neighbors), dtype=np.int64)

    monkeypatch.setattr(_bank, "find_neighbors", search)
    kept = np.arange(3000) % 3 > 0
    spaces = {"a": np.zeros((3000, 2)), "b": np.zeros((3000, 2))}
    choose_space(spaces, 5, np.arange(3000) % 7, 7, is_candidate=kept)
    kept = np.arange(3000) < 1000
    choose_space(spaces, 5, np.arange(3000) % 7, 7, is_candidate=kept)
    first, same, all_of_them, _ = judged
    assert len(np.unique(first)) == 1000
    assert (first % 3 > 0).all()
    assert first.min() < 10 and first.max() > 2990
    np.testing.assert_array_equal(first, same)
    np.testing.assert_array_equal(np.sort(all_of_them), np.arange(1000))


def test_only_space_is_taken_without_a_search():
    assert choose_space({"only": None}, 5, np.arange(30) % 3, 3) == "only"


def test_votes_foretell_labels_at_random_no_better_than_chance():
    rng = np.random.default_rng(0)
    points, y_codes = rng.normal(size=(3000, 5)), rng.integers(77, size=3000)
    votes = count_votes(find_neighbors(points, 10), y_codes, 77)
    proba = vote_proba(votes, np.bincount(y_codes, minlength=77), 10)
    loss = -np.log(proba[np.arange(3000), y_codes]).mean()
    assert loss > np.log(77) - 0.05


@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_few_classes_and_classes_without_rows_are_no_obstacle(n_classes):
    rng = np.random.default_rng(0)
    spaces = {"a": rng.normal(size=(30, 3)), "b": rng.normal(size=(30, 3))}
    y_codes = np.arange(30) % min(n_classes, 3)
    assert choose_space(spaces, 5, y_codes, n_classes, metric="euclidean") in spaces

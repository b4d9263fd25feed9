import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax
from sklearn.datasets import make_blobs
from sklearn.neighbors import KNeighborsTransformer

from skdiffusion_label.retrieval import (
    _discriminant,
    _retrieve,
    check_neighbors,
    choose_space,
    count_votes,
    draw_candidates,
    find_neighbors,
    fit_discriminant,
    numbers_of_neighbors,
    retrieve,
    vote_proba,
)


def problem(n_samples=300, noise_rate=0.3, seed=0):
    """Return what retrieval takes of three blobs, and their true labels.

    The first part are features, standardized features, the cross-fitted linear model, given labels
    and the number of classes.
    """
    features, true = make_blobs(n_samples, 4, centers=3, cluster_std=2.0, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = rng.random(n_samples) < noise_rate
    given = np.where(wrong, rng.integers(3, size=n_samples), true)
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    standardized = standardized.astype(np.float32)
    _, log_proba = fit_discriminant(standardized, given, 3)
    return (features, standardized, log_proba, given, 3), true


def supervised_neighbors(log_proba, n_neighbors, is_candidate=None, groups=None):
    """Compare each row with all others, by models that have not seen the label of either."""
    n_samples = len(log_proba.fold_of)
    is_candidate = np.ones(n_samples, dtype=bool) if is_candidate is None else is_candidate
    groups = np.arange(n_samples) if groups is None else groups
    similarity = np.full((n_samples, n_samples), -np.inf)
    for row, other in itertools.permutations(range(n_samples), 2):
        if is_candidate[other] and groups[row] != groups[other]:
            folds = log_proba.fold_of[[row, other]]
            model = log_proba.models[folds[0]][folds[1]]
            of_both = log_softmax(model.logits(log_proba.standardized[[row, other]]), axis=1)
            points = np.exp(of_both.astype(np.float64) / 2)
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            similarity[row, other] = points[0] @ points[1]
    return np.argsort(-similarity, axis=1, kind="stable")[:, :n_neighbors]


def permuted(points, rng):
    """Return arrays, or rows that a model judges, in random order."""
    if isinstance(points, np.ndarray):
        return rng.permutation(points)
    return replace(points, standardized=rng.permutation(points.standardized))


# Retrieval


@pytest.mark.parametrize("has_groups", [False, True])
def test_neighbors_among_candidates_of_other_groups_are_the_nearest(has_groups):
    arguments, _ = problem(120)
    rng = np.random.default_rng(3)
    groups = rng.integers(40, size=120) if has_groups else None
    log_proba = fit_discriminant(*arguments[1:2], *arguments[3:], groups=groups)[1]
    weight = (rng.random(120) < 0.7).astype(np.float32)
    given = *arguments[:2], log_proba, *arguments[3:]
    found = retrieve(*given, n_neighbors=6, space="supervised", sample_weight=weight, groups=groups)
    expected = supervised_neighbors(log_proba, 6, weight > 0, groups)
    np.testing.assert_array_equal(found.neighbors, expected)


def test_neighbors_do_not_know_the_label_of_their_row(monkeypatch):
    monkeypatch.setattr(_discriminant, "_SHRINKAGES", (0.1,))
    monkeypatch.setattr(_discriminant, "_sharpness", lambda *_: (1.0, 0.0))
    standardized = np.random.default_rng(0).normal(size=(60, 20)).astype(np.float32)
    given = np.arange(60) % 3

    def neighbors(given):
        _, log_proba = fit_discriminant(standardized, given, 3)
        given = standardized, standardized, log_proba, given, 3
        return retrieve(*given, n_neighbors=8, space="supervised").neighbors

    before = neighbors(given)
    for row in range(0, 60, 6):
        other = given.copy()
        other[row] = (other[row] + 1) % 3
        np.testing.assert_array_equal(neighbors(other)[row], before[row])


@pytest.mark.parametrize("space", ["features", "standardized", "supervised"])
def test_retrieval_is_search_then_count(space):
    arguments, _ = problem()
    features, standardized, log_proba, given, _ = arguments
    found = retrieve(*arguments, n_neighbors=7, metric="euclidean", space=space)
    if space == "supervised":
        neighbors = supervised_neighbors(log_proba, 7)
    else:
        points = features if space == "features" else standardized
        neighbors = find_neighbors(points, 7, metric="euclidean")
    votes = count_votes(neighbors, given, 3)
    np.testing.assert_array_equal(found.neighbors, neighbors)
    np.testing.assert_array_equal(found.votes, votes)
    assert found.space == space
    assert list(found.judgements) == [space]
    (judgement,) = found.judgements[space]
    np.testing.assert_array_equal(judgement, vote_proba(votes, np.bincount(given), 7))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbors_are_right_more_often_than_the_given_labels(metric):
    arguments, true = problem()
    found = retrieve(*arguments, metric=metric)
    given = arguments[3]
    assert (found.votes.argmax(axis=1) == true).mean() > (given == true).mean() + 0.1


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(3))
def test_auto_asks_the_supervised_space_and_the_better_of_the_others(seed, metric):
    arguments, _ = problem(seed=seed)
    features, standardized, _, given, _ = arguments
    plain = choose_space(
        {"features": features, "standardized": standardized},
        50,
        given,
        3,
        metric=metric,
        is_candidate=np.ones(300, dtype=bool),
    )
    found = retrieve(*arguments, metric=metric)
    assert list(found.judgements) == [plain, "supervised"]
    alone = {name: retrieve(*arguments, metric=metric, space=name) for name in found.judgements}
    losses = {}
    for name, judgements in found.judgements.items():
        for judgement, expected in zip(judgements, alone[name].judgements[name], strict=True):
            np.testing.assert_array_equal(judgement, expected)
        losses[name] = -np.log(judgements[-1][:][np.arange(300), given]).mean()
    # Neighbors and votes are those of the space that foretells better.
    assert found.space == min(losses, key=losses.get)
    np.testing.assert_array_equal(found.neighbors, alone[found.space].neighbors)
    np.testing.assert_array_equal(found.votes, alone[found.space].votes)


@pytest.mark.parametrize("informative", ["features", "standardized", "supervised"])
def test_auto_finds_the_space_that_knows_the_labels(informative):
    (features, standardized, log_proba, *rest), _ = problem()
    points = dict(features=features, standardized=standardized, supervised=log_proba)
    rng = np.random.default_rng(1)
    for name in points:
        if name != informative:
            points[name] = permuted(points[name], rng)
    found = retrieve(*points.values(), *rest, metric="euclidean")
    assert found.space == informative


def test_few_neighbors_are_the_nearest_of_many():
    arguments, _ = problem()
    given = arguments[3]
    found = retrieve(*arguments, space="supervised")
    few, many = found.judgements["supervised"]
    assert numbers_of_neighbors("auto", 300, 3) == [10, 50]
    assert found.neighbors.shape == (300, 50)
    sizes = np.bincount(given)
    for judgement, number in ((few, 10), (many, 50)):
        votes = count_votes(found.neighbors[:, :number], given, 3)
        np.testing.assert_array_equal(judgement, vote_proba(votes, sizes, number))
    np.testing.assert_array_equal(found.votes.sum(axis=1), 10)


def test_own_label_has_no_part_in_a_judgement():
    arguments, _ = problem()
    *others, given, _ = arguments
    found = retrieve(*arguments, space="features")
    other = given.copy()
    other[7] = (given[7] + 1) % 3
    then = retrieve(*others, other, 3, space="features")
    for before, after in zip(
        found.judgements["features"], then.judgements["features"], strict=True
    ):
        # The class sizes move by one in three hundred; a vote would move by one in ten.
        np.testing.assert_allclose(after[7:8], before[7:8], atol=0.001)
        assert np.abs(after[:] - before[:]).max() > 0.015


@pytest.mark.parametrize("space", ["auto", "features", "standardized", "supervised"])
def test_banks_are_those_of_the_spaces_that_were_searched(space):
    arguments, _ = problem()
    given = arguments[3]
    weight = (np.arange(300) % 5).astype(np.float32)
    found = retrieve(*arguments, space=space, sample_weight=weight)
    assert list(found.banks) == list(found.judgements)
    assert len(found.banks) == (2 if space == "auto" else 1)
    kept = weight > 0
    for bank in found.banks.values():
        assert len(bank.points) == kept.sum()
        np.testing.assert_array_equal(bank.y_codes, given[kept])
        np.testing.assert_array_equal(bank.sample_weight, weight[kept])
        assert bank.numbers == [10, 50]


def test_many_rows_are_asked_about_the_candidates_alone():
    arguments, _ = problem(6000)
    given = arguments[3]
    is_candidate = draw_candidates(given, 3, np.ones(6000, dtype=bool))
    found = retrieve(*arguments)
    assert found.neighbors.shape == (6000, 50)
    assert is_candidate[found.neighbors].all()
    assert {len(bank.points) for bank in found.banks.values()} == {5000}
    sizes = np.bincount(given[is_candidate])
    expected = vote_proba(found.votes, sizes, 10)
    np.testing.assert_array_equal(found.judgements[found.space][0], expected)


@pytest.mark.parametrize("space", ["features", "standardized", "supervised"])
def test_no_space_is_chosen_where_one_is_given(space):
    arguments, _ = problem()
    found = retrieve(*arguments, space=space)
    assert found.neighbors.shape == (300, 50)
    assert list(found.judgements) == [found.space] == [space]


def test_neighbors_from_outside_take_the_place_of_the_search():
    arguments, _ = problem()
    given = arguments[3]
    neighbors = np.random.default_rng(0).integers(300, size=(300, 6))
    found = retrieve(*arguments, neighbors=neighbors)
    votes = count_votes(neighbors, given, 3)
    assert found.space == "given"
    assert found.banks == {}
    np.testing.assert_array_equal(found.neighbors, neighbors)
    np.testing.assert_array_equal(found.votes, votes)
    (judgement,) = found.judgements["given"]
    np.testing.assert_array_equal(judgement, vote_proba(votes, np.bincount(given), 6))


@pytest.mark.parametrize("weighted", [False, True])
def test_search_gets_its_options(weighted, monkeypatch):
    arguments, _ = problem()
    weight = (np.arange(300) % 3).astype(np.float32)
    options = {}

    def search(points, n_neighbors, **kwargs):
        options.update(kwargs)
        return find_neighbors(points, n_neighbors)

    monkeypatch.setattr(_retrieve, "find_neighbors", search)
    retrieve(
        *arguments,
        n_neighbors=4,
        space="features",
        metric="euclidean",
        algorithm="pynndescent",
        sample_weight=weight if weighted else None,
        random_state=3,
        n_jobs=2,
    )
    is_candidate = options.pop("is_candidate")
    assert is_candidate.dtype == bool
    np.testing.assert_array_equal(is_candidate, weight > 0 if weighted else np.ones(300))
    assert options.pop("groups") is None
    assert options == dict(metric="euclidean", algorithm="pynndescent", random_state=3, n_jobs=2)


@pytest.mark.parametrize("space", ["auto", "supervised"])
def test_row_of_weight_zero_has_no_say_but_gets_votes(space):
    arguments, true = problem()
    *others, given, _ = arguments
    weight = (np.arange(300) % 5 > 0).astype(np.float32)
    other = np.where(weight == 0, (given + 1) % 3, given)
    first, second = (
        retrieve(*others, labels, 3, space=space, sample_weight=weight) for labels in (given, other)
    )
    assert first.space == second.space
    np.testing.assert_array_equal(first.neighbors, second.neighbors)
    np.testing.assert_array_equal(first.votes, second.votes)
    unheard = first.votes[weight == 0]
    assert (unheard.argmax(axis=1) == true[weight == 0]).mean() > 0.8


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("binary", [False, True])
def test_rows_of_weight_zero_do_not_change_what_the_others_get(binary, metric):
    arguments, _ = problem()
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.5, 2, size=300).astype(np.float32)
    weight[rng.random(300) < 0.4] = 0
    if binary:
        weight = np.sign(weight)
    kept = np.flatnonzero(weight)
    options = dict(n_neighbors=7, metric=metric, space="features")
    found = retrieve(*arguments, sample_weight=weight, **options)
    alone = retrieve(
        *(array[kept] for array in arguments[:4]),
        3,
        sample_weight=None if binary else weight[kept],
        **options,
    )
    np.testing.assert_array_equal(found.neighbors[kept], kept[alone.neighbors])
    np.testing.assert_allclose(found.votes[kept], alone.votes, atol=1e-5)
    judgements = (each.judgements["features"][0] for each in (found, alone))
    np.testing.assert_allclose(next(judgements)[kept], next(judgements), atol=1e-5)


@pytest.mark.parametrize("space", ["auto", "features", "standardized", "supervised"])
def test_row_of_weight_zero_is_nobody_s_neighbor(space):
    arguments, _ = problem()
    weight = (np.arange(300) % 5 > 1).astype(np.float32)
    found = retrieve(*arguments, space=space, sample_weight=weight)
    assert (weight[found.neighbors] > 0).all()


@pytest.mark.parametrize("n_candidates", [2, 3, 6])
def test_few_rows_of_positive_weight_are_enough(n_candidates):
    arguments, _ = problem(30)
    weight = np.zeros(30, dtype=np.float32)
    weight[5 : 5 + n_candidates] = 1
    found = retrieve(*arguments, sample_weight=weight)
    few, *_ = numbers_of_neighbors("auto", n_candidates, 3)
    assert found.neighbors.shape == (30, n_candidates - 1)
    np.testing.assert_array_equal(found.votes.sum(axis=1), few)


@pytest.mark.parametrize("informative", ["features", "supervised"])
def test_class_whose_rows_all_have_weight_zero_does_not_blind_the_choice_of_the_space(informative):
    (features, standardized, log_proba, given, _), _ = problem()
    rng = np.random.default_rng(1)
    points = dict(features=features, standardized=rng.permutation(standardized))
    points["supervised"] = log_proba
    other = "supervised" if informative == "features" else "features"
    points[other] = permuted(points[other], rng)
    weight = (given < 2).astype(np.float32)
    found = retrieve(*points.values(), given, 3, metric="euclidean", sample_weight=weight)
    assert found.space == informative
    np.testing.assert_array_equal(found.judgements["supervised"][-1][:][:, 2], 0)


@pytest.mark.parametrize("n_samples", [2, 3, 6])
def test_few_rows_are_enough(n_samples):
    (features, standardized, log_proba, *_), _ = problem(n_samples)
    found = retrieve(features, standardized, log_proba, np.arange(n_samples) % 2, 3)
    few, *_ = numbers_of_neighbors("auto", n_samples, 3)
    assert found.neighbors.shape == (n_samples, n_samples - 1)
    np.testing.assert_array_equal(found.votes.sum(axis=1), few)


def test_single_class_is_no_obstacle():
    (features, standardized, *_), _ = problem(30)
    given = np.zeros(30, dtype=np.int64), 1
    found = retrieve(features, standardized, fit_discriminant(standardized, *given)[1], *given)
    np.testing.assert_array_equal(found.votes, np.full((30, 1), 10))
    for judgement in found.judgements["supervised"]:
        np.testing.assert_array_equal(judgement, np.ones((30, 1)))


# Neighbors given from outside


def graph_of(features, n_neighbors, mode):
    return KNeighborsTransformer(n_neighbors=n_neighbors, mode=mode).fit_transform(features)


@pytest.mark.parametrize("container", ["csr", "csc", "coo"])
def test_distance_graph_is_read_nearest_first_without_the_row_itself(container):
    features = problem(50)[0][0]
    graph = graph_of(features, 6, "distance").asformat(container)
    neighbors = check_neighbors(graph, 50)
    assert neighbors.dtype == np.int64
    expected = find_neighbors(features, 6, metric="euclidean", algorithm="exact")
    np.testing.assert_array_equal(neighbors, expected)


def test_connectivity_graph_is_read_without_the_row_itself():
    features = problem(50)[0][0]
    graph = graph_of(features, 6, "connectivity")
    # In this mode the row itself is one of the six.
    neighbors = check_neighbors(graph, 50)
    expected = find_neighbors(features, 5, metric="euclidean", algorithm="exact")
    np.testing.assert_array_equal(np.sort(neighbors, axis=1), np.sort(expected, axis=1))


def test_distance_graph_with_shuffled_entries_is_read_nearest_first():
    features = problem(50)[0][0]
    graph = graph_of(features, 6, "distance")
    expected = check_neighbors(graph, 50)
    rng = np.random.default_rng(0)
    shuffled = graph.copy()
    for row in range(50):
        entries = slice(graph.indptr[row], graph.indptr[row + 1])
        order = rng.permutation(7)
        shuffled.indices[entries] = graph.indices[entries][order]
        shuffled.data[entries] = graph.data[entries][order]
    before = shuffled.copy()
    np.testing.assert_array_equal(check_neighbors(shuffled, 50), expected)
    np.testing.assert_array_equal(shuffled.indices, before.indices)
    np.testing.assert_array_equal(shuffled.data, before.data)


def test_sparse_array_is_read_as_a_sparse_matrix():
    features = problem(50)[0][0]
    graph = graph_of(features, 6, "distance")
    np.testing.assert_array_equal(
        check_neighbors(sparse.csr_array(graph), 50), check_neighbors(graph, 50)
    )


def test_graph_in_which_duplicates_displace_a_row_keeps_as_many_columns():
    features = np.repeat(np.random.default_rng(0).normal(size=(10, 3)), 5, axis=0)
    graph = graph_of(features, 3, "distance")
    stored = graph.indices.reshape(50, 4)
    assert not (stored == np.arange(50)[:, None]).any(axis=1).all()
    neighbors = check_neighbors(graph, 50)
    assert neighbors.shape == (50, 3)
    assert not (neighbors == np.arange(50)[:, None]).any()
    assert (neighbors // 5 == np.arange(50)[:, None] // 5).all()


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.uint64])
def test_indices_of_any_integer_type_are_taken_as_they_are(dtype):
    indices = np.array([[1, 2], [2, 0], [0, 1]], dtype=dtype)
    neighbors = check_neighbors(indices, 3)
    assert neighbors.dtype == np.int64
    np.testing.assert_array_equal(neighbors, indices)


def test_nested_list_of_indices_is_taken():
    np.testing.assert_array_equal(check_neighbors([[1, 2], [2, 0], [0, 1]], 3)[0], [1, 2])


def test_row_itself_is_left_out_wherever_it_stands():
    indices = np.array([[0, 1, 2], [2, 1, 3], [3, 0, 2], [3, 2, 1]])
    expected = [[1, 2], [2, 3], [3, 0], [2, 1]]
    np.testing.assert_array_equal(check_neighbors(indices, 4), expected)


def test_row_without_itself_loses_its_last_neighbor_where_another_has_itself():
    indices = np.array([[0, 1, 2], [2, 0, 3], [3, 0, 1], [0, 1, 2]])
    expected = [[1, 2], [2, 0], [3, 0], [0, 1]]
    np.testing.assert_array_equal(check_neighbors(indices, 4), expected)


def test_argument_is_left_as_it_is():
    indices = np.array([[0, 1, 2], [2, 1, 3], [3, 0, 2], [3, 2, 1]])
    before = indices.copy()
    indices.flags.writeable = False
    check_neighbors(indices, 4)
    np.testing.assert_array_equal(indices, before)


@pytest.mark.parametrize(
    ("neighbors", "message"),
    [
        (np.zeros((3, 2), dtype=int), r"for each of the 4 training rows.*\(3, 2\)"),
        (np.zeros(4, dtype=int), r"for each of the 4 training rows.*\(4,\)"),
        (np.zeros((4, 0), dtype=int), r"at least one column.*\(4, 0\)"),
        (np.zeros((4, 2, 2), dtype=int), r"for each of the 4 training rows"),
        (np.array([[1.0], [0.0], [0.0], [0.0]]), "integer indices, got dtype float64"),
        (np.array([[True], [False], [False], [False]]), "integer indices, got dtype bool"),
        (np.array([["1"], ["0"], ["0"], ["0"]]), "integer indices, got dtype <U1"),
        (np.array([[1], [0], [-1], [0]]), "from 0 to 3, got -1 to 1"),
        (np.array([[1], [0], [4], [0]]), "from 0 to 3, got 0 to 4"),
        (np.array([[1, 2], [0, 2], [1, 1], [0, 1]]), "row 2 hold an index more than once"),
        (np.arange(4)[:, None], "another row than the row itself"),
        (sparse.eye_array(3, format="csr"), r"shape \(4, 4\), got \(3, 3\)"),
        (sparse.csr_array(np.ones((4, 3))), r"shape \(4, 4\), got \(4, 3\)"),
        (sparse.csr_array(np.tri(4)), "same number of entries in each row, got 1 to 4"),
        (sparse.csr_array((4, 4)), "at least one column"),
        (sparse.eye_array(4, format="csr"), "another row than the row itself"),
    ],
)
def test_impossible_neighbors_are_named_in_the_error(neighbors, message):
    with pytest.raises(ValueError, match=message):
        check_neighbors(neighbors, 4)

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.neighbors import KNeighborsTransformer

from skdiffusion_label.retrieval import (
    _retrieve,
    check_neighbors,
    count_votes,
    find_neighbors,
    retrieve,
    supervised_spaces,
)


def foretell(votes, y_codes, sample_weight=None):
    """Return log losses of given labels by the share of neighbors that carry them."""
    n_votes = votes.sum(axis=1)
    return -np.log((votes[np.arange(len(votes)), y_codes] + 0.1) / (n_votes + 1))


def retrieve_labels(*args, **options):
    return retrieve(*args, foretell=foretell, **options)


def problem(n_samples=300, noise_rate=0.3, seed=0):
    """Return features, standardized features, true and given labels of three blobs."""
    features, true = make_blobs(n_samples, 4, centers=3, cluster_std=2.0, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = rng.random(n_samples) < noise_rate
    given = np.where(wrong, rng.integers(3, size=n_samples), true)
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    return features, standardized.astype(np.float32), true, given


# Retrieval


@pytest.mark.parametrize("space", ["features", "standardized", "supervised"])
def test_retrieval_is_search_then_count(space):
    features, standardized, _, given = problem()
    found = retrieve(
        features, standardized, given, 3, n_neighbors=7, metric="euclidean", space=space
    )
    points = {
        "features": features,
        "standardized": standardized,
        "supervised": supervised_spaces(standardized, given, 3)[0],
    }[space]
    neighbors = find_neighbors(points, 7, metric="euclidean")
    np.testing.assert_array_equal(found.neighbors, neighbors)
    np.testing.assert_array_equal(found.votes, count_votes(neighbors, given, 3))
    assert found.space == space


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbors_are_right_more_often_than_the_given_labels(metric):
    features, standardized, true, given = problem()
    found = retrieve_labels(features, standardized, given, 3, metric=metric)
    assert (found.votes.argmax(axis=1) == true).mean() > (given == true).mean() + 0.1


def test_auto_takes_what_the_choice_says(monkeypatch):
    features, standardized, _, given = problem()
    asked = {}

    def choose(spaces, n_neighbors, y_codes, n_classes, **options):
        asked.update(spaces=spaces, n_neighbors=n_neighbors, n_classes=n_classes, options=options)
        np.testing.assert_array_equal(y_codes, given)
        return "standardized"

    monkeypatch.setattr(_retrieve, "choose_space", choose)
    weight = np.ones(300, dtype=np.float32)
    options = dict(metric="euclidean", sample_weight=weight, random_state=3)
    found = retrieve_labels(features, standardized, given, 3, n_neighbors=4, **options)
    assert (found.space, found.neighbors.shape) == ("standardized", (300, 4))
    assert asked["n_neighbors"] == 4
    assert asked["n_classes"] == 3
    assert asked["options"] == {**options, "foretell": foretell}
    assert list(asked["spaces"]) == ["features", "standardized", "supervised"]
    # A space is judged by given labels that it has not seen, or it would flatter itself.
    flattering, honest = supervised_spaces(standardized, given, 3, random_state=3)
    np.testing.assert_array_equal(asked["spaces"]["supervised"], honest)
    assert not np.allclose(flattering, honest, atol=1e-3)
    # The other spaces have not seen any label and are judged as they are.
    np.testing.assert_array_equal(asked["spaces"]["features"], features)
    np.testing.assert_array_equal(asked["spaces"]["standardized"], standardized)


def test_space_of_one_model_is_searched_where_the_cross_fitted_one_was_chosen(monkeypatch):
    features, standardized, _, given = problem()
    monkeypatch.setattr(_retrieve, "choose_space", lambda *args, **kwargs: "supervised")
    found = retrieve_labels(features, standardized, given, 3, n_neighbors=9, metric="euclidean")
    space, cross_fitted = supervised_spaces(standardized, given, 3)
    expected = find_neighbors(space, 9, metric="euclidean")
    np.testing.assert_array_equal(found.neighbors, expected)
    assert not np.array_equal(found.neighbors, find_neighbors(cross_fitted, 9, metric="euclidean"))


def test_supervised_spaces_get_weights_and_seed(monkeypatch):
    features, standardized, _, given = problem()
    weight = (np.arange(300) % 5).astype(np.float32)
    options = []

    def spaces(*args, **kwargs):
        options.append(kwargs)
        return supervised_spaces(*args, **kwargs)

    monkeypatch.setattr(_retrieve, "supervised_spaces", spaces)
    for space in ("auto", "supervised"):
        retrieve_labels(
            features, standardized, given, 3, space=space, sample_weight=weight, random_state=3
        )
    for kwargs in options:
        np.testing.assert_array_equal(kwargs.pop("sample_weight"), weight)
    assert options == [dict(random_state=3)] * 2


@pytest.mark.parametrize("space", ["features", "standardized"])
def test_supervised_spaces_are_left_out_where_they_are_not_asked_for(space, monkeypatch):
    monkeypatch.setattr(_retrieve, "supervised_spaces", None)
    features, standardized, _, given = problem()
    assert retrieve_labels(features, standardized, given, 3, space=space).space == space


def test_usual_number_of_neighbors_follows_the_rows_of_positive_weight():
    features, standardized, _, given = problem(900)
    weight = (np.arange(900) % 2).astype(np.float32)
    for sample_weight, n_neighbors in [(None, 30), (np.ones_like(weight), 30), (weight, 15)]:
        found = retrieve_labels(
            features, standardized, given, 3, space="features", sample_weight=sample_weight
        )
        assert found.neighbors.shape == (900, n_neighbors)


def test_no_space_is_chosen_where_one_is_given(monkeypatch):
    monkeypatch.setattr(_retrieve, "choose_space", None)
    features, standardized, _, given = problem()
    found = retrieve_labels(features, standardized, given, 3, space="features")
    assert found.neighbors.shape == (300, 10)


def test_neighbors_from_outside_take_the_place_of_the_search(monkeypatch):
    monkeypatch.setattr(_retrieve, "find_neighbors", None)
    features, standardized, _, given = problem()
    neighbors = np.random.default_rng(0).integers(300, size=(300, 6))
    found = retrieve_labels(features, standardized, given, 3, neighbors=neighbors)
    assert found.space == "given"
    np.testing.assert_array_equal(found.neighbors, neighbors)
    np.testing.assert_array_equal(found.votes, count_votes(neighbors, given, 3))


@pytest.mark.parametrize("weighted", [False, True])
def test_search_gets_its_options(weighted, monkeypatch):
    features, standardized, _, given = problem()
    weight = (np.arange(300) % 3).astype(np.float32)
    options = {}

    def search(points, n_neighbors, **kwargs):
        options.update(kwargs)
        return find_neighbors(points, n_neighbors)

    monkeypatch.setattr(_retrieve, "find_neighbors", search)
    retrieve_labels(
        features,
        standardized,
        given,
        3,
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
    assert options == dict(metric="euclidean", algorithm="pynndescent", random_state=3, n_jobs=2)


@pytest.mark.parametrize("space", ["auto", "supervised"])
def test_row_of_weight_zero_has_no_say_but_gets_votes(space):
    features, standardized, true, given = problem()
    weight = (np.arange(300) % 5 > 0).astype(np.float32)
    other = np.where(weight == 0, (given + 1) % 3, given)
    first, second = (
        retrieve_labels(
            features,
            standardized,
            labels,
            3,
            space=space,
            sample_weight=weight,
        )
        for labels in (given, other)
    )
    assert first.space == second.space
    np.testing.assert_array_equal(first.neighbors, second.neighbors)
    np.testing.assert_array_equal(first.votes, second.votes)
    unheard = first.votes[weight == 0]
    assert (unheard.argmax(axis=1) == true[weight == 0]).mean() > 0.8


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("binary", [False, True])
def test_rows_of_weight_zero_do_not_change_what_the_others_get(binary, metric):
    features, standardized, _, given = problem()
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.5, 2, size=300).astype(np.float32)
    weight[rng.random(300) < 0.4] = 0
    if binary:
        weight = np.sign(weight)
    kept = np.flatnonzero(weight)
    options = dict(n_neighbors=7, metric=metric, space="features")
    found = retrieve_labels(features, standardized, given, 3, sample_weight=weight, **options)
    alone = retrieve_labels(
        features[kept],
        standardized[kept],
        given[kept],
        3,
        sample_weight=None if binary else weight[kept],
        **options,
    )
    np.testing.assert_array_equal(found.neighbors[kept], kept[alone.neighbors])
    np.testing.assert_allclose(found.votes[kept], alone.votes, atol=1e-5)


@pytest.mark.parametrize("space", ["auto", "features", "standardized", "supervised"])
def test_row_of_weight_zero_is_nobody_s_neighbor(space):
    features, standardized, _, given = problem()
    weight = (np.arange(300) % 5 > 1).astype(np.float32)
    found = retrieve_labels(features, standardized, given, 3, space=space, sample_weight=weight)
    assert (weight[found.neighbors] > 0).all()


@pytest.mark.parametrize("n_candidates", [2, 3, 6])
def test_few_rows_of_positive_weight_are_enough(n_candidates):
    features, standardized, _, given = problem(30)
    weight = np.zeros(30, dtype=np.float32)
    weight[5 : 5 + n_candidates] = 1
    found = retrieve_labels(features, standardized, given, 3, sample_weight=weight)
    assert found.neighbors.shape == (30, n_candidates - 1)
    np.testing.assert_array_equal(found.votes.sum(axis=1), found.neighbors.shape[1])


@pytest.mark.parametrize("n_samples", [2, 3, 6])
def test_few_rows_are_enough(n_samples):
    features, standardized, _, _ = problem(n_samples)
    found = retrieve_labels(features, standardized, np.arange(n_samples) % 2, 2)
    assert found.neighbors.shape == (n_samples, n_samples - 1)
    np.testing.assert_array_equal(found.votes.sum(axis=1), found.neighbors.shape[1])


def test_single_class_is_no_obstacle():
    features, standardized, _, _ = problem(30)
    found = retrieve_labels(features, standardized, np.zeros(30, dtype=np.int64), 1)
    np.testing.assert_array_equal(found.votes, np.full((30, 1), found.neighbors.shape[1]))


# Neighbors given from outside


def graph_of(features, n_neighbors, mode):
    return KNeighborsTransformer(n_neighbors=n_neighbors, mode=mode).fit_transform(features)


@pytest.mark.parametrize("container", ["csr", "csc", "coo"])
def test_distance_graph_is_read_nearest_first_without_the_row_itself(container):
    features, *_ = problem(50)
    graph = graph_of(features, 6, "distance").asformat(container)
    neighbors = check_neighbors(graph, 50)
    assert neighbors.dtype == np.int64
    expected = find_neighbors(features, 6, metric="euclidean", algorithm="exact")
    np.testing.assert_array_equal(neighbors, expected)


def test_connectivity_graph_is_read_without_the_row_itself():
    features, *_ = problem(50)
    graph = graph_of(features, 6, "connectivity")
    # In this mode the row itself is one of the six.
    neighbors = check_neighbors(graph, 50)
    expected = find_neighbors(features, 5, metric="euclidean", algorithm="exact")
    np.testing.assert_array_equal(np.sort(neighbors, axis=1), np.sort(expected, axis=1))


def test_distance_graph_with_shuffled_entries_is_read_nearest_first():
    features, *_ = problem(50)
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
    features, *_ = problem(50)
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

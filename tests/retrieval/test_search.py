import math
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from skdiffusion_label.retrieval import _search, find_neighbors

METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])


# Rows squared times features, up to which distances are in float64.
MAX_SIZE_IN_FLOAT64 = 10**9


def search_among_many(features, n_neighbors, *, algorithm="exact", is_candidate=None, **options):
    """Search as in large problems, in float32: among as many more rows that are no candidates."""
    n_samples, n_features = features.shape
    is_candidate = np.ones(n_samples, dtype=bool) if is_candidate is None else is_candidate
    n_rows = math.isqrt(MAX_SIZE_IN_FLOAT64 // n_features) + 1
    # Repeated, so that center and scale stay.
    many = np.tile(features, (-(-n_rows // n_samples), 1))
    return find_neighbors(
        many,
        n_neighbors,
        algorithm=algorithm,
        rows=np.arange(n_samples),
        is_candidate=np.pad(is_candidate, (0, len(many) - n_samples)),
        **options,
    )


@pytest.fixture(params=[find_neighbors, search_among_many], ids=["float64", "float32"])
def search(request):
    """Search once as small problems are and once as large ones."""
    return request.param


def random_features(n_samples=200, n_features=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n_samples, n_features))


def brute_force(features, n_neighbors, metric):
    """Let scikit-learn find the neighbors of each row among the others."""
    searcher = NearestNeighbors(n_neighbors=n_neighbors, metric=metric, algorithm="brute")
    return searcher.fit(features).kneighbors(return_distance=False)


def distances_to(features, neighbors, metric):
    distances = pairwise_distances(features, metric=metric)
    return np.take_along_axis(distances, neighbors, axis=1)


def has_self(neighbors):
    return (neighbors == np.arange(len(neighbors))[:, None]).any()


def has_repeats(neighbors):
    ordered = np.sort(neighbors, axis=1)
    return (ordered[:, 1:] == ordered[:, :-1]).any()


def recall(neighbors, truth):
    pairs = zip(neighbors, truth, strict=True)
    return np.mean([len(np.intersect1d(row, true)) / len(true) for row, true in pairs])


# Arguments


@pytest.mark.parametrize("rows", [None, np.arange(3)])
@pytest.mark.parametrize("metric", ["manhattan", "Cosine", None])
def test_unknown_metric_is_named_in_the_error(metric, rows):
    message = f"^metric must be 'cosine' or 'euclidean', got {metric!r}\\.$"
    with pytest.raises(ValueError, match=message):
        find_neighbors(random_features(), 10, metric=metric, rows=rows)


@pytest.mark.parametrize("rows", [None, np.arange(3)])
@pytest.mark.parametrize("algorithm", ["brute", "Exact", None])
def test_unknown_algorithm_is_named_in_the_error(algorithm, rows):
    message = f"^algorithm must be 'auto', 'exact' or 'pynndescent', got {algorithm!r}\\.$"
    with pytest.raises(ValueError, match=message):
        find_neighbors(random_features(), 10, algorithm=algorithm, rows=rows)


# Exact search


@METRICS
@pytest.mark.parametrize("n_neighbors", [1, 10, 199])
def test_exact_search_is_brute_force(metric, n_neighbors, search):
    features = random_features()
    neighbors = search(features, n_neighbors, metric=metric, algorithm="exact")
    assert neighbors.dtype == np.int64
    np.testing.assert_array_equal(neighbors, brute_force(features, n_neighbors, metric))


@METRICS
@pytest.mark.parametrize("n_neighbors", [1, 7, 40])
@pytest.mark.parametrize("n_samples", [640, 1003, 3000])
def test_search_among_many_rows_is_brute_force(metric, n_samples, n_neighbors):
    features = random_features(n_samples)
    found = find_neighbors(features, n_neighbors, metric=metric, rows=np.arange(0, n_samples, 50))
    expected = brute_force(features, n_neighbors, metric)[::50]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("k", [1, 4, 15])
@pytest.mark.parametrize("n", [959, 960, 961, 975, 5000])
def test_largest_values_are_those_of_a_sort_even_among_ties(n, k):
    values = torch.randint(0, 50, (20, n), generator=torch.Generator().manual_seed(0)).float()
    columns = _search._largest(values, k)
    best = values.sort(dim=1, descending=True).values[:, :k]
    assert torch.equal(values.gather(1, columns), best)
    assert not has_repeats(columns.numpy())


@METRICS
def test_neighbors_come_nearest_first(metric, search):
    features = random_features()
    neighbors = search(features, 199, metric=metric, algorithm="exact")
    assert (np.diff(distances_to(features, neighbors, metric), axis=1) > -1e-6).all()


@METRICS
@pytest.mark.parametrize("n_neighbors", [1, 3, 20])
def test_row_is_not_its_own_neighbor_among_exact_duplicates(metric, n_neighbors, search):
    features = np.repeat(random_features(20), 4, axis=0)
    neighbors = search(features, n_neighbors, metric=metric, algorithm="exact")
    assert not has_self(neighbors)
    # The three copies of a row come before all others.
    assert (neighbors[:, :3] // 4 == np.arange(80)[:, None] // 4).all()


@METRICS
@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
def test_row_is_not_its_own_neighbor_where_all_rows_are_equal(metric, value, search):
    neighbors = search(np.full((30, 4), value), 29, metric=metric, algorithm="exact")
    assert not has_self(neighbors)
    assert not has_repeats(neighbors)


@METRICS
@pytest.mark.parametrize("n_samples", [2, 5])
def test_more_neighbors_than_other_rows_are_clipped(metric, n_samples):
    features = random_features(n_samples)
    neighbors = find_neighbors(features, 50, metric=metric, algorithm="exact")
    assert neighbors.shape == (n_samples, n_samples - 1)
    np.testing.assert_array_equal(neighbors, brute_force(features, n_samples - 1, metric))


def test_large_offset_does_not_matter_under_euclidean(search):
    features = random_features()
    expected = search(features, 10, metric="euclidean", algorithm="exact")
    moved = search(features + 1e6, 10, metric="euclidean", algorithm="exact")
    np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e3, 1e12])
@METRICS
def test_unit_of_measurement_does_not_matter(metric, scale, search):
    features = random_features()
    expected = search(features, 10, metric=metric, algorithm="exact")
    scaled = search(features * scale, 10, metric=metric, algorithm="exact")
    assert recall(scaled, expected) > 0.999


def test_length_of_a_row_does_not_matter_under_cosine(search):
    features = random_features()
    expected = search(features, 10, metric="cosine", algorithm="exact")
    lengths = np.random.default_rng(1).uniform(1e-6, 1e6, size=(200, 1))
    stretched = search(features * lengths, 10, metric="cosine", algorithm="exact")
    assert recall(stretched, expected) > 0.999


def test_exact_search_keeps_its_digits_between_distant_groups():
    # Squared norms of 2.5e7 leave float32 no digits for distances of about one.
    features = random_features()
    features[:100, 0] += 1e4
    neighbors = find_neighbors(features, 10, metric="euclidean", algorithm="exact")
    assert recall(neighbors, brute_force(features, 10, "euclidean")) > 0.99


@pytest.mark.parametrize("distance", [0, 10, 1e2, 1e4])
def test_float32_errs_by_its_digits_of_the_largest_squared_distance_alone(distance):
    features = random_features()
    features[:100, 0] += distance
    neighbors = search_among_many(features, 10, metric="euclidean")
    expected = brute_force(features, 10, "euclidean")
    found, best = (
        distances_to(features, indices, "euclidean") ** 2 for indices in (neighbors, expected)
    )
    largest = ((features - features.mean(axis=0)) ** 2).sum(axis=1).max()
    assert np.abs(found - best).max() < 1e-6 * largest
    assert not has_self(neighbors)
    assert not has_repeats(neighbors)


def test_exact_search_keeps_its_digits_between_almost_parallel_rows(search):
    # Cosine distances of about 1e-6 leave float32 one digit or two.
    features = random_features() + 1e3
    neighbors = search(features, 10, metric="cosine", algorithm="exact")
    normalized = features / np.linalg.norm(features, axis=1, keepdims=True)
    truth = brute_force(normalized - normalized.mean(axis=0), 10, "euclidean")
    assert recall(neighbors, truth) > 0.99


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_zero_rows_are_at_cosine_distance_one(zero, search):
    features = random_features(60, 3)
    features[::6] = zero
    neighbors = search(features, 40, metric="cosine", algorithm="exact")
    expected = brute_force(features, 40, "cosine")
    np.testing.assert_allclose(
        distances_to(features, neighbors, "cosine"),
        distances_to(features, expected, "cosine"),
        atol=1e-6,
    )
    assert not has_self(neighbors)
    assert not has_repeats(neighbors)


@METRICS
def test_memory_order_and_write_protection_do_not_matter(metric, search):
    features = random_features()
    expected = search(features, 10, metric=metric, algorithm="exact")
    protected = features.copy()
    protected.flags.writeable = False
    strided = np.repeat(features, 2, axis=0)[::2]
    for variant in (np.asfortranarray(features), protected, strided):
        before = variant.copy()
        neighbors = search(variant, 10, metric=metric, algorithm="exact")
        np.testing.assert_array_equal(neighbors, expected)
        np.testing.assert_array_equal(variant, before)


@METRICS
def test_argument_in_float32_is_searched_and_left_as_it_is(metric, search):
    features = np.ascontiguousarray(random_features(), dtype=np.float32)
    before = features.copy()
    neighbors = search(features, 10, metric=metric, algorithm="exact")
    np.testing.assert_array_equal(neighbors, brute_force(features.astype(float), 10, metric))
    np.testing.assert_array_equal(features, before)


@METRICS
@pytest.mark.parametrize("algorithm", ["auto", "exact", "pynndescent"])
def test_subset_of_rows_has_the_neighbors_of_the_whole(metric, algorithm):
    features = random_features()
    whole = find_neighbors(features, 10, metric=metric, algorithm="exact")
    rows = np.array([199, 0, 7, 8])
    subset = find_neighbors(features, 10, metric=metric, algorithm=algorithm, rows=rows)
    np.testing.assert_array_equal(subset, whole[rows])


@pytest.mark.parametrize(
    ("n_samples", "is_told_apart"), [(8, True), (31_622, True), (31_623, False), (40_000, False)]
)
def test_small_problems_are_searched_in_float64_and_large_ones_in_float32(n_samples, is_told_apart):
    assert 31_622**2 < MAX_SIZE_IN_FLOAT64 < 31_623**2
    # Pairs of rows 1e-9 apart, two of which, 1e-8 apart, are the farthest from the center.
    features = np.array([[0.0], [1e-9], [-1.0], [-1 - 1e-9], [1.0], [1 + 1e-9]])
    features = np.vstack([features, 1 + 1e-8 + features[:2]])
    neighbors = find_neighbors(
        np.resize(features, (n_samples, 1)),
        1,
        metric="euclidean",
        rows=np.arange(8),
        is_candidate=np.arange(n_samples) < 8,
    )
    assert np.array_equal(neighbors[:, 0], [1, 0, 3, 2, 5, 4, 7, 6]) == is_told_apart


# A block is of four megabytes of distances: of so many rows to two hundred candidates in float64.
ROWS_OF_BLOCK = 2**22 // (200 * 8)


@METRICS
@pytest.mark.parametrize("n_at_once", [1, 7, 199])
def test_block_size_does_not_change_the_result(metric, n_at_once):
    features = random_features(2 * ROWS_OF_BLOCK + 1)
    options = dict(metric=metric, algorithm="exact", is_candidate=np.arange(len(features)) < 200)
    whole = find_neighbors(features, 10, **options)
    # Rows of all three blocks, the first and the last of them included.
    rows = np.linspace(0, len(features) - 1, 40 if n_at_once == 1 else 400).astype(int)
    parts = [
        find_neighbors(features, 10, rows=rows[start : start + n_at_once], **options)
        for start in range(0, len(rows), n_at_once)
    ]
    assert recall(np.concatenate(parts), whole[rows]) > 0.999


@pytest.fixture
def block_sizes(monkeypatch):
    """Record rows and bytes of each block."""
    sizes = []
    original = torch.Tensor.topk

    def watch(self, *args, **kwargs):
        sizes.append((len(self), self.numel() * self.element_size()))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "topk", watch)
    return sizes


@pytest.mark.parametrize("n_features", [6, 3000])
def test_block_stays_in_the_cache_unless_there_are_many_features(n_features, block_sizes):
    features = random_features(6000, n_features)
    is_candidate = np.arange(6000) < 30
    find_neighbors(features, 10, algorithm="exact", is_candidate=is_candidate)
    n_rows, n_bytes = map(max, zip(*block_sizes, strict=True))
    assert n_rows == max(n_features, min(6000, 2**22 // (n_bytes // n_rows)))


# Rows that may not be neighbors


def masks():
    rng = np.random.default_rng(0)
    only_few = np.zeros(200, dtype=bool)
    only_few[[3, 77, 150]] = True
    return {
        "half": rng.random(200) < 0.5,
        "all but one": np.arange(200) != 17,
        "first": np.arange(200) < 30,
        "few": only_few,
    }


MASKS = pytest.mark.parametrize("is_candidate", masks().values(), ids=masks().keys())


def features_with_duplicates_of_excluded_rows(is_candidate):
    """Return features in which an excluded row would be the nearest neighbor of another row."""
    features = random_features()
    excluded = np.flatnonzero(~is_candidate)
    taken = np.flatnonzero(is_candidate)[: len(excluded)]
    features[excluded[: len(taken)]] = features[taken]
    return features


def assert_search_is_that_among_candidates(
    features, is_candidate, n_neighbors, metric, search=find_neighbors, **options
):
    """Compare with a search by distance, one row after the other."""
    before = is_candidate.copy()
    neighbors = search(features, n_neighbors, metric=metric, is_candidate=is_candidate, **options)
    np.testing.assert_array_equal(is_candidate, before)
    assert neighbors.dtype == np.int64
    assert neighbors.shape == (len(features), min(n_neighbors, is_candidate.sum() - 1))
    assert is_candidate[neighbors].all()
    assert not has_self(neighbors)
    assert not has_repeats(neighbors)
    distances = pairwise_distances(features, metric=metric)
    distances[:, ~is_candidate] = np.inf
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_allclose(
        np.take_along_axis(distances, neighbors, axis=1),
        np.sort(distances, axis=1)[:, : neighbors.shape[1]],
        atol=1e-6,
    )
    return neighbors


@METRICS
@MASKS
@pytest.mark.parametrize("n_neighbors", [1, 10, 199])
def test_exact_search_is_among_candidates_alone(metric, is_candidate, n_neighbors, search):
    features = features_with_duplicates_of_excluded_rows(is_candidate)
    assert_search_is_that_among_candidates(
        features, is_candidate, n_neighbors, metric, search=search, algorithm="exact"
    )


@METRICS
@MASKS
@pytest.mark.parametrize("algorithm", ["auto", "exact"])
def test_candidates_have_the_neighbors_of_a_search_among_themselves(
    metric, is_candidate, algorithm
):
    features = random_features()
    neighbors = find_neighbors(
        features, 10, metric=metric, algorithm=algorithm, is_candidate=is_candidate
    )
    candidates = np.flatnonzero(is_candidate)
    alone = find_neighbors(features[candidates], 10, metric=metric, algorithm="exact")
    np.testing.assert_array_equal(neighbors[candidates], candidates[alone])


@METRICS
def test_all_rows_are_candidates_by_default(metric):
    features = random_features()
    neighbors = find_neighbors(
        features, 10, metric=metric, algorithm="exact", is_candidate=np.ones(200, dtype=bool)
    )
    np.testing.assert_array_equal(
        neighbors, find_neighbors(features, 10, metric=metric, algorithm="exact")
    )


@METRICS
@pytest.mark.parametrize("algorithm", ["auto", "exact", "pynndescent"])
def test_subset_of_rows_has_the_neighbors_of_the_whole_among_candidates(metric, algorithm):
    features = random_features()
    is_candidate = np.arange(200) % 3 > 0
    whole = find_neighbors(
        features, 10, metric=metric, algorithm="exact", is_candidate=is_candidate
    )
    rows = np.array([199, 0, 7, 8])  # 0 is no candidate
    subset = find_neighbors(
        features, 10, metric=metric, algorithm=algorithm, rows=rows, is_candidate=is_candidate
    )
    np.testing.assert_array_equal(subset, whole[rows])


def test_zero_rows_are_at_cosine_distance_one_among_candidates(search):
    features = random_features(60, 3)
    features[::6] = 0
    for is_candidate in (np.arange(60) % 4 > 0, np.arange(60) % 6 > 0):
        assert_search_is_that_among_candidates(
            features, is_candidate, 40, "cosine", search=search, algorithm="exact"
        )


# The choice between exact and approximate search


def test_exact_search_is_cheaper_for_few_rows_only():
    assert _search._exact_is_cheaper(1_000, 50, 1_000)
    assert _search._exact_is_cheaper(10_000, 768, 10_000)
    assert not _search._exact_is_cheaper(200_000, 768, 200_000)
    assert not _search._exact_is_cheaper(1_000_000, 2, 1_000_000)
    for n_features in (2, 100, 3000):
        sizes = 10 ** np.arange(1, 8)
        cheaper = [_search._exact_is_cheaper(size, n_features, size) for size in sizes]
        assert cheaper == sorted(cheaper, reverse=True)


def test_exact_search_is_cheaper_among_few_candidates():
    assert _search._exact_is_cheaper(200_000, 100, 10_000)
    assert not _search._exact_is_cheaper(200_000, 100, 200_000)


# Approximate search: what pynndescent may get wrong, by a stand-in for its index


def install_index(monkeypatch, graph):
    """Let pynndescent be a package whose index returns ``graph(points, n_neighbors)``."""
    record = SimpleNamespace(calls=0)

    class FakeIndex:
        def __init__(self, data, *, metric, n_neighbors, random_state, n_jobs):
            assert metric == "euclidean"
            assert data.dtype == np.float32
            assert data.flags.writeable
            assert n_neighbors < len(data)
            record.calls += 1
            record.random_state, record.n_jobs = random_state, n_jobs
            self.data, self.n_neighbors = data, n_neighbors

        @property
        def neighbor_graph(self):
            return graph(self.data, self.n_neighbors), None

    monkeypatch.setitem(sys.modules, "pynndescent", SimpleNamespace(NNDescent=FakeIndex))
    return record


def right_graph(points, n_neighbors):
    """Return what pynndescent should: neighbors, each row first among its own."""
    distances = pairwise_distances(points.astype(float))
    np.fill_diagonal(distances, -1)
    return np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors].astype(np.int32)


def following_graph(points, n_neighbors):
    """Return a graph that could be: each row's neighbors are those that follow it."""
    return (np.arange(len(points))[:, None] + np.arange(n_neighbors)) % len(points)


def following(n_samples, n_neighbors):
    """Return what :func:`following_graph` says, without the row itself."""
    return following_graph(np.empty(n_samples), n_neighbors + 1)[:, 1:]


@pytest.mark.parametrize(
    ("algorithm", "n_samples", "n_calls"),
    [("auto", 200, 0), ("auto", 8_000, 1), ("pynndescent", 200, 1), ("exact", 200, 0)],
)
def test_algorithm_is_chosen_by_cost_under_auto_alone(algorithm, n_samples, n_calls, monkeypatch):
    # As if nothing had to be compiled.
    monkeypatch.setattr(_search, "_COMPILE_SECONDS", 0.0)
    record = install_index(monkeypatch, following_graph)
    features = random_features(n_samples, 1)
    neighbors = find_neighbors(features, 10, metric="euclidean", algorithm=algorithm)
    assert record.calls == n_calls
    assert np.array_equal(neighbors, following(n_samples, 10)) == bool(n_calls)


def assert_repaired(features, metric, n_neighbors=10):
    neighbors = find_neighbors(features, n_neighbors, metric=metric, algorithm="pynndescent")
    expected = find_neighbors(features, n_neighbors, metric=metric, algorithm="exact")
    assert neighbors.dtype == np.int64
    assert neighbors.shape == expected.shape
    np.testing.assert_allclose(
        distances_to(features, neighbors, metric),
        distances_to(features, expected, metric),
        atol=1e-6,
    )
    assert not has_self(neighbors)
    assert not has_repeats(neighbors)


@METRICS
def test_graph_that_could_be_is_taken_as_it_is(metric, monkeypatch):
    record = install_index(monkeypatch, following_graph)
    neighbors = find_neighbors(
        random_features(), 10, metric=metric, algorithm="pynndescent", random_state=3, n_jobs=2
    )
    np.testing.assert_array_equal(neighbors, following(200, 10))
    assert (record.calls, record.random_state, record.n_jobs) == (1, 3, 2)


def test_one_index_is_built_and_read_at_a_time(monkeypatch):
    busy = []

    def watched_graph(points, n_neighbors):
        busy.append(threading.get_ident())
        time.sleep(0.05)
        assert busy.pop() == threading.get_ident() and not busy
        return right_graph(points, n_neighbors)

    install_index(monkeypatch, watched_graph)
    with ThreadPoolExecutor(3) as threads:
        searches = [
            threads.submit(find_neighbors, random_features(), 10, algorithm="pynndescent")
            for _ in range(3)
        ]
        assert all(search.result().shape == (200, 10) for search in searches)


def test_failed_build_hinders_no_other(monkeypatch):
    def fail(points, n_neighbors):
        raise RuntimeError("no graph")

    install_index(monkeypatch, fail)
    with pytest.raises(RuntimeError, match="no graph"):
        find_neighbors(random_features(), 10, algorithm="pynndescent")
    install_index(monkeypatch, right_graph)
    with ThreadPoolExecutor(1) as threads:
        search = threads.submit(find_neighbors, random_features(), 10, algorithm="pynndescent")
        assert search.result(timeout=30).shape == (200, 10)


def spoil(graph, spoiler):
    def spoiled(points, n_neighbors):
        neighbors = graph(points, n_neighbors)
        spoiler(neighbors)
        return neighbors

    return spoiled


def put_minus_one(neighbors):
    neighbors[::3, 5:] = -1


def put_a_single_minus_one(neighbors):
    neighbors[::3, 5] = -1


def repeat_an_index(neighbors):
    neighbors[::3, 7] = neighbors[::3, 2]


def repeat_the_last(neighbors):
    neighbors[5, 2:] = neighbors[5, 2]


def put_self_twice(neighbors):
    neighbors[::3, 4] = np.arange(len(neighbors))[::3]


SPOILERS = pytest.mark.parametrize(
    "spoiler",
    [put_minus_one, put_a_single_minus_one, repeat_an_index, repeat_the_last, put_self_twice],
)


@METRICS
@SPOILERS
def test_impossible_rows_of_the_graph_are_searched_again(metric, spoiler, monkeypatch):
    install_index(monkeypatch, spoil(right_graph, spoiler))
    # As many as the index is asked for: what is wrong in it cannot fall off the end.
    assert_repaired(random_features(), metric, n_neighbors=40)


def test_only_impossible_rows_are_searched_again(monkeypatch):
    install_index(monkeypatch, spoil(following_graph, put_minus_one))
    features = random_features()
    neighbors = find_neighbors(features, 10, algorithm="pynndescent")
    expected = following(200, 10)
    expected[::3] = brute_force(features, 10, "cosine")[::3]
    np.testing.assert_array_equal(neighbors, expected)


@METRICS
def test_graph_of_too_few_columns_is_searched_again(metric, monkeypatch):
    install_index(monkeypatch, lambda points, n_neighbors: right_graph(points, 6))
    assert_repaired(random_features(), metric)


@METRICS
def test_row_that_is_not_first_among_its_neighbors_is_left_out(metric, monkeypatch):
    def self_last(points, n_neighbors):
        return np.roll(right_graph(points, n_neighbors), -1, axis=1)

    install_index(monkeypatch, self_last)
    assert_repaired(random_features(), metric)


@METRICS
def test_row_that_is_not_among_its_neighbors_loses_no_neighbor(metric, monkeypatch):
    def without_self(points, n_neighbors):
        return right_graph(points, n_neighbors + 1)[:, 1:]

    install_index(monkeypatch, without_self)
    assert_repaired(random_features(), metric)


@METRICS
@pytest.mark.parametrize("n_samples", [2, 3, 10, 11, 12])
def test_few_rows_have_all_others_as_neighbors(metric, n_samples, monkeypatch):
    install_index(monkeypatch, right_graph)
    assert_repaired(random_features(n_samples), metric)


def test_zero_rows_under_cosine_are_searched_again(monkeypatch):
    # Among unit vectors zero is at distance 1, nearer than one at a cosine distance of 0.6.
    install_index(monkeypatch, right_graph)
    features = random_features(60, 3)
    features[::6] = 0
    assert_repaired(features, "cosine", n_neighbors=25)


@METRICS
@MASKS
@pytest.mark.parametrize("n_neighbors", [1, 10, 199])
def test_index_is_built_of_candidates_alone(metric, is_candidate, n_neighbors, monkeypatch):
    indexed = []

    def watched_graph(points, n_neighbors):
        indexed.append(len(points))
        return right_graph(points, n_neighbors)

    install_index(monkeypatch, watched_graph)
    features = features_with_duplicates_of_excluded_rows(is_candidate)
    assert_search_is_that_among_candidates(
        features, is_candidate, n_neighbors, metric, algorithm="pynndescent"
    )
    assert indexed == [is_candidate.sum()]


@METRICS
@MASKS
def test_index_finds_what_exact_search_does_among_candidates(metric, is_candidate, monkeypatch):
    install_index(monkeypatch, right_graph)
    features = random_features()
    options = dict(metric=metric, is_candidate=is_candidate)
    np.testing.assert_array_equal(
        find_neighbors(features, 10, algorithm="pynndescent", **options),
        find_neighbors(features, 10, algorithm="exact", **options),
    )


@pytest.mark.parametrize("spoiler", [None, put_minus_one])
def test_rows_that_are_no_candidates_are_searched_exactly(spoiler, monkeypatch):
    is_candidate = np.arange(200) % 4 > 0
    candidates = np.flatnonzero(is_candidate)
    graph = following_graph if spoiler is None else spoil(following_graph, spoiler)
    install_index(monkeypatch, graph)
    options = dict(metric="euclidean", is_candidate=is_candidate)
    neighbors = find_neighbors(random_features(), 10, algorithm="pynndescent", **options)
    expected = find_neighbors(random_features(), 10, algorithm="exact", **options)
    kept = np.arange(len(candidates)) % 3 > 0 if spoiler is not None else slice(None)
    expected[candidates[kept]] = candidates[following(len(candidates), 10)[kept]]
    np.testing.assert_array_equal(neighbors, expected)


@METRICS
@SPOILERS
def test_impossible_rows_of_the_graph_of_candidates_are_searched_again(
    metric, spoiler, monkeypatch
):
    install_index(monkeypatch, spoil(right_graph, spoiler))
    is_candidate = np.arange(200) % 4 > 0
    assert_search_is_that_among_candidates(
        random_features(), is_candidate, 40, metric, algorithm="pynndescent"
    )


# Approximate search: pynndescent itself. Its compilation takes half a minute per process.


@pytest.fixture(scope="module")
def clusters():
    features, _ = make_blobs(1500, n_features=16, centers=30, cluster_std=1.5, random_state=0)
    features.flags.writeable = False
    return features


@METRICS
def test_pynndescent_finds_most_neighbors_of_write_protected_clusters(metric, clusters):
    state = np.random.get_state()[1].copy()
    neighbors = find_neighbors(clusters, 10, metric=metric, algorithm="pynndescent")
    assert neighbors.shape == (1500, 10)
    assert neighbors.dtype == np.int64
    assert not has_self(neighbors)
    assert not has_repeats(neighbors)
    truth = find_neighbors(clusters, 10, metric=metric, algorithm="exact")
    assert recall(neighbors, truth) > 0.9
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_pynndescent_repeats_itself_for_a_seed(clusters):
    first, same = (
        find_neighbors(clusters, 10, algorithm="pynndescent", random_state=5) for _ in range(2)
    )
    np.testing.assert_array_equal(first, same)


@METRICS
@pytest.mark.parametrize("n_samples", [2, 3, 5, 12, 31, 40])
def test_pynndescent_is_repaired_for_few_rows_many_of_them_zero(metric, n_samples):
    features = random_features(n_samples)
    features[: n_samples // 2] = 0
    assert_repaired(features, metric, n_neighbors=n_samples)


def test_pynndescent_really_breaks_where_it_is_repaired():
    # Or else the tests of the repair above would prove nothing about the real package.
    from pynndescent import NNDescent

    features = random_features(60, 3)
    features[::6] = 0
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    points = (features / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    index = NNDescent(points, metric="euclidean", n_neighbors=30, random_state=0, n_jobs=1)
    found = index.neighbor_graph[0][:, 1:26]
    expected = brute_force(features, 25, "cosine")
    error = distances_to(features, found, "cosine") - distances_to(features, expected, "cosine")
    assert np.abs(error).max() > 0.1
    assert_repaired(features, "cosine", n_neighbors=25)


@METRICS
def test_pynndescent_finds_most_neighbors_among_candidates(metric, clusters):
    is_candidate = np.random.default_rng(0).random(1500) < 0.7
    candidates = np.flatnonzero(is_candidate)
    options = dict(metric=metric, is_candidate=is_candidate)
    neighbors = find_neighbors(clusters, 10, algorithm="pynndescent", **options)
    truth = find_neighbors(clusters, 10, algorithm="exact", **options)
    assert neighbors.shape == (1500, 10)
    assert neighbors.dtype == np.int64
    assert is_candidate[neighbors].all()
    assert not has_self(neighbors)
    assert not has_repeats(neighbors)
    assert recall(neighbors[candidates], truth[candidates]) > 0.9
    np.testing.assert_array_equal(neighbors[~is_candidate], truth[~is_candidate])


@METRICS
@pytest.mark.parametrize("n_candidates", [2, 3, 5, 12, 31, 40])
def test_pynndescent_is_repaired_for_few_candidates_many_of_them_zero(metric, n_candidates):
    features = random_features(60)
    features[:10] = 0
    is_candidate = np.zeros(60, dtype=bool)
    is_candidate[np.random.default_rng(n_candidates).permutation(60)[:n_candidates]] = True
    assert_search_is_that_among_candidates(
        features, is_candidate, n_candidates, metric, algorithm="pynndescent"
    )


@METRICS
def test_pynndescent_leaves_out_the_row_itself_among_duplicates(metric):
    features = np.repeat(random_features(5), 40, axis=0)
    neighbors = find_neighbors(features, 10, metric=metric, algorithm="pynndescent")
    assert not has_self(neighbors)
    assert not has_repeats(neighbors)
    assert (neighbors // 40 == np.arange(200)[:, None] // 40).mean() > 0.9


def test_missing_pynndescent_is_named_in_the_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.raises(ImportError, match="pynndescent"):
        find_neighbors(random_features(), 10, algorithm="pynndescent")
    assert find_neighbors(random_features(), 10, algorithm="exact").shape == (200, 10)


@pytest.mark.parametrize("algorithm", ["exact", "pynndescent"])
def test_rows_of_a_group_are_not_neighbors(algorithm):
    features = random_features()
    groups = np.arange(len(features)) // 7
    found = find_neighbors(features, 10, groups=groups, algorithm=algorithm)
    assert not (groups[found] == groups[:, None]).any()
    everyone = find_neighbors(features, len(features) - 1)
    for row, neighbors in enumerate(everyone):
        others = neighbors[groups[neighbors] != groups[row]]
        np.testing.assert_array_equal(found[row], others[:10])


def test_a_group_of_all_candidates_is_refused():
    with pytest.raises(ValueError, match="groups must leave each row a candidate"):
        find_neighbors(random_features(), 3, groups=np.zeros(200, dtype=int))

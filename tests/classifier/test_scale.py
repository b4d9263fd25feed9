"""Many rows: judges learn from a part of them, and all others are new to these."""

import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsTransformer

from skdiffusion_label import LabelCleaner, LRADiffusionClassifier, LRADiffusionImageClassifier
from skdiffusion_label.classifier import _core, _prediction, _progress, _scaler, _streams, _tables
from skdiffusion_label.classifier._core import core_rows, draw_core
from skdiffusion_label.classifier._validation import check_rows

N_ROWS, N_CORE = 1_500, 400


def let_be_many(patch):
    """Let fifteen hundred rows be many."""
    patch.setattr(_core, "MANY_ROWS", 1_000)
    patch.setattr(_core, "_ROWS_OF_CORE", N_CORE)
    patch.setattr(_core, "_MIN_ROWS_OF_STRATUM", 30)
    patch.setattr(_streams, "_READ_AT_ONCE", 1_024)
    patch.setattr(_streams, "_SIDE_BY_SIDE", 16)
    for module in (_streams, _prediction):
        patch.setattr(module, "ROWS_AT_ONCE", 512)


@pytest.fixture
def many(monkeypatch):
    let_be_many(monkeypatch)


@pytest.fixture(scope="module")
def learned(fast, data):
    """What is learned of many rows, to be looked at and never changed."""
    X, given, _ = data
    with pytest.MonkeyPatch.context() as patch:
        let_be_many(patch)
        return LRADiffusionClassifier(**fast).fit(X, given)


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(N_ROWS, n_features=5, centers=3, cluster_std=1.5, random_state=0)
    rng = np.random.default_rng(0)
    given = np.where(rng.random(N_ROWS) < 0.3, rng.integers(3, size=N_ROWS), y)
    return X.astype(np.float32), given, y


def told(y, **others):
    return check_rows(
        LRADiffusionClassifier(), y, y, others.pop("sample_weight", None), None, None, **others
    )


def test_a_core_holds_each_class_by_its_frequency_and_rare_ones_whole(many):
    y = np.repeat([0, 1, 2], [1_200, 480, 20])
    rows = told(y)
    drawn = draw_core(rows, np.random.RandomState(0))
    assert_array_equal(np.bincount(y[drawn]), [283, 113, 20])
    core = core_rows(rows, drawn)
    # All classes weigh as much as they do among all rows, rare ones vote as loud as others.
    assert_allclose(
        np.bincount(core.y_codes, core.weight) / core.weight.sum(),
        [12 / 17, 4.8 / 17, 0.2 / 17],
        rtol=1e-5,
    )
    assert_allclose(core.vote_weight, 1, rtol=1e-6)


def test_a_core_of_few_rows_is_all_of_them():
    assert draw_core(told(np.arange(1_500) % 3), np.random.RandomState(0)) is None


@pytest.mark.parametrize(("n_classes", "size"), [(800, None), (900, 50_100), (2_000, 50_000)])
def test_with_many_classes_fewer_rows_are_many(n_classes, size):
    drawn = draw_core(told(np.arange(60_000) % n_classes), np.random.RandomState(0))
    assert (None if drawn is None else len(drawn)) == size


def test_a_core_holds_groups_as_a_whole_and_labeled_rows_alone(many):
    rng = np.random.default_rng(0)
    y, groups = rng.integers(3, size=N_ROWS), rng.integers(150, size=N_ROWS)
    is_missing = rng.random(N_ROWS) < 0.1
    rows = told(y, groups=groups, is_missing=is_missing)
    drawn = draw_core(rows, np.random.RandomState(0))
    assert not is_missing[drawn].any()
    others = np.setdiff1d(np.flatnonzero(~is_missing), drawn)
    assert len(drawn) < N_ROWS / 2
    assert not np.isin(groups[others], groups[drawn]).any()


def test_rows_outside_the_core_are_judged_as_well_as_those_in_it(learned, data, many):
    X, _, y = data
    clf = learned
    right = clf.label_distributions_.argmax(axis=1) == y
    is_candidate = np.bincount(clf.neighbors_.ravel(), minlength=N_ROWS) > 0
    assert is_candidate.sum() <= N_CORE + 3
    assert right[is_candidate].mean() > 0.95
    assert right[~is_candidate].mean() > 0.95
    assert not (clf.neighbors_ == np.arange(N_ROWS)[:, None]).any()
    assert clf.neighbors_.dtype == np.int32
    assert_allclose(clf.out_of_sample_proba_.sum(axis=1), 1, rtol=1e-5)
    assert clf.label_distributions_.dtype == clf.out_of_sample_proba_.dtype == np.float32
    assert clf.score(X, y) > 0.95


def test_what_is_said_of_a_row_does_not_depend_on_the_block_it_is_in(
    learned, data, many, monkeypatch
):
    X, given, _ = data
    monkeypatch.setattr(_streams, "ROWS_AT_ONCE", 1_024)
    clf = clone(learned).fit(X, given)
    assert_array_equal(clf.neighbors_, learned.neighbors_)
    assert_allclose(clf.label_distributions_, learned.label_distributions_, atol=1e-6)


@pytest.mark.parametrize(("dtype", "n_rows"), [(np.float16, N_ROWS), (np.uint8, 600)])
def test_small_numbers_of_a_file_are_read_as_they_are(dtype, n_rows, fast, data, many, tmp_path):
    X, given, _ = data
    X = (8 * (X - X.min())).astype(dtype)[:n_rows]
    file = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", dtype, X.shape)
    file[:] = X
    clf = LRADiffusionClassifier(**fast).fit(file, given[:n_rows])
    expected = LRADiffusionClassifier(**fast).fit(X.astype(np.float32), given[:n_rows])
    assert_array_equal(clf.label_distributions_, expected.label_distributions_)
    assert_array_equal(clf.predict_proba(file), expected.predict_proba(X.astype(np.float32)))


def resident(path):
    """Return how many kilobytes of a mapped file are in this process's memory."""
    maps = Path("/proc/self/smaps").read_text().split(str(path))[1:]
    return sum(int(re.search(r"Rss: +(\d+) kB", one)[1]) for one in maps)


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process")
def test_a_file_that_is_read_does_not_stay_in_memory(fast, data, many, tmp_path):
    X, given, _ = data
    np.save(tmp_path / "X.npy", X)
    file = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(file, X)
    assert resident(tmp_path / "X.npy") >= X.nbytes // 1024
    clf = LRADiffusionClassifier(**fast).set_params(max_iter=1).fit(file, given)
    assert resident(tmp_path / "X.npy") == 0
    clf.predict_proba(file)
    assert resident(tmp_path / "X.npy") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process")
def test_a_file_is_never_in_memory_as_a_whole(fast, monkeypatch, tmp_path):
    let_be_many(monkeypatch)
    rng = np.random.default_rng(0)
    y = np.arange(20_000) % 2
    path = tmp_path / "X.npy"
    np.save(path, (rng.standard_normal((20_000, 256)) + y[:, None]).astype(np.float32))
    seen, release = [], _streams.release_pages

    def watched(features):
        seen.append(resident(path))
        release(features)

    monkeypatch.setattr(_streams, "release_pages", watched)
    file = np.load(path, mmap_mode="r")
    LRADiffusionClassifier(**fast).set_params(max_iter=1).fit(file, y)
    # First all rows are checked; of a file as small as this, shuffled rows are on most pages.
    n_blocks = -(-len(file) // _streams.ROWS_AT_ONCE)
    assert len(seen) > 3 * n_blocks
    assert max(seen[0], np.median(seen[:n_blocks])) < file.nbytes / 1024 / 4


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_what_has_been_written_to_a_mapped_file_stays(mode, tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((600, 5)))
    file = np.load(tmp_path / "X.npy", mmap_mode=mode)
    file[:] = 1
    for rows in (file, file[::2], np.asarray(file)):
        _streams.release_pages(rows)
        assert (rows == 1).all()


def test_half_precision_is_checked_to_be_finite(fast, data):
    X, given, _ = data
    X = X.astype(np.float16)
    X[7, 1] = np.inf
    with pytest.raises(ValueError, match="X contains infinity"):
        LRADiffusionClassifier(**fast).fit(X, given)


def test_features_are_not_copied(fast, many, monkeypatch):
    monkeypatch.setattr(_scaler, "_MAX_ROWS", N_CORE)
    rng = np.random.default_rng(0)
    y = np.arange(8_000) % 2
    X = rng.standard_normal((8_000, 256)).astype(np.float16) + y[:, None].astype(np.float16)
    clf = LRADiffusionClassifier(**fast).set_params(max_iter=1)
    clf.fit(X[:1_500], y[:1_500])  # what is imported then counts no more
    peaks = []
    for n_rows in (2_000, 8_000):
        tracemalloc.start()
        try:
            clf.fit(X[:n_rows], y[:n_rows])
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    # A copy would take all of it, one in single precision twice as much.
    assert peaks[1] - peaks[0] < 0.5 * X[2_000:].nbytes


@pytest.mark.parametrize(
    "options",
    [
        {"label_aggregation": "vote"},
        {"prediction_type": "sample"},
        {"prior": GaussianNB()},
        {"n_iter_no_change": 3},
        {"retrieval_space": "auto", "metric": "cosine", "n_neighbors": "auto"},
    ],
    ids=str,
)
def test_every_way_to_learn_takes_many_rows(options, fast, data, many):
    X, given, y = data
    clf = LRADiffusionClassifier(**{**fast, **options}).fit(X, given)
    right = (clf.label_distributions_.argmax(axis=1) == y).mean()
    assert right > 0.85 and clf.score(X, y) > 0.9


def test_verified_and_missing_labels_and_groups_of_many_rows(fast, data, many):
    X, given, y = data
    labels = given.astype(object)
    labels[::10] = None
    verified = np.arange(N_ROWS) % 10 == 1
    labels[verified] = y[verified]
    clf = LRADiffusionClassifier(**fast)
    clf.fit(X, labels, verified=verified, given=given, groups=np.arange(N_ROWS) // 3)
    assert_array_equal(clf.label_distributions_[verified], np.eye(3)[y[verified]])
    same_group = clf.neighbors_ // 3 == np.arange(N_ROWS)[:, None] // 3
    assert not same_group.any()
    assert (clf.label_distributions_[::10].argmax(axis=1) == y[::10]).mean() > 0.9


def test_an_encoder_of_its_own_is_trained_on_many_rows(fast, data, many):
    from torch import nn

    X, given, y = data
    params = {**fast, "max_iter": 5}
    clf = LRADiffusionImageClassifier(encoder=nn.Linear(5, 32), **params).fit(X, given)
    assert clf.score(X, y) > 0.9


def test_very_many_rows_are_seen_less_often():
    from skdiffusion_label.classifier._training import training_settings

    clf = LRADiffusionClassifier()
    n_epochs = [training_settings(clf, n).n_epochs for n in (90_000, 100_000, 150_000, 10**6)]
    assert n_epochs == [3, 3, 2, 1]


def test_probabilities_are_written_where_they_are_wanted(learned, data, many, tmp_path):
    X, clf = data[0], learned
    file = np.lib.format.open_memmap(tmp_path / "proba.npy", "w+", np.float32, (N_ROWS, 3))
    assert clf.predict_proba(X, out=file) is file
    assert_allclose(file, clf.predict_proba(X), atol=1e-7)
    assert_array_equal(clf.predict_proba(X[600:]), clf.predict_proba(X)[600:])
    assert_array_equal(clf.classes_[file.argmax(axis=1)], clf.predict(X))
    with pytest.raises(ValueError, match=r"out must have shape \(1500, 3\), got \(3, 3\)"):
        clf.predict_proba(X, out=np.zeros((3, 3)))


def test_progress_names_its_stages(fast, data, many, monkeypatch, capsys):
    X, given, _ = data
    monkeypatch.setattr(_progress, "_SECONDS_BETWEEN_LINES", 0.0)
    LRADiffusionClassifier(**fast, verbose=1).fit(X, given)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == [
        "Models, neighbors and their pool",
        "Networks of halves",
        "Other rows",
    ]
    assert re.fullmatch(r"Other rows: 34%, \d+ s left", lines[2])
    assert re.fullmatch(r"Other rows: \d+\.\d s", lines[5])


@pytest.mark.parametrize(("n_rows", "metric"), [(700, "cosine"), (N_ROWS, "euclidean")])
def test_an_index_of_the_user_s_finds_what_exact_search_finds(n_rows, metric, fast, data, many):
    X, given, y = data
    # In the supervised space an index places rows once, not anew for each pair of folds.
    params = {**fast, "metric": metric, "n_neighbors": "auto"}
    exact = LRADiffusionClassifier(**params).fit(X[:n_rows], given[:n_rows])
    index = KNeighborsTransformer(mode="distance", algorithm="kd_tree")
    params["neighbors_algorithm"] = index
    clf = LRADiffusionClassifier(**params).fit(X[:n_rows], given[:n_rows])
    assert index.n_neighbors == 5 and not hasattr(index, "n_features_in_")
    same = np.mean(
        [len(set(a) & set(b)) for a, b in zip(clf.neighbors_, exact.neighbors_, strict=True)]
    )
    assert same > 0.99 * clf.n_neighbors_
    assert_allclose(clf.predict_proba(X), exact.predict_proba(X), atol=0.02)
    assert not (clf.neighbors_ == np.arange(n_rows)[:, None]).any()


def test_an_index_that_finds_too_few_is_told_of(fast, data):
    class Lazy(KNeighborsTransformer):
        def transform(self, X):
            return super().transform(X)[:, :3].tocsr()

    X, given, _ = data
    with pytest.raises(ValueError, match="neighbors_algorithm must find 11 neighbors of each row"):
        LRADiffusionClassifier(**fast, neighbors_algorithm=Lazy()).fit(X, given)


@pytest.mark.parametrize(
    "options", [{}, {"label_aggregation": "vote"}, {"prediction_type": "sample"}]
)
def test_tables_of_many_rows_and_classes_keep_the_classes_that_matter(
    options, fast, data, many, monkeypatch
):
    X, given, y = data
    params = {**fast, "retrieval_space": "auto", **options}
    dense = LRADiffusionClassifier(**params).fit(X, given)
    monkeypatch.setattr(_tables, "_MANY_CLASSES", 2)
    monkeypatch.setattr(_tables, "_CLASSES_THAT_MATTER", 2)
    clf = LRADiffusionClassifier(**params).fit(X, given)
    for name in ("label_distributions_", "out_of_sample_proba_"):
        table, expected = getattr(clf, name), getattr(dense, name)
        assert table.dtype == np.float32 and table.nnz == 2 * N_ROWS and table.has_canonical_format
        kept = expected * (table.toarray() > 0)
        assert_allclose(kept.sum(axis=1), 1 - expected.min(axis=1), atol=1e-5)
        assert_allclose(table.toarray(), kept / kept.sum(axis=1, keepdims=True), atol=1e-5)
    assert clf.score(X, y) > 0.9


def test_wrong_labels_are_found_in_sparse_tables(fast, data, many, monkeypatch):
    monkeypatch.setattr(_tables, "_MANY_CLASSES", 2)
    monkeypatch.setattr(_tables, "_CLASSES_THAT_MATTER", 2)
    X, given, y = data
    cleaner = LabelCleaner(LRADiffusionClassifier(**fast)).fit(X, given)
    assert (cleaner.clean_labels_ == y).mean() > 0.95

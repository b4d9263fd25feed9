"""Dask's collections: the local fit, mapped over partitions."""

import os
import signal
import threading
from concurrent.futures import CancelledError

import dask
import dask.array as da
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA

import skdiffusion_label
from skdiffusion_label.classifier import _core
from skdiffusion_label.dask import LabelCleaner, LRADiffusionClassifier
from skdiffusion_label.embedding import TorchEmbedder

N_ROWS = 1_500
TABLES = "label_distributions_", "out_of_sample_proba_", "transition_matrix_"


@pytest.fixture(scope="module", autouse=True)
def _fast_forests(few_trees):
    """Grow few trees."""


@pytest.fixture(scope="module", autouse=True)
def many():
    """Let fifteen hundred rows be many, of which four hundred teach the judges."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_core, "MANY_ROWS", 1_000)
        patch.setattr(_core, "_ROWS_OF_CORE", 400)
        patch.setattr(_core, "_MIN_ROWS_OF_STRATUM", 30)
        yield


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(N_ROWS, n_features=5, centers=3, cluster_std=1.5, random_state=0)
    rng = np.random.default_rng(0)
    given = np.where(rng.random(N_ROWS) < 0.3, rng.integers(3, size=N_ROWS), y)
    return X.astype(np.float32), given, y


@pytest.fixture(scope="module")
def local(fast, data, many):
    """What is fitted to rows at hand."""
    X, given, _ = data
    return skdiffusion_label.LRADiffusionClassifier(**fast).fit(X, given)


def as_array(X):
    return da.from_array(X, chunks=((100, 700, 1, 699), (2, 3)))


def as_frame(X):
    frame = pd.DataFrame(X, columns=list("abcde")).assign(kept=True)
    frame = pd.concat([frame, frame[:300].assign(kept=False)])
    frame = dd.from_pandas(frame.reset_index(drop=True), npartitions=6)
    return frame[frame["kept"]][list("abcde")]  # the last partition is empty


@pytest.mark.parametrize("collection", [as_array, as_frame])
def test_tables_are_those_of_the_local_fit(collection, local, fast, data):
    X, given, y = data
    clf = LRADiffusionClassifier(**fast).fit(collection(X), da.from_array(given, chunks=333))
    assert_array_equal(clf.neighbors_, local.neighbors_)
    for name in TABLES:
        assert_allclose(getattr(clf, name), getattr(local, name), atol=1e-6, err_msg=name)
    assert clf.n_features_in_ == 5
    assert_allclose(clf.predict_proba(X), local.predict_proba(X), atol=0.1)  # in another order
    assert clf.score(X, y) > 0.95


def test_few_rows_are_learned_from_as_they_are_at_hand(fast, data):
    X, given, _ = (part[:600] for part in data)
    local = skdiffusion_label.LRADiffusionClassifier(**fast).fit(X, given)
    clf = LRADiffusionClassifier(**fast).fit(da.from_array(X, chunks=(100, 5)), given)
    assert_array_equal(clf.predict_proba(X), local.predict_proba(X))


def test_prediction_is_lazy_and_that_of_rows_at_hand(quick, data):
    X, given, _ = data
    clf = LRADiffusionClassifier(**quick).fit(as_array(X), np.array(["a", "b", "c"])[given])
    for method in ("predict", "predict_proba", "predict_log_proba"):
        expected = getattr(clf, method)(X)
        for collection in (as_array, as_frame):
            lazy = getattr(clf, method)(collection(X))
            assert dask.is_dask_collection(lazy)
            found = lazy.compute()
            assert_array_equal(found, expected)
            assert found.dtype == expected.dtype


def test_weights_groups_and_verified_labels_may_be_collections(fast, data):
    X, given, y = data
    verified = np.arange(N_ROWS) % 5 == 0
    y_verified = np.where(verified, y, given)
    known = {"sample_weight": np.linspace(1, 2, N_ROWS), "verified": verified}
    known |= {"given": given, "groups": np.arange(N_ROWS) // 2}
    local = skdiffusion_label.LRADiffusionClassifier(**fast).fit(X, y_verified, **known)
    lazy = {name: da.from_array(values, chunks=400) for name, values in known.items()}
    clf = LRADiffusionClassifier(**fast).fit(as_array(X), y_verified, **lazy)
    for name in TABLES:
        assert_allclose(getattr(clf, name), getattr(local, name), atol=1e-6, err_msg=name)


def test_bad_input_is_told_of(fast, data):
    X, given, _ = data
    clf = LRADiffusionClassifier(**fast)
    with pytest.raises(ValueError, match="X contains NaN"):
        clf.fit(as_array(np.where(X == X[900, 2], np.nan, X)), given)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(as_array(X), given[:-1])
    with pytest.raises(ValueError, match="X must be a Dask array or data frame of rows"):
        clf.fit(da.from_array(X[:, 0], chunks=100), given)
    with pytest.raises(ValueError, match="X must hold numbers, got dtype"):
        clf.fit(da.from_array(X.astype(str), chunks=(500, 5)), given)
    with pytest.raises(ValueError, match="feature_extractor must be None"):
        LRADiffusionClassifier(PCA(), **fast).fit(as_array(X), given)
    assert not hasattr(clf, "classes_")


def test_a_lost_scheduler_is_told_of(fast, data, monkeypatch):
    X, given, _ = data
    clf, rows = LRADiffusionClassifier(**fast), as_array(X)

    def lost(*tasks):
        raise CancelledError("scheduler is gone")

    monkeypatch.setattr(dask, "compute", lost)
    with pytest.raises(RuntimeError, match="scheduler was lost.*scheduler is gone"):
        clf.fit(rows, given)


def test_cleaner_finds_what_the_local_one_finds(fast, data):
    X, given, y = data
    estimator = LRADiffusionClassifier(**fast)
    at_hand = skdiffusion_label.LabelCleaner(skdiffusion_label.LRADiffusionClassifier(**fast))
    at_hand.fit(X, given)
    cleaner = LabelCleaner(estimator).fit(as_array(X), da.from_array(given, chunks=300))
    pd.testing.assert_frame_equal(cleaner.label_issues_, at_hand.label_issues_, atol=1e-5)
    assert cleaner.fingerprint_ == at_hand.fingerprint_
    assert (cleaner.clean_labels_ == y).mean() > 0.95


def as_tensor(image):
    return torch.from_numpy(np.asarray(image, dtype=np.float32))


def embedded(table, embedder):
    """Return the features of images by their paths, and their labels, without unreadable ones."""
    features = pd.DataFrame(embedder.transform(table["path"]), table.index).add_prefix("f")
    return features.assign(label=table["label"])[features.notna().all(axis=1)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pandas about Dask
@pytest.mark.filterwarnings("ignore:1 of 10 images cannot be read:UserWarning")
def test_images_are_embedded_where_their_paths_are(fast, tmp_path):
    labels, paths = np.array(["dark", "light"])[np.arange(40) % 2], []
    for row, label in enumerate(labels):
        level = row + 200 * (label == "light")
        Image.new("RGB", (4, 4), (level, level, 20)).save(tmp_path / f"{row}.png")
        paths.append(str(tmp_path / f"{row}.png"))
    (tmp_path / "7.png").write_bytes(b"damaged")
    table = dd.from_pandas(pd.DataFrame({"path": paths, "label": labels}), npartitions=4)
    embedder = TorchEmbedder(torch.nn.Flatten(), as_tensor, handle_unreadable="nan").fit(paths)
    rows = table.map_partitions(embedded, embedder, meta=embedded(table.head(2), embedder))
    rows.to_parquet(tmp_path / "features")
    rows = dd.read_parquet(tmp_path / "features")
    features, labels = rows.drop(columns="label"), rows["label"]
    assert len(features) == 39
    clf = LRADiffusionClassifier(**fast).fit(features, labels)
    assert_array_equal(clf.predict(features).compute(), labels.compute())


@pytest.fixture(scope="module")
def cluster():
    """Two processes."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pandas about Dask
def test_a_killed_worker_is_replaced_and_the_result_is_the_same(
    cluster, local, fast, data, tmp_path
):
    X, given, _ = data
    frame = pd.DataFrame(X, columns=list("abcde"))
    dd.from_pandas(frame, npartitions=6).to_parquet(tmp_path / "rows")
    rows = dd.read_parquet(tmp_path / "rows")
    killed = []

    def kill():
        workers = cluster.run(os.getpid)
        while not stopped.wait(0.3) and not killed:
            pid = next(iter(workers.values()))
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    stopped = threading.Event()
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        clf = LRADiffusionClassifier(**fast).fit(rows, given)
        proba = clf.predict_proba(rows).compute()
    finally:
        stopped.set()
        thread.join()
    assert killed
    for name in TABLES:
        assert_allclose(getattr(clf, name), getattr(local, name), atol=1e-6, err_msg=name)
    assert_allclose(proba, clf.predict_proba(X), atol=1e-6)

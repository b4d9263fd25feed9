import copy
import pickle
import pickletools
import subprocess
import sys

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB

from skdiffusion_label import LRADiffusionClassifier

CONFIGURATIONS = [
    {"prediction_type": "sample", "n_sampling_steps": 3},
    {"n_iter_no_change": 30, "encoder": "mlp"},
    {"prior": None, "label_aggregation": "vote"},
    {"feature_extractor": PCA(3, random_state=0), "prior": GaussianNB()},
]


@pytest.fixture(
    scope="module",
    params=CONFIGURATIONS,
    ids=["several steps", "early_stopping", "no prior", "nested"],
)
def persistent(request, fast, blobs):
    X, _, y = blobs
    return LRADiffusionClassifier(**fast, **request.param).fit(X, y)


def assert_same_predictions(clf, other, X, y):
    assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(other.sample_labels(X, 2), clf.sample_labels(X, 2))
    assert_array_equal(other.purify_proba(X, y), clf.purify_proba(X, y))


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_pickle_keeps_predictions(protocol, persistent, blobs):
    X, _, y = blobs
    loaded = pickle.loads(pickle.dumps(persistent, protocol))
    assert_same_predictions(persistent, loaded, X, y)


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_joblib_keeps_predictions(mmap_mode, persistent, blobs, tmp_path):
    X, _, y = blobs
    joblib.dump(persistent, tmp_path / "clf.joblib")
    loaded = joblib.load(tmp_path / "clf.joblib", mmap_mode=mmap_mode)
    assert_same_predictions(persistent, loaded, X, y)


def test_a_memory_mapped_classifier_can_be_fitted_further(persistent, blobs, tmp_path):
    X, _, y = blobs
    joblib.dump(persistent, tmp_path / "clf.joblib")
    loaded = joblib.load(tmp_path / "clf.joblib", mmap_mode="r").set_params(warm_start=True)
    n_iter = loaded.n_iter_
    loaded.set_params(max_iter=2).fit(X, y)
    assert loaded.n_iter_ == n_iter + 2


def test_a_deep_copy_predicts_the_same_and_is_its_own(persistent, blobs):
    X, _, y = blobs
    copied = copy.deepcopy(persistent)
    assert_same_predictions(persistent, copied, X, y)
    expected = persistent.predict_proba(X)
    for weight in copied.weights_.values():
        weight[...] = 0
    assert_array_equal(persistent.predict_proba(X), expected)


def test_a_clone_has_the_parameters_and_no_fit(persistent, blobs):
    X, _, y = blobs
    cloned = clone(persistent)
    assert repr(cloned) == repr(persistent)
    with pytest.raises(NotFittedError):
        cloned.predict(X)
    assert_array_equal(cloned.fit(X, y).predict_proba(X), persistent.predict_proba(X))


def _objects(value):
    yield value
    if isinstance(value, dict):
        for item in value.items():
            yield from _objects(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _objects(item)
    elif isinstance(value, BaseEstimator):
        yield from _objects(vars(value))


def test_the_fitted_state_holds_nothing_of_torch(persistent):
    modules = {type(value).__module__.split(".")[0] for value in _objects(persistent)}
    assert "numpy" in modules
    assert "torch" not in modules


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_the_pickle_mentions_no_torch(protocol, persistent):
    operations = pickletools.genops(pickle.dumps(persistent, protocol))
    words = [argument for _, argument, _ in operations if isinstance(argument, str)]
    assert any(word.startswith("skdiffusion_label") for word in words)
    assert [word for word in words if word.startswith("torch")] == []


def test_another_process_predicts_the_same(fitted, blobs, tmp_path):
    X, _, _ = blobs
    (tmp_path / "clf.pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "X.npy", X)
    script = (
        "import pickle, sys; import numpy as np; from pathlib import Path; d = Path(sys.argv[1]);"
        "clf = pickle.loads((d / 'clf.pickle').read_bytes());"
        "np.save(d / 'proba.npy', clf.predict_proba(np.load(d / 'X.npy')))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script, tmp_path], check=True)
    assert_array_equal(np.load(tmp_path / "proba.npy"), fitted.predict_proba(X))

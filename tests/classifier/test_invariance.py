"""What a prediction may not depend on, and what fit and predict may not touch."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from skdiffusion_label import LRADiffusionClassifier

CONFIGURATIONS = [
    {"encoder": "mlp", "n_sampling_steps": 4},
    {"prediction_type": "sample", "n_sampling_steps": 4},
    {"prior": LogisticRegression()},
    {"prior": LogisticRegression(), "prediction_type": "epsilon", "n_sampling_steps": 3},
]


@pytest.fixture(scope="module", params=CONFIGURATIONS, ids=lambda c: "-".join(map(str, c.values())))
def configured(request, fast, blobs):
    X, _, y = blobs
    return LRADiffusionClassifier(**fast, **request.param).fit(X, y)


def test_a_row_alone_gets_the_same_bits_as_among_others(fitted):
    X = np.random.default_rng(1).normal(scale=5, size=(1100, 4))
    proba = fitted.predict_proba(X)
    order = np.random.default_rng(2).permutation(len(X))
    assert_array_equal(fitted.predict_proba(X[order]), proba[order])
    for row in (*range(10), 511, 512, 1099):
        assert_array_equal(fitted.predict_proba(X[row : row + 1]), proba[row : row + 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_does_not_depend_on_its_batch(dtype, configured):
    # More rows than are denoised at once.
    X = np.random.default_rng(1).normal(scale=5, size=(600, 4)).astype(dtype)
    proba, labels = configured.predict_proba(X), configured.predict(X)
    order = np.random.default_rng(2).permutation(len(X))
    assert_allclose(configured.predict_proba(X[order]), proba[order], rtol=0, atol=1e-7)
    assert_array_equal(configured.predict(X[order]), labels[order])
    assert_allclose(configured.predict_proba(X[:37]), proba[:37], rtol=0, atol=1e-7)
    for row in range(5):
        alone = configured.predict_proba(X[row : row + 1])
        assert_allclose(alone, proba[row : row + 1], rtol=0, atol=1e-7)
        assert configured.predict(X[row : row + 1]) == labels[row]


def test_a_row_fitted_in_float32_does_not_depend_on_its_batch(configured, blobs):
    X, _, y = blobs
    X = X.astype(np.float32)
    clf = clone(configured).fit(X, y)
    proba = clf.predict_proba(X)
    for row in range(20):
        assert_allclose(clf.predict_proba(X[row : row + 1]), proba[row : row + 1], atol=1e-7)


def test_a_purified_row_does_not_depend_on_its_batch(configured, blobs):
    X, _, y = blobs
    proba = configured.purify_proba(X, y)
    assert_allclose(configured.purify_proba(X[::-1], y[::-1]), proba[::-1], rtol=0, atol=1e-7)
    for row in range(10):
        alone = configured.purify_proba(X[row : row + 1], y[row : row + 1])
        assert_allclose(alone, proba[row : row + 1], rtol=0, atol=1e-7)


def test_rows_in_float32_get_nearly_the_same_probabilities(fitted, blobs):
    X, _, _ = blobs
    in_float32 = fitted.predict_proba(X.astype(np.float32))
    assert_allclose(in_float32, fitted.predict_proba(X), atol=1e-4)


def test_training_rows_in_float32_are_judged_nearly_the_same(fast, blobs):
    X, _, y = blobs
    X = X.astype(np.float32)  # so that both hold the same numbers
    single, double = (
        LRADiffusionClassifier(**fast).fit(rows, y) for rows in (X, X.astype(np.float64))
    )
    assert_allclose(single.label_distributions_, double.label_distributions_, atol=0.02)
    assert_allclose(single.predict_proba(X), double.predict_proba(X), atol=0.02)


def test_prediction_repeats_itself(configured, blobs):
    X, _, _ = blobs
    assert_array_equal(configured.predict_proba(X), configured.predict_proba(X))


def test_the_same_random_state_gives_the_same_bits(configured, blobs):
    X, _, y = blobs
    again = clone(configured).fit(X, y)
    assert again.loss_curve_ == configured.loss_curve_
    assert_array_equal(again.label_distributions_, configured.label_distributions_)
    for name, weight in configured.weights_.items():
        assert_array_equal(again.weights_[name], weight, err_msg=name)
    assert_array_equal(again.predict_proba(X), configured.predict_proba(X))


def test_a_random_state_instance_is_used_and_moves_on(fast, fitted, blobs):
    X, _, y = blobs
    from_int = fitted.predict_proba(X)
    clf = LRADiffusionClassifier(**{**fast, "random_state": np.random.RandomState(0)})
    assert_array_equal(clf.fit(X, y).predict_proba(X), from_int)
    assert not np.array_equal(clf.fit(X, y).predict_proba(X), from_int)


def test_another_random_state_gives_another_fit(fitted, blobs):
    X, _, y = blobs
    other = clone(fitted).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), fitted.predict_proba(X))
    assert not np.array_equal(other.out_of_sample_proba_, fitted.out_of_sample_proba_)
    assert_array_equal(other.neighbors_, fitted.neighbors_)


def _threads():
    pools = sorted((pool["filepath"], pool["num_threads"]) for pool in threadpool_info())
    return torch.get_num_threads(), pools


def test_fit_and_predict_leave_global_state_and_arguments_alone(configured, blobs):
    X, y, weight = np.array(blobs[0]), np.array(blobs[2]), np.linspace(0, 2, len(blobs[0]))
    copies = X.copy(), y.copy(), weight.copy()
    clf = clone(configured)
    parameters = clf.get_params()
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads, filters = _threads(), list(warnings.filters)
    clf.fit(X, y, weight)
    assert torch.equal(torch.get_rng_state(), torch_state), "fit drew from torch's generator"
    clf.predict(X)
    clf.sample_labels(X[:5], 2)
    clf.purify_labels(X, y)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert_array_equal(np.random.get_state()[1], numpy_state)
    assert _threads() == threads
    assert list(warnings.filters) == filters
    for argument, copied in zip((X, y, weight), copies, strict=True):
        assert_array_equal(argument, copied)
    after = clf.get_params()
    assert after.keys() == parameters.keys()
    assert all(after[name] is parameters[name] for name in parameters)


def test_threads_are_restored_after_an_error(fast, blobs):
    X, _, y = blobs
    threads = _threads()
    with pytest.raises(ValueError):
        LRADiffusionClassifier(**fast, n_jobs=1).fit(X, y[:-1])
    assert _threads() == threads


def test_the_number_of_threads_hardly_matters_and_is_restored(fast, blobs):
    X, y = blobs[0][:80], blobs[2][:80]
    threads = _threads()
    # Two threads wait for each other at every step where a machine is busy.
    fast = {**fast, "max_iter": 2}
    one = LRADiffusionClassifier(**fast, n_jobs=1).fit(X, y)
    two = LRADiffusionClassifier(**fast, n_jobs=2).fit(X, y)
    assert_allclose(two.predict_proba(X), one.predict_proba(X), atol=1e-4)
    assert _threads() == threads

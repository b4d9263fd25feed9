"""Features on one scale, of which outliers are no more than large."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.classifier._scaler import fit_scaler


def all_rows(features):
    return SimpleNamespace(trained=np.arange(len(features)))


def test_training_rows_have_mean_zero_and_variance_one():
    features = np.random.default_rng(0).lognormal(sigma=3, size=(500, 4)) * [1, 1e-9, 1e9, 1]
    scaled = fit_scaler(features, all_rows(features)).transform(features)
    assert scaled.dtype == np.float32
    assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert_allclose(scaled.std(axis=0), 1, atol=1e-5)


def test_normal_features_are_standardized_but_for_their_tails():
    features = np.random.default_rng(0).normal(5, 2, size=(5000, 3))
    scaled = fit_scaler(features, all_rows(features)).transform(features)
    near = np.abs(features - 5) < 2
    assert np.corrcoef(scaled[near], features[near])[0, 1] > 0.99
    assert np.abs(scaled).max() < 3.5


def test_one_outlier_leaves_the_others_where_they_are():
    features = np.random.default_rng(0).normal(size=(300, 1))
    spoiled = features.copy()
    spoiled[0] = 1e12
    before = fit_scaler(features, all_rows(features)).transform(features)
    after = fit_scaler(spoiled, all_rows(spoiled)).transform(spoiled)
    assert_allclose(after[1:], before[1:], atol=0.1)
    assert after[0] < 4


def test_order_is_kept():
    features = np.sort(np.random.default_rng(0).standard_cauchy(size=(200, 1)), axis=0)
    scaled = fit_scaler(features, all_rows(features)).transform(features)
    assert (np.diff(scaled[:, 0]) >= 0).all()


def test_columns_of_mostly_or_only_one_value_stay_finite():
    features = np.zeros((100, 3))
    features[:5, 0] = [1, 10, 100, 1000, 1e17]
    features[:, 1] = 7.0
    features[:, 2] = 3 + 1e-15 * np.arange(100)
    scaler = fit_scaler(features, all_rows(features))
    scaled = scaler.transform(np.vstack([features, np.full((1, 3), -1e18)]))
    assert np.isfinite(scaled).all()
    assert_array_equal(scaled[:100, 1], 0)
    assert scaled[4, 0] > scaled[10, 0]


def test_rows_that_are_not_trained_on_have_no_part():
    features = np.random.default_rng(0).normal(size=(100, 2))
    trained = SimpleNamespace(trained=np.arange(50))
    other = np.vstack([features[:50], features[50:] * 1000])
    assert_array_equal(
        fit_scaler(features, trained).transform(features[:50]),
        fit_scaler(other, trained).transform(features[:50]),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_of_measurement_do_not_matter(dtype):
    X, y = load_breast_cancer(return_X_y=True)
    clf = LRADiffusionClassifier(max_iter=2, retrieval_space="standardized", random_state=0)
    rows, new = slice(0, 150), slice(150, 200)
    proba = clf.fit(X[rows].astype(dtype), y[rows]).predict_proba(X[new].astype(dtype))
    other = (X * 2.0 ** np.arange(-15, 15)).astype(dtype)
    assert_allclose(clf.fit(other[rows], y[rows]).predict_proba(other[new]), proba, atol=1e-4)

"""Labels that are given, verified or missing."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdiffusion_label.noise_model import filled_labels, fit_pool, labels_of, with_verified

TRANSITION = np.array([[0.7, 0.3], [0.2, 0.8]])


def test_a_verified_label_is_as_likely_as_its_class_alone():
    verified = np.array([False, True, True])
    given = np.array([-1, -1, 0])
    labels = labels_of(np.array([0, 0, 1]), verified=verified, given=given)
    found = labels.likelihoods(slice(None), TRANSITION)
    assert_allclose(found, [[0.7, 0.2], [1, 0], [0, 0.2]], atol=1e-3)
    assert found.min() > 0
    assert_array_equal(labels.noisy_weight, [1, 0, 1])
    assert_array_equal(labels.given, [0, 0, 0])


def test_if_all_labels_are_verified_they_are_counted():
    labels = labels_of(np.array([0, 1]), verified=np.ones(2, dtype=bool))
    assert_array_equal(labels.noisy_weight, [1, 1])


def test_verified_rows_are_certain():
    proba = np.full((3, 2), 0.5)
    found = with_verified(proba, np.array([0, 1, 1]), np.array([True, False, True]))
    assert_array_equal(found, [[1, 0], [0.5, 0.5], [0, 1]])
    assert_array_equal(proba, 0.5)


@pytest.mark.parametrize("is_known", [True, False])
def test_noise_is_right_whichever_rows_are_verified(is_known):
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=2000)
    wrong = rng.random(2000) < 0.4
    y_given = np.where(wrong, (y + rng.integers(1, 4, size=2000)) % 4, y)
    sharpness = rng.uniform(0.3, 1, size=2000)
    of_given = 0.6 * np.eye(4)[y] + 0.4 / 3 * (1 - np.eye(4)[y])
    proba = sharpness[:, None] * of_given + (1 - sharpness[:, None]) / 4
    verified = np.zeros(2000, dtype=bool)
    verified[np.flatnonzero(wrong)[np.argsort(-sharpness[wrong])[:100]]] = True
    given = y_given if is_known else None
    mended = np.where(verified, y, y_given)
    pool = fit_pool(proba[None], mended, verified=verified, given=given)
    assert_allclose(pool.transition_matrix.diagonal().mean(), 0.6, atol=0.06)
    naive = fit_pool(proba[None], mended)
    assert naive.transition_matrix.diagonal().mean() > 0.66


@pytest.mark.parametrize("none", [None, np.nan, pd.NA])
def test_missing_labels_are_filled_with_others(none):
    labels, is_missing = filled_labels([none, "a", "b", none])
    assert_array_equal(is_missing, [True, False, False, True])
    assert labels.tolist() == ["a", "a", "b", "b"]
    labels, is_missing = filled_labels(np.array([1, none, 2], dtype=object))
    assert labels.tolist() == [1, 1, 2]
    assert labels.dtype.kind == "i"


def test_labels_of_which_none_is_missing_stay_what_they_are():
    for y in (["a", "b"], np.array([1, 2]), pd.Series([1.0, 2.0]), np.eye(2)):
        labels, is_missing = filled_labels(y)
        assert labels is y
        assert not is_missing.any()
    with pytest.raises(ValueError, match="y must hold labels, got none in 2 rows"):
        filled_labels([None, None])

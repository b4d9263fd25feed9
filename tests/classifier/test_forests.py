"""Forests whose leaves keep the classes that they have seen: what scikit-learn's own would say."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.classifier import _forests

N_CLASSES = 9


@pytest.fixture(scope="module")
def given():
    """Rows, labels of which one class is missing, and weights."""
    rng = np.random.default_rng(0)
    y_codes = rng.choice(np.delete(np.arange(N_CLASSES), 4), size=200)
    X = (rng.normal(size=(N_CLASSES, 5))[y_codes] + rng.normal(size=(200, 5))).astype(np.float32)
    return X, y_codes, rng.uniform(0.5, 2, size=200).astype(np.float32)


# All trees, three or one are grown at a time.
@pytest.mark.parametrize("n_classes", [N_CLASSES, 30_000, 150_000])
@pytest.mark.parametrize("leaf_size", [1, 10])
@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_trees_say_what_scikit_learn_s_do(kind, leaf_size, n_classes, given):
    X = given[0][:20]
    options = {"min_samples_leaf": leaf_size, "bootstrap": True, "max_samples": 80}
    grown = kind(7, random_state=0, **options)
    expected = clone(grown).fit(*given)
    forest, seen = _forests.fit_forest(grown, *given, n_classes)
    forest = pickle.loads(pickle.dumps(forest))
    leaves = forest.leaves(X)
    mean = forest.mean(leaves, np.ones(leaves.shape, dtype=bool))
    assert_allclose(mean[:, expected.classes_], expected.predict_proba(X), rtol=1e-12)
    assert_array_equal(np.delete(mean, expected.classes_, axis=1), 0)
    for rows, other in zip(seen, expected.estimators_samples_, strict=True):
        assert_array_equal(rows, other)


def test_trees_that_do_not_count_are_left_out(given):
    X, *_ = given
    grown = RandomForestClassifier(5, random_state=0)
    each = [tree.predict_proba(X) for tree in clone(grown).fit(*given).estimators_]
    forest, _ = _forests.fit_forest(grown, *given, N_CLASSES)
    leaves = forest.leaves(X)
    is_counted = np.random.default_rng(1).random(leaves.shape) < 0.5
    is_counted[0] = False
    expected = np.einsum("nt,tnk->nk", is_counted, each)
    expected /= np.maximum(is_counted.sum(axis=1), 1)[:, None]
    mean = forest.mean(leaves, is_counted)
    assert_allclose(np.delete(mean, 4, axis=1), expected, atol=1e-12)
    assert_array_equal(mean[0], 0)


def test_leaves_keep_no_more_than_the_rows_that_they_have_seen(given):
    n_trees, n_rows = 6, 80
    grown = RandomForestClassifier(n_trees, max_samples=n_rows, random_state=0)
    forest, _ = _forests.fit_forest(grown, *given, 1_000)
    assert forest.shares.nnz <= n_trees * n_rows
    assert {tree.value.shape[2] for tree in forest.trees} == {1}


def test_trees_that_have_seen_all_rows_have_no_row_to_judge():
    # Of two hundred bootstrap samples of four rows one in eleven holds all four.
    X = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.1, 5.0]])
    clf = LRADiffusionClassifier(max_iter=1, random_state=0).fit(X, [0, 0, 1, 1])
    np.testing.assert_allclose(clf.out_of_sample_proba_.sum(axis=1), 1, rtol=1e-5)

"""Forests whose leaves keep the classes that they have seen: what scikit-learn's own would say."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

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


class Maker:
    """Makes trees of scikit-learn's, and keeps them."""

    def __init__(self, kind, **options):
        self.kind, self.options, self.made = kind, options, []

    def __call__(self, random_state):
        self.made.append(self.kind(random_state=random_state, **self.options))
        return self.made[-1]


def grow(make_tree, given, n_classes=N_CLASSES, n_trees=7, n_drawn=80, seed=0, n_jobs=1):
    return _forests.grow_forest(make_tree, given, n_classes, n_trees, n_drawn, seed, n_jobs)


@pytest.mark.parametrize("leaf_size", [1, 10])
@pytest.mark.parametrize("kind", [DecisionTreeClassifier, ExtraTreeClassifier])
def test_trees_say_what_scikit_learn_s_do(kind, leaf_size, given):
    X, y_codes, weight = given
    make_tree = Maker(kind, min_samples_leaf=leaf_size, max_features="sqrt")
    forest, drawn = grow(make_tree, given)
    expected = []
    for rows, tree in zip(drawn, make_tree.made, strict=True):
        weight_of_tree = weight * np.bincount(rows, minlength=len(X))
        expected.append(clone(tree).fit(X, y_codes, weight_of_tree).predict_proba(X))
    forest = pickle.loads(pickle.dumps(forest))
    leaves = forest.leaves(X)
    mean = forest.mean(leaves, np.ones(leaves.shape, dtype=bool))
    assert_allclose(np.delete(mean, 4, axis=1), np.mean(expected, axis=0), rtol=1e-12)
    assert_array_equal(mean[:, 4], 0)


def test_trees_differ_in_rows_and_splits_but_not_between_calls(given):
    make_tree = Maker(DecisionTreeClassifier)
    forest, drawn = grow(make_tree, given)
    assert len({tree.random_state for tree in make_tree.made}) == 7
    assert len({tuple(rows) for rows in drawn}) == 7
    assert {len(rows) for rows in drawn} == {80}
    again, drawn_again = grow(DecisionTreeClassifier, given, n_jobs=2)
    assert_array_equal(drawn_again, drawn)
    assert_array_equal(again.leaves(given[0]), forest.leaves(given[0]))
    assert not np.array_equal(grow(DecisionTreeClassifier, given, seed=1)[1], drawn)


def test_trees_that_do_not_count_are_left_out(given):
    X, *_ = given
    make_tree = Maker(DecisionTreeClassifier)
    forest, _ = grow(make_tree, given)
    each = [tree.predict_proba(X) for tree in make_tree.made]
    leaves = forest.leaves(X)
    is_counted = np.random.default_rng(1).random(leaves.shape) < 0.5
    is_counted[0] = False
    expected = np.einsum("nt,tnk->nk", is_counted, each)
    expected /= np.maximum(is_counted.sum(axis=1), 1)[:, None]
    mean = forest.mean(leaves, is_counted)
    assert_allclose(np.delete(mean, 4, axis=1), expected, atol=1e-12)
    assert_array_equal(mean[0], 0)


def test_leaves_keep_no_more_than_the_rows_that_they_have_seen(given):
    forest, _ = grow(DecisionTreeClassifier, given, n_classes=1_000)
    assert forest.shares.nnz <= 7 * 80
    assert {tree.value.shape[2] for tree in forest.trees} == {1}


def test_leaves_of_many_classes_keep_the_labels_of_their_rows(given):
    X, _, weight = given
    y_codes = np.random.default_rng(2).permutation(150).repeat(2)[: len(X)]
    make_tree = Maker(DecisionTreeClassifier, min_samples_leaf=5)
    forest, drawn = grow(make_tree, (X, y_codes, weight), n_classes=150, n_trees=2)
    assert max(tree.n_classes_ for tree in make_tree.made) <= 100
    for rows, ends in zip(drawn, forest.leaves(X).T, strict=True):
        weight_of_tree = weight * np.bincount(rows, minlength=len(X))
        counts = np.zeros((ends.max() + 1, 150))
        np.add.at(counts, (ends, y_codes), weight_of_tree)
        expected = counts[ends] / counts[ends].sum(axis=1, keepdims=True)
        assert_allclose(forest.shares[ends].toarray(), expected, rtol=1e-12)


def test_trees_that_have_seen_all_rows_have_no_row_to_judge():
    # Of two hundred bootstrap samples of four rows one in eleven holds all four.
    X = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.1, 5.0]])
    clf = LRADiffusionClassifier(max_iter=1, random_state=0).fit(X, [0, 0, 1, 1])
    np.testing.assert_allclose(clf.out_of_sample_proba_.sum(axis=1), 1, rtol=1e-5)


def test_trees_on_threads_leave_warnings_filters_alone(given):
    filters = list(warnings.filters)
    for seed in range(5):
        grow(DecisionTreeClassifier, given, n_trees=20, seed=seed, n_jobs=4)
        assert list(warnings.filters) == filters

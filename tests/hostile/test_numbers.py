"""Numbers that are too large, labels that look alike, and probabilities that are none."""

import copy
import itertools
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

import skdiffusion_label
from skdiffusion_label import LabelCleaner, LRADiffusionClassifier
from skdiffusion_label.cleaning import aggregate_annotations, find_label_issues
from skdiffusion_label.label_noise import NoisyLabelsClassifier

FILL_VALUES = [9.96921e36, -3.4028235e38, 1e20]  # netCDF, GIS


@pytest.fixture(scope="module")
def fitted(fast, blobs):
    X, _, y = blobs
    return LRADiffusionClassifier(**fast).fit(X, y)


# Features


@pytest.mark.parametrize(
    ("value", "dtype"),
    [*itertools.product(FILL_VALUES, [np.float32, np.float64]), (1e200, np.float64)],
)
def test_fill_values_are_refused_with_their_column(value, dtype, fitted, blobs):
    X, _, y = blobs
    X = X.astype(dtype)
    X[7, 2] = value
    message = re.escape(f"between -1e+18 and 1e+18, got {value:g} in row 7, column 2.")
    for call in (lambda: fitted.predict_proba(X), lambda: clone(fitted).fit(X, y)):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_column_that_is_too_large_is_called_by_its_name(fast, blobs):
    X, _, y = blobs
    table = pd.DataFrame(X.copy(), columns=["depth", "heat", "salt", "speed"])
    clf = LRADiffusionClassifier(**fast).fit(table, y)
    table.loc[3, "salt"] = -3.4e38
    with pytest.raises(ValueError, match=r"got -3.4e\+38 in row 3, column 2 \('salt'\)"):
        clf.predict(table)


def test_the_largest_features_are_learned_from(fast, blobs):
    X, y, _ = blobs
    X = X * (9e17 / np.abs(X).max())
    clf = LRADiffusionClassifier(**fast).fit(X, y)
    assert clf.score(X, y) > 0.85
    assert np.isfinite(clf.kneighbors_graph(X).data).all()


@pytest.mark.parametrize(
    "parameters", [{}, {"prediction_type": "epsilon", "n_sampling_steps": 3}, {"encoder": "mlp"}]
)
def test_a_row_far_from_all_others_gets_probabilities(parameters, fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**{**fast, **parameters}).fit(X * 1e-9, y)
    for size in (1e-3, 1e3, 1e5, 1e17):
        proba = clf.predict_proba([[size, -size, size, size]])
        assert_allclose(proba.sum(), 1)


def test_a_prior_that_returns_nan_is_named(fast, blobs):
    X, _, y = blobs

    class Broken(GaussianNB):
        def predict_proba(self, X):
            return np.full((len(X), 3), np.nan)

    with pytest.raises(ValueError, match="predict_proba of prior contains NaN"):
        LRADiffusionClassifier(**fast, prior=Broken()).fit(X, y)


def test_the_layout_of_the_features_does_not_matter(fast, blobs):
    X, _, y = blobs
    by_rows, by_columns = (
        LRADiffusionClassifier(**fast).fit(rows, y).predict_proba(rows)
        for rows in (X.astype(np.float32), np.asfortranarray(X, dtype=np.float32))
    )
    assert_array_equal(by_columns, by_rows)


# Weights


@pytest.mark.parametrize("scale", [1e37, 1e300, 1e-300])
def test_the_scale_of_weights_does_not_matter(scale, fitted, blobs):
    X, _, y = blobs
    expected = fitted.predict_proba(X)
    proba = clone(fitted).fit(X, y, sample_weight=np.full(len(y), scale)).predict_proba(X)
    assert_allclose(proba, expected, atol=1e-6)
    scaled = clone(fitted).set_params(class_weight=dict.fromkeys(range(3), scale)).fit(X, y)
    assert_allclose(scaled.predict_proba(X), expected, atol=1e-6)


def test_rows_beside_a_weight_that_drowns_them_count_as_none(fast, blobs):
    X, _, y = blobs
    weight = np.ones(len(y))
    weight[4] = 1e300
    with pytest.raises(ValueError, match="in float32 beside those of the others.*got 1 "):
        LRADiffusionClassifier(**fast).fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_class_weights_are_finite(weight, fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast, class_weight={0: weight, 1: 1, 2: 1})
    with pytest.raises(ValueError, match="class_weight must be finite"):
        clf.fit(X, y)


# Probabilities of classifiers


class Strange(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are changed by a function."""

    def __init__(self, change):
        self.change = change

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)

    def predict_proba(self, X):
        return self.change(self.model_.predict_proba(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda proba: proba * np.nan, "contains NaN"),
        (lambda proba: 5 * proba, "must hold probabilities that sum to one"),
        (lambda proba: proba - 1 / 3, "must hold probabilities that sum to one"),
        (lambda proba: 0 * proba, "must hold probabilities that sum to one"),
        (lambda proba: np.hstack([proba, proba]) / 2, "must have a column for each of the 3"),
    ],
    ids=["nan", "sum", "negative", "zero", "columns"],
)
@pytest.mark.parametrize("way", ["find_label_issues", "LabelCleaner"])
def test_what_is_no_probability_is_refused(way, change, message, blobs):
    X, _, y = blobs
    with pytest.raises(ValueError, match=f"predict_proba of estimator {message}"):
        if way == "LabelCleaner":
            LabelCleaner(Strange(change)).fit(X, y)
        else:
            find_label_issues(y, estimator=Strange(change), X=X)


def test_a_precision_of_nan_is_refused():
    with pytest.raises(ValueError, match="target_precision == nan"):
        find_label_issues([0, 1], [[0.9, 0.1], [0.1, 0.9]], target_precision=np.nan)


def test_classes_are_different_labels():
    with pytest.raises(ValueError, match="classes must be different labels, got .*b.* more than"):
        find_label_issues(["a", "b"], [[0.8, 0.1, 0.1]] * 2, classes=["a", "b", "b"])


# Labels


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        (["1", 1], "numbers and strings"),
        ([True, 1], "booleans and numbers"),
        ([b"a", "a"], "bytes and strings"),
        ([np.True_, np.float32(0)], "booleans and numbers"),
    ],
)
def test_annotations_of_different_kinds_are_refused(row, kinds):
    with pytest.raises(ValueError, match=f"labels of one kind, .* got {kinds}"):
        aggregate_annotations([row, row])


@pytest.mark.parametrize(
    "labels",
    [[2**53, 2**53 + 1, 0.5], [2**63, -1, 3], ["a", "a\0", "b"], [2**70, 1, 2**70 + 1]],
    ids=str,
)
def test_annotations_that_an_array_would_merge_stay_apart(labels):
    aggregated = aggregate_annotations([[label, label, None] for label in labels])
    assert aggregated.labels.tolist() == labels
    assert aggregated.classes.tolist() == sorted(labels)


def test_the_same_number_is_one_label():
    aggregated = aggregate_annotations([[1, 1.0, np.nan], [2.0, 2, 1]])
    assert aggregated.classes.tolist() == [1, 2]


@pytest.mark.parametrize("y", [["1", 1] * 20, np.array(["1", 1] * 20, dtype=object)])
def test_labels_of_different_kinds_are_refused(y):
    X = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(ValueError, match="y must hold labels of one kind"):
        LabelCleaner(LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="y must hold labels of one kind"):
        find_label_issues(y, estimator=LogisticRegression(), X=X)
    with pytest.raises(ValueError, match="y must hold labels of one kind"):
        find_label_issues(y, np.full((40, 2), 0.5))


def test_noise_of_the_users_own_gets_a_copy_of_the_labels(blobs):
    X, y, _ = blobs
    labels = y.copy()

    def noise(y, X, noise_rate, random_state):
        y[:] = (y + 1) % 3
        return y

    NoisyLabelsClassifier(LogisticRegression(), noise=noise).fit(X, labels)
    assert_array_equal(labels, y)


# What does not matter


@pytest.mark.parametrize("hidden_size", [7, 33])
def test_a_row_does_not_depend_on_its_place_in_layers_of_any_width(hidden_size, fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**{**fast, "hidden_size": hidden_size, "n_sampling_steps": 10})
    clf.fit(X, y)
    rng = np.random.default_rng(0)
    rows, given = rng.normal(scale=5, size=(700, 4)), rng.integers(3, size=700)
    order = rng.permutation(700)
    for method, arguments in (("purify_proba", (given,)), ("predict_proba", ())):
        proba = getattr(clf, method)(rows, *arguments)
        moved = getattr(clf, method)(rows[order], *(a[order] for a in arguments))
        assert_allclose(moved, proba[order], rtol=0, atol=1e-7)
    for stage, moved in zip(
        clf.staged_predict_proba(rows), clf.staged_predict_proba(rows[order]), strict=True
    ):
        assert_allclose(moved, stage[order], rtol=0, atol=1e-7)
    at_a_timestep = clf.purify_proba(rows, given, 3)
    moved = clf.purify_proba(rows[order], given[order], 3)
    assert_allclose(moved, at_a_timestep[order], rtol=0, atol=1e-7)


# Pickles


def test_a_pickle_carries_the_version(fitted, blobs, monkeypatch):
    X, _, _ = blobs
    pickled = pickle.dumps(fitted)
    monkeypatch.setattr(skdiffusion_label, "__version__", "9.8")
    with pytest.warns(UserWarning, match="pickled by skdiffusion_label .* loaded by 9.8: it may"):
        loaded = pickle.loads(pickled)
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert vars(loaded).keys() == vars(fitted).keys()
    assert_array_equal(copy.deepcopy(loaded).predict(X), fitted.predict(X))


def test_a_pickle_without_a_version_is_told_of(fitted):
    state = vars(fitted)
    with pytest.warns(UserWarning, match="of an unknown version"):
        LRADiffusionClassifier.__new__(LRADiffusionClassifier).__setstate__(state)

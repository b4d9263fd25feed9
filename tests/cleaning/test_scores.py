"""Scores of given labels, against those of cleanlab."""

import numpy as np
import pytest
from cleanlab.rank import get_label_quality_scores
from numpy.testing import assert_allclose, assert_array_equal

from skdiffusion_label.cleaning import label_quality_scores

METHODS = ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]


@pytest.fixture(scope="module")
def labels_and_proba():
    """Codes of four classes, and probabilities of which some are zero or one."""
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([0.3] * 4, size=500)
    proba[:8] = np.eye(4)[np.arange(8) % 4]
    proba[8:12] = 0.25
    return rng.integers(4, size=500), proba


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_cleanlab(method, labels_and_proba):
    y, proba = labels_and_proba
    expected = get_label_quality_scores(y, proba, method=method)
    if method == "confidence_weighted_entropy":
        # cleanlab gives 0 to labels that are certainly right, as to those that are certainly wrong.
        expected = np.where(proba[np.arange(len(y)), y] == 1, 1, expected)
    scores = label_quality_scores(y, proba, method=method)
    assert_allclose(scores, expected, atol=1e-8)
    assert scores.min() >= 0 and scores.max() <= 1 + 1e-6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "classes", [None, ["ant", "bee", "cat", "dog"], ["dog", "ant", "cat", "bee"]]
)
def test_columns_belong_to_classes_in_their_order(method, classes, labels_and_proba):
    y, proba = labels_and_proba
    names = np.array(classes or ["ant", "bee", "cat", "dog"])
    scores = label_quality_scores(names[y], proba, method=method, classes=classes)
    assert_array_equal(scores, label_quality_scores(y, proba, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_a_class_may_have_no_label(method, labels_and_proba):
    y, proba = labels_and_proba
    rows = y != 2
    scores = label_quality_scores(y[rows], proba[rows], method=method, classes=range(4))
    assert_array_equal(scores, label_quality_scores(y, proba, method=method)[rows])


@pytest.mark.parametrize("method", METHODS)
def test_certain_rows_get_the_ends_of_the_scale(method):
    assert_allclose(label_quality_scores([0, 0], np.eye(2), method=method, classes=[0, 1]), [1, 0])


def test_scores_of_three_rows_by_hand():
    y = ["b", "a", "c"]
    proba = [[0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0, 0.5, 0.5]]
    assert_allclose(label_quality_scores(y, proba), [0.5, 0.1, 0.5])
    margins = label_quality_scores(y, proba, method="normalized_margin")
    assert_allclose(margins, [0.6, 0.25, 0.5])
    ratio = np.log(2) / np.log(3) / 0.5
    entropies = label_quality_scores(y, proba, method="confidence_weighted_entropy")
    assert_allclose(entropies[2], np.log1p(ratio) / ratio)


def test_one_class_is_surely_right():
    for method in METHODS:
        assert_allclose(label_quality_scores(["a", "a"], [[1.0], [1.0]], method=method), 1)


@pytest.mark.parametrize(
    ("y", "proba", "options", "message"),
    [
        ([0, 1], np.eye(2), {"method": "entropy"}, "method must be 'self_.* got 'entropy'"),
        ([0, 1], np.eye(3)[:2], {}, "proba must have a column for each of the 2 classes, got 3"),
        ([0, 1], [[0.5, 0.5], [0.6, 0.6]], {}, r"proba must hold prob.* \[0.6 0.6\] in row 1"),
        ([0, 1], [[0.5, 0.5], [1.5, -0.5]], {}, r"proba must hold prob.* \[ 1.5 -0.5\] in row 1"),
        ([0, 1], [[0.5, 0.5], [np.nan, 1]], {}, "proba contains NaN"),
        ([0, 3], np.eye(2), {"classes": [0, 1]}, "y must hold labels among classes, got .*3"),
        (["a", "c"], np.eye(2), {"classes": ["b", "a"]}, "y must hold labels among .*'c'"),
        ([0, 1, 1], np.eye(2), {}, r"inconsistent numbers of samples: \[3, 2\]"),
        ([[0, 1], [1, 0]], np.eye(2), {}, "y should be a 1d array, got an array of shape"),
    ],
)
def test_bad_input_is_refused(y, proba, options, message):
    with pytest.raises(ValueError, match=message):
        label_quality_scores(y, proba, **options)

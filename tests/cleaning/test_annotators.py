"""Labels of several annotators, against simulated ones whose confusion matrices are known."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdiffusion_label.cleaning import aggregate_annotations
from skdiffusion_label.label_noise import flip_labels, pair_transition, uniform_transition

GOOD = [uniform_transition(4, rate) for rate in (0.1, 0.2, 0.3)]
RANDOM = uniform_transition(4, 0.75)
PERMUTING = pair_transition(4, 0.95)


def simulated(matrices, n_samples=2000, share=1.0, random_state=0):
    """Draw true labels, and annotations (n_samples, n_annotators) as floats, NaN if missing."""
    rng = np.random.default_rng(random_state)
    true = rng.choice(4, size=n_samples, p=[0.4, 0.3, 0.2, 0.1])
    columns = [flip_labels(true, matrix, random_state=seed) for seed, matrix in enumerate(matrices)]
    annotations = np.stack(columns, axis=1).astype(float)
    missing = rng.random(annotations.shape) >= share
    missing[np.arange(n_samples), rng.integers(len(matrices), size=n_samples)] = False
    annotations[missing] = np.nan
    return true, annotations


def majority(annotations):
    return np.stack([(annotations == code).sum(axis=1) for code in range(4)]).argmax(axis=0)


@pytest.mark.parametrize(
    ("matrices", "share", "accuracy"),
    [
        (GOOD, 1.0, 0.92),
        ([*GOOD, RANDOM, RANDOM], 1.0, 0.91),
        ([*GOOD, PERMUTING], 1.0, 0.98),
        ([*GOOD, RANDOM, PERMUTING, PERMUTING], 0.6, 0.94),
    ],
    ids=["good", "random", "permuting", "missing"],
)
def test_labels_and_annotators_are_recovered(matrices, share, accuracy):
    true, annotations = simulated(matrices, share=share)
    found = aggregate_annotations(annotations)
    hits = np.mean(found.labels == true)
    assert hits > accuracy
    assert hits > np.mean(majority(annotations) == true)
    assert_allclose(found.confusion_matrices, matrices, atol=0.12)
    assert_allclose(found.confusion_matrices.sum(axis=2), 1)
    expected = [np.bincount(true) / len(true) @ np.diag(matrix) for matrix in matrices]
    assert_allclose(found.reliability, expected, atol=0.04)


def test_distributions_are_as_sure_as_they_are_right():
    true, annotations = simulated([*GOOD, RANDOM], n_samples=8000)
    found = aggregate_annotations(annotations)
    assert_allclose(found.label_distributions.sum(axis=1), 1)
    assert_array_equal(found.labels, found.classes[found.label_distributions.argmax(axis=1)])
    surest = found.label_distributions.max(axis=1)
    for low, high in [(0.5, 0.8), (0.8, 0.95), (0.95, 1.01)]:
        rows = (surest >= low) & (surest < high)
        assert abs(surest[rows].mean() - np.mean(found.labels[rows] == true[rows])) < 0.06


def test_an_annotator_who_knows_nothing_is_as_good_as_absent():
    _, annotations = simulated([*GOOD, RANDOM])
    with_him = aggregate_annotations(annotations).label_distributions
    without = aggregate_annotations(annotations[:, :3]).label_distributions
    assert np.abs(with_him - without).mean() < 0.02


def rare_class(random_state):
    """Draw true labels, of which a tenth are ones, and those of five annotators."""
    true = (np.random.default_rng(random_state).random(2000) < 0.1).astype(int)
    matrices = [uniform_transition(2, rate) for rate in (0.2, 0.25, 0.3, 0.2, 0.3)]
    seeds = range(5 * random_state, 5 * random_state + 5)
    columns = [flip_labels(true, m, random_state=s) for m, s in zip(matrices, seeds, strict=True)]
    return true, np.stack(columns, axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_a_rare_class_stays_rare(seed):
    true, annotations = rare_class(seed)
    found = aggregate_annotations(annotations)
    majority_share = np.mean(annotations.mean(axis=1) > 0.5)
    assert majority_share > true.mean() + 0.06
    assert_allclose(found.label_distributions[:, 1].mean(), true.mean(), atol=0.03)
    assert np.mean(found.labels == true) > 0.92


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["none", "who knows nothing"])
def test_what_is_known_of_rows_stays_where_annotators_say_nothing(share):
    rng = np.random.default_rng(0)
    annotations = np.where(rng.random((2000, 1)) < 0.7, 1.0, 0.0)
    annotations[10 : 2000 - int(1990 * share)] = np.nan
    known = np.array([0.9, 0.1])
    found = aggregate_annotations(annotations, np.tile(known, (2000, 1)))
    assert_allclose(found.label_distributions[10:], np.tile(known, (1990, 1)), atol=0.02)
    assert_allclose(found.label_distributions.mean(axis=0), known, atol=0.005)


def another_round(annotations, distributions):
    """Return the mean log-likelihood of annotations, and new distributions, by the textbook."""
    log_joint = np.tile(np.log(distributions.mean(axis=0)), (len(annotations), 1))
    for given in annotations.T.astype(int):
        counts = np.stack([distributions[given == code].sum(axis=0) for code in range(4)], axis=1)
        log_joint += np.log(counts / counts.sum(axis=1, keepdims=True))[:, given].T
    likelihood = np.logaddexp.reduce(log_joint, axis=1)
    return likelihood.mean(), np.exp(log_joint - likelihood[:, None])


@pytest.mark.parametrize("matrices", [GOOD, [*GOOD, RANDOM, RANDOM], [*GOOD, PERMUTING]])
def test_rounds_raise_the_likelihood_until_it_rises_no_more(matrices):
    true, annotations = simulated(matrices)
    votes = np.stack([(annotations == code).mean(axis=1) for code in range(4)], axis=1)
    found = aggregate_annotations(annotations)
    likelihoods, distributions = [another_round(annotations, votes)[0]], found.label_distributions
    for _ in range(20):
        likelihood, distributions = another_round(annotations, distributions)
        likelihoods.append(likelihood)
    assert likelihoods[1] > likelihoods[0] + 0.03
    assert np.diff(likelihoods).min() > -1e-9
    assert likelihoods[-1] < likelihoods[1] + 0.01
    more = np.mean(distributions.argmax(axis=1) == true)
    assert abs(np.mean(found.labels == true) - more) < 0.01


def test_two_annotators_who_agree_are_believed():
    names = np.array(["ant", "bee"])[np.arange(50) % 2]
    found = aggregate_annotations(np.stack([names, names], axis=1))
    assert_array_equal(found.labels, names)
    assert found.label_distributions.max(axis=1).min() > 0.99
    assert found.reliability.min() > 0.99


@pytest.mark.parametrize(
    "convert",
    [
        lambda codes, names: names.tolist(),
        lambda codes, names: pd.DataFrame(names),
        lambda codes, names: pd.DataFrame(names).fillna(pd.NA),
        lambda codes, names: pd.DataFrame(names).astype("category"),
        lambda codes, names: pd.DataFrame(names).where(~np.isnan(codes), np.nan),
        lambda codes, names: pl.DataFrame(names.tolist(), orient="row"),
        lambda codes, names: codes,
        lambda codes, names: codes.astype(np.float32),
        lambda codes, names: pd.DataFrame(codes).astype("Int64"),
        lambda codes, names: np.where(np.isnan(codes), None, codes),
    ],
    ids=["list", "frame", "NA", "category", "nan", "polars", "float", "float32", "Int64", "None"],
)
def test_containers_and_missing_entries_are_read_alike(convert):
    _, codes = simulated(GOOD, n_samples=60, share=0.7)
    numbers = np.nan_to_num(codes).astype(int)
    names = np.where(np.isnan(codes), None, np.array([*"wxyz"], dtype=object)[numbers])
    expected = aggregate_annotations(names)
    found = aggregate_annotations(convert(codes, names))
    assert_array_equal(found.label_distributions, expected.label_distributions)
    assert_array_equal(
        np.searchsorted(found.classes, found.labels), expected.label_distributions.argmax(axis=1)
    )
    assert set(found.classes) in ({0, 1, 2, 3}, set("wxyz"))


def test_integers_and_booleans_stay_what_they_are():
    integers = aggregate_annotations([[3, 3, None], [7, None, 7]])
    assert_array_equal(integers.labels, [3, 7])
    assert integers.classes.dtype.kind == "i"
    booleans = aggregate_annotations([[True, True], [False, None]])
    assert_array_equal(booleans.labels, [True, False])
    assert booleans.classes.dtype == bool


def test_order_of_annotators_and_of_rows_does_not_matter():
    _, annotations = simulated([*GOOD, PERMUTING], n_samples=200)
    found = aggregate_annotations(annotations)
    turned = aggregate_annotations(annotations[::-1, ::-1])
    assert_allclose(turned.label_distributions[::-1], found.label_distributions, atol=1e-8)
    assert_allclose(turned.confusion_matrices[::-1], found.confusion_matrices, atol=1e-8)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        (["a", "b"], r"annotations must be two-dimensional .* got shape \(2,\)"),
        (np.empty((0, 3)), r"annotations must be .* not empty, got shape \(0, 3\)"),
        (np.ones((2, 2, 2)), r"annotations must be two-dimensional .* got shape \(2, 2, 2\)"),
        ([["a", "b"], [None, np.nan]], "at least one label in each row, row 1 has none"),
    ],
)
def test_bad_input_is_refused(annotations, message):
    with pytest.raises(ValueError, match=message):
        aggregate_annotations(annotations)

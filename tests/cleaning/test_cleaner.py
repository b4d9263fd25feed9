"""LabelCleaner and find_label_issues: what they find, and what they give back."""

import tracemalloc
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from polars.testing import assert_series_equal as assert_polars_equal
from scipy import sparse
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.cleaning import (
    LabelCleaner,
    aggregate_annotations,
    estimate_transition_matrix,
    find_label_issues,
    label_quality_scores,
)
from skdiffusion_label.cleaning._beliefs import believed
from skdiffusion_label.cleaning._issues import issues_table
from skdiffusion_label.cleaning._reading import known_labels
from skdiffusion_label.label_noise import (
    flip_labels,
    margin_noise,
    pair_transition,
    uniform_transition,
)

SMALL = {"n_neighbors": 10, "retrieval_space": "features", "hidden_size": 64, "random_state": 0}
NAMES = np.array(["ant", "bee", "cat"])
# Few rows need small batches.
FEW_ROWS = {**SMALL, "max_iter": 10, "batch_size": 32, "learning_rate": 1e-2}
# Labels are judged before training: what it leads to does not count.
JUDGE = LRADiffusionClassifier(**SMALL, max_iter=1)
KNOWS_NOTHING = "hardly better than their frequencies"
CANNOT_TELL = "do not tell noise from classes that overlap"
ESTIMATORS = {
    "diffusion": LRADiffusionClassifier(**FEW_ROWS),
    "pipeline": make_pipeline(StandardScaler(), LRADiffusionClassifier(**FEW_ROWS)),
    "folds": LogisticRegression(),
}
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
one_fit_or_folds = pytest.mark.parametrize("name", ["diffusion", "folds"])


@pytest.fixture(scope="module")
def digits():
    """Digits: X, true labels, given labels of which 30 % are another."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:1200], y[:1200]
    return X, y, flip_labels(y, uniform_transition(10, 0.3), random_state=0)


@pytest.fixture(scope="module")
def cleaner_of_digits(digits):
    X, _, y_given = digits
    return LabelCleaner(JUDGE).fit(X, y_given)


@pytest.fixture(scope="module")
def cleaners(blobs):
    """What cleaners of each kind find in the blobs, to be looked at and never changed."""
    X, _, codes = blobs
    return {
        name: LabelCleaner(estimator, random_state=0).fit(X, NAMES[codes])
        for name, estimator in ESTIMATORS.items()
    }


# What is found


@pytest.mark.parametrize("transition", [uniform_transition, pair_transition])
def test_mended_labels_of_digits_are_right(transition, digits, cleaner_of_digits):
    X, y, y_given = digits
    expected = transition(10, 0.3)
    cleaner = cleaner_of_digits
    if transition is pair_transition:
        y_given = flip_labels(y, expected, random_state=0)
        cleaner = LabelCleaner(JUDGE).fit(X, y_given)
    issues = cleaner.label_issues_
    wrong = y_given != y
    assert cleaner.abstention_ is None
    assert np.mean(cleaner.clean_labels_ == y) > max(0.95, np.mean(y_given == y) + 0.2)
    assert roc_auc_score(wrong, issues["p_label_error"]) >= 0.98
    assert abs(cleaner.noise_rate_ - wrong.mean()) < 0.05
    assert np.abs(cleaner.transition_matrix_ - expected).max() < 0.12
    relabeled = issues["action"] == "relabel"
    assert np.mean(issues["suggested_label"][relabeled] == y[relabeled]) > 0.95


def assert_abstains(cleaner, y_given):
    """Check that the cleaner says why it has replaced no label, and has replaced none."""
    assert CANNOT_TELL in cleaner.abstention_
    assert_array_equal(cleaner.clean_labels_, y_given)
    assert set(cleaner.label_issues_["action"]) <= {"keep", "review"}
    assert_array_equal(cleaner.sample_indices_, np.arange(len(y_given)))


def test_clean_labels_of_digits_all_stay_with_a_warning(digits):
    X, y, _ = digits
    cleaner = LabelCleaner(JUDGE)
    with pytest.warns(UserWarning, match=CANNOT_TELL):
        _, y_kept = cleaner.fit_resample(X, y)
    assert_abstains(cleaner, y)
    assert_array_equal(y_kept, y)
    assert cleaner.label_issues_["is_label_issue"].mean() < 0.01
    assert cleaner.noise_rate_ < 0.05


def test_a_rare_class_of_clean_labels_stays(digits):
    X, y, _ = digits
    rows = (y != 8) | (np.cumsum(y == 8) <= 12)
    with pytest.warns(UserWarning, match=CANNOT_TELL):
        cleaner = LabelCleaner(JUDGE).fit(X[rows], y[rows])
    assert_abstains(cleaner, y[rows])
    assert cleaner.label_issues_["is_label_issue"][y[rows] == 8].mean() < 0.5


def test_noise_by_place_is_not_mended(digits):
    X, y, _ = digits
    easy = LogisticRegression(C=0.01, max_iter=5000).fit(X / 16, y).predict_proba(X / 16)
    y_given = margin_noise(y, easy, noise_rate=0.3, random_state=0)
    with pytest.warns(UserWarning, match=CANNOT_TELL):
        cleaner = LabelCleaner(JUDGE).fit(X, y_given)
    assert_abstains(cleaner, y_given)


def test_suspicious_labels_are_to_be_reviewed_where_none_is_replaced():
    # Classes that overlap, and one wrong label where they do not.
    X, y = make_blobs(200, n_features=4, centers=3, cluster_std=3, random_state=0)
    wrong = 168
    y_given = np.where(np.arange(len(y)) == wrong, (y + 1) % 3, y)
    with pytest.warns(UserWarning, match=CANNOT_TELL):
        cleaner = LabelCleaner(ESTIMATORS["diffusion"], target_precision=0.5).fit(X, y_given)
    assert_abstains(cleaner, y_given)
    suspicious = cleaner.label_issues_.iloc[wrong]
    assert suspicious["action"] == "review"
    assert suspicious["predicted_label"] == y[wrong]
    assert suspicious["p_label_error"] == cleaner.label_issues_["p_label_error"].max()


def test_a_class_that_loses_most_of_its_labels_is_warned_of():
    # Of the bees a third are called cats, and there are few of these.
    X, y = make_blobs([500, 500, 50], centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    y_given = np.where((y == 1) & (np.arange(len(y)) % 3 == 0), 2, y)
    with pytest.warns(UserWarning, match=r"1 classes have lost more than half .* \['cat'\]"):
        cleaner = LabelCleaner(ESTIMATORS["diffusion"]).fit(X, NAMES[y_given])
    assert np.mean(cleaner.clean_labels_ == NAMES[y]) > np.mean(y_given == y)
    assert np.mean(cleaner.clean_labels_[y_given == 2] == "cat") < 0.5


def test_folds_of_another_classifier_find_wrong_labels_of_digits(digits):
    X, y, y_given = digits
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    cleaner = LabelCleaner(model, random_state=0).fit(X, y_given)
    assert np.mean(cleaner.clean_labels_ == y) > 0.85
    assert roc_auc_score(y_given != y, cleaner.label_issues_["p_label_error"]) > 0.97
    assert abs(cleaner.noise_rate_ - 0.3) < 0.1
    assert_array_equal(cleaner.estimator_.classes_, np.unique(y))
    assert "neighbors" not in cleaner.label_issues_


@pytest.mark.parametrize("seed", range(3))
def test_random_labels_betray_nothing(seed, digits):
    X, y = digits[0][:600], digits[1][:600]
    # Each digit gets all labels equally often: its most frequent one would be right by luck.
    rng = np.random.default_rng(seed)
    y_given = np.empty_like(y)
    for digit in range(10):
        rows = np.flatnonzero(y == digit)
        y_given[rows] = rng.permutation(np.arange(len(rows)) % 10)
    with pytest.warns(UserWarning, match=KNOWS_NOTHING):
        cleaner = LabelCleaner(clone(JUDGE).set_params(random_state=seed)).fit(X, y_given)
    assert_array_equal(cleaner.clean_labels_, y_given)


# Weights fitted to few labels of many classes foretell these by luck.
@pytest.mark.parametrize(("seed", "n_classes", "n_rows"), [(4, 50, 3), (3, 50, 4), (0, 20, 3)])
def test_features_that_say_nothing_of_many_classes_mend_nothing(seed, n_classes, n_rows):
    y = np.arange(n_classes * n_rows) // n_rows
    X = np.random.default_rng(seed).normal(size=(len(y), 10 if n_classes == 50 else 4))
    with pytest.warns(UserWarning, match=KNOWS_NOTHING):
        cleaner = LabelCleaner(random_state=0).fit(X, y)
    assert_array_equal(cleaner.clean_labels_, y)


@one_fit_or_folds
def test_clean_labels_stay(name, blobs):
    X, y, _ = blobs
    easy = X + 5 * np.eye(4)[y]
    with pytest.warns(UserWarning, match=CANNOT_TELL):
        cleaner = LabelCleaner(ESTIMATORS[name], random_state=0).fit(easy, y)
    assert_abstains(cleaner, y)
    assert cleaner.label_issues_["is_label_issue"].mean() < 0.02
    assert cleaner.noise_rate_ < 0.05


# Probabilities that are none


@pytest.fixture(scope="module")
def unit_digits(digits):
    """Digits of unit length, true labels, given labels of which 20 % are another."""
    X, y, _ = digits
    return normalize(X), y, flip_labels(y, uniform_transition(10, 0.2), random_state=0)


TIMID = {
    "unit length": LogisticRegression(),
    "regularized": LogisticRegression(C=0.01),
}


@pytest.mark.parametrize("estimator", TIMID.values(), ids=TIMID)
def test_timid_classifiers_find_as_many_wrong_labels_as_there_are(estimator, unit_digits):
    X, y, y_given = unit_digits
    cleaner = LabelCleaner(estimator, random_state=0).fit(X, y_given)
    wrong = y_given != y
    flagged = cleaner.label_issues_["is_label_issue"].to_numpy()
    assert abs(flagged.mean() - wrong.mean()) < 0.06
    assert abs(cleaner.noise_rate_ - wrong.mean()) < 0.06
    assert f1_score(wrong, flagged) > 0.85
    assert roc_auc_score(wrong, cleaner.label_issues_["p_label_error"]) > 0.98


@pytest.mark.parametrize("estimator", TIMID.values(), ids=TIMID)
def test_timid_classifiers_leave_clean_labels_alone(estimator, unit_digits):
    X, y, _ = unit_digits
    with pytest.warns(UserWarning, match=CANNOT_TELL):
        cleaner = LabelCleaner(estimator, random_state=0).fit(X, y)
    assert_abstains(cleaner, y)
    assert cleaner.label_issues_["is_label_issue"].mean() < 0.04
    # Where it doubts, labels may be wrong by place: half of what it does not know.
    assert cleaner.noise_rate_ < 0.1


@pytest.mark.parametrize("class_sizes", [[1, 1, 1], [8, 1, 1]], ids=["equal", "unequal"])
def test_what_is_squashed_says_what_it_said_before(class_sizes):
    rng = np.random.default_rng(0)
    y = rng.choice(3, size=3000, p=np.divide(class_sizes, sum(class_sizes)))
    y_given = flip_labels(y, uniform_transition(3, 0.2), random_state=0)
    logits = 4 * np.eye(3)[y] + rng.normal(size=(3000, 3))
    flagged = [
        find_label_issues(y_given, softmax(size * logits, axis=1))["is_label_issue"]
        for size in (1, 0.03, 0.001)
    ]
    for found in flagged:
        assert f1_score(y_given != y, found) > 0.85
        assert np.mean(found == flagged[0]) > 0.95


def test_a_classifier_that_knows_nothing_flags_nothing(unit_digits):
    X, _, y_given = unit_digits
    with pytest.warns(UserWarning, match=KNOWS_NOTHING):
        cleaner = LabelCleaner(DummyClassifier(), random_state=0).fit(X, y_given)
    assert not cleaner.label_issues_["is_label_issue"].any()
    assert_array_equal(cleaner.clean_labels_, y_given)
    with pytest.warns(UserWarning, match=KNOWS_NOTHING):
        table = find_label_issues(y_given, np.full((len(X), 10), 0.1))
    assert set(table["action"]) == {"keep"}


def test_features_that_know_nothing_mend_nothing(blobs):
    X, _, y_given = blobs
    nothing = np.random.default_rng(1).normal(size=X.shape)
    with pytest.warns(UserWarning, match=KNOWS_NOTHING):
        cleaner = LabelCleaner(ESTIMATORS["diffusion"]).fit(nothing, y_given)
    assert KNOWS_NOTHING in cleaner.abstention_
    assert cleaner.label_issues_["p_label_error"].between(0, 0.5).all()
    assert_array_equal(cleaner.clean_labels_, y_given)
    assert set(cleaner.label_issues_["action"]) == {"keep"}


# The table


@every_estimator
def test_table_agrees_with_itself(name, cleaners, blobs):
    y = NAMES[blobs[2]]
    cleaner = cleaners[name]
    table = cleaner.label_issues_
    columns = {
        "is_label_issue": "b",
        "label_quality": "f",
        "given_label": "O",
        "predicted_label": "O",
        "suggested_label": "O",
        "suggested_proba": "f",
        "p_label_error": "f",
        "action": "O",
    }
    if name != "folds":
        columns["neighbors"] = "O"
    assert list(table) == list(columns)
    assert {name: dtype.kind for name, dtype in table.dtypes.items()} == columns
    assert len(table) == len(y)
    assert_array_equal(table["given_label"], y)
    assert_array_equal(table["suggested_label"], cleaner.clean_labels_)
    assert_array_equal(cleaner.classes_, NAMES)
    assert_allclose(table["label_quality"] + table["p_label_error"], 1)
    assert table["p_label_error"].between(0, 1).all()
    assert table["suggested_proba"].between(1 / 3, 1).all()
    assert_array_equal(table["is_label_issue"], table["p_label_error"] > 0.5)
    assert cleaner.noise_rate_ == table["p_label_error"].mean()
    assert_allclose(cleaner.transition_matrix_.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "target_precision"),
    [*((name, None) for name in ESTIMATORS), ("diffusion", 0.9), ("folds", 0.3), ("folds", 0.9)],
)
def test_actions_follow_from_the_other_columns(name, target_precision, cleaners, blobs):
    X, _, codes = blobs
    cleaner = cleaners[name]
    if target_precision is not None:
        cleaner = clone(cleaner).set_params(target_precision=target_precision)
        cleaner.fit(X, NAMES[codes])
    table = cleaner.label_issues_
    issue = table["is_label_issue"]
    same = table["suggested_label"] == table["given_label"]
    sure = table["suggested_proba"] >= 0.5
    action = table["action"]
    assert_array_equal(action == "keep", ~issue)
    assert_array_equal(action == "review", issue & same)
    assert_array_equal(action == "relabel", issue & ~same & sure)
    assert_array_equal(action == "drop", issue & ~same & ~sure)
    assert_array_equal(cleaner.sample_indices_, np.flatnonzero(action != "drop"))


@pytest.mark.parametrize("name", ["diffusion", "pipeline"])
def test_neighbors_speak_for_the_suggestion(name, cleaners, blobs):
    y, cleaner = NAMES[blobs[2]], cleaners[name]
    final = cleaner.estimator_[-1] if name == "pipeline" else cleaner.estimator_
    rows = zip(
        cleaner.label_issues_["neighbors"], final.neighbors_, cleaner.clean_labels_, strict=True
    )
    for listed, asked, suggested in rows:
        assert listed == asked[y[asked] == suggested][:5].tolist()
    assert cleaner.label_issues_["neighbors"].str.len().max() == 5


def test_beliefs_are_those_of_the_classifier(cleaners, blobs):
    y, cleaner = blobs[2], cleaners["pipeline"]
    _, model = cleaner.estimator_
    proba, matrix = model.out_of_sample_proba_.astype(float), model.transition_matrix_
    suggested = proba * matrix[:, y].T
    suggested /= suggested.sum(axis=1, keepdims=True)
    table = cleaner.label_issues_
    mean = (suggested + model.label_distributions_) / 2
    assert_allclose(table["label_quality"], label_quality_scores(y, mean))
    odds_of_noise = np.exp(model.noise_evidence_ / 3)
    suggested = (odds_of_noise * suggested + np.eye(len(matrix))[y]) / (odds_of_noise + 1)
    assert_array_equal(table["suggested_label"], NAMES[suggested.argmax(axis=1)])
    # What is said twice of one label is said alike.
    is_given = suggested.argmax(axis=1) == y
    expected = np.where(is_given, table["label_quality"], suggested.max(axis=1))
    assert_allclose(table["suggested_proba"], expected)
    assert_array_equal(table["predicted_label"], NAMES[proba.argmax(axis=1)])
    assert_array_equal(cleaner.transition_matrix_, matrix)


@pytest.mark.parametrize("has_information", [True, False])
def test_sparse_tables_are_judged_as_dense_ones_and_stay_sparse(has_information):
    n_rows, n_classes = 20_000, 400
    rng = np.random.default_rng(0)
    codes = rng.integers(n_classes, size=(n_rows, 1)) + np.arange(5)
    proba = rng.dirichlet([8, 2, 1, 1, 1], size=n_rows).astype(np.float32)
    starts = np.arange(0, proba.size + 1, 5)
    table = sparse.csr_array((proba.ravel(), codes.ravel() % n_classes, starts))
    y = codes[:, 0] % n_classes
    if not has_information:
        y = rng.permutation(y)
    rows = np.arange(n_rows)
    read = known_labels(np.arange(n_classes), y, is_missing=rows % 100 == 9)
    read = replace(read, verified=rows < 9)
    told = uniform_transition(n_classes, 0.2), 3.0, read.is_taught
    joined = rng.random(n_rows)
    dense = issues_table(read, believed(y, table.toarray(), joined, *told), None)
    tracemalloc.start()
    try:
        beliefs = believed(y, table, joined, *told)
        found = issues_table(read, beliefs, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_frame_equal(found, dense)
    assert (beliefs.abstention is None) == has_information
    assert dense["is_label_issue"].any() == has_information
    assert (dense["action"] == "label").sum() == 200
    assert peak < 0.75 * 4 * n_rows * n_classes


def test_labels_that_are_all_the_same_are_told_apart_from_overlap(blobs):
    X = blobs[0][:60]
    with pytest.warns(UserWarning, match="All given labels are the same"):
        cleaner = LabelCleaner(JUDGE).fit(X, ["ant"] * len(X))
    assert (cleaner.clean_labels_ == "ant").all()
    assert cleaner.abstention_.startswith("All given labels are the same")


@pytest.mark.parametrize("estimator", [JUDGE, LabelCleaner()], ids=["classifier", "cleaner"])
def test_number_of_jobs_is_checked_first(estimator, blobs):
    X, y = blobs[0], blobs[2]
    with pytest.raises(ValueError, match="'n_jobs' parameter of .* Got 0 instead"):
        clone(estimator).set_params(n_jobs=0).fit(X, y)
    with pytest.raises(ValueError, match="n_jobs == 0, must be None or an integer other than 0"):
        find_label_issues(y, estimator=LogisticRegression(), X=X, n_jobs=0)


@one_fit_or_folds
def test_index_of_the_labels_is_kept(name, cleaners, blobs):
    X, _, codes = blobs
    y = NAMES[codes]
    index = pd.Index([f"row {i}" for i in range(len(y))], name="id")
    cleaner = clone(cleaners[name])
    named = cleaner.fit(X, pd.Series(y, index=index)).label_issues_
    assert named.index.equals(index)
    plain = cleaners[name].label_issues_
    if "neighbors" in plain:
        listed = [[f"row {row}" for row in rows] for rows in plain["neighbors"]]
        assert named["neighbors"].tolist() == listed
        named = named.assign(neighbors=plain["neighbors"].to_numpy())
    assert_frame_equal(named.reset_index(drop=True), plain, check_dtype=False)
    assert_frame_equal(cleaner.fit(X, y.tolist()).label_issues_, plain)


# target_precision


def test_a_higher_precision_marks_a_subset(digits, cleaner_of_digits):
    X, y, y_given = digits
    usual = cleaner_of_digits.label_issues_["is_label_issue"].to_numpy()
    target = 0.99
    cleaner = clone(cleaner_of_digits).set_params(target_precision=target)
    table = cleaner.fit(X, y_given).label_issues_
    issue = table["is_label_issue"].to_numpy()
    assert not np.any(issue & ~usual)
    assert 0 < issue.sum() < usual.sum()
    # The threshold of the flag is not that of the suggestion.
    assert np.mean(table["action"][issue] == "relabel") > 0.9
    # One more would be too many.
    errors = np.sort(table["p_label_error"])[::-1]
    assert errors[: issue.sum()].mean() >= target > errors[: issue.sum() + 1].mean()
    assert table["p_label_error"][issue].min() >= table["p_label_error"][~issue].max()
    assert np.mean(y_given[issue] != y[issue]) > target - 0.05


def test_unreachable_precision_marks_nothing():
    y, proba = np.array([0, 1] * 20), np.tile([[0.9, 0.1], [0.1, 0.9]], (20, 1))
    with pytest.warns(UserWarning, match=CANNOT_TELL):
        table = find_label_issues(y, proba, target_precision=0.9)
    assert not table["is_label_issue"].any()
    assert set(table["action"]) == {"keep"}


# fit_resample


def rows_and_labels(container, X, y):
    match container:
        case "numpy":
            return X, y
        case "list":
            return X.tolist(), y.tolist()
        case "pandas":
            index = np.arange(len(y)) + 7
            return pd.DataFrame(X, columns=[*"abcd"], index=index), pd.Series(y, index, name="t")
        case "category":
            return pd.DataFrame(X, columns=[*"abcd"]), pd.Series(y, name="t", dtype="category")
        case "polars":
            return pl.DataFrame(X, schema=[*"abcd"]), pl.Series("t", y)


@pytest.mark.parametrize(
    ("name", "container", "names"),
    [
        *product(["folds"], ["numpy", "list", "pandas", "category", "polars"], [None, NAMES]),
        ("diffusion", "pandas", NAMES),
        ("diffusion", "polars", None),
    ],
)
def test_rows_worth_learning_from_come_back_as_they_came(name, container, names, blobs):
    X, _, y = blobs
    y = y if names is None else names[y]
    cleaner = LabelCleaner(ESTIMATORS[name], target_precision=0.6, random_state=0)
    X_given, y_given = rows_and_labels(container, X, y)
    X_kept, y_kept = cleaner.fit_resample(X_given, y_given)
    rows = cleaner.sample_indices_
    if name == "folds":
        assert 0 < len(rows) < len(y)
    assert type(X_kept) is type(X_given)
    assert_array_equal(X_kept, X[rows])
    expected = np.where(cleaner.label_issues_["action"] == "relabel", cleaner.clean_labels_, y)[
        rows
    ]
    assert np.any(expected != y[rows])
    if isinstance(y_given, pd.Series):
        series = pd.Series(expected, index=y_given.index[rows], name="t").astype(y_given.dtype)
        assert_series_equal(y_kept, series)
        assert_array_equal(X_kept.index, y_kept.index)
    elif container == "polars":
        assert_polars_equal(y_kept, pl.Series("t", expected))
    else:
        assert isinstance(y_kept, np.ndarray)
        assert_array_equal(y_kept, expected, strict=True)


def test_learning_from_mended_labels_is_better(digits):
    X, y, y_given = digits
    train, test = np.arange(900), np.arange(900, len(y))
    cleaner = LabelCleaner(JUDGE)
    learner = KNeighborsClassifier(1)
    before = learner.fit(X[train], y_given[train]).score(X[test], y[test])
    after = learner.fit(*cleaner.fit_resample(X[train], y_given[train])).score(X[test], y[test])
    assert before < 0.75 and after > 0.9


# Fits


class CountedDiffusion(LRADiffusionClassifier):
    n_fits = 0

    def fit(self, X, y, sample_weight=None, neighbors=None):
        CountedDiffusion.n_fits += 1
        return super().fit(X, y, sample_weight, neighbors)


class CountedRegression(LogisticRegression):
    n_fits = 0

    def fit(self, X, y, sample_weight=None):
        CountedRegression.n_fits += 1
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: make_pipeline(StandardScaler(), model),
        lambda model: make_pipeline("passthrough", model),
        lambda model: Pipeline([("model", model)]),
    ],
    ids=["alone", "pipeline", "passthrough", "one step"],
)
def test_a_classifier_that_purifies_is_fitted_once(wrap, blobs):
    X, _, y = blobs
    CountedDiffusion.n_fits = 0
    model = wrap(CountedDiffusion(**SMALL, max_iter=2))
    cleaner = LabelCleaner(model).fit(X, y)
    assert CountedDiffusion.n_fits == 1
    assert cleaner.estimator_.predict(X).shape == y.shape
    assert cleaner.estimator_ is not model


@pytest.mark.parametrize("cv", [3, np.int64(3), StratifiedKFold(3, shuffle=True, random_state=0)])
def test_other_classifiers_are_fitted_once_for_each_fold(cv, blobs):
    X, _, y = blobs
    CountedRegression.n_fits = 0
    cleaner = LabelCleaner(CountedRegression(), cv=cv, random_state=np.random.RandomState(0))
    table = cleaner.fit(X, y).label_issues_
    assert CountedRegression.n_fits == 3 + 1  # and once for all rows, to judge new ones
    # The same folds, whether drawn here or there.
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    expected = LabelCleaner(LogisticRegression(), cv=folds).fit(X, y).label_issues_
    assert_frame_equal(table, expected)


@pytest.mark.filterwarnings("ignore:The given labels do not tell")
def test_default_is_the_classifier_of_this_package(blobs):
    X, y_given = blobs[0][:80], blobs[2][:80]
    default = LabelCleaner(random_state=3).fit(X, y_given)
    assert default.estimator is None
    spelled = LabelCleaner(LRADiffusionClassifier(random_state=3)).fit(X, y_given)
    assert_frame_equal(default.label_issues_, spelled.label_issues_)
    assert isinstance(default.estimator_, LRADiffusionClassifier)


def test_sample_weights_reach_the_classifier(blobs, cleaners):
    X, _, codes = blobs
    y = NAMES[codes]
    # Slightly different ones: with fewer rows that count, noise is not plain.
    weight = np.random.default_rng(0).uniform(0.9, 1.1, size=len(y))
    model = ESTIMATORS["diffusion"]
    cleaner = LabelCleaner(model).fit(X, y, sample_weight=weight)
    expected = clone(model).fit(X, y, sample_weight=weight).predict_proba(X)
    assert_array_equal(cleaner.estimator_.predict_proba(X), expected)
    weighted = cleaner.label_issues_
    assert not weighted.equals(cleaners["diffusion"].label_issues_)
    in_pipeline = LabelCleaner(make_pipeline("passthrough", model))
    in_pipeline.fit_resample(X, y, lradiffusionclassifier__sample_weight=weight)
    assert_frame_equal(in_pipeline.label_issues_, weighted)


def test_sample_weights_are_split_like_the_rows(blobs):
    X, _, y = blobs
    weight = np.random.default_rng(0).exponential(size=len(y))
    model, folds = LogisticRegression(), StratifiedKFold(5)
    params = {"sample_weight": weight}
    proba = cross_val_predict(model, X, y, cv=folds, method="predict_proba", params=params)
    cleaner = LabelCleaner(model, cv=folds).fit(X, y, **params)
    assert_frame_equal(cleaner.label_issues_, find_label_issues(y, proba))


@pytest.mark.filterwarnings("ignore:The given labels do not tell noise from classes")
@every_estimator
def test_same_seed_same_result(name, cleaners, blobs):
    X, _, codes = blobs
    y, first = NAMES[codes], cleaners[name].label_issues_
    cleaner = clone(cleaners[name])
    assert_frame_equal(cleaner.fit(X, y).label_issues_, first)
    seed = {
        "diffusion": "estimator__random_state",
        "pipeline": "estimator__lradiffusionclassifier__random_state",
        "folds": "random_state",
    }
    other = cleaner.set_params(**{seed[name]: 1})
    assert not other.fit(X, y).label_issues_["p_label_error"].equals(first["p_label_error"])


UNSEEDED = {name: value for name, value in FEW_ROWS.items() if name != "random_state"}


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LRADiffusionClassifier(**UNSEEDED)),
        DecisionTreeClassifier(max_features=1),
    ],
    ids=["pipeline", "folds"],
)
def test_estimators_without_a_seed_get_one_from_the_cleaner(estimator, blobs):
    X, _, y = blobs
    before = str(estimator.get_params())
    first = LabelCleaner(estimator, random_state=0).fit(X, y).label_issues_
    assert_frame_equal(LabelCleaner(estimator, random_state=0).fit(X, y).label_issues_, first)
    other = LabelCleaner(estimator, cv=StratifiedKFold(5), random_state=1).fit(X, y)
    assert not other.label_issues_["p_label_error"].equals(first["p_label_error"])
    assert str(estimator.get_params()) == before


def test_folds_of_find_label_issues_get_its_seed(blobs):
    X, _, y = blobs
    options = {"estimator": DecisionTreeClassifier(max_features=1), "X": X, "random_state": 0}
    assert_frame_equal(find_label_issues(y, **options), find_label_issues(y, **options))
    assert options["estimator"].random_state is None


@pytest.mark.parametrize("random_state", [None, 0])
def test_a_seed_of_the_estimator_itself_stays(random_state, blobs):
    X, _, y = blobs
    cleaner = LabelCleaner(LRADiffusionClassifier(**FEW_ROWS), random_state=random_state)
    assert cleaner.fit(X, y).estimator_.random_state == FEW_ROWS["random_state"]


def test_parameters_are_those_of_any_meta_estimator():
    cleaner = LabelCleaner(LRADiffusionClassifier(n_neighbors=7), cv=3, target_precision=0.9)
    assert set(cleaner.get_params(deep=False)) == {
        *("estimator", "cv", "target_precision", "missing_label", "n_jobs", "random_state"),
        "verbose",
    }
    copy = clone(cleaner).set_params(estimator__n_neighbors=9, target_precision=None)
    assert cleaner.estimator.n_neighbors == 7
    assert copy.estimator.n_neighbors == 9
    assert (cleaner.target_precision, copy.target_precision) == (0.9, None)


# Several annotators


@pytest.fixture(scope="module")
def annotated(blobs):
    """Names that three annotators give the blobs: the first to half of them, the last at random."""
    _, y, _ = blobs
    rng = np.random.default_rng(0)
    columns = [
        flip_labels(y, uniform_transition(3, rate), random_state=i)
        for i, rate in enumerate([0.1, 0.25, 0.65])
    ]
    annotations = NAMES.astype(object)[np.stack(columns, axis=1)]
    annotations[rng.random(len(y)) < 0.5, 0] = None
    return annotations


# One that purifies abstains under a consensus with as few errors: those are not plain.
@pytest.mark.filterwarnings("ignore:The given labels do not tell noise from classes")
@one_fit_or_folds
def test_several_annotators_are_heard(name, annotated, blobs):
    X, y, _ = blobs
    cleaner = LabelCleaner(ESTIMATORS[name], random_state=0).fit(X, annotated)
    consensus = aggregate_annotations(annotated).labels
    assert_array_equal(cleaner.label_issues_["given_label"], consensus)
    # The features are heard along with them.
    assert np.mean(cleaner.annotations_.labels == NAMES[y]) > np.mean(consensus == NAMES[y])
    suggested = np.mean(cleaner.label_issues_["suggested_label"] == NAMES[y])
    assert suggested > np.mean(consensus == NAMES[y])
    assert suggested > 0.93
    if cleaner.abstention_ is None:
        assert_array_equal(cleaner.clean_labels_, cleaner.label_issues_["suggested_label"])
    assert cleaner.annotations_.reliability.argmin() == 2


def test_annotations_may_be_a_data_frame(annotated, blobs):
    X, y, _ = blobs
    frame = pd.DataFrame(annotated, index=np.arange(len(y)) + 7)
    cleaner = LabelCleaner(ESTIMATORS["folds"], random_state=0)
    _, labels = cleaner.fit_resample(X, frame)
    assert_array_equal(cleaner.label_issues_.index, frame.index)
    assert_array_equal(labels.index, frame.index[cleaner.sample_indices_])
    assert_array_equal(cleaner.clean_labels_, clone(cleaner).fit(X, annotated).clean_labels_)


@pytest.mark.filterwarnings("ignore:The given labels do not tell noise from classes")
def test_agreeing_annotators_outvote_the_features(blobs):
    X, y, _ = blobs
    shifted = NAMES[(y[:1] + 1) % 3]
    codes = np.repeat(NAMES[y][:, None], 6, axis=1)
    codes[:1] = shifted
    model = ESTIMATORS["diffusion"]
    alone = LabelCleaner(model).fit(X, codes[:, 0])
    together = LabelCleaner(model).fit(X, codes)
    quality = [cleaner.label_issues_["label_quality"][0] for cleaner in (alone, together)]
    assert quality[1] > quality[0]
    assert together.clean_labels_[0] == shifted[0]


def test_a_class_that_never_wins_is_no_class(blobs):
    X, y, _ = blobs
    annotations = np.repeat(NAMES[y][:, None], 4, axis=1).astype(object)
    annotations[0, 0] = "dog"
    cleaner = LabelCleaner(ESTIMATORS["folds"], random_state=0).fit(X, annotations)
    assert_array_equal(cleaner.classes_, NAMES)
    assert_array_equal(cleaner.annotations_.classes, [*NAMES, "dog"])
    assert np.mean(cleaner.clean_labels_ == NAMES[y]) > 0.95


# find_label_issues


def test_probabilities_of_the_folds_say_what_the_estimator_says(blobs):
    X, _, codes = blobs
    y = NAMES[codes]
    model = LogisticRegression()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    proba = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
    from_proba = find_label_issues(y, proba, target_precision=0.8)
    options = {"target_precision": 0.8, "random_state": 0}
    assert_frame_equal(find_label_issues(y, estimator=model, X=X, **options), from_proba)
    cleaner = LabelCleaner(model, **options).fit(X, y)
    assert_frame_equal(cleaner.label_issues_, from_proba, check_dtype=False)
    assert_allclose(cleaner.transition_matrix_, estimate_transition_matrix(y, proba), atol=0.05)
    turned = find_label_issues(y, proba[:, ::-1], classes=NAMES[::-1], target_precision=0.8)
    assert_frame_equal(turned, from_proba)


def test_probabilities_are_taken_apart_into_truth_and_noise():
    matrix = uniform_transition(3, 0.4)
    rng = np.random.default_rng(0)
    truth = rng.dirichlet([0.2] * 3, size=20_000)
    true = (truth.cumsum(axis=1) > rng.random((len(truth), 1))).argmax(axis=1)
    y = flip_labels(true, matrix, random_state=0)
    table = find_label_issues(y, truth @ matrix)
    right = truth * matrix[:, y].T
    right /= right.sum(axis=1, keepdims=True)
    best = np.mean(right.argmax(axis=1) == true)
    assert np.mean(table["suggested_label"] == true) > best - 0.01
    best_score = roc_auc_score(y != true, -right[np.arange(len(y)), y])
    assert roc_auc_score(y != true, table["p_label_error"]) > best_score - 0.01
    assert abs(table["p_label_error"].mean() - np.mean(y != true)) < 0.1


# Errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target_precision": 1.0}, "'target_precision' .* Got 1.0"),
        ({"target_precision": 0}, "'target_precision' .* Got 0"),
        ({"cv": "five"}, "'cv' .* Got 'five'"),
        ({"n_jobs": 1.5}, "'n_jobs' .* Got 1.5"),
        ({"random_state": "x"}, "'random_state' .* Got 'x'"),
        ({"estimator": LinearSVC()}, r"'estimator' .* Got LinearSVC\(\)"),
    ],
)
def test_parameters_are_checked_before_work(parameters, message, blobs):
    X, _, y = blobs
    CountedDiffusion.n_fits = 0
    with pytest.raises((TypeError, ValueError), match=message):
        LabelCleaner(**{"estimator": CountedDiffusion(**SMALL), **parameters}).fit(X, y)
    assert CountedDiffusion.n_fits == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[:-1], r"inconsistent numbers of samples: \[200, 199\]"),
        (lambda y: y + 0.5, "Unknown label type: continuous"),
        (lambda y: np.full(len(y), np.nan), "y must hold labels, got none in 200 rows"),
        (lambda y: np.ones((200, 2, 2)), "Found array with dim 3"),
    ],
)
@pytest.mark.parametrize("model", [CountedDiffusion(**SMALL), CountedRegression()])
def test_labels_are_checked_before_work(model, change, message, blobs):
    X, _, y = blobs
    type(model).n_fits = 0
    with pytest.raises(ValueError, match=message):
        LabelCleaner(model).fit(X, change(y))
    assert type(model).n_fits == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "takes either proba or estimator and X"),
        ({"proba": np.eye(2), "estimator": LogisticRegression()}, ValueError, "takes either proba"),
        ({"estimator": LogisticRegression()}, ValueError, "X must be given along with estimator"),
        ({"proba": np.eye(3)[:2]}, ValueError, "proba must have a column .* 2 classes, got 3"),
        ({"proba": np.eye(2), "classes": [0, 2]}, ValueError, "y must hold labels among .*1"),
        ({"proba": np.eye(2), "target_precision": 1}, ValueError, "target_precision == 1, must be"),
        ({"proba": np.eye(2), "target_precision": "a"}, TypeError, "target_precision must be an"),
    ],
)
def test_arguments_of_find_label_issues_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        find_label_issues([0, 1], **options)


class Undecided(ClassifierMixin, BaseEstimator):
    """A classifier whose training has gone wrong."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_probabilities_that_are_no_numbers_are_refused():
    X, y = make_blobs(30, random_state=0)
    with pytest.raises(ValueError, match="predict_proba of estimator contains NaN"):
        LabelCleaner(Undecided()).fit(X, y)

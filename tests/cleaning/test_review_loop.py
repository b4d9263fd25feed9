"""Labels that are verified, decided, missing, or of rows that belong together."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.classifier._training import _first_half
from skdiffusion_label.classifier._validation import check_rows
from skdiffusion_label.cleaning import LabelCleaner, read_decisions
from skdiffusion_label.label_noise import flip_labels, uniform_transition

# Labels are judged before training: what it leads to does not count.
LEARNS_LITTLE = {"hidden_size": 64, "max_iter": 1, "random_state": 0}
JUDGE = LRADiffusionClassifier(**LEARNS_LITTLE, n_neighbors=10, retrieval_space="features")
ESTIMATORS = {
    "diffusion": JUDGE,
    "pipeline": make_pipeline(StandardScaler(), JUDGE),
    "folds": LogisticRegression(),
}
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
# Of few rows with many wrong labels.
abstaining = pytest.mark.filterwarnings("ignore:The given labels do not tell noise")
HEADER = "row,id,decision,label,given,suggested,reviewer,time,fingerprint,control"


@pytest.fixture(scope="module")
def digits():
    """Digits: X, true labels, given labels of which 40 % are another."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:1200], y[:1200]
    return X, y, flip_labels(y, uniform_transition(10, 0.4), random_state=0)


@pytest.fixture(scope="module")
def blobs():
    """Three classes that a line parts: X, true labels, given labels of which 30 % are another."""
    X, y = make_blobs(300, n_features=4, cluster_std=1.5, random_state=0)
    return X, y, flip_labels(y, uniform_transition(3, 0.3), random_state=0)


@pytest.fixture(scope="module")
def found(blobs):
    """What a cleaner finds in the blobs."""
    return LabelCleaner(JUDGE).fit(blobs[0], blobs[2])


@pytest.fixture(scope="module")
def found_in_digits(digits):
    """What a cleaner finds in the digits."""
    return LabelCleaner(JUDGE).fit(digits[0], digits[2])


def decided(cleaner, rows, labels, **others):
    """Return decisions that relabel ``rows``."""
    table = {"row": rows, "decision": "relabel", "label": labels, **others}
    return pd.DataFrame({"fingerprint": cleaner.fingerprint_, **table})


def suspicious(cleaner, n_rows):
    return cleaner.label_issues_["p_label_error"].nlargest(n_rows).index.to_numpy()


# Verified labels


@every_estimator
def test_verified_labels_are_certain(estimator, blobs):
    X, y, y_given = blobs
    verified = np.arange(len(y)) % 6 == 0
    cleaner = LabelCleaner(estimator, random_state=0)
    plain = cleaner.fit(X, np.where(verified, y, y_given)).label_issues_
    table = cleaner.fit(X, np.where(verified, y, y_given), verified=verified).label_issues_
    assert "verified" not in plain
    assert_array_equal(table["verified"], verified)
    assert not table["is_label_issue"][verified].any()
    assert set(table["action"][verified]) == {"keep"}
    assert_array_equal(table["p_label_error"][verified], 0)
    assert_array_equal(table["suggested_label"][verified], y[verified])
    assert plain["p_label_error"][verified].min() > 0
    wrong = (y_given != y)[~verified]
    assert roc_auc_score(wrong, table["p_label_error"][~verified]) > 0.9


@pytest.mark.parametrize("aggregation", ["judges", "vote"])
def test_a_verified_label_is_drawn_as_itself(aggregation, blobs):
    X, y, y_given = blobs
    verified = np.arange(len(y)) < 20
    clf = clone(JUDGE).set_params(label_aggregation=aggregation)
    clf.fit(X, np.where(verified, y, y_given), verified=verified)
    assert_array_equal(clf.label_distributions_[verified], np.eye(3)[y[verified]])
    assert clf.label_distributions_[~verified].max(axis=1).min() < 1


def test_the_noise_is_not_read_off_verified_labels(digits, found_in_digits):
    X, y, y_given = digits
    before = found_in_digits.estimator_
    own = before.label_distributions_[np.arange(len(y)), y_given]
    verified = np.zeros(len(y), dtype=bool)
    verified[np.argsort(own, kind="stable")[:150]] = True
    assert np.mean(y_given[verified] != y[verified]) > 0.98
    mended = np.where(verified, y, y_given)
    after = clone(JUDGE).fit(X, mended, verified=verified, given=y_given)
    rates = [1 - clf.transition_matrix_.diagonal().mean() for clf in (before, after)]
    assert_allclose(rates[1], 0.4, atol=0.05)
    assert_allclose(*rates, atol=0.07)


@every_estimator
def test_labels_before_verification_are_known_as_in_apply(estimator, blobs, found):
    X, y, y_given = blobs
    rows = np.arange(0, 300, 10)
    cleaner = LabelCleaner(estimator, random_state=0)
    decisions = decided(found, rows, y[rows].astype(str))
    applied = cleaner.apply(X, y_given, decisions).label_issues_
    verified = np.isin(np.arange(300), rows)
    mended = np.where(verified, y, y_given)
    told = cleaner.fit(X, mended, verified=verified, given=y_given).label_issues_
    assert_frame_equal(told, applied)
    untold = cleaner.fit(X, mended, verified=verified).label_issues_
    assert np.abs(untold["p_label_error"] - told["p_label_error"]).max() > 1e-6
    with pytest.raises(ValueError, match="given must hold a label for each of 300 rows"):
        cleaner.fit(X, mended, verified=verified, given=y_given[:5])


def test_halves_are_drawn_alike_whichever_labels_are_verified(blobs):
    X, y, y_given = blobs
    halves = []
    for verified in (np.zeros(300, dtype=bool), np.arange(300) % 6 == 0):
        told = {"verified": verified, "given": y_given}
        mended = np.where(verified, y, y_given)
        rows = check_rows(JUDGE, X, mended, None, None, np.random.RandomState(0), **told)
        halves.append(_first_half(rows, torch.Generator().manual_seed(0)))
    assert_array_equal(*halves)
    for code in range(3):
        assert abs(halves[0][y_given == code].mean() - 0.5) < 0.01


@pytest.mark.parametrize(
    ("verified", "message"),
    [
        ([True], r"verified must be a boolean mask of 300 rows, got dtype bool and shape \(1,\)"),
        (np.ones(300), r"verified must be a boolean mask of 300 rows, got dtype float64"),
        (np.arange(300) == 3, "verified must mark rows that have a label, row 3 of y has none"),
    ],
)
@pytest.mark.parametrize("estimator", [JUDGE, LabelCleaner(JUDGE)], ids=["classifier", "cleaner"])
def test_verified_is_checked(estimator, verified, message, blobs):
    X, y, _ = blobs
    y = np.where(np.arange(300) == 3, None, y.astype(object))
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y, verified=verified)


# Decisions


def test_decided_rows_are_not_flagged_again_and_the_others_are_not_worse(digits):
    X, y, y_given = digits
    cleaner = LabelCleaner(LRADiffusionClassifier(**LEARNS_LITTLE)).fit(X, y_given)
    before = cleaner.clean_labels_ == y
    fingerprint, rows = cleaner.fingerprint_, suspicious(cleaner, 50)
    others = np.setdiff1d(np.arange(len(y)), rows)
    cleaner.apply(X, y_given, decided(cleaner, rows, y[rows].astype(str)))
    table = cleaner.label_issues_
    assert not table["is_label_issue"][rows].any()
    assert_array_equal(cleaner.clean_labels_[rows], y[rows])
    assert_array_equal(table["given_label"][rows], y[rows])
    assert cleaner.fingerprint_ == fingerprint
    after = cleaner.clean_labels_ == y
    # Two fits to labels that differ part by three rows of 1,150 (standard deviation).
    assert after[others].mean() >= before[others].mean() - 0.006


def test_excluded_rows_are_dropped_and_nobodys_neighbor(blobs, found):
    X, y, y_given = blobs
    decisions = decided(found, [3, 5], ["", ""], decision="exclude")
    cleaner = LabelCleaner(JUDGE).apply(X, y_given, decisions)
    table = cleaner.label_issues_
    assert table["action"][[3, 5]].tolist() == ["drop", "drop"]
    assert table["given_label"][[3, 5]].tolist() == y_given[[3, 5]].tolist()
    assert not np.isin(cleaner.estimator_.neighbors_, [3, 5]).any()
    assert not np.isin([3, 5], cleaner.sample_indices_).any()


def test_excluded_rows_teach_no_fold(blobs):
    X, y, y_given = blobs
    cleaner = LabelCleaner(LogisticRegression(), random_state=0).fit(X, y_given)
    far = np.where(np.arange(len(y))[:, None] == 3, 1e6, X)
    tables = []
    for rows in (X, far):
        cleaner.fit(rows, y_given)
        decisions = decided(cleaner, [3], [""], decision="exclude")
        tables.append(cleaner.apply(rows, y_given, decisions).label_issues_.drop(index=3))
    assert_frame_equal(*tables)


def test_the_last_decision_on_a_row_counts_and_planted_rows_do_not(blobs, found):
    X, y, y_given = blobs
    first = decided(found, [3, 4], ["0", "1"], control=[0, 0])
    then = decided(found, [3, 7], ["2", "0"], control=[0, 1])
    table = LabelCleaner(JUDGE).apply(X, y_given, [first, then]).label_issues_
    assert table["given_label"][[3, 4, 7]].tolist() == [2, 1, y_given[7]]
    assert np.flatnonzero(table["verified"]).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "00"}, "must be about these rows and labels, whose fingerprint is"),
        ({"row": 300}, "must be about one of 300 rows, got row 300"),
        ({"row": -1}, "field row must be a number from 0, got -1"),
        ({"label": "9"}, r"must be for labels among \[0 1 2\], got '9'; name a class"),
        ({"decision": "accept"}, "field decision must be one of"),
        ({"label": ""}, "field label must not be empty unless the row is excluded"),
    ],
)
def test_decisions_that_are_not_about_these_rows_are_refused(change, message, blobs, found):
    X, _, y_given = blobs
    with pytest.raises(ValueError, match=message):
        LabelCleaner(JUDGE).apply(X, y_given, decided(found, [3], ["1"]).assign(**change))
    with pytest.raises(ValueError, match="must have the columns"):
        LabelCleaner(JUDGE).apply(X, y_given, pd.DataFrame({"row": [3]}))


@pytest.mark.filterwarnings("ignore:The given labels do not tell")
def test_a_class_is_introduced_on_purpose_alone(blobs, found):
    X, _, y_given = blobs
    decisions = decided(found, np.arange(12), ["9"] * 12)
    cleaner = LabelCleaner(JUDGE).apply(X, y_given, decisions, new_classes=[9])
    assert cleaner.classes_.tolist() == [0, 1, 2, 9]
    assert cleaner.clean_labels_[:12].tolist() == [9] * 12


def written(path, fingerprint="00ff"):
    """Write the same decisions as CSV and JSON; return the paths."""
    rows = [
        f"3,r3,relabel,cat,dog,cat,Ada,2026-01-31T12:00:00Z,{fingerprint},0",
        f'5,r5,exclude,,"a, b",cat,Ada,2026-01-31T12:00:01Z,{fingerprint},1',
    ]
    csv_path, json_path = path / "d.csv", path / "d.json"
    csv_path.write_text("\n".join([HEADER, *rows]), encoding="utf-8-sig")
    records = pd.read_csv(csv_path, keep_default_na=False).to_dict("records")
    content = {"version": 1, "fingerprint": fingerprint, "reviewer": "Ada", "decisions": records}
    json_path.write_text(json.dumps(content), encoding="utf-8")
    return csv_path, json_path


def test_decisions_are_read_alike_from_both_files(tmp_path):
    of_csv, of_json = map(read_decisions, written(tmp_path))
    assert_frame_equal(of_csv, of_json)
    assert of_csv["row"].tolist() == [3, 5]
    assert of_csv["label"].tolist() == ["cat", ""]
    assert of_csv["given"].tolist() == ["dog", "a, b"]
    assert of_csv["control"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3,r3", "x,r3", r"d.csv, line 2, field row must be a number from 0, got 'x'"),
        ("relabel", "accept", r"d.csv, line 2, field decision must be one of .* got 'accept'"),
        (",0\n", ",2\n", r"d.csv, line 2, field control must be 0 or 1, got 2"),
        ("2026-01-31T12:00:01Z", "now", r"d.csv, line 3, field time must be ISO 8601, got 'now'"),
        ("5,r5", "3,r5", r"d.csv, line 3, field row: row 3 is decided twice"),
        (",label", ",lable", r"d.csv, line 1 must name the fields .* none of \['label'\]"),
        (",cat,dog", ",,dog", r"d.csv, line 2, field label must not be empty"),
    ],
)
def test_errors_of_decisions_name_file_line_and_field(old, new, message, tmp_path):
    path, _ = written(tmp_path)
    text = path.read_text(encoding="utf-8-sig")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_decisions(path)


def test_other_json_files_are_refused(tmp_path):
    path = tmp_path / "d.json"
    for text, message in [
        ('{"version": 2}', "field version must be 1, got 2"),
        ('{"version": 1}', "field decisions must be a list"),
        ('{"version": 1,\n', "line 2 must be JSON"),
        ('{"version": 1, "decisions": [{"row": 1}]}', "decision 1, field id is missing"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            read_decisions(path)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match="must be a file in UTF-8"):
        read_decisions(path)


# Fingerprints


def test_fingerprints_are_of_rows_and_labels_in_every_process(blobs, found, tmp_path):
    X, _, y_given = blobs
    np.savez(tmp_path / "data.npz", X=X, y=y_given)
    code = (
        "import numpy as np, sys; from skdiffusion_label.cleaning._reading import read_labels; "
        "data = np.load(sys.argv[1]); print(read_labels(data['X'], data['y']).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data.npz")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert printed == found.fingerprint_
    int(printed, 16)


def test_fingerprints_tell_data_apart_and_containers_not():
    from skdiffusion_label.cleaning._fingerprint import fingerprint

    X = np.array([[0.0, 1.0], [2.0, np.nan]])
    same = fingerprint(X, [0, 1])
    assert same == fingerprint(X.copy(order="F"), ["0", "1"])
    frame = pd.DataFrame(X, columns=["a", "b"])
    assert fingerprint(frame, [0, 1]) == fingerprint(
        pl.DataFrame({"a": X[:, 0], "b": X[:, 1]}), "01"
    )
    others = [(X + 1, "01"), (X, "11"), (X.T, "01"), (X[:1], "01"), (["a", "b"], "01")]
    others += [(["ab", ""], "01"), (sparse.csr_array(np.eye(2)), "01"), (frame, "01")]
    assert len({same, *(fingerprint(*other) for other in others)}) == len(others) + 1


# Missing labels


LABELS_WITH_NONE = {
    "None": lambda y, none: np.where(none, None, y.astype(object)),
    "list": lambda y, none: np.where(none, None, np.array([*"abc"], dtype=object)[y]).tolist(),
    "nan": lambda y, none: np.where(none, np.nan, y),
    "Int64": lambda y, none: pd.Series(y, dtype="Int64").mask(none),
    "category": lambda y, none: pd.Series(pd.Categorical.from_codes(y, [*"abc"])).mask(none),
    "polars": lambda y, none: pl.Series(
        [None if n else int(v) for v, n in zip(y, none, strict=True)]
    ),
}


# All are read before anything is fitted.
@abstaining
@pytest.mark.parametrize(
    ("estimator", "container"),
    [*(("folds", name) for name in LABELS_WITH_NONE), ("diffusion", "None"), ("pipeline", "list")],
)
def test_rows_without_a_label_get_one_suggested(estimator, container, blobs):
    X, y, y_given = blobs
    is_missing = np.arange(len(y)) < 10
    given = LABELS_WITH_NONE[container](y_given, is_missing)
    cleaner = LabelCleaner(ESTIMATORS[estimator], random_state=0)
    X_kept, y_kept = cleaner.fit_resample(X, given)
    table = cleaner.label_issues_.reset_index(drop=True)
    assert_array_equal(table["action"] == "label", is_missing)
    assert_array_equal(table["given_label"].isna(), is_missing)
    assert not table["is_label_issue"][is_missing].any()
    assert_array_equal(np.isnan(table["p_label_error"]), is_missing)
    assert len(cleaner.classes_) == 3
    right = np.searchsorted(cleaner.classes_, table["suggested_label"]) == y
    assert right[is_missing].mean() >= 0.8
    assert_array_equal(np.asarray(y_kept)[:10], table["suggested_label"][:10])
    if estimator == "diffusion":
        assert not np.isin(cleaner.estimator_.neighbors_, np.arange(10)).any()


@abstaining
@pytest.mark.filterwarnings("ignore:1 classes have lost")
def test_minus_one_is_a_label_unless_it_is_said_to_be_none(blobs):
    X, _, y_given = blobs
    y_given = np.where(np.arange(len(y_given)) < 30, -1, y_given)
    assert -1 in LabelCleaner(LogisticRegression()).fit(X, y_given).classes_
    table = LabelCleaner(LogisticRegression(), missing_label=-1).fit(X, y_given).label_issues_
    assert_array_equal(table["action"] == "label", y_given == -1)


def test_a_classifier_learns_nothing_from_rows_without_a_label(blobs):
    X, _, y_given = blobs
    is_missing = np.arange(len(X)) < 10
    given = np.where(is_missing, None, y_given.astype(object))
    of_missing = clone(JUDGE).fit(X, given)
    weight = (~is_missing).astype(float)
    of_weight = clone(JUDGE).fit(X, y_given, weight)
    assert_allclose(of_missing.predict_proba(X), of_weight.predict_proba(X))
    with pytest.raises(ValueError, match="y must hold labels, got none in 300 rows"):
        JUDGE.fit(X, [None] * 300)


# New rows


@pytest.mark.parametrize("name", ["diffusion", "pipeline"])
def test_new_rows_are_judged_by_the_fitted_classifier(name, digits):
    X, y, y_given = digits
    cleaner = LabelCleaner(ESTIMATORS[name]).fit(X[:1000], y_given[:1000])
    names = cleaner.label_issues_.columns.drop("neighbors")
    given = pd.Series(y_given[1000:], dtype="Int64")
    given[5] = pd.NA
    table = cleaner.judge(X[1000:], given)
    assert table.columns.equals(names)
    wrong = np.delete(y_given[1000:] != y[1000:], 5)
    assert roc_auc_score(wrong, table["p_label_error"].drop(index=5)) > 0.95
    assert table["action"][5] == "label"
    assert cleaner.label_issues_.shape[0] == 1000
    with pytest.raises(ValueError, match="y must hold labels seen in fit, .* got 11"):
        cleaner.judge(X[:3], [0, 11, 2])


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(max_iter=300),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        make_pipeline(FunctionTransformer(), LogisticRegression(max_iter=300)),
    ],
    ids=["alone", "pipeline", "embedded"],
)
def test_new_rows_are_judged_where_folds_have_judged(estimator, digits):
    X, y, y_given = digits
    X = X / 16
    cleaner = LabelCleaner(estimator, random_state=0).fit(X[:900], y_given[:900])
    names = cleaner.label_issues_.columns
    given = y_given[900:].astype(object)
    given[5] = None
    table = cleaner.judge(X[900:], given)
    assert table.columns.equals(names)
    assert table["action"][5] == "label"
    wrong = np.delete(y_given[900:] != y[900:], 5)
    assert roc_auc_score(wrong, table["p_label_error"].drop(index=5)) > 0.9
    # New rows are judged as the rows of fit are: by the same noise, and as often.
    shares = [t["is_label_issue"].mean() for t in (cleaner.label_issues_, table)]
    assert abs(shares[0] - shares[1]) < 0.1
    assert abs(table["is_label_issue"].drop(index=5).mean() - wrong.mean()) < 0.1


@abstaining
@pytest.mark.filterwarnings("ignore:1 classes have lost")
def test_folds_that_know_not_all_classes_judge_new_rows(blobs):
    X, _, y_given = blobs
    cleaner = LabelCleaner(LogisticRegression(), random_state=0).fit(X, y_given)
    excluded = decided(cleaner, np.flatnonzero(y_given == 2), "", decision="exclude")
    cleaner.apply(X, y_given, excluded)
    assert cleaner.estimator_.classes_.tolist() == [0, 1]
    table = cleaner.judge(X[:5], [0, 1, 2, 0, 1])
    assert set(table["suggested_label"]) <= {0, 1, 2}


# Rows that belong together


@pytest.fixture(scope="module")
def patients():
    """Six nearly equal rows of each of 120 patients: X, true and given labels, groups."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(120, 8))
    groups = np.repeat(np.arange(120), 6)
    X = centers[groups] + rng.normal(scale=0.05, size=(720, 8))
    y = (centers[:, 0] > 0).astype(int)[groups]
    return X, y, np.where((rng.random(120) < 0.2)[groups], 1 - y, y), groups


@abstaining
def test_rows_of_a_group_do_not_vouch_for_each_other(patients):
    X, y, y_given, groups = patients
    alone = LabelCleaner(JUDGE).fit(X, y_given)
    grouped = LabelCleaner(JUDGE).fit(X, y_given, groups=groups.astype(str))
    found = [
        roc_auc_score(y_given != y, c.label_issues_["p_label_error"]) for c in (alone, grouped)
    ]
    assert found[1] > max(0.95, found[0] + 0.01)
    neighbors = grouped.estimator_.neighbors_
    assert not (groups[neighbors] == groups[:, None]).any()


def test_what_is_said_of_a_row_does_not_depend_on_labels_of_its_group(patients):
    X, _, y_given, groups = patients
    other = np.where(groups == 3, 1 - y_given, y_given)
    proba = []
    for labels in (y_given, other):
        clf = LRADiffusionClassifier(**LEARNS_LITTLE, prior=LogisticRegression())
        clf.fit(X, labels, groups=groups)
        proba.append(clf.out_of_sample_proba_[groups == 3])
    # The pool's weights and the noise are those of all rows, and move rows of a group together.
    assert_array_equal(proba[0].argmax(axis=1), proba[1].argmax(axis=1))
    assert np.ptp(proba[0] - proba[1], axis=0).max() < 0.1


class RecordedFolds(GroupKFold):
    """Remembers the groups that it has been given."""

    groups = None

    def split(self, X, y=None, groups=None):
        RecordedFolds.groups = groups
        return super().split(X, y, groups)


@abstaining
def test_groups_and_weights_arrive_with_metadata_routing(patients):
    X, _, y_given, groups = patients
    weight = np.linspace(1, 2, len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        cleaner = LabelCleaner(model, cv=RecordedFolds(4))
        routed = cleaner.fit(X, y_given, groups=groups, sample_weight=weight).label_issues_
        assert_array_equal(RecordedFolds.groups, groups)
        with pytest.raises(ValueError, match="sample_weight"):
            LabelCleaner(LogisticRegression()).fit(X, y_given, sample_weight=weight)
        inner = make_pipeline(StandardScaler(), clone(JUDGE))
        inner[-1].set_fit_request(groups=True)
        LabelCleaner(inner).fit(X, y_given, groups=groups, verified=np.arange(len(X)) < 5)
        assert LabelCleaner(model).set_fit_request(groups=True) is not None
    plain = LabelCleaner(LogisticRegression(), cv=GroupKFold(4))
    plain.fit(X, y_given, groups=groups, sample_weight=weight)
    assert_frame_equal(plain.label_issues_, routed)
    without = plain.fit(X, y_given, groups=groups).label_issues_
    assert np.abs(without["p_label_error"] - routed["p_label_error"]).max() > 1e-6


def test_a_number_of_folds_keeps_groups_whole(patients):
    X, y, y_given, groups = patients
    found = LabelCleaner(random_state=0, estimator=LogisticRegression())
    table = found.fit(X, y_given, groups=groups).label_issues_
    same = pd.Series(groups).map(pd.Series(table["predicted_label"]).groupby(groups).nunique())
    assert (same == 1).mean() > 0.9


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"groups": np.zeros(300)}, "groups must be at least two, got np.float64"),
        ({"groups": np.arange(300) % 3, "neighbors": np.ones((300, 1))}, "cannot be combined"),
        ({"groups": np.arange(3)}, "inconsistent numbers of samples"),
        ({"groups": [None] * 300}, "groups must be values of one kind for all rows"),
    ],
)
def test_groups_are_checked(told, message, blobs):
    X, _, y_given = blobs
    with pytest.raises(ValueError, match=message):
        JUDGE.fit(X, y_given, **told)


# Networks of halves need neighbors of another group.
@pytest.mark.parametrize("sizes", [(150, 150), (100, 100, 100), (298, 1, 1), (297, 1, 1, 1)])
def test_few_groups_are_enough(sizes, blobs):
    X, _, y_given = blobs
    clf = LRADiffusionClassifier(max_iter=2, random_state=0)
    proba = clf.fit(X, y_given, groups=np.repeat(np.arange(len(sizes)), sizes)).predict_proba(X)
    assert np.isfinite(proba).all()


# Several annotators


def test_second_opinions_on_few_rows_do_not_hide_wrong_labels(digits, found_in_digits):
    X, y, y_given = digits
    opinions = np.full((len(y), 2), None, dtype=object)
    opinions[:, 0] = y_given
    rows = np.arange(0, len(y), 90)[:20]
    opinions[rows, 1] = y[rows]
    both = LabelCleaner(JUDGE).fit(X, opinions)
    n_found = [c.label_issues_["is_label_issue"].sum() for c in (found_in_digits, both)]
    assert n_found[1] >= n_found[0] - 20
    right = [np.mean(c.clean_labels_ == y) for c in (found_in_digits, both)]
    assert right[1] >= right[0] - 0.005
    assert_allclose(both.annotations_.reliability[0], 0.6, atol=0.05)


@pytest.mark.parametrize(
    ("estimator", "convert"),
    [(JUDGE, np.asarray), (LogisticRegression(), np.asarray), (LogisticRegression(), pd.DataFrame)],
    ids=["diffusion", "folds", "folds-frame"],
)
def test_rows_that_no_annotator_has_labelled_have_no_label(estimator, convert, blobs):
    X, y, y_given = blobs
    opinions = np.stack([y_given, y], axis=1).astype(object)
    opinions[::3, 1] = None
    opinions[:10] = None
    cleaner = LabelCleaner(estimator, random_state=0).fit(X, convert(opinions))
    table = cleaner.label_issues_
    assert_array_equal(table["action"] == "label", np.arange(300) < 10)
    assert table["given_label"][:10].isna().all()
    assert table["p_label_error"][:10].isna().all()
    assert np.mean(table["suggested_label"][:10] == y[:10]) >= 0.8
    assert cleaner.annotations_.n_labels.tolist()[:12] == [0] * 10 + [2, 2]


def test_annotators_are_judged_by_verified_labels(blobs):
    X, y, y_given = blobs
    rng = np.random.default_rng(0)
    rows = rng.permutation(300)[:100]
    # Of a hundred verified labels the first annotator has named none, the second all.
    opinions = np.full((300, 2), None, dtype=object)
    opinions[:, 0] = y_given
    opinions[rows, 1] = (y[rows] + 1) % 3
    decisions = pd.DataFrame(
        {
            "fingerprint": LabelCleaner(LogisticRegression()).fit(X, opinions).fingerprint_,
            "row": rows,
            "decision": "relabel",
            "label": y[rows].astype(str),
        }
    )
    cleaner = LabelCleaner(JUDGE).apply(X, opinions, decisions)
    assert cleaner.annotations_.reliability[1] < 0.1


@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame, sparse.csr_array])
def test_multilabel_indicators_are_refused(convert, blobs):
    X, y, _ = blobs
    with pytest.raises(ValueError, match="got a multilabel indicator"):
        LabelCleaner(JUDGE).fit(X, convert(np.eye(3, dtype=int)[y]))


# What comes back, and what it costs


class CountedEmbedder(TransformerMixin, BaseEstimator):
    """Learns nothing, and counts the rows that it embeds."""

    n_rows = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        CountedEmbedder.n_rows += len(X)
        return np.asarray(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(CountedEmbedder(), JUDGE),
        clone(JUDGE).set_params(feature_extractor=CountedEmbedder()),
        make_pipeline(CountedEmbedder(), "passthrough", LogisticRegression()),
    ],
    ids=["pipeline", "extractor", "folds"],
)
def test_rows_are_embedded_once(estimator, blobs):
    X, _, y_given = blobs
    CountedEmbedder.n_rows = 0
    LabelCleaner(estimator).fit(X, y_given)
    assert CountedEmbedder.n_rows == len(X)


@pytest.mark.parametrize("estimator", [JUDGE, LogisticRegression()], ids=["diffusion", "folds"])
def test_progress_is_told_if_asked_for(estimator, blobs, capsys):
    X, _, y_given = blobs
    LabelCleaner(estimator, verbose=1).fit(X, y_given)
    told = capsys.readouterr()
    assert told.out + told.err
    LabelCleaner(estimator).fit(X, y_given)
    told = capsys.readouterr()
    assert not told.out + told.err


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: pd.Series(y, dtype="Int64", index=np.arange(300) + 7, name="t"),
        lambda y: pd.Series(np.array([*"abc"])[y], dtype="string", name="t"),
        lambda y: pd.Series(pd.Categorical.from_codes(y, [*"abc"]), name="t"),
        lambda y: pl.Series("t", y),
        lambda y: pl.Series("t", np.array([*"abc"])[y], dtype=pl.Categorical),
    ],
    ids=["Int64", "string", "category", "polars", "polars-category"],
)
def test_labels_come_back_in_the_type_that_they_came_in(convert, blobs):
    X, _, y_given = blobs
    given = convert(y_given)
    cleaner = LabelCleaner(LogisticRegression(), random_state=0)
    _, kept = cleaner.fit_resample(X, given)
    assert type(kept) is type(given)
    assert kept.dtype == given.dtype
    assert kept.name == "t"
    same = cleaner.label_issues_["action"].to_numpy()[cleaner.sample_indices_] == "keep"
    if isinstance(given, pd.Series):
        assert_series_equal(kept[same], given.iloc[cleaner.sample_indices_][same])
    else:
        assert kept.filter(same).equals(given[cleaner.sample_indices_.tolist()].filter(same))


def test_something_is_left_to_learn_from():
    from skdiffusion_label.cleaning._issues import _actions
    from skdiffusion_label.cleaning._reading import known_labels

    read = known_labels(np.arange(3), np.arange(3))
    yes, no = np.ones(3, dtype=bool), np.zeros(3, dtype=bool)
    assert _actions(read, yes, no, no).tolist() == ["review"] * 3
    assert _actions(read, np.array([True, True, False]), no, no).tolist() == [
        "drop",
        "drop",
        "keep",
    ]


def test_a_list_of_decisions_says_what_it_should_be(tmp_path):
    path = tmp_path / "decisions.json"
    path.write_text('[{"row": 3, "decision": "keep"}]')
    with pytest.raises(ValueError, match="must be an object with version, fingerprint and"):
        read_decisions(path)

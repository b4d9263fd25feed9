"""The cleaner and the classifier inside cleanlab and imbalanced-learn, on data frames and skrub."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cleanlab import Datalab
from cleanlab.classification import CleanLearning
from cleanlab.filter import find_label_issues as find_label_issues_of_cleanlab
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skrub import TableVectorizer

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.cleaning import LabelCleaner, find_label_issues

NAMES = np.array(["ant", "bee", "cat"])


@pytest.fixture
def model():
    return LRADiffusionClassifier(
        n_neighbors=10,
        retrieval_space="features",
        hidden_size=64,
        max_iter=5,
        batch_size=32,
        learning_rate=1e-2,
        random_state=0,
    )


@pytest.fixture(scope="module")
def cross_validated(fast, blobs):
    """Probabilities of folds."""
    X, _, y_given = blobs
    model = LRADiffusionClassifier(**fast)
    return cross_val_predict(model, X, y_given, cv=3, method="predict_proba")


@pytest.fixture
def table(blobs):
    """Blobs as a data frame with missing values and a categorical column, labels as a Series."""
    X, y, y_given = blobs
    index = pd.Index(np.arange(len(y)) + 1000, name="id")
    frame = pd.DataFrame(X, columns=[*"abcd"], index=index)
    frame["kind"] = pd.Categorical(np.where(X[:, 0] > 0, "positive", "negative"))
    frame["note"] = np.where(X[:, 1] > 0, "above", "below")
    frame.iloc[::9, 2] = np.nan
    frame.iloc[4::11, 4] = np.nan
    return frame, NAMES[y], pd.Series(NAMES[y_given], index=index, name="species")


# cleanlab


def test_cleanlab_finds_issues_and_learns_with_the_classifier(model, blobs):
    X, y, y_given = blobs
    learner = CleanLearning(model, cv_n_folds=3, seed=0)
    issues = learner.find_label_issues(X, y_given)["is_label_issue"].to_numpy()
    wrong = y_given != y
    assert issues[wrong].mean() > 0.7
    assert issues[~wrong].mean() < 0.15
    learner.fit(X, y_given, label_issues=learner.get_label_issues())
    assert np.mean(learner.predict(X) == y) > 0.9


def test_cleanlab_learns_from_the_issues_that_the_cleaner_has_found(model, blobs):
    X, y, y_given = blobs
    table = LabelCleaner(model).fit(X, y_given).label_issues_
    learner = CleanLearning(LogisticRegression(), seed=0)
    learner.fit(X, y_given, label_issues=table[["is_label_issue", "label_quality"]])
    assert np.mean(learner.predict(X) == y) > 0.93
    assert_array_equal(learner.get_label_issues()["is_label_issue"], table["is_label_issue"])


def test_cleanlab_and_the_cleaner_agree_about_probabilities(cross_validated, blobs):
    _, y, y_given = blobs
    theirs = find_label_issues_of_cleanlab(y_given, cross_validated)
    ours = find_label_issues(y_given, cross_validated)["is_label_issue"].to_numpy()
    wrong = y_given != y
    for issues in (theirs, ours):
        assert issues[wrong].mean() > 0.7
        assert issues[~wrong].mean() < 0.15
    assert np.mean(theirs == ours) > 0.9


# Datalab uses what pandas 3 deprecates, and takes the warning for a failure of its check.
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.rename is deprecated")
@pytest.mark.parametrize("source", ["pred_probs", "features", "knn_graph"])
def test_datalab_takes_what_the_classifier_gives(source, cross_validated, fitted, blobs, capsys):
    X, y, y_given = blobs
    inputs = {
        "pred_probs": cross_validated,
        "features": X,
        "knn_graph": fitted.kneighbors_graph(X),
    }
    lab = Datalab(data={"X": X, "y": y_given}, label_name="y")
    lab.find_issues(**{source: inputs[source]})
    assert "Error in" not in capsys.readouterr().out
    if source == "knn_graph":
        assert {"outlier", "near_duplicate", "non_iid"} <= set(
            lab.get_issue_summary()["issue_type"]
        )
    else:
        issues = lab.get_issues("label")["is_label_issue"].to_numpy()
        wrong = y_given != y
        assert issues[wrong].mean() > 0.7
        assert issues[~wrong].mean() < 0.2


# imbalanced-learn


def test_the_cleaner_is_a_step_that_resamples(model, blobs):
    X, y, y_given = blobs
    steps = [("clean", LabelCleaner(model)), ("clf", KNeighborsClassifier(1))]
    pipeline = ImbalancedPipeline(steps).fit(X, y_given)
    assert pipeline["clf"].n_samples_fit_ == len(pipeline["clean"].sample_indices_)
    # At prediction no row is dropped.
    assert pipeline.predict(X).shape == y.shape
    assert pipeline.score(X, y) > 0.9
    assert KNeighborsClassifier(1).fit(X, y_given).score(X, y) < 0.85


@pytest.mark.filterwarnings("ignore:The given labels do not tell")  # of a fold
def test_it_is_cross_validated_and_searched_there(model, blobs):
    X, y, y_given = blobs
    steps = [("clean", LabelCleaner(model, random_state=0)), ("clf", LogisticRegression())]
    pipeline = ImbalancedPipeline(steps)
    scores = cross_val_score(pipeline, X, y_given, cv=2)
    assert scores.min() > 0.6  # a fifth of the labels of test folds is wrong
    grid = {"clean__estimator": [LogisticRegression(), KNeighborsClassifier(15)]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y_given)
    assert search.score(X, y) > 0.9


def test_scaled_rows_reach_it_there(blobs, model):
    X, _, y_given = blobs
    pipeline = make_imbalanced_pipeline(StandardScaler(), LabelCleaner(model), LogisticRegression())
    pipeline.fit(X, y_given)
    expected = LabelCleaner(model).fit(StandardScaler().fit_transform(X), y_given)
    assert_frame_equal(pipeline[1].label_issues_, expected.label_issues_)


# Data frames


def test_pandas_in_pandas_out(model, table):
    frame, y, y_given = table
    numbers = frame[["a", "b", "d"]]
    cleaner = LabelCleaner(model)
    X_kept, y_kept = cleaner.fit_resample(numbers, y_given)
    assert_frame_equal(X_kept, numbers.iloc[cleaner.sample_indices_])
    assert cleaner.label_issues_.index.equals(y_given.index)
    assert y_kept.name == "species"
    assert y_kept.dtype == y_given.dtype
    assert y_kept.index.equals(X_kept.index)
    assert_array_equal(cleaner.estimator_.feature_names_in_, ["a", "b", "d"])
    plain = LabelCleaner(model).fit(numbers.to_numpy(), y_given.to_numpy())
    tables = [c.label_issues_.reset_index(drop=True) for c in (plain, cleaner)]
    by_name = [y_given.index[rows].tolist() for rows in tables[0].pop("neighbors")]
    assert tables[1].pop("neighbors").tolist() == by_name
    assert_frame_equal(*tables, check_dtype=False)


@pytest.mark.parametrize("wrapped", [True, False])
def test_polars_rows_come_back_as_polars(wrapped, model, table):
    frame, y, y_given = table
    numbers = pl.DataFrame(frame[["a", "b", "d"]].to_dict("list"))
    labels = pl.Series("species", y_given.to_list())
    cleaner = LabelCleaner(make_pipeline(StandardScaler(), model) if wrapped else model)
    X_kept, y_kept = cleaner.fit_resample(numbers, labels)
    assert isinstance(X_kept, pl.DataFrame)
    assert X_kept.equals(numbers[cleaner.sample_indices_.tolist()])
    assert isinstance(y_kept, pl.Series) and y_kept.name == "species"
    assert np.mean(y_kept.to_numpy() == y[cleaner.sample_indices_]) > 0.9
    assert np.mean(cleaner.clean_labels_ == y) > 0.9


def with_skrub(model):
    return make_pipeline(TableVectorizer(), SimpleImputer(), model)


def with_columns(model):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["a", "b", "c", "d"]), (OneHotEncoder(), ["kind", "note"])
    )
    return make_pipeline(columns, model)


@pytest.mark.parametrize("wrap", [with_skrub, with_columns])
def test_mixed_tables_pass_through_a_pipeline(wrap, model, table):
    frame, y, y_given = table
    pipeline = wrap(model).fit(frame, y_given)
    assert np.mean(pipeline.predict(frame) == y) > 0.9


@pytest.mark.parametrize(
    ("wrap", "final"),
    [(with_skrub, "folds"), (with_columns, "folds"), (with_columns, "diffusion")],
)
def test_the_cleaner_goes_around_it(wrap, final, model, table):
    frame, y, y_given = table
    final = model if final == "diffusion" else LogisticRegression(max_iter=1000)
    cleaner = LabelCleaner(wrap(final), random_state=0)
    X_kept, y_kept = cleaner.fit_resample(frame, y_given)
    assert np.mean(cleaner.clean_labels_ == y) > 0.9
    assert_frame_equal(X_kept, frame.iloc[cleaner.sample_indices_])
    relabeled = cleaner.label_issues_["action"] == "relabel"
    mended = y_given.where(~relabeled, pd.Series(cleaner.clean_labels_, index=y_given.index))
    assert_series_equal(y_kept, mended.iloc[cleaner.sample_indices_])


def test_polars_passes_through_skrub(model, table):
    frame, y, y_given = table
    polars_frame = pl.DataFrame(
        {
            name: column.astype(object).where(column.notna(), None).tolist()
            for name, column in frame.items()
        }
    )
    cleaner = LabelCleaner(with_skrub(model)).fit(polars_frame, pl.Series(y_given.to_list()))
    assert np.mean(cleaner.clean_labels_ == y) > 0.9

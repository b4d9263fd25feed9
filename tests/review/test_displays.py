"""Pictures of what a cleaner has found."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from PIL import Image
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label import LRADiffusionClassifier, review
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.review import (
    ClassSummaryDisplay,
    LabelErrorReliabilityDisplay,
    LabelIssuesDisplay,
    LossCurveDisplay,
    TransitionMatrixDisplay,
)

HOSTILE = "$x^{$ \\frac <b> \N{HEBREW LETTER ALEF}"


@pytest.fixture(autouse=True)
def closed_figures():
    """Draw into memory, and close what was drawn."""
    backend = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(backend)


@pytest.fixture(scope="module")
def cleaned(fast, blobs):
    """A cleaner fitted on the blobs by a pipeline, to be looked at and never changed."""
    X, _, y_given = blobs
    names = np.array(["ant", "bee", "cat"])
    model = make_pipeline(StandardScaler(), LRADiffusionClassifier(**fast))
    return LabelCleaner(model).fit(X, names[y_given])


def drawn(display):
    """Draw the figure, so that all of it is laid out, and return the display."""
    display.figure_.canvas.draw()
    return display


def test_transition_matrix_shows_its_values(cleaned):
    display = drawn(TransitionMatrixDisplay.from_cleaner(cleaned))

    np.testing.assert_array_equal(display.im_.get_array(), cleaned.transition_matrix_)
    shown = [[float(text.get_text()) for text in row] for row in display.text_]
    np.testing.assert_allclose(shown, cleaned.transition_matrix_, atol=0.006)
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["ant", "bee", "cat"]


def test_transition_matrix_of_a_classifier_or_of_many_classes(fitted):
    display = TransitionMatrixDisplay.from_estimator(fitted)
    many = TransitionMatrixDisplay(np.eye(30)).plot()

    assert display.transition_matrix is fitted.transition_matrix_
    assert many.text_ is None


def test_reliability_is_the_share_of_wrong_labels_in_each_bin(make_cleaner):
    p_error = np.repeat([0.1, 0.9], 10)
    cleaner = make_cleaner(["a"] * 20, ["b"] * 20, p_error=p_error)
    y_true = ["b"] + ["a"] * 9 + ["b"] * 8 + ["a", None]

    display = drawn(LabelErrorReliabilityDisplay.from_cleaner(cleaner, y_true, n_bins=2))

    np.testing.assert_allclose(display.prob_pred, [0.1, 0.9])
    np.testing.assert_allclose(display.prob_true, [0.1, 8 / 9])
    assert display.n_rows == 19
    np.testing.assert_allclose(display.line_.get_ydata(), display.prob_true)


def test_reliability_leaves_out_rows_that_were_told(make_cleaner):
    cleaner = make_cleaner(["a"] * 6, ["b"] * 6)
    cleaner.label_issues_["verified"] = [True] * 2 + [False] * 4

    assert LabelErrorReliabilityDisplay.from_cleaner(cleaner, ["a"] * 6).n_rows == 4
    with pytest.raises(ValueError, match="y_true must hold the label of a row"):
        LabelErrorReliabilityDisplay.from_cleaner(cleaner, ["a", "a"] + [None] * 4)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        LabelErrorReliabilityDisplay.from_cleaner(cleaner, ["a"])


def test_class_summary_counts_what_leads_to_the_given_labels(make_cleaner):
    cleaner = make_cleaner(["a"] * 46 + ["b"] * 54, ["a"] * 40 + ["b"] * 60)
    cleaner.transition_matrix_ = np.array([[0.9, 0.1], [0.2, 0.8]])

    display = drawn(ClassSummaryDisplay.from_cleaner(cleaner))

    assert display.given.tolist() == [46, 54]
    assert display.flagged.tolist() == [6, 0]
    np.testing.assert_allclose(display.expected @ cleaner.transition_matrix_, [46, 54])
    assert [bar.get_width() for bar in display.bars_[2]] == [6, 0]


def test_class_summary_counts_no_missing_labels(make_cleaner):
    cleaner = make_cleaner([None, "a", "b"], ["a", "b", "b"], action=["label", "relabel", "keep"])

    display = ClassSummaryDisplay.from_cleaner(cleaner)

    assert display.given.tolist() == [1, 1] and display.flagged.tolist() == [1, 0]


def test_loss_curve_has_a_point_for_each_epoch(cleaned, fitted):
    display = drawn(LossCurveDisplay.from_cleaner(cleaned))

    assert display.line_.get_ydata().tolist() == cleaned.estimator_[-1].loss_curve_
    assert display.line_.get_xdata()[0] == 1
    assert LossCurveDisplay.from_estimator(fitted).loss_curve == fitted.loss_curve_


def test_loss_curve_of_what_has_none_is_refused(blobs):
    X, _, y_given = blobs
    model = LogisticRegression().fit(X, y_given)
    cleaner = LabelCleaner(model, random_state=0).fit(X, y_given)

    with pytest.raises(ValueError, match="LogisticRegression has no loss_curve_"):
        LossCurveDisplay.from_estimator(model)
    with pytest.raises(ValueError, match="LogisticRegression has no loss_curve_"):
        LossCurveDisplay.from_cleaner(cleaner)


@pytest.mark.parametrize("n_issues", [1, 5, 12])
def test_issues_are_a_grid_of_images_with_their_neighbors(make_cleaner, n_issues):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8), dtype=np.uint8)
    cleaner = make_cleaner(["a"] * 12, ["b"] * 12)

    display = drawn(
        LabelIssuesDisplay.from_cleaner(
            cleaner, images, features=np.arange(12)[:, None], n_issues=n_issues
        )
    )

    assert len(display.axes_) == len(display.issues) == n_issues
    assert display.issues[0].title == "row 0: a -> b"
    assert display.issues[0].evidence == "90%, 0 of 6 neighbors"
    picture = display.issues[0].content
    large = Image.fromarray(images[0]).convert("RGB").resize((96, 96), Image.Resampling.NEAREST)
    small = Image.fromarray(images[1]).convert("RGB").resize((24, 24), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(picture[:96], np.asarray(large))
    np.testing.assert_array_equal(picture[96:, :24], np.asarray(small))


def test_issues_may_be_texts_and_tables_of_any_content(make_cleaner):
    cleaner = make_cleaner([HOSTILE, "b"], ["b", HOSTILE], index=[HOSTILE, "$"])

    texts = LabelIssuesDisplay.from_cleaner(cleaner, [HOSTILE, ""])
    X = pd.DataFrame({HOSTILE: [HOSTILE, "x"]})
    table = LabelIssuesDisplay.from_cleaner(cleaner, X, show="table")

    assert texts.issues[0].content == "$x^{$ \\frac <b> \N{HEBREW LETTER ALEF}"
    assert texts.issues[0].title == f"row {HOSTILE}: {HOSTILE} -> b"
    assert "usual" in table.issues[0].content
    for display in (texts, table):
        assert len(display.axes_) == 2


def test_nothing_to_show_is_an_empty_grid(make_cleaner):
    display = drawn(LabelIssuesDisplay.from_cleaner(make_cleaner(["a"], ["a"]), ["text"]))

    assert len(display.axes_) == 0


@pytest.mark.parametrize("name", [name for name in review.__all__ if name.endswith("Display")])
def test_displays_draw_into_given_axes(name, cleaned, blobs):
    figure, (left, right) = pyplot.subplots(1, 2)
    arguments = {
        "LabelErrorReliabilityDisplay": [np.array(["ant", "bee", "cat"])[blobs[1]]],
        "LabelIssuesDisplay": [blobs[0]],
    }.get(name, [])

    display = getattr(review, name).from_cleaner(cleaned, *arguments, ax=right)

    assert display.ax_ is right and display.figure_ is figure
    assert not left.has_data()
    assert display.plot(left) is display and display.ax_ is left
    assert pyplot.get_fignums() == [figure.number]


@pytest.mark.parametrize("name", [name for name in review.__all__ if name.endswith("Display")])
def test_displays_refuse_what_is_not_fitted(name):
    arguments = [[0]] if "Reliability" in name or "Issues" in name else []

    with pytest.raises(NotFittedError):
        getattr(review, name).from_cleaner(LabelCleaner(), *arguments)

"""What a cleaner looks like in a notebook."""

import re
from html import unescape

import numpy as np
import pytest
from sklearn import config_context
from sklearn.linear_model import LogisticRegression

from skdiffusion_label.cleaning import LabelCleaner

HOSTILE = "<script>alert('x')</script> & \"y\""


def lines_of(html):
    """Return the summary's lines as a dict of texts."""
    found = re.findall(r'<tr><th scope="row"[^>]*>([^<]*)</th><td[^>]*>([^<]*)</td></tr>', html)
    return {name: unescape(value) for name, value in found}


@pytest.fixture
def cleaner(blobs):
    """A cleaner whose classes have hostile names."""
    X, _, y_given = blobs
    names = np.array([HOSTILE, "bee", "cat"])
    return LabelCleaner(LogisticRegression(), random_state=0).fit(X, names[y_given])


def test_unfitted_cleaner_looks_as_other_estimators():
    html = LabelCleaner(LogisticRegression())._repr_html_()

    assert "LogisticRegression" in html
    assert lines_of(html) == {}


def test_fitted_cleaner_tells_what_it_has_found(cleaner):
    html = cleaner._repr_html_()
    lines = lines_of(html)
    table = cleaner.label_issues_

    n_issues = table["is_label_issue"].sum()
    assert "LogisticRegression" in html
    assert lines["rows"] == "200"
    assert lines["label issues"] == f"{n_issues} ({n_issues / 200:.1%})"
    assert f"keep {np.sum(table['action'] == 'keep')}" in lines["actions"]
    assert lines["expected wrong labels"] == f"{cleaner.noise_rate_:.1%}"
    assert lines["classes"] == f"3: {HOSTILE}, bee, cat"
    assert "abstention" not in lines
    assert "<script>alert" not in html


def test_many_classes_are_not_all_named_and_abstention_is_told(cleaner):
    cleaner.classes_ = np.arange(40)
    cleaner.abstention_ = "Nobody can tell."

    lines = lines_of(cleaner._repr_html_())

    assert lines["classes"] == "40: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 30 more"
    assert lines["abstention"] == "Nobody can tell."


def test_notebooks_get_the_same_html_unless_text_is_asked_for(cleaner):
    assert lines_of(cleaner._repr_mimebundle_()["text/html"]) == lines_of(cleaner._repr_html_())
    with config_context(display="text"):
        assert list(cleaner._repr_mimebundle_()) == ["text/plain"]
        assert not hasattr(cleaner, "_repr_html_")

"""Settings of scikit-learn and torch that hold for a whole process."""

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label import LabelCleaner, LRADiffusionClassifier, LRADiffusionImageClassifier

CONFIGURATIONS = {
    "auto": {},
    "epsilon": {"prediction_type": "epsilon", "n_sampling_steps": 3},
    "prior": {"encoder": "mlp", "prior": make_pipeline(StandardScaler(), LogisticRegression())},
    "extractor": {"feature_extractor": PCA(3, random_state=0), "n_iter_no_change": 5},
}


def within(setting):
    """Return a context of scikit-learn's output or torch's default dtype."""
    if setting == "float64":
        return _DefaultDtype()
    return sklearn.config_context(transform_output=setting)


class _DefaultDtype:
    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *error):
        torch.set_default_dtype(torch.float32)


# Scikit-learn's output concerns its transformers, torch's dtype the network.
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("auto", ["pandas", "float64"]),
        ("epsilon", ["float64"]),
        ("prior", ["polars", "float64"]),
        ("extractor", ["pandas", "polars"]),
    ],
)
def test_settings_change_no_result(name, settings, fast, blobs):
    X, _, y = blobs

    def results(clf):
        return clf.predict_proba(X), clf.purify_proba(X, y, 3), clf.sample_labels(X, 2)

    clf = LRADiffusionClassifier(**{**fast, "max_iter": 3, **CONFIGURATIONS[name]})
    expected = results(clf.fit(X, y))
    for setting in settings:
        with within(setting):
            fitted_before = results(clf)
            fitted_within = results(clf.fit(X, y))
        for result, same, right in zip(fitted_before, fitted_within, expected, strict=True):
            assert_array_equal(result, right)
            assert_array_equal(same, right)
        assert_array_equal(clf.predict_proba(X), expected[0])


def test_settings_change_no_cleaning(fast, blobs):
    X, _, y = blobs
    cleaner = LabelCleaner(LRADiffusionClassifier(**fast), random_state=0)
    expected = cleaner.fit(X, y).label_issues_
    for setting in ("polars", "float64"):
        with within(setting):
            table = cleaner.fit(X, y).label_issues_
        assert_array_equal(table["p_label_error"], expected["p_label_error"])


def test_settings_change_no_encoder_that_is_trained_along(fast, blobs):
    X, _, y = blobs
    encoder = torch.nn.Linear(4, 7)
    clf = LRADiffusionImageClassifier(**{**fast, "encoder": encoder, "max_iter": 3})
    expected = clf.fit(X, y).predict_proba(X)
    assert np.isfinite(expected).all()
    for setting in ("pandas", "float64"):
        with within(setting):
            proba = clf.fit(X, y).predict_proba(X)
        assert_array_equal(proba, expected)

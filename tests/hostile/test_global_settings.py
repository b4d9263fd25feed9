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

CONFIGURATIONS = [
    {},
    {"prediction_type": "epsilon", "n_sampling_steps": 3},
    {"encoder": "mlp", "prior": make_pipeline(StandardScaler(), LogisticRegression())},
    {"feature_extractor": PCA(3, random_state=0), "n_iter_no_change": 5},
]


@pytest.fixture(params=["pandas", "polars", "float64"])
def setting(request):
    """Return what enters and leaves a setting, to be called by a ``with`` statement."""
    if request.param != "float64":
        return lambda: sklearn.config_context(transform_output=request.param)
    return _DefaultDtype


class _DefaultDtype:
    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *error):
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "parameters", CONFIGURATIONS, ids=["auto", "epsilon", "prior", "extractor"]
)
def test_settings_change_no_result(parameters, setting, fast, blobs):
    X, _, y = blobs

    def results(clf):
        return clf.predict_proba(X), clf.purify_proba(X, y, 3), clf.sample_labels(X, 2)

    clf = LRADiffusionClassifier(**{**fast, "max_iter": 3, **parameters})
    expected = results(clf.fit(X, y))
    with setting():
        fitted_before = results(clf)
        fitted_within = results(clf.fit(X, y))
    for result, same, right in zip(fitted_before, fitted_within, expected, strict=True):
        assert_array_equal(result, right)
        assert_array_equal(same, right)
    assert_array_equal(clf.predict_proba(X), expected[0])


def test_settings_change_no_cleaning(setting, fast, blobs):
    X, _, y = blobs
    cleaner = LabelCleaner(LRADiffusionClassifier(**fast), random_state=0)
    expected = cleaner.fit(X, y).label_issues_
    with setting():
        table = cleaner.fit(X, y).label_issues_
    assert_array_equal(table["p_label_error"], expected["p_label_error"])


def test_settings_change_no_encoder_that_is_trained_along(setting, fast, blobs):
    X, _, y = blobs
    encoder = torch.nn.Linear(4, 7)
    clf = LRADiffusionImageClassifier(**{**fast, "encoder": encoder, "max_iter": 3})
    expected = clf.fit(X, y).predict_proba(X)
    with setting():
        proba = clf.fit(X, y).predict_proba(X)
    assert_array_equal(proba, expected)
    assert np.isfinite(proba).all()

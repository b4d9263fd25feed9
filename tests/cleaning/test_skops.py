"""Files of skops: they run no code, and name the types that they need."""

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from skdiffusion_label import TRUSTED_TYPES, LRADiffusionClassifier
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, uniform_transition


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(600, random_state=0)
    return X, np.array([*"abc"])[flip_labels(y, uniform_transition(3, 0.3), random_state=0)]


def loaded(estimator):
    data = skops.io.dumps(estimator)
    assert set(skops.io.get_untrusted_types(data=data)) <= set(TRUSTED_TYPES)
    return skops.io.loads(data, trusted=list(TRUSTED_TYPES))


@pytest.mark.parametrize("options", [{}, {"label_aggregation": "vote"}, {"encoder": "mlp"}])
def test_a_classifier_predicts_the_same(options, blobs):
    X, y = blobs
    clf = LRADiffusionClassifier(max_iter=1, random_state=0, **options).fit(X, y)
    other = loaded(clf)
    assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(other.purify_proba(X, y), clf.purify_proba(X, y))


@pytest.mark.parametrize(
    "estimator",
    [LRADiffusionClassifier(max_iter=1, random_state=0), LogisticRegression()],
    ids=["diffusion", "folds"],
)
@pytest.mark.parametrize("several", [False, True])
def test_a_fitted_cleaner_keeps_its_table(estimator, several, blobs):
    X, y = blobs
    given = np.stack([y, y], axis=1) if several else np.where(np.arange(600) < 5, None, y)
    cleaner = LabelCleaner(estimator).fit(X, given)
    other = loaded(cleaner)
    assert_frame_equal(other.label_issues_, cleaner.label_issues_)
    assert_array_equal(other.clean_labels_, cleaner.clean_labels_)
    assert other.fingerprint_ == cleaner.fingerprint_
    assert_frame_equal(other.judge(X[:50], y[:50]), cleaner.judge(X[:50], y[:50]))
    assert loaded(LabelCleaner(estimator)).get_params(deep=False).keys() == (
        cleaner.get_params(deep=False).keys()
    )


def test_a_file_of_another_version_says_so(blobs, monkeypatch):
    X, y = blobs
    data = skops.io.dumps(LabelCleaner(LRADiffusionClassifier(max_iter=1)).fit(X, y))
    monkeypatch.setattr("skdiffusion_label.__version__", "99.0")
    with pytest.warns(UserWarning, match="is loaded by 99.0"):
        skops.io.loads(data, trusted=list(TRUSTED_TYPES))

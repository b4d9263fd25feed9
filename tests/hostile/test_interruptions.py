"""A fit that does not return leaves the estimator as it was."""

import importlib
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skdiffusion_label import LabelCleaner, LRADiffusionClassifier
from skdiffusion_label.label_noise import NoisyLabelsClassifier

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "benchmarks"))
hostile_cases = importlib.import_module("hostile_cases")


def test_the_handler_of_the_signal_is_what_it_was():
    before = signal.getsignal(signal.SIGALRM)
    assert hostile_cases.interrupted(lambda: time.sleep(30), 0.01)
    assert not hostile_cases.interrupted(lambda: None, 30)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


# A library that is interrupted while it reads a file leaves that to be closed later.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("parameters", [{}, {"warm_start": True}, {"n_iter_no_change": 3}])
def test_a_fit_that_is_interrupted_anywhere_leaves_all_as_it_was(parameters, fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast).fit(X, y).set_params(**parameters)
    n_interrupted = 0
    for seconds in np.random.default_rng(0).uniform(0.001, 0.2, 12):
        before, expected = dict(vars(clf)), clf.predict_proba(X)
        if not hostile_cases.interrupted(lambda: clf.fit(X[::-1], y), seconds):
            continue
        n_interrupted += 1
        assert vars(clf).keys() == before.keys()
        assert all(vars(clf)[name] is value for name, value in before.items())
        assert_array_equal(clf.predict_proba(X), expected)
    assert n_interrupted > 6


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_refused_fit_leaves_all_as_it_was(warm_start, fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast).fit(X, y).set_params(warm_start=warm_start)
    before, expected = dict(vars(clf)), clf.predict_proba(X)
    for refused in ((X * 1e30, y), (X * np.nan, y), (X[:, :2], y[:-1]), (X, np.arange(len(y)) / 3)):
        with pytest.raises(ValueError):
            clf.fit(*refused)
        assert dict(vars(clf)) == before
    assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.filterwarnings("error")
def test_a_cleaner_whose_warning_is_an_error_stays_as_it_was(blobs):
    X, _, y = blobs
    cleaner = LabelCleaner(LogisticRegression(), random_state=0).fit(X, y)
    before = dict(vars(cleaner))
    with pytest.raises(UserWarning, match="hardly better than their frequencies"):
        cleaner.fit(np.random.default_rng(0).normal(size=X.shape), y)
    assert all(vars(cleaner)[name] is value for name, value in before.items())


def test_a_noise_that_fails_leaves_all_as_it_was(blobs):
    X, y, _ = blobs
    clf = NoisyLabelsClassifier(LogisticRegression(), random_state=0).fit(X, y)
    before = dict(vars(clf), noise=len)
    with pytest.raises(TypeError):
        clone(clf).set_params(noise=len).fit(X, y)
    with pytest.raises(TypeError):
        clf.set_params(noise=len).fit(X, y)
    assert vars(clf) == before

"""Callbacks of scikit-learn watch a fit and end it, where the installed version has them."""

import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.pipeline import make_pipeline

from skdiffusion_label import LRADiffusionClassifier

ScoringMonitor = pytest.importorskip("sklearn.callback").ScoringMonitor


@pytest.fixture
def classifier(fast):
    return LRADiffusionClassifier(**fast)


class Recorder:
    """Remember the names of tasks; ask to stop after ``n_epochs`` of them."""

    def __init__(self, n_epochs=None):
        self.n_epochs = n_epochs
        self.begun, self.ended, self.n_setups, self.n_teardowns = [], [], 0, 0

    def setup(self, estimator, context):
        self.n_setups += 1

    def teardown(self, estimator, context):
        self.n_teardowns += 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        return self.ended.count("epoch") == self.n_epochs


def test_a_callback_gets_one_task_for_each_epoch(classifier, blobs):
    X, _, y = blobs
    recorder = Recorder()
    classifier.set_callbacks(recorder).fit(X, y)
    assert recorder.begun.count("epoch") == recorder.ended.count("epoch") == classifier.n_iter_
    assert len(recorder.begun) == len(recorder.ended) == classifier.n_iter_ + 1
    assert recorder.n_setups == recorder.n_teardowns == 1
    assert not hasattr(classifier, "_callback_fit_ctx")


def test_a_callback_that_returns_true_stops_the_fit(classifier, blobs):
    X, _, y = blobs
    classifier.set_callbacks(Recorder(n_epochs=3)).fit(X, y)
    assert classifier.n_iter_ == len(classifier.loss_curve_) == 3
    assert classifier.predict(X).shape == y.shape


def test_a_callback_changes_no_prediction(classifier, blobs):
    X, _, y = blobs
    fitted = clone(classifier).fit(X, y)
    watched = classifier.set_callbacks(Recorder(), ScoringMonitor(scoring="accuracy")).fit(X, y)
    assert_array_equal(watched.predict_proba(X), fitted.predict_proba(X))


def test_scoring_monitor_scores_each_epoch(classifier, blobs):
    X, _, y = blobs
    classifier.set_params(label_aggregation="vote")  # judges are as good from the first epoch on
    monitor = ScoringMonitor(scoring="accuracy")
    classifier.set_callbacks(monitor).fit(X, y)
    epochs = [entry for entry in monitor.get_logs().data if entry["task_name"] == "epoch"]
    assert len(epochs) == classifier.n_iter_
    assert epochs[-1]["accuracy"] == classifier.score(X, y)
    assert epochs[0]["accuracy"] != epochs[-1]["accuracy"]


def test_scoring_monitor_scores_rows_that_only_the_extractor_takes(fast):
    sentences, labels = ["a cat purrs", "the dog barks", "a cat", "the dog"] * 10, [*"cdcd"] * 10
    extractor = make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0))
    monitor = ScoringMonitor(scoring=make_scorer(accuracy_score))
    clf = LRADiffusionClassifier(extractor, **fast).set_callbacks(monitor)
    clf.fit(sentences, labels)
    assert monitor.get_logs().data[-1]["score"] == clf.score(sentences, labels)

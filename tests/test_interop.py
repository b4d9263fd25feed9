"""LRADiffusionClassifier inside scikit-learn's tools, and with parts of the user's."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_circles
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import recall_score
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdiffusion_label import LRADiffusionClassifier


@pytest.fixture
def classifier(fast):
    return LRADiffusionClassifier(**fast)


# Meta-estimators


@pytest.mark.parametrize(
    "wrap",
    [
        lambda clf: make_pipeline(StandardScaler(), PCA(3), clf),
        lambda clf: GridSearchCV(clf, {"n_neighbors": [10]}, cv=2),
        lambda clf: CalibratedClassifierCV(clf, cv=2),
        lambda clf: VotingClassifier([("diffusion", clf), ("bayes", GaussianNB())], voting="soft"),
        lambda clf: BaggingClassifier(clf, n_estimators=2, random_state=0),
        lambda clf: OneVsRestClassifier(clf),
    ],
    ids=["pipeline", "grid_search", "calibrated", "voting", "bagging", "one_vs_rest"],
)
def test_meta_estimators_learn_through_it(wrap, classifier, blobs):
    X, y, y_given = blobs
    names = np.array(["a", "b", "c"])
    wrapped = wrap(classifier).fit(X, names[y_given])
    assert wrapped.score(X, names[y]) > 0.9
    assert_allclose(wrapped.predict_proba(X).sum(axis=1), 1)


def test_cross_validated_probabilities_find_the_true_labels(classifier, blobs):
    X, y, y_given = blobs
    proba = cross_val_predict(classifier, X, y_given, cv=3, method="predict_proba")
    assert np.mean(proba.argmax(axis=1) == y) > 0.9


def test_sample_weight_is_routed_where_it_is_requested(quick, blobs):
    X, _, y = blobs
    classifier = LRADiffusionClassifier(**quick)
    params = {"sample_weight": np.linspace(0, 2, len(y))}
    with config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            cross_validate(classifier, X, y, cv=2, params=params, error_score="raise")
        routed = classifier.set_fit_request(sample_weight=True).set_score_request(
            sample_weight=False
        )
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, routed)
        weighted = pipeline.fit(X, y, **params).predict_proba(X)
    by_hand = clone(classifier).fit(StandardScaler().fit_transform(X), y, **params)
    assert_array_equal(weighted, by_hand.predict_proba(StandardScaler().fit_transform(X)))


def test_neighbors_can_be_routed_through_a_pipeline(quick, blobs):
    X, _, y = blobs
    neighbors = np.roll(np.arange(len(y)), -1)[:, None]
    pipeline = make_pipeline(StandardScaler(), LRADiffusionClassifier(**quick))
    pipeline.fit(X, y, lradiffusionclassifier__neighbors=neighbors)
    assert_array_equal(pipeline[-1].neighbors_, neighbors)


# Feature extractors


@pytest.fixture(scope="module")
def texts():
    """Sentences of two classes and their labels."""
    rng = np.random.default_rng(0)
    words = (["cat", "purr", "meow", "whisker"], ["dog", "bark", "bone", "leash"])
    shared = ["the", "and", "house", "big", "small"]
    labels = np.tile(["cat", "dog"], 40)
    sentences = [
        " ".join([*rng.choice(words[label == "dog"], 3), *rng.choice(shared, 3)])
        for label in labels
    ]
    return sentences, labels


@pytest.fixture
def text_extractor():
    return make_pipeline(TfidfVectorizer(), TruncatedSVD(5, random_state=0))


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_texts_are_rows_for_an_extractor_of_texts(container, texts, text_extractor, fast):
    sentences, labels = texts
    clf = LRADiffusionClassifier(text_extractor, **fast).fit(container(sentences), labels)
    assert clf.n_features_in_ == 5
    assert clf.score(container(sentences), labels) > 0.9
    assert clf.sample_labels(container(sentences[:3]), 2).shape == (3, 2)
    assert clf.purify_proba(container(sentences[:3]), labels[:3]).shape == (3, 2)


def test_texts_are_cross_validated(texts, text_extractor, fast):
    sentences, labels = texts
    clf = LRADiffusionClassifier(text_extractor, **{**fast, "batch_size": 16})
    assert cross_val_score(clf, sentences, labels, cv=2).min() > 0.8


def test_parameters_of_the_extractor_are_searched(texts, text_extractor, quick):
    sentences, labels = texts
    clf = LRADiffusionClassifier(text_extractor, **quick)
    name = "feature_extractor__truncatedsvd__n_components"
    assert clf.get_params()[name] == 5
    search = GridSearchCV(clf, {name: [2, 4]}, cv=2).fit(sentences, labels)
    assert search.best_estimator_.n_features_in_ == search.best_params_[name]
    assert clf.get_params()[name] == 5


class MeanColor(TransformerMixin, BaseEstimator):
    """Turn images of any size into their mean color."""

    def fit(self, images, y=None):
        return self

    def transform(self, images):
        assert all(isinstance(image, Image.Image) for image in images)
        return np.stack([np.asarray(image, dtype=np.float32).mean(axis=(0, 1)) for image in images])


def test_images_of_different_sizes_are_rows_for_an_extractor_of_images(fast):
    rng = np.random.default_rng(0)
    labels = np.tile(["red", "blue"], 20)
    colors = {"red": (200, 40, 40), "blue": (40, 40, 200)}
    images = [
        Image.new("RGB", tuple(rng.integers(4, 12, 2)), colors[label]).point(lambda v: v + 9)
        for label in labels
    ]
    clf = LRADiffusionClassifier(MeanColor(), **{**fast, "batch_size": 16}).fit(images, labels)
    assert clf.score(images, labels) == 1
    assert_array_equal(clf.predict(images[:1]), labels[:1])


def test_a_data_frame_passes_through_a_column_transformer(fast, blobs):
    X, _, y = blobs
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(len(X)) + 7)
    frame["kind"] = np.where(X[:, 0] > 0, "positive", "negative")
    extractor = make_column_transformer(
        (StandardScaler(), ["a", "b", "c", "d"]), (OneHotEncoder(), ["kind"])
    )
    clf = LRADiffusionClassifier(extractor, **fast).fit(frame, y)
    assert clf.n_features_in_ == 6
    shuffled = frame[["kind", *"dcba"]]
    assert_array_equal(clf.predict_proba(shuffled), clf.predict_proba(frame))


class ClassMeans(TransformerMixin, BaseEstimator):
    """Distances to the means of the labels' classes."""

    def fit(self, X, y):
        self.means_ = np.stack([X[y == label].mean(axis=0) for label in np.unique(y)])
        return self

    def transform(self, X):
        return np.linalg.norm(X[:, None] - self.means_, axis=2)


def test_the_extractor_sees_the_given_labels(quick, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(ClassMeans(), **quick).fit(X, y)
    assert_array_equal(clf.feature_extractor_.means_, ClassMeans().fit(X, y).means_)
    assert clf.n_features_in_ == 3


def test_the_extractor_itself_stays_unfitted(quick, blobs):
    X, _, y = blobs
    extractor = PCA(2)
    clf = LRADiffusionClassifier(extractor, **quick).fit(X, y)
    assert not hasattr(extractor, "components_")
    assert clf.feature_extractor is extractor
    assert clf.feature_extractor_ is not extractor
    assert clone(clf).feature_extractor is not extractor


def test_a_frozen_extractor_is_used_as_it_is(fast, blobs):
    X, _, y = blobs
    frozen = FrozenEstimator(PCA(2).fit(X[:50]))
    mean = frozen.mean_.copy()
    clf = LRADiffusionClassifier(frozen, **fast).fit(X, y)
    assert clf.feature_extractor_ is frozen
    assert clone(clf).feature_extractor is frozen
    assert_array_equal(frozen.mean_, mean)
    features = frozen.transform(X)
    direct = LRADiffusionClassifier(**fast).fit(features, y)
    assert_array_equal(clf.predict_proba(X), direct.predict_proba(features))


# Priors


def test_a_prior_that_solves_the_problem_saves_training(fast):
    X, y = make_circles(200, noise=0.1, factor=0.5, random_state=0)
    scores = {None: [], GaussianNB(): []}
    for prior, its_scores in scores.items():
        for seed in range(3):
            clf = LRADiffusionClassifier(**{**fast, "random_state": seed}, prior=prior)
            clf.set_params(label_aggregation="vote")  # the network alone
            its_scores.append(clf.fit(X, y).score(X, y))
    without, with_prior = map(np.mean, scores.values())
    assert with_prior > without + 0.05


def test_a_frozen_prior_is_used_as_it_is(fast, blobs):
    X, y, y_given = blobs
    prior = FrozenEstimator(GaussianNB().fit(X, y))
    clf = LRADiffusionClassifier(**fast, prior=prior).fit(X, y_given)
    assert clf.prior_ is prior
    assert clone(clf).prior is prior
    assert clf.score(X, y) > 0.9


@pytest.mark.parametrize("prediction_type", ["logits", "sample", "epsilon"])
def test_a_class_that_the_prior_does_not_know_is_still_learned(prediction_type, fast, blobs):
    X, y, y_given = blobs
    prior = FrozenEstimator(GaussianNB().fit(X[y != 1], y[y != 1]))
    parameters = {"prediction_type": prediction_type, "n_sampling_steps": 5, "dropout": 0.0}
    parameters["label_weighting"] = "agreement"  # probable labels count more, as published
    clf = LRADiffusionClassifier(**{**fast, "max_iter": 40}, **parameters, prior=prior)
    clf.fit(X, y_given)
    assert clf.predict_proba(X).shape == (len(X), 3)
    assert recall_score(y, clf.predict(X), labels=[1], average="macro") > 0.8


def test_a_prior_is_cloned_and_fitted_on_given_labels(quick, blobs):
    X, _, y = blobs
    prior = GaussianNB()
    clf = LRADiffusionClassifier(**quick, prior=prior).fit(X, y)
    assert not hasattr(prior, "theta_")
    assert_allclose(clf.prior_.theta_, GaussianNB().fit(X, y).theta_)

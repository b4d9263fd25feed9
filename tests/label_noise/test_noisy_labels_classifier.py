"""Noise in fit alone."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from skdiffusion_label.label_noise import (
    NoisyLabelsClassifier,
    cluster_noise,
    flip_labels,
    instance_noise,
    pair_transition,
    uniform_transition,
)

# With this random state it is noise of the instance alone that brings the class back.
EXPECTED_FAILURES = {
    "uniform": {},
    "pair": {},
    "cluster": {},
    "instance": {
        "check_classifiers_one_label_sample_weights": (
            "a class whose rows all have zero weight may come back by flipped labels"
        )
    },
}


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(600, centers=3, cluster_std=1.0, random_state=0)
    return X, np.array(["ant", "bee", "cat"])[y]


@parametrize_with_checks(
    [
        NoisyLabelsClassifier(LogisticRegression(), noise=noise, random_state=0)
        for noise in ("uniform", "pair", "instance", "cluster")
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES[estimator.noise],
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_optional_checks_of_scikit_learn_pass(check):
    check("NoisyLabelsClassifier", NoisyLabelsClassifier(LogisticRegression()))


def test_training_folds_are_noisy_and_test_folds_clean():
    X, y = load_digits(return_X_y=True)
    classifier = NoisyLabelsClassifier(KNeighborsClassifier(25), noise_rate=0.4, random_state=0)
    result = cross_validate(classifier, X, y, return_estimator=True, return_indices=True)
    n_wrong = n_labels = 0
    for fold, fitted in enumerate(result["estimator"]):
        train, test = result["indices"]["train"][fold], result["indices"]["test"][fold]
        assert result["test_score"][fold] == accuracy_score(y[test], fitted.predict(X[test]))
        n_wrong += np.sum(fitted.y_noisy_ != y[train])
        n_labels += len(train)
    assert abs(n_wrong / n_labels - 0.4) < 0.03
    # Noisy test folds would cap the score at 0.6.
    assert result["test_score"].min() > 0.85


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uniform", lambda y, X: flip_labels(y, uniform_transition(3, 0.3), random_state=0)),
        ("pair", lambda y, X: flip_labels(y, pair_transition(3, 0.3), random_state=0)),
        ("instance", lambda y, X: instance_noise(y, X, 0.3, random_state=0)),
        ("cluster", lambda y, X: cluster_noise(y, X, 0.3, random_state=0)),
    ],
)
def test_names_stand_for_the_functions(name, expected, blobs):
    X, y = blobs
    classifier = NoisyLabelsClassifier(
        LogisticRegression(), noise=name, noise_rate=0.3, random_state=0
    ).fit(X, y)
    np.testing.assert_array_equal(classifier.y_noisy_, expected(y, X))
    reference = LogisticRegression().fit(X, classifier.y_noisy_)
    np.testing.assert_array_equal(classifier.predict_proba(X), reference.predict_proba(X))
    np.testing.assert_array_equal(classifier.predict_log_proba(X), reference.predict_log_proba(X))
    np.testing.assert_array_equal(classifier.decision_function(X), reference.decision_function(X))
    np.testing.assert_array_equal(classifier.predict(X), reference.predict(X))
    np.testing.assert_array_equal(classifier.classes_, ["ant", "bee", "cat"])
    assert classifier.score(X, y) == reference.score(X, y)


def test_function_of_the_room_is_a_noise(blobs):
    X, y = blobs
    by_name, by_function = (
        NoisyLabelsClassifier(LogisticRegression(), noise=noise, random_state=0).fit(X, y)
        for noise in ("instance", instance_noise)
    )
    np.testing.assert_array_equal(by_name.y_noisy_, by_function.y_noisy_)


def test_the_wrapped_classifier_and_the_labels_stay_as_they_are(blobs):
    X, y = blobs
    y_before = y.copy()
    inner = LogisticRegression()
    classifier = NoisyLabelsClassifier(inner, noise_rate=0.5).fit(X, y)
    np.testing.assert_array_equal(y, y_before)
    assert classifier.estimator is inner
    assert not hasattr(inner, "coef_")
    assert not hasattr(clone(classifier), "y_noisy_")


def test_fits_without_random_state_draw_anew_and_with_one_do_not(blobs):
    X, y = blobs
    fixed = NoisyLabelsClassifier(LogisticRegression(), random_state=3)
    free = NoisyLabelsClassifier(LogisticRegression())
    first = fixed.fit(X, y).y_noisy_
    np.testing.assert_array_equal(fixed.fit(X, y).y_noisy_, first)
    assert np.any(free.fit(X, y).y_noisy_ != free.fit(X, y).y_noisy_)


def test_noise_rate_may_be_searched_and_estimators_nested(blobs):
    X, y = blobs
    pipeline = make_pipeline(
        StandardScaler(), NoisyLabelsClassifier(LogisticRegression(), random_state=0)
    )
    grid = {
        "noisylabelsclassifier__noise_rate": [0.0, 1.0],
        "noisylabelsclassifier__estimator__C": [1.0],
    }
    search = GridSearchCV(pipeline, grid).fit(X, y)
    clean, wrong = search.cv_results_["mean_test_score"]
    assert clean > 0.9 > 0.1 > wrong


def test_inputs_need_not_be_numbers():
    X = ["good film", "bad film", "good book", "bad book"] * 20
    y = ["yes", "no"] * 40
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    classifier = NoisyLabelsClassifier(model, noise_rate=0.2, random_state=0).fit(X, y)
    assert classifier.score(X, y) == 1
    assert binomtest(int(np.sum(classifier.y_noisy_ != y)), 80, 0.2).pvalue > 1e-4


def test_methods_are_those_of_the_wrapped_classifier(blobs):
    X, y = blobs
    classifier = NoisyLabelsClassifier(LinearSVC())
    assert not hasattr(classifier, "predict_proba")
    assert not hasattr(classifier, "predict_log_proba")
    with pytest.raises(NotFittedError):
        classifier.predict(X)
    assert classifier.fit(X, y).decision_function(X).shape == (600, 3)
    assert not hasattr(NoisyLabelsClassifier(KNeighborsClassifier()), "decision_function")


def test_sample_weight_reaches_the_wrapped_classifier(blobs):
    X, y = blobs
    sample_weight = np.random.default_rng(0).uniform(size=len(y))
    classifier = NoisyLabelsClassifier(LogisticRegression(), random_state=0)
    classifier.fit(X, y, sample_weight=sample_weight)
    reference = LogisticRegression().fit(X, classifier.y_noisy_, sample_weight=sample_weight)
    np.testing.assert_array_equal(classifier.estimator_.coef_, reference.coef_)
    unweighted = clone(classifier).fit(X, y)
    assert np.any(unweighted.estimator_.coef_ != reference.coef_)
    result = cross_validate(classifier, X, y, params={"sample_weight": sample_weight})
    assert result["test_score"].shape == (5,)


def test_sample_weight_is_routed_where_routing_is_enabled(blobs):
    X, y = blobs
    sample_weight = np.random.default_rng(0).uniform(size=len(y))
    inner = LogisticRegression()
    with config_context(enable_metadata_routing=True):
        asks = NoisyLabelsClassifier(inner.set_fit_request(sample_weight=True), random_state=0)
        asks.fit(X, y, sample_weight=sample_weight)
        params = {"sample_weight": sample_weight}
        scoring = make_scorer(accuracy_score).set_score_request(sample_weight=False)
        cross_validate(asks, X, y, params=params, scoring=scoring, error_score="raise")
        silent = NoisyLabelsClassifier(LogisticRegression())
        with pytest.raises(UnsetMetadataPassedError):
            silent.fit(X, y, sample_weight=sample_weight)
    reference = LogisticRegression().fit(X, asks.y_noisy_, sample_weight=sample_weight)
    np.testing.assert_array_equal(asks.estimator_.coef_, reference.coef_)


def test_what_the_wrapped_classifier_knows_of_features_is_passed_on(blobs):
    X, y = blobs
    classifier = NoisyLabelsClassifier(LogisticRegression()).fit(X, y)
    assert classifier.n_features_in_ == 2
    texts = ["good film", "bad film"] * 300
    classifier.set_params(estimator=make_pipeline(TfidfVectorizer(), LogisticRegression()))
    assert not hasattr(classifier.fit(texts, y), "n_features_in_")


def test_what_a_noise_returns_is_checked(blobs):
    X, y = blobs
    classifier = NoisyLabelsClassifier(
        LogisticRegression(), noise=lambda y, X, noise_rate, random_state: y[:-1]
    )
    with pytest.raises(
        ValueError, match=r"noise must return a label for each row, shape \(600,\), got shape \(599"
    ):
        classifier.fit(X, y)


@pytest.mark.parametrize("noise", ["uniform", "pair", "instance", "cluster"])
def test_one_class_is_refused(noise, blobs):
    X, _ = blobs
    with pytest.raises(ValueError, match="y needs at least two classes, got 1 class"):
        NoisyLabelsClassifier(LogisticRegression(), noise=noise).fit(X, np.zeros(600))

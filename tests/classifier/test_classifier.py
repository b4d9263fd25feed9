import copy
import math

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances, recall_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsTransformer, NearestNeighbors
from sklearn.utils import check_random_state

from skdiffusion_label import LRADiffusionClassifier, published_settings
from skdiffusion_label._torch import arrays_to_module
from skdiffusion_label.classifier import _training
from skdiffusion_label.classifier._network import build_model
from skdiffusion_label.classifier._training import training_settings
from skdiffusion_label.classifier._validation import check_rows
from skdiffusion_label.diffusion import LabelDiffusion
from skdiffusion_label.label_noise import margin_noise

DATASETS = ["cifar", "clothing1m", "food101n", "webvision"]
MISSING_DEVICE = "cuda:63"


@pytest.fixture(scope="module")
def digits_classifier(noisy_digits):
    X, _, y_given = noisy_digits
    clf = LRADiffusionClassifier(n_neighbors=10, retrieval_space="features", hidden_size=64)
    clf.set_params(noise_schedule="cosine", prediction_type="logits")
    return clf.set_params(max_iter=25, learning_rate=1e-2, random_state=0).fit(X, y_given)


def held_out_rows(clf, X, y):
    """Return which rows early stopping holds out: those whose labels decide about its scores."""
    rows = check_rows(clf, X, y, None, None, check_random_state(clf.random_state))
    return rows.held_out > 0


# Labels


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["cat", "dog", "eel"]),
        np.array([-3, 7, 100]),
        np.array(["a", "b", "c"], dtype=object),
        pd.Series(["a", "b", "c"], dtype="category"),
    ],
    ids=["strings", "numbers", "object", "category"],
)
def test_names_of_classes_do_not_change_their_probabilities(labels, fitted, blobs):
    X, _, y = blobs
    clf = clone(fitted).fit(X, labels[y])
    assert_array_equal(clf.classes_, labels)
    if isinstance(labels, np.ndarray):
        assert clf.predict(X).dtype == labels.dtype
    assert_array_equal(clf.predict_proba(X), fitted.predict_proba(X))


def test_boolean_labels_come_back_as_booleans(fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast).fit(X, y > 0)
    assert clf.predict(X).dtype == bool
    assert clf.predict_proba(X).shape == (len(X), 2)
    assert clf.score(X, y > 0) > 0.7


@pytest.mark.parametrize("label_aggregation", ["judges", "vote"])
def test_a_hundred_classes_can_be_learned(label_aggregation, fast):
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(100), 2)
    X = rng.normal(size=(100, 20))[y] + 0.01 * rng.normal(size=(200, 20))
    clf = LRADiffusionClassifier(**fast, label_aggregation=label_aggregation)
    clf.set_params(n_neighbors=1, hidden_size=128)
    clf.fit(X, y)
    assert clf.label_distributions_.shape == (200, 100)
    assert clf.score(X, y) > 0.2


def test_a_class_seen_once_keeps_its_column(fast, blobs):
    X, _, y = blobs
    y = np.where(np.arange(len(y)) == 5, 9, y)
    clf = LRADiffusionClassifier(**fast).fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2, 9])
    assert_allclose(clf.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("prediction_type", ["logits", "sample", "epsilon"])
def test_a_single_class_is_certain(prediction_type, fast, blobs):
    X, _, _ = blobs
    clf = LRADiffusionClassifier(**{**fast, "max_iter": 1}, prediction_type=prediction_type)
    clf.fit(X, np.full(len(X), "only"))
    assert_array_equal(clf.predict_proba(X), np.ones((len(X), 1)))
    assert set(clf.predict(X)) == {"only"}


# Rows


def test_features_of_a_data_frame_must_keep_names_and_order(quick, blobs):
    X, _, y = blobs
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = LRADiffusionClassifier(**quick).fit(frame, y)
    assert_array_equal(clf.feature_names_in_, list("abcd"))
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame[list("dcba")])
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame[list("abc")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(X)


def test_a_constant_feature_that_changes_later_does_no_harm(fast, blobs):
    X, _, y = blobs
    constant = np.full((len(X), 1), 3.0)
    clf = LRADiffusionClassifier(**fast).fit(np.hstack([X, constant]), y)
    moved = clf.predict_proba(np.hstack([X, constant + 100]))
    assert np.isfinite(moved).all()


@pytest.mark.parametrize("retrieval_space", ["auto", "features", "standardized", "supervised"])
def test_rows_that_are_all_the_same_get_the_same_probabilities(retrieval_space, fast, blobs):
    _, _, y = blobs
    X = np.full((50, 4), 7.0)
    clf = LRADiffusionClassifier(**{**fast, "retrieval_space": retrieval_space}).fit(X, y[:50])
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    assert_allclose(proba, np.tile(proba[:1], (len(X), 1)), atol=1e-7)


@pytest.mark.parametrize("retrieval_space", ["auto", "supervised"])
def test_fewer_rows_than_neighbors_are_all_neighbors(retrieval_space, fast, blobs):
    X, y, _ = blobs
    clf = LRADiffusionClassifier(**{**fast, "retrieval_space": retrieval_space}).fit(X[:5], y[:5])
    assert clf.n_neighbors_ == 4
    assert_array_equal(np.sort(clf.neighbors_), [np.delete(np.arange(5), row) for row in range(5)])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(value, fast, blobs, fitted):
    X, _, y = blobs
    broken = X.copy()
    broken[3, 1] = value
    with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
        LRADiffusionClassifier(**fast).fit(broken, y)
    with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
        fitted.predict(broken)


def test_sparse_rows_are_refused(fast, blobs, fitted):
    X, _, y = blobs
    with pytest.raises(TypeError, match="Sparse data was passed"):
        LRADiffusionClassifier(**fast).fit(sparse.csr_array(X), y)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        fitted.predict(sparse.csr_array(X))


# Predictions


def test_most_given_labels_that_are_wrong_are_corrected(fitted, blobs):
    X, y, y_given = blobs
    assert np.mean(y_given == y) < 0.85
    assert fitted.score(X, y) > 0.95


def test_probabilities_are_float64_and_sum_to_one(fitted, blobs):
    X, _, _ = blobs
    for rows in (X, X.astype(np.float32)):
        proba = fitted.predict_proba(rows)
        assert proba.dtype == np.float64
        assert proba.min() >= 0
        assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


def test_predictions_follow_from_probabilities(fitted, blobs):
    X, y, _ = blobs
    proba = fitted.predict_proba(X)
    predicted = fitted.classes_[proba.argmax(axis=1)]
    assert_array_equal(fitted.predict(X), predicted)
    assert_allclose(np.exp(fitted.predict_log_proba(X)), proba)
    assert fitted.score(X, y) == np.mean(predicted == y)


def test_stages_are_the_denoising_steps_and_end_with_the_prediction(fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast, n_sampling_steps=4).fit(X, y)
    stages = list(clf.staged_predict_proba(X))
    assert len(stages) == 4
    assert_array_equal(stages[-1], clf.predict_proba(X))
    assert np.abs(stages[0] - stages[-1]).max() > 1e-3
    for stage in stages:
        assert_allclose(stage.sum(axis=1), 1)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "sample_labels", "purify_labels"]
)
def test_nothing_is_predicted_before_fit(method, fast, blobs):
    X, _, y = blobs
    arguments = (X, y) if method == "purify_labels" else (X,)
    with pytest.raises(NotFittedError):
        getattr(LRADiffusionClassifier(**fast), method)(*arguments)


# Draws of labels


@pytest.mark.parametrize(
    "parameters",
    [{"n_timesteps": 5}, {"prediction_type": "sample", "n_sampling_steps": 3}],
)
def test_frequencies_of_sampled_labels_agree_with_probabilities(parameters, fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**{**fast, "n_draws": 500, **parameters}).fit(X, y)
    proba = clf.predict_proba(X)
    uncertain = np.argsort(proba.max(axis=1))[:10]
    labels = clf.sample_labels(X[uncertain], 300)
    frequencies = np.stack([(labels == label).mean(axis=1) for label in clf.classes_], axis=1)
    # Five standard errors of a share of one half among 300 draws.
    assert_allclose(frequencies, proba[uncertain], atol=0.145)


def test_sampled_labels_have_one_column_for_each_draw(quick, blobs):
    X, _, y = blobs
    names = np.array(["a", "b", "c"])[y]
    labels = LRADiffusionClassifier(**quick).fit(X, names).sample_labels(X[:7], 5)
    assert labels.shape == (7, 5)
    assert set(labels.ravel()) <= {"a", "b", "c"}


def test_sampled_labels_are_those_of_their_random_state(fitted, blobs):
    X, _, _ = blobs
    first = fitted.sample_labels(X, 20, random_state=1)
    assert_array_equal(first, fitted.sample_labels(X, 20, random_state=1))
    generator = np.random.RandomState(1)
    assert_array_equal(first, fitted.sample_labels(X, 20, random_state=generator))
    assert (first != fitted.sample_labels(X, 20, random_state=generator)).any()


def test_labels_sampled_for_a_row_do_not_depend_on_other_rows(fitted, blobs):
    X, _, _ = blobs
    labels = fitted.sample_labels(X, 10)
    assert_array_equal(fitted.sample_labels(X[::-1], 10), labels[::-1])
    assert_array_equal(fitted.sample_labels(X[3:4], 10), labels[3:4])


@pytest.mark.parametrize(
    ("n_samples", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)],
)
def test_the_number_of_sampled_labels_must_be_a_positive_integer(n_samples, error, fitted, blobs):
    X, _, _ = blobs
    with pytest.raises(error, match="n_samples .*(must be >= 1|must be an instance of int)"):
        fitted.sample_labels(X, n_samples)


# Graph of neighbors


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_graph_holds_the_distances_to_the_neighbors(metric, quick, blobs):
    X, _, y = blobs
    X = np.vstack([X, np.zeros(X.shape[1])])
    clf = LRADiffusionClassifier(**{**quick, "metric": metric, "n_neighbors": 5})
    clf.fit(X, np.append(y, 0))
    graph = clf.kneighbors_graph(X)
    assert graph.shape == (len(X), len(X))
    indices = graph.indices.reshape(len(X), 5)
    assert_array_equal(np.sort(indices, axis=1), np.sort(clf.neighbors_, axis=1))
    distances = pairwise_distances(X, metric=metric)
    expected = np.take_along_axis(distances, indices, axis=1)
    assert_allclose(graph.data.reshape(len(X), 5), expected, atol=1e-7)
    assert (np.diff(graph.data.reshape(len(X), 5), axis=1) >= 0).all()
    again = clone(clf).fit(X, np.append(y, 0), neighbors=graph)
    assert_array_equal(again.neighbors_, indices)


def test_graph_is_that_of_the_training_rows(fitted, blobs):
    with pytest.raises(ValueError, match="X must be the 200 training rows, got 3 rows"):
        fitted.kneighbors_graph(blobs[0][:3])
    swapped = np.arange(200)
    swapped[[17, 90]] = swapped[[90, 17]]
    with pytest.raises(ValueError, match="X must .* in the same order, got another row 17"):
        fitted.kneighbors_graph(blobs[0][swapped])
    with pytest.raises(ValueError, match="X must .* in the same order, got another row 5"):
        fitted.kneighbors_graph(blobs[0] + 0.01 * (np.arange(200) >= 5)[:, None])


def test_graph_takes_training_rows_of_another_precision(fitted, blobs):
    single = fitted.kneighbors_graph(blobs[0].astype(np.float32))
    assert_allclose(single.toarray(), fitted.kneighbors_graph(blobs[0]).toarray(), atol=1e-5)


# Purified labels


def test_purifying_at_the_last_timestep_ignores_the_given_label(digits_classifier, noisy_digits):
    X, _, y = noisy_digits
    last = digits_classifier.n_timesteps - 1
    proba = digits_classifier.purify_proba(X, y, last)
    assert_allclose(digits_classifier.purify_proba(X, (y + 1) % 10, last), proba, atol=0.01)
    # One step from the same starts, but for what is left to classes that the network rules out.
    assert_allclose(digits_classifier.predict_proba(X), proba, atol=0.02)


def test_purifying_at_the_first_timestep_keeps_the_given_label(digits_classifier, noisy_digits):
    X, _, _ = noisy_digits
    y = np.random.default_rng(0).integers(10, size=len(X))
    assert np.mean(digits_classifier.purify_labels(X, y, 0) == y) > 0.95


def test_purified_labels_are_more_often_right_than_given_ones(digits_classifier, noisy_digits):
    X, y, y_given = noisy_digits
    purified = digits_classifier.purify_labels(X, y_given)
    assert np.mean(purified == y) > np.mean(y_given == y) + 0.25
    proba = digits_classifier.purify_proba(X, y_given)
    assert proba.dtype == np.float64
    assert_allclose(proba.sum(axis=1), 1)
    assert_array_equal(purified, proba.argmax(axis=1))


def test_a_given_label_raises_its_own_probability(digits_classifier, noisy_digits):
    X, _, y = noisy_digits
    rows = np.arange(len(X))
    timestep = digits_classifier.n_timesteps // 4
    with_label = digits_classifier.purify_proba(X, y, timestep)[rows, y]
    with_another = digits_classifier.purify_proba(X, (y + 1) % 10, timestep)[rows, y]
    assert with_label.mean() > with_another.mean() + 0.01


def without_eyes_for_the_label(clf):
    """Return a copy whose denoiser sees neither the diffused label nor the timestep."""
    blind = copy.deepcopy(clf)
    for name, weights in blind.weights_.items():
        if name.startswith("label_input"):
            weights[...] = 0
        elif name.startswith("gates"):
            weights[...] = weights[:1]
    return blind


def test_purified_probabilities_are_bayes_rule_on_trusted_evidence(blobs):
    X, y, _ = blobs
    rng = np.random.default_rng(0)
    y_given = np.where(rng.random(len(y)) < 0.3, (y + 1) % 3, y)
    clf = LRADiffusionClassifier(n_neighbors=10, max_iter=10, random_state=0).fit(X, y_given)
    assert clf.label_trust_ > 0
    blind = without_eyes_for_the_label(clf)
    proba, matrix = blind.predict_proba(X), clf.transition_matrix_
    share = clf._local_noise.share_of(proba)[:, None]
    assert len(set(share.ravel())) > 1
    by_place = (proba @ matrix)[np.arange(len(y)), y_given][:, None]
    expected = proba * ((1 - share) * matrix[:, y_given].T + share * by_place)
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(blind.purify_proba(X, y_given), expected, atol=1e-5)


def test_given_labels_that_depend_on_the_features_are_not_trusted(noisy_digits):
    X, y, _ = noisy_digits
    easy = LogisticRegression(C=0.01, max_iter=5000).fit(X / 16, y).predict_proba(X / 16)
    y_given = margin_noise(y, easy, noise_rate=0.2, random_state=0)
    clf = LRADiffusionClassifier(max_iter=10, random_state=0).fit(X[:1200], y_given[:1200])
    assert clf.label_trust_ < 0.05
    purified = clf.purify_labels(X[1200:], y_given[1200:])
    # Half a standard error.
    assert np.mean(purified == y[1200:]) > np.mean(clf.predict(X[1200:]) == y[1200:]) - 0.007


def test_only_known_labels_can_be_purified(fitted, blobs):
    X, _, y = blobs
    with pytest.raises(ValueError, match="labels seen in fit"):
        fitted.purify_labels(X, np.full(len(y), 3))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.purify_labels(X, y[:-1])


@pytest.mark.parametrize("timestep", [-1, 20])
def test_timesteps_of_purifying_are_those_of_the_process(timestep, fitted, blobs):
    X, _, y = blobs
    with pytest.raises(ValueError, match="timestep == .*, must be (>= 0|<= 19)"):
        fitted.purify_proba(X, y, timestep)


# Weights


@pytest.mark.parametrize(
    "parameters",
    [
        {"label_aggregation": "vote"},
        {"retrieval_space": "auto", "n_neighbors": "auto"},
        {"retrieval_space": "supervised", "prediction_type": "sample"},
        {"prior": GaussianNB(), "prediction_type": "epsilon"},
        {"n_iter_no_change": 30},
    ],
)
def test_labels_of_rows_of_weight_zero_change_nothing(parameters, fast, blobs):
    X, _, y = blobs
    weight = np.ones(len(y))
    weight[::5] = 0
    changed = np.where(weight == 0, (y + 1) % 3, y)
    clf = LRADiffusionClassifier(**{**fast, **parameters}).fit(X, y, sample_weight=weight)
    other = clone(clf).fit(X, changed, sample_weight=weight)
    assert clf.loss_curve_ == other.loss_curve_
    assert_array_equal(clf.label_distributions_, other.label_distributions_)
    assert_array_equal(clf.predict_proba(X), other.predict_proba(X))


def test_weights_that_make_no_sense_are_refused(fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast)
    with pytest.raises(ValueError, match="zero|positive weight"):
        clf.fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match="Negative values"):
        clf.fit(X, y, sample_weight=np.where(y == 0, -1, 1))
    with pytest.raises(ValueError, match="inconsistent|shape"):
        clf.fit(X, y, sample_weight=np.ones(len(y) - 1))


@pytest.mark.parametrize(
    "class_weight", [{0: 0.0, 1: 0.0, 2: 0.0}, {0: -1.0, 1: 1.0, 2: 1.0}], ids=["zero", "negative"]
)
def test_class_weights_that_make_no_sense_are_refused(class_weight, fast, blobs):
    X, _, y = blobs
    with pytest.raises(ValueError, match="class_weight"):
        LRADiffusionClassifier(**fast, class_weight=class_weight).fit(X, y)


def test_one_row_of_positive_weight_is_too_few(fast, blobs):
    X, _, y = blobs
    weight = (np.arange(len(y)) == 0).astype(float)
    with pytest.raises(ValueError, match="positive weight"):
        LRADiffusionClassifier(**fast).fit(X, y, sample_weight=weight)


def test_class_weights_leave_retrieval_alone(fitted, blobs):
    X, _, y = blobs
    weighted = clone(fitted).set_params(class_weight={0: 3.0, 1: 1.0, 2: 0.5}).fit(X, y)
    assert_array_equal(weighted.label_distributions_, fitted.label_distributions_)
    proba, weighted_proba = fitted.predict_proba(X), weighted.predict_proba(X)
    assert weighted_proba[:, 0].mean() > proba[:, 0].mean()
    assert weighted_proba[:, 2].mean() < proba[:, 2].mean()


def test_rows_of_weight_zero_are_nobody_s_neighbors(quick, blobs):
    X, _, y = blobs
    takes_part = np.arange(len(y)) % 4 != 0
    # Under "judges" other rows would fall into each fold and each tree.
    clf = LRADiffusionClassifier(**quick)
    masked = clf.fit(X, y, sample_weight=takes_part.astype(float))
    assert takes_part[masked.neighbors_].all()
    alone = clone(masked).fit(X[takes_part], y[takes_part])
    assert_array_equal(np.flatnonzero(takes_part)[alone.neighbors_], masked.neighbors_[takes_part])
    assert_allclose(masked.label_distributions_[takes_part], alone.label_distributions_, atol=1e-5)


def test_only_the_ratios_of_weights_matter(fast, blobs):
    X, _, y = blobs
    weight = np.random.default_rng(0).integers(1, 4, size=len(y)).astype(float)
    one = LRADiffusionClassifier(**fast).fit(X, y, sample_weight=weight)
    eight = clone(one).fit(X, y, sample_weight=8 * weight)
    assert_allclose(one.predict_proba(X), eight.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("label_aggregation", ["vote", "judges"])
def test_balanced_class_weights_raise_recall_of_a_rare_class(label_aggregation, fast):
    X, y = make_blobs([300, 30], centers=[[-1, 0], [1, 0]], random_state=0)
    clf = LRADiffusionClassifier(**fast, label_aggregation=label_aggregation).fit(X, y)
    balanced = clone(clf).set_params(class_weight="balanced").fit(X, y)
    assert recall_score(y, balanced.predict(X)) > recall_score(y, clf.predict(X)) + 0.1


# Neighbors


def test_neighbors_given_from_outside_reproduce_the_search(fitted, blobs):
    X, _, y = blobs
    search = KNeighborsTransformer(n_neighbors=10, algorithm="brute").fit(X)
    for neighbors in (search.transform(X), search.kneighbors(return_distance=False)):
        given = clone(fitted).fit(X, y, neighbors=neighbors)
        assert given.retrieval_space_ == "given"
        assert_array_equal(given.neighbors_, fitted.neighbors_)
        # Half of the neighbors that were given are in the half that is not to be asked.
        assert_allclose(given.label_distributions_, fitted.label_distributions_, atol=0.05)
        # New rows have no neighbors that anybody knows of: the other judges take their place.
        assert np.mean(given.predict(X) == fitted.predict(X)) > 0.95


@pytest.mark.parametrize(
    "neighbors, message",
    [
        (np.zeros((199, 3), dtype=int), "row for each of the 200"),
        (np.zeros(200, dtype=int), "row for each of the 200"),
        (np.zeros((200, 0), dtype=int), "at least one column"),
        (np.zeros((200, 3)), "integer indices"),
        (np.tile([0, 1, 200], (200, 1)), "from 0 to 199"),
        (np.tile([0, 1, -1], (200, 1)), "from 0 to 199"),
        (np.tile([0, 1, 1], (200, 1)), "more than once"),
        (np.arange(200)[:, None], "another row than the row itself"),
        (sparse.csr_array((200, 199)), r"shape \(200, 200\)"),
        (sparse.csr_array(np.tri(200)), "same number of entries"),
    ],
)
def test_neighbors_that_cannot_be_are_refused_before_training(neighbors, message, fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, neighbors=neighbors)
    assert not hasattr(clf, "loss_curve_")


# What fit leaves


def test_fit_leaves_what_retrieval_and_training_found(fitted, blobs):
    X, _, _ = blobs
    n_samples = len(X)
    assert fitted.n_features_in_ == 4
    assert fitted.neighbors_.shape == (n_samples, fitted.n_neighbors_) == (n_samples, 10)
    assert not (fitted.neighbors_ == np.arange(n_samples)[:, None]).any()
    assert fitted.retrieval_space_ == "features"
    assert fitted.temperature_ == 1
    assert fitted.label_distributions_.dtype == np.float32
    assert_allclose(fitted.label_distributions_.sum(axis=1), 1, rtol=1e-5)
    assert_allclose(fitted.transition_matrix_.sum(axis=1), 1)
    assert fitted.initial_noise_.shape == (4, 3)
    assert fitted.n_iter_ == len(fitted.loss_curve_) == 10
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    assert fitted.validation_scores_ is None
    assert fitted.feature_extractor_ is None
    assert fitted.prior_ is None


def test_the_transition_matrix_is_that_of_the_label_noise(digits_classifier, noisy_digits):
    _, y, y_given = noisy_digits
    true = np.stack([np.bincount(y_given[y == k], minlength=10) for k in range(10)], axis=0)
    true = true / true.sum(axis=1, keepdims=True)
    assert np.abs(digits_classifier.transition_matrix_ - true).mean() < 0.02


def test_the_vote_changes_label_distributions_alone_of_what_is_judged(quick, fitted, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**quick).fit(X, y)
    assert_array_equal(clf.transition_matrix_, fitted.transition_matrix_)
    # There the network has joined the judges.
    assert np.abs(clf.out_of_sample_proba_ - fitted.out_of_sample_proba_).mean() < 0.05
    assert clf.noise_evidence_ == fitted.noise_evidence_
    ballots = y[np.hstack([clf.neighbors_, np.arange(len(y))[:, None]])]
    votes = np.stack([(ballots == label).mean(axis=1) for label in range(3)], axis=1)
    assert_allclose(clf.label_distributions_, votes, rtol=1e-6)


def test_label_distributions_join_the_judges_and_the_given_label(fitted, blobs):
    _, y, y_given = blobs
    proba = fitted.out_of_sample_proba_
    assert proba.dtype == np.float32
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    joined = fitted.label_distributions_
    rows = np.arange(len(y))
    # Beside the given label, the other classes keep their proportions up to their own noise.
    assert (joined[rows, y_given] >= proba[rows, y_given] - 1e-6).mean() > 0.95
    assert np.mean(joined.argmax(axis=1) == y) > np.mean(y_given == y) + 0.1
    assert 0 <= fitted.label_trust_ <= 1


def test_out_of_sample_probabilities_of_a_row_do_not_see_its_own_label(blobs):
    X, _, y_given = blobs
    clf = LRADiffusionClassifier(max_iter=1, batch_size=64, random_state=0)
    before = clone(clf).fit(X, y_given)
    own, others = [], []
    for row in (0, 10):
        y_changed = y_given.copy()
        y_changed[row] = (y_given[row] + 1) % 3
        after = clone(clf).fit(X, y_changed)
        change = after.out_of_sample_proba_ - before.out_of_sample_proba_
        label = y_changed[row]
        own.append(change[row, label])
        others.append(np.abs(change[:, label]).mean())
    # Through the weights of the judges alone, as all other rows.
    assert np.mean(own) < 2 * np.mean(others) + 0.01


@pytest.mark.parametrize("prediction_type", ["logits", "sample", "epsilon"])
@pytest.mark.parametrize("prior", [None, GaussianNB()], ids=str)
def test_every_prior_serves_every_prediction_type(prior, prediction_type, fast, blobs):
    X, y, y_given = blobs
    clf = LRADiffusionClassifier(**fast, prior=prior, prediction_type=prediction_type)
    # Noise is harder to predict than a label.
    clf.set_params(noise_schedule="linear", n_sampling_steps=3, max_iter=50, dropout=0.0)
    clf.set_params(label_weighting="agreement")
    assert clf.fit(X, y_given).score(X, y) > np.mean(y_given == y) + 0.1


def test_noise_evidence_tells_noise_by_class_from_clean_labels(fast, fitted, blobs):
    X, y, _ = blobs
    clean = LRADiffusionClassifier(**fast).fit(X, y)
    assert clean.noise_evidence_ < 2.4 < fitted.noise_evidence_  # what the cleaner asks for
    assert clean.transition_matrix_.diagonal().min() > fitted.transition_matrix_.diagonal().max()
    assert clean.label_trust_ < fitted.label_trust_


@pytest.mark.parametrize("n_rows", [2, 3, 7])
def test_few_rows_are_enough(n_rows, fast, blobs):
    X, _, _ = blobs
    y = np.arange(n_rows) % 2
    clf = LRADiffusionClassifier(**{**fast, "retrieval_space": "auto", "n_neighbors": "auto"})
    proba = clf.fit(X[:n_rows], y).predict_proba(X)
    assert np.isfinite(proba).all()
    assert np.isfinite([clf.noise_evidence_, clf.label_trust_]).all()
    assert_allclose(proba.sum(axis=1), 1)


@pytest.mark.parametrize("batch_size, n_epochs", [(256, 200), (20, 50), (30, 72), (2, 5)])
def test_max_iter_auto_aims_at_a_number_of_updates(batch_size, n_epochs):
    clf = LRADiffusionClassifier(batch_size=batch_size)
    joining = training_settings(clf, 200, joins_judges=True)
    assert joining.n_epochs == min(math.ceil(n_epochs / 2), 40)
    assert training_settings(clf, 200).n_epochs == n_epochs


@pytest.mark.parametrize(("label_aggregation", "n_epochs"), [("judges", 25), ("vote", 50)])
def test_a_network_that_joins_judges_is_trained_for_less_long(
    label_aggregation, n_epochs, fast, blobs
):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**{**fast, "max_iter": "auto", "batch_size": 20})
    clf.set_params(label_aggregation=label_aggregation, n_timesteps=5)
    assert clf.fit(X, y).n_iter_ == n_epochs


# Temperature


@pytest.mark.parametrize("prediction_type", ["logits", "sample", "epsilon"])
def test_temperature_is_fitted_unless_the_model_predicts_probabilities(
    prediction_type, fast, blobs
):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast, prediction_type=prediction_type).fit(X, y)
    assert (clf.temperature_ == 1) == (prediction_type == "logits")


@pytest.mark.parametrize("label_weighting", ["agreement", "uniform"])
@pytest.mark.parametrize("class_weight", [None, {0: 3.0, 1: 1.0, 2: 0.0}])
def test_temperature_is_fitted_to_labels_weighted_as_in_training(
    class_weight, label_weighting, fast, blobs, monkeypatch
):
    fits = []

    def watched(y_0, prediction_type, target):
        fits.append((y_0.shape, prediction_type, target.numpy()))
        return 0.25

    monkeypatch.setattr(_training, "fit_temperature", watched)
    X, _, y_given = blobs
    clf = LRADiffusionClassifier(**{**fast, "max_iter": 1}, prediction_type="sample")
    clf.set_params(class_weight=class_weight, label_weighting=label_weighting)
    weight = np.arange(len(X)) % 4 > 0
    clf.fit(X, y_given, sample_weight=weight)
    assert clf.temperature_ == 0.25
    ((shape, prediction_type, target),) = fits
    assert shape == (4, weight.sum(), 3)  # draws, rows of positive weight, classes
    assert prediction_type == "sample"
    expected = clf.label_distributions_[weight] ** (2 if label_weighting == "agreement" else 1)
    if class_weight is not None:
        expected = expected * np.array([class_weight[k] for k in range(3)])
    # A common factor changes no minimum.
    assert_allclose(target / target.sum(), expected / expected.sum(), rtol=1e-5)


def test_temperature_fitted_under_agreement_is_lower(fast, blobs):
    X, _, y_given = blobs
    clf = LRADiffusionClassifier(
        **fast, prediction_type="sample", label_weighting="agreement", label_aggregation="vote"
    )
    clf.fit(X, y_given)
    uniform = clone(clf).set_params(label_weighting="uniform").fit(X, y_given)
    # Likely labels count more, and so probabilities are surer than what retrieval found.
    assert clf.temperature_ < uniform.temperature_


# Early stopping and warm start


@pytest.fixture(scope="module")
def early_stopped(fast, blobs):
    X, _, y = blobs
    # Without a prior guess, which is as good from the first epoch on.
    parameters = {"validation_fraction": 0.2, "n_iter_no_change": 3, "prior": None}
    return LRADiffusionClassifier(**{**fast, "max_iter": 40, **parameters}).fit(X, y)


def test_early_stopping_stops_after_epochs_without_gain(early_stopped):
    scores = early_stopped.validation_scores_
    assert early_stopped.n_iter_ == len(scores) < 40
    assert np.argmax(scores) == len(scores) - 1 - 3


def test_the_best_epoch_of_early_stopping_predicts(early_stopped, blobs):
    X, _, y = blobs
    some_last_epoch_is_not_the_best = False
    for random_state in range(3):
        clf = clone(early_stopped).set_params(
            random_state=random_state, learning_rate=3e-2, prior=None, label_aggregation="vote"
        )
        scores = clf.fit(X, y).validation_scores_
        held_out = held_out_rows(clf, X, y)
        assert held_out.sum() == 40
        assert clf.score(X[held_out], y[held_out]) == pytest.approx(max(scores))
        some_last_epoch_is_not_the_best |= scores[-1] < max(scores)
    assert some_last_epoch_is_not_the_best


@pytest.mark.parametrize(
    "parameters",
    [{}, {"retrieval_space": "auto"}, {"prior": GaussianNB()}],
    ids=str,
)
def test_labels_of_held_out_rows_do_not_enter_training(parameters, early_stopped, blobs):
    X, _, y = blobs
    changed = np.where(held_out_rows(early_stopped, X, y), (y + 1) % 3, y)
    clf = clone(early_stopped).set_params(max_iter=3, **parameters)
    losses = clf.fit(X, y).loss_curve_
    scores = clf.validation_scores_
    assert clf.fit(X, changed).loss_curve_ == losses
    assert clf.validation_scores_ != scores


def test_early_stopping_needs_rows_to_train_on(fast, blobs):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast, n_iter_no_change=30, validation_fraction=0.9)
    with pytest.raises(ValueError, match="At least two rows"):
        clf.fit(X[:6], y[:6])


def test_warm_start_continues_from_the_previous_weights(fitted, blobs):
    X, _, y = blobs
    clf = copy.copy(fitted).set_params(warm_start=True)
    losses = list(clf.loss_curve_)
    clf.fit(X, y)
    assert clf.n_iter_ == len(clf.loss_curve_) == 2 * len(losses)
    assert clf.loss_curve_[: len(losses)] == losses
    assert max(clf.loss_curve_[len(losses) :]) < losses[0]
    assert np.mean(clf.loss_curve_[-3:]) <= np.mean(losses[-3:])


def test_without_warm_start_fit_forgets(fitted, blobs):
    X, _, y = blobs
    assert copy.copy(fitted).fit(X, y).loss_curve_ == fitted.loss_curve_


def test_early_stopping_can_be_switched_under_warm_start(fitted, blobs):
    X, _, y = blobs
    clf = copy.copy(fitted).set_params(warm_start=True)
    clf.set_params(n_iter_no_change=30, max_iter=3).fit(X, y)
    assert len(clf.validation_scores_) == 3


def test_warm_start_needs_the_same_problem(fitted, blobs):
    X, _, y = blobs
    clf = copy.copy(fitted).set_params(warm_start=True)
    with pytest.raises(ValueError, match="classes of the previous fit"):
        clf.fit(X, y + 1)
    with pytest.raises(ValueError, match="features"):
        clf.fit(X[:, :3], y)
    with pytest.raises(ValueError, match="'hidden_size': 16"):
        clf.set_params(hidden_size=16).fit(X, y)


def attributes_of(clf):
    """Return copies of all that an estimator holds, its lists and dicts in depth.

    The judges are no copy: nodes of trees have padding, which differs between copies.
    """
    memo = {id(clf._judges): clf._judges} if hasattr(clf, "_judges") else {}
    return copy.deepcopy(vars(clf), memo)


def assert_same_attributes(clf, expected):
    assert list(vars(clf)) == list(expected)
    for name, value in expected.items():
        if name == "_judges":
            assert vars(clf)[name] is value
        else:
            assert joblib.hash(vars(clf)[name]) == joblib.hash(value), name


class Interrupting:
    """A callback that interrupts the second epoch, as a user would."""

    def __init__(self):
        self.n_epochs = 0

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = lambda self, estimator, context, **arguments: None

    def on_fit_task_end(self, estimator, context, **arguments):
        self.n_epochs += 1
        if self.n_epochs == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("warm_start", [False, True])
def test_an_interrupted_fit_leaves_the_estimator_as_it_was(warm_start, fast, blobs):
    pytest.importorskip("sklearn.callback")
    X, _, y = blobs
    clf = LRADiffusionClassifier(**{**fast, "max_iter": 3}, n_iter_no_change=5)
    clf.set_params(warm_start=warm_start).fit(X, y)
    clf.set_callbacks(Interrupting())
    before, proba = attributes_of(clf), clf.predict_proba(X)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, (y + 1) % 3)
    before["_skl_callbacks"] = vars(clf)["_skl_callbacks"]  # has counted epochs
    assert_same_attributes(clf, before)
    assert_array_equal(clf.predict_proba(X), proba)


@pytest.mark.parametrize("fitted_before", [False, True])
def test_a_refused_refit_leaves_the_estimator_as_it_was(fitted_before, quick, blobs):
    X, _, y = blobs
    columns = list("abcd")
    clf = LRADiffusionClassifier(**{**quick, "learning_rate": 1e35})
    if fitted_before:
        clf.set_params(learning_rate=1e-2).fit(pd.DataFrame(X, columns=columns), y)
        clf.set_params(learning_rate=1e35)
    before = attributes_of(clf)
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(pd.DataFrame(X[:, ::-1], columns=columns[::-1]), y)
    assert_same_attributes(clf, before)
    with pytest.raises(ValueError, match="neighbors must hold"):
        clf.fit(X[:, :3], y, neighbors=np.full((len(X), 1), len(X)))
    assert_same_attributes(clf, before)


# Published settings


@pytest.mark.parametrize("dataset", DATASETS)
def test_published_settings_are_valid_parameters(dataset):
    settings = published_settings(dataset)
    clf = LRADiffusionClassifier(**settings)
    clf._validate_params()
    assert settings.items() <= clone(clf).get_params().items()
    assert LRADiffusionClassifier().set_params(**settings).get_params() == clf.get_params()


def test_published_settings_are_those_of_an_experiment():
    with pytest.raises(ValueError, match="dataset must be one of .*cifar.*, got 'mnist'"):
        published_settings("mnist")


def test_published_settings_cannot_be_changed_by_their_reader():
    published_settings("cifar")["n_neighbors"] = 3
    assert published_settings("cifar")["n_neighbors"] == 10


@pytest.fixture(scope="module")
def published(blobs):
    """Return a classifier of published settings and the batches of its training by hand.

    A batch holds features, what labels are drawn from, drawn labels, weights, loss and the loss of
    the published equations.
    """
    X, _, y = blobs
    clf = LRADiffusionClassifier(**published_settings("cifar"), random_state=0)
    clf.set_params(hidden_size=32, max_iter=20)
    batches = []
    library_loss = LabelDiffusion.loss

    def watched_loss(self, distributions, y_codes, noise, t, features, weights, *rest):
        loss = library_loss(self, distributions, y_codes, noise, t, features, weights, *rest)
        a = torch.from_numpy(published_alphas_cumprod())[t].unsqueeze(1).float()
        y_0 = torch.nn.functional.one_hot(y_codes, noise.shape[1])
        y_t = a.sqrt() * y_0 + (1 - a).sqrt() * noise
        with torch.no_grad():
            predicted = self.denoiser(y_t, t, self.denoiser.encode(features))
        by_hand = (weights[:, None] * (noise - predicted) ** 2).sum(dim=0).mean()
        batches.append((features, distributions, y_codes, weights, loss.item(), by_hand.item()))
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LabelDiffusion, "loss", watched_loss)
        clf.fit(X, y)
    return clf, batches


def published_alphas_cumprod(n_timesteps=1000, offset=0.008):
    progress = np.arange(n_timesteps + 1) / n_timesteps
    signal = np.cos((progress + offset) / (1 + offset) * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - signal[1:] / signal[:-1], 0.999))


def test_published_retrieval_is_the_vote_of_neighbors_and_the_row_itself(published, blobs):
    clf, _ = published
    X, _, y = blobs
    neighbors = NearestNeighbors(n_neighbors=10).fit(X).kneighbors(return_distance=False)
    ballots = np.hstack([y[neighbors], y[:, None]])
    votes = np.stack([(ballots == label).mean(axis=1) for label in range(3)], axis=1)
    assert_allclose(clf.label_distributions_, votes, rtol=1e-6)


def test_published_loss_is_the_weighted_error_of_the_noise(published):
    _, batches = published
    assert len(batches) == 20
    for *_, loss, by_hand in batches:
        assert loss == pytest.approx(by_hand, rel=1e-5)


def test_published_weights_are_the_agreement_of_the_drawn_labels(published, blobs):
    # Not a label of probability p is weighed by p, but labels are drawn in proportion to p^2 and a
    # row is weighed by their sum: the same on average.
    clf, batches = published
    X, _, _ = blobs
    standardized = clf._scaler.transform(X)
    for features, distributions, y_codes, weights, *_ in batches:
        distances, rows = NearestNeighbors(n_neighbors=1).fit(standardized).kneighbors(features)
        assert distances.max() < 1e-5
        agreement = clf.label_distributions_[rows[:, 0]] ** 2
        assert_allclose(distributions, agreement, rtol=1e-5)
        assert agreement[np.arange(len(y_codes)), y_codes].min() > 0
        assert_allclose(weights, agreement.sum(axis=1) / agreement.sum(), rtol=1e-5)


def test_published_inference_starts_at_zero_and_scores_by_distance_from_one(published, blobs):
    clf, _ = published
    X, _, _ = blobs
    assert_array_equal(clf.initial_noise_, np.zeros((1, 3)))
    model = build_model(clf._network)
    arrays_to_module(clf.weights_, model.denoiser)
    model = model.double().eval()
    condition = model.denoiser.encode(torch.from_numpy(clf._scaler.transform(X)).double())
    a = torch.from_numpy(published_alphas_cumprod())
    timesteps = model.timesteps(10)
    assert len(timesteps) == 10
    assert timesteps[-1] == 0
    y_t = torch.zeros(len(X), 3, dtype=torch.float64)
    for t, t_next in zip(timesteps, [*timesteps[1:], 0], strict=True):
        with torch.no_grad():
            noise = model.denoiser(y_t, torch.tensor(t), condition)
        y_0 = ((y_t - (1 - a[t]).sqrt() * noise) / a[t].sqrt()).clamp(0, 1)
        noise = (y_t - a[t].sqrt() * y_0) / (1 - a[t]).sqrt()  # another one where y_0 was clamped
        y_t = a[t_next].sqrt() * y_0 + (1 - a[t_next]).sqrt() * noise
    scores = -((y_0.numpy() - 1) ** 2)
    proba = clf.predict_proba(X)
    assert_allclose(proba, softmax(scores / clf.temperature_, axis=1), rtol=1e-4)
    assert_array_equal(proba.argmax(axis=1), softmax(scores, axis=1).argmax(axis=1))


def test_prior_that_knows_no_label_is_refused(fast, blobs):
    X, _, y = blobs
    prior = FrozenEstimator(GaussianNB().fit(X, y))
    names = np.array(["zero", "one", "two"])[y]
    with pytest.raises(ValueError, match=r"prior must know some of the labels in y, \['one'"):
        LRADiffusionClassifier(**fast, prior=prior).fit(X, names)


def test_divergence_is_an_error(quick, blobs):
    X, _, y = blobs
    with pytest.raises(ValueError, match="diverged: .* Choose a learning_rate smaller than"):
        LRADiffusionClassifier(**{**quick, "learning_rate": 1e35}).fit(X, y)


# Devices and printing


@pytest.mark.parametrize("device", [MISSING_DEVICE, "gpu"])
def test_fit_refuses_a_device_that_is_not_there(device, fast, blobs):
    X, _, y = blobs
    with pytest.raises(ValueError, match="device must be 'auto' or a device that torch can use"):
        LRADiffusionClassifier(**fast, device=device).fit(X, y)


def test_prediction_falls_back_to_the_cpu_with_a_warning(fitted, blobs):
    X, _, _ = blobs
    clf = copy.copy(fitted).set_params(device=MISSING_DEVICE)
    with pytest.warns(UserWarning, match="predicting on the CPU"):
        moved = clf.predict_proba(X)
    assert_allclose(moved, fitted.predict_proba(X), atol=1e-7)


def test_verbose_prints_a_line_for_each_epoch(fast, blobs, capsys):
    X, _, y = blobs
    clf = LRADiffusionClassifier(**fast, verbose=1, n_iter_no_change=30).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    models, halves, retrieval, *epochs = lines
    assert models.startswith("Models, neighbors") and halves.startswith("Networks of halves: ")
    assert f"{clf.n_neighbors_} neighbors" in retrieval
    assert len(epochs) == clf.n_iter_
    assert f"loss {clf.loss_curve_[0]:.4f}" in epochs[0]
    assert f"{clf.validation_scores_[0]:.4f}" in epochs[0]


def test_nothing_is_printed_unless_asked(fast, blobs, capsys):
    X, _, y = blobs
    LRADiffusionClassifier(**fast, n_iter_no_change=30).fit(X, y).predict(X)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_given_labels_of_new_rows_and_of_training_rows_add_to_what_the_features_say():
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    y_given = np.where(rng.random(len(y)) < 0.4, (y + rng.integers(1, 10, size=len(y))) % 10, y)
    order = rng.permutation(len(y))
    train, new = order[:900], order[900:]
    clf = LRADiffusionClassifier(max_iter=10, random_state=0).fit(X[train], y_given[train])
    assert clf.label_trust_ > 0.9
    purified = clf.purify_labels(X[new], y_given[new])
    assert np.mean(purified == y[new]) > np.mean(clf.predict(X[new]) == y[new])
    # Training rows' own labels are joined in the distributions.
    judged = np.mean(clf.label_distributions_.argmax(axis=1) == y[train])
    assert judged > np.mean(clf.out_of_sample_proba_.argmax(axis=1) == y[train])

"""The network as one of the judges."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.metrics import log_loss

from skdiffusion_label import LRADiffusionClassifier, LRADiffusionImageClassifier
from skdiffusion_label.classifier import _judgement, _judging
from skdiffusion_label.classifier._models import Models
from skdiffusion_label.classifier._tables import Judgements, by_blocks
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, uniform_transition
from skdiffusion_label.noise_model import join_judge


@pytest.fixture(scope="module")
def noisy():
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    y_given = np.where(rng.random(len(y)) < 0.4, (y + rng.integers(1, 10, len(y))) % 10, y)
    return X[:700], y_given[:700], X[700:], y[700:]


@pytest.fixture(scope="module")
def fitted(noisy):
    X, y_given, *_ = noisy
    return LRADiffusionClassifier(max_iter=20, random_state=0).fit(X, y_given)


def network_alone(clf):
    alone = clone(clf)
    vars(alone).update(vars(clf))
    alone._judges = None
    return alone


def test_judges_and_network_know_about_as_much_as_the_network_or_more(fitted, noisy):
    *_, X, y = noisy
    alone = network_alone(fitted).predict_proba(X)
    together = fitted.predict_proba(X)
    assert_allclose(together.sum(axis=1), 1)
    # Judged by networks of half of the rows, that of all rows is worth more than it is taken for.
    assert log_loss(y, together) < 1.15 * log_loss(y, alone)
    assert (together.argmax(axis=1) == y).mean() > (alone.argmax(axis=1) == y).mean() - 0.02
    # The network is heard.
    assert fitted._judges.pool.weights[:, -1].min() > 0.1


def test_two_in_a_hundred_are_left_to_what_nobody_foresees(fitted, noisy):
    *_, X, _ = noisy
    proba = fitted.predict_proba(X)
    assert_allclose(proba.min(), 0.02 / 10, rtol=1e-3)
    assert_allclose(proba.max(), 0.98 + 0.02 / 10, rtol=1e-3)
    assert fitted.out_of_sample_proba_.min() < 0.001


@pytest.mark.parametrize("given", ["weights", "neighbors"])
def test_networks_of_halves_learn_from_rows_of_the_half_alone(given, noisy, monkeypatch):
    X, y_given, *_ = noisy
    asked = []

    def judge_rows(estimator, features, standardized, rows, seed, share_of_trees=1):
        asked.append((features[rows.weight > 0], len(features), share_of_trees))
        return real(estimator, features, standardized, rows, seed, share_of_trees)

    real = _judging.judge_rows
    monkeypatch.setattr(_judging, "judge_rows", judge_rows)
    known = {"sample_weight": np.arange(300) % 3}
    if given == "neighbors":
        known = {"neighbors": (np.arange(300)[:, None] + [1, 2, 3]) % 300}
    LRADiffusionClassifier(max_iter=1, random_state=0).fit(X[:300], y_given[:300], **known)
    (every, n_all, share), *halves = asked
    assert n_all == 300 and share == 1
    assert [share for *_, share in halves] == [0.25, 0.25]
    # Each row is in one half; neighbors from outside are those of all rows.
    both = np.concatenate([rows for rows, *_ in halves])
    assert_array_equal(np.unique(both, axis=0), np.unique(every, axis=0))
    assert len(both) == len(every)
    expected = [300, 300] if given == "neighbors" else [len(rows) for rows, *_ in halves]
    assert [n_rows for _, n_rows, _ in halves] == expected


@pytest.mark.parametrize(("n_rows", "share"), [(100, 1 / 22), (600, 3 / 16)])
def test_networks_of_few_rows_count_less_for_these_rows(n_rows, share, noisy, monkeypatch):
    X, y_given, *_ = noisy
    shares = []

    def join(*arguments, share=0.5, **known):
        shares.append(share)
        return join_judge(*arguments, share=share, **known)

    monkeypatch.setattr(_judgement, "join_judge", join)
    LRADiffusionClassifier(max_iter=1, random_state=0).fit(X[:n_rows], y_given[:n_rows])
    # Of new rows, whom the network of all rows is to judge, and of the training rows.
    assert shares == pytest.approx([0.5, share])


def test_groups_of_one_row_each_are_none(noisy):
    X, y_given, *_ = noisy
    known = X[:200], y_given[:200]
    alone, grouped = (
        LRADiffusionClassifier(max_iter=1, random_state=0).fit(*known, groups=groups)
        for groups in (None, np.arange(200)[::-1])
    )
    assert_array_equal(grouped.out_of_sample_proba_, alone.out_of_sample_proba_)
    assert_array_equal(grouped.predict_proba(X[200:250]), alone.predict_proba(X[200:250]))


@pytest.mark.parametrize(
    "parameters", [{"label_aggregation": "vote"}, {"prediction_type": "sample"}], ids=str
)
def test_published_ways_predict_by_the_network_alone(parameters, noisy):
    X, y_given, X_test, _ = noisy
    clf = LRADiffusionClassifier(**parameters, max_iter=2, random_state=0).fit(
        X[:100], y_given[:100]
    )
    assert_array_equal(network_alone(clf).predict_proba(X_test), clf.predict_proba(X_test))


def test_a_network_that_predicts_alone_purifies_alone(noisy):
    X_new, _, X, y = noisy
    clf = LRADiffusionClassifier(label_aggregation="vote", max_iter=20, random_state=0).fit(X, y)
    assert clf.predict_proba(X_new).min() < 1e-5  # below what judges tell apart
    codes = np.arange(len(X_new)) % 10
    _, inputs = clf._read(X_new)
    expected = clf._chains().proba(inputs, labels=np.eye(10)[codes], timestep=10)
    assert_allclose(clf.purify_proba(X_new, codes, 10), expected, rtol=1e-10)


def test_the_variant_that_trains_an_encoder_along_predicts_alone():
    torch = pytest.importorskip("torch")
    X, y = make_classification(60, random_state=0)
    X = X.astype(np.float32)
    clf = LRADiffusionImageClassifier(
        encoder=torch.nn.Linear(20, 4), max_iter=1, random_state=0
    ).fit(X, y)
    assert clf._judges is None


def test_class_weights_are_factors_of_the_probabilities(fitted, noisy):
    X, y_given, X_test, _ = noisy
    weight = dict.fromkeys(range(10), 1.0) | {3: 5.0, 7: 0.0}
    weighted = clone(fitted).set_params(class_weight=weight).fit(X, y_given)
    expected = fitted.predict_proba(X_test) * np.array(list(weight.values()))
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(weighted.predict_proba(X_test), expected, atol=1e-6)
    assert_array_equal(weighted.out_of_sample_proba_, fitted.out_of_sample_proba_)


def test_draws_are_as_frequent_as_predicted(fitted, noisy):
    *_, X, _ = noisy
    X = X[:30]
    drawn = fitted.sample_labels(X, 1000)
    frequencies = (drawn[:, :, None] == fitted.classes_).mean(axis=1)
    assert np.abs(frequencies - fitted.predict_proba(X)).max() < 0.06


@pytest.mark.parametrize("n_rows", [2, 3, 4, 5])
def test_as_few_rows_as_cannot_be_halved(n_rows):
    X = np.arange(2.0 * n_rows).reshape(n_rows, 2)
    clf = LRADiffusionClassifier(max_iter=2, random_state=0).fit(X, np.arange(n_rows) % 2)
    assert np.isfinite(clf.predict_proba(X)).all()
    assert_allclose(clf.out_of_sample_proba_.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_few_rows_that_cannot_be_told_apart_keep_their_labels(seed):
    # Fifteen rows of each class in many dimensions: judges doubt because they know little.
    X, y = make_classification(
        150,
        n_features=400,
        n_informative=20,
        n_redundant=0,
        n_classes=10,
        n_clusters_per_class=1,
        random_state=seed,
    )
    clf = LRADiffusionClassifier(max_iter=5, random_state=0)
    with pytest.warns(UserWarning, match="cannot tell|do not tell"):
        cleaner = LabelCleaner(clf).fit(X, y)
    assert_array_equal(cleaner.clean_labels_, y)
    assert cleaner.abstention_


def test_judges_are_asked_once_for_all_steps(fitted, noisy, monkeypatch):
    *_, X, _ = noisy
    clf = copy.copy(fitted).set_params(n_sampling_steps=4)
    stages = clf._chains().staged_proba(clf._read(X[:40])[1])
    expected = [clf._joined(clf._judges, *clf._read(X[:40]), proba)[0] for proba in stages]
    asked = []
    judge = Models.judge
    monkeypatch.setattr(Models, "judge", lambda *some: asked.append(1) or judge(*some))
    found = list(clf.staged_predict_proba(X[:40]))
    assert len(asked) == 1
    assert len(found) == 4
    assert_array_equal(found, expected)
    assert_array_equal(found[-1], clf.predict_proba(X[:40]))


# Tables


def test_many_tables_are_one_array_that_is_never_held():
    tables = np.random.default_rng(0).random((3, 50, 4))
    judgements = Judgements(list(tables), (50, 4))
    assert judgements.shape == tables.shape
    rows = np.array([3, 1, 40])
    assert_array_equal(judgements[:, rows], tables[:, rows])
    assert_array_equal(judgements[1:, 5:9], tables[1:, 5:9])
    assert_allclose(judgements.mean(axis=0)[:], tables.mean(axis=0), rtol=1e-6)
    assert_allclose(by_blocks(lambda some: tables[0, some], 50, 4), tables[0], rtol=1e-6)


def test_what_is_known_of_training_rows_is_what_is_known_of_new_ones():
    """A row's own label does not come back from its neighbors, through the network."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(10, 60)) / 4
    y = np.repeat(np.arange(10), 15)
    X, y_new = centers[y] + rng.normal(size=(150, 60)), rng.integers(10, size=1000)
    clf = LRADiffusionClassifier(random_state=0).fit(X, y)
    known = (clf.out_of_sample_proba_.argmax(axis=1) == y).mean()
    assert known < clf.score(centers[y_new] + rng.normal(size=(1000, 60)), y_new) + 0.08


def test_noise_of_two_classes_is_found_beside_noise_of_all():
    X, y = (part[:1000] for part in load_digits(return_X_y=True))
    transition = uniform_transition(10, 0.1)
    for true, given in ((3, 8), (1, 7)):
        transition[true] = 0.6 * (np.arange(10) == true) + 0.4 * (np.arange(10) == given)
    shares_right = []
    for seed in range(3):
        y_given = flip_labels(y, transition, random_state=seed)
        clf = LRADiffusionClassifier(max_iter=10, random_state=0).fit(X, y_given)
        purified = clf.classes_[clf.purify_proba(X, y_given).argmax(axis=1)]
        shares_right.append((purified == y).mean())
    assert np.mean(shares_right) > 0.945

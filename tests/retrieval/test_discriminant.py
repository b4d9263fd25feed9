import itertools

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import make_blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skdiffusion_label.retrieval import _discriminant, bhattacharyya_space

N_FOLDS = 10  # of few rows


@pytest.fixture
def shrinkage(monkeypatch):
    """Leave one shrinkage to choose from."""
    monkeypatch.setattr(_discriminant, "_SHRINKAGES", (0.1,))
    return 0.1


@pytest.fixture
def plain(shrinkage, monkeypatch):
    """Leave one shrinkage to choose from, and logits as they are."""
    monkeypatch.setattr(_discriminant, "_sharpness", lambda *args: (1.0, 0.0))
    return shrinkage


def standardized_blobs(n_samples=120, n_features=5, n_classes=3, seed=0):
    features, y_codes = make_blobs(
        n_samples, n_features, centers=n_classes, cluster_std=4.0, random_state=seed
    )
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return features.astype(np.float32), y_codes


def noisy_blobs(n_samples, n_features, seed=0):
    """Return blobs of which three in ten labels are drawn at random."""
    features, y_codes = standardized_blobs(n_samples, n_features, seed=seed)
    rng = np.random.default_rng(seed)
    is_random = rng.random(n_samples) < 0.3
    return features, np.where(is_random, rng.integers(3, size=n_samples), y_codes)


def fit_discriminant(*arguments, **options):
    """Return the model, and how the rows are judged as an array."""
    model, log_proba = _discriminant.fit_discriminant(*arguments, **options)
    return model, log_proba[:]


def textbook_log_proba(features, y_codes, n_classes, judged, shrinkage):
    """Fit and judge by the textbook formulas, one class after the other."""
    features, judged = features.astype(np.float64), judged.astype(np.float64)
    n_samples, n_features = features.shape
    scatter = np.zeros((n_features, n_features))
    means, prior = np.zeros((n_classes, n_features)), np.zeros(n_classes)
    for k in range(n_classes):
        members = features[y_codes == k]
        prior[k] = (len(members) + 1) / (n_samples + n_classes)
        if len(members):
            means[k] = members.mean(axis=0)
            scatter += (members - means[k]).T @ (members - means[k])
    covariance = (1 - shrinkage) * scatter / n_samples + shrinkage * np.eye(n_features)
    logits = np.empty((len(judged), n_classes))
    for k in range(n_classes):
        coefficients = np.linalg.solve(covariance, means[k])
        logits[:, k] = judged @ coefficients - means[k] @ coefficients / 2 + np.log(prior[k])
    return log_softmax(logits, axis=1)


def fold_of(row, features, y_codes, n_classes):
    """Return the rows that are judged without the label of ``row``."""
    other = y_codes.copy()
    other[row] = (other[row] + 1) % n_classes
    before, after = (fit_discriminant(features, y, n_classes)[1] for y in (y_codes, other))
    return np.flatnonzero(np.abs(before - after).max(axis=1) < 1e-6)


def assert_log_proba(log_proba, shape):
    assert log_proba.shape == shape
    assert log_proba.dtype == np.float32
    assert np.isfinite(log_proba).all()
    np.testing.assert_allclose(np.exp(log_proba).sum(axis=1), 1, rtol=1e-5)


# The model


@pytest.mark.parametrize("seed", range(3))
def test_model_is_the_textbook_discriminant(seed, plain):
    features, y_codes = standardized_blobs(seed=seed)
    # Classes of different sizes, and one that no row has.
    y_codes = np.where(np.random.default_rng(seed).random(120) < 0.4, 0, y_codes)
    model, _ = fit_discriminant(features, y_codes, 4)
    expected = textbook_log_proba(features, y_codes, 4, features, plain)
    np.testing.assert_allclose(model.log_proba(features), expected, atol=1e-3)


class ShrunkTowardsIdentity(EmpiricalCovariance):
    def fit(self, X, y=None):
        super().fit(X)
        self.covariance_ = 0.9 * self.covariance_ + 0.1 * np.eye(X.shape[1])
        return self


def test_model_is_scikit_learn_s_discriminant(plain):
    features, y_codes = standardized_blobs(n_samples=120)  # 40 rows of each class
    discriminant = LinearDiscriminantAnalysis(
        solver="lsqr", covariance_estimator=ShrunkTowardsIdentity()
    )
    expected = discriminant.fit(features, y_codes).predict_log_proba(features)
    model, _ = fit_discriminant(features, y_codes, 3)
    np.testing.assert_allclose(model.log_proba(features), expected, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_model_points_where_scikit_learn_s_own_shrinkage_does(seed, shrinkage):
    features, y_codes = noisy_blobs(200, n_features=20, seed=seed)
    model, _ = fit_discriminant(features, y_codes, 3)
    plain = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(features, y_codes)
    # What tells classes apart: coefficients less their mean. There, the identity has the variance
    # within classes for its scale, which is less than one.
    coefficients, expected = (
        each - each.mean(axis=1, keepdims=True) for each in (model.coefficients, plain.coef_.T)
    )
    for own, theirs in zip(coefficients.T, expected.T, strict=True):
        assert own @ theirs > 0.98 * np.linalg.norm(own) * np.linalg.norm(theirs)


def test_factor_multiplies_logits():
    features, y_codes = standardized_blobs()
    model, _ = fit_discriminant(features, y_codes, 3)
    sharper = model.sharpened(2.5)
    expected = np.exp(2.5 * model.log_proba(features))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(sharper.log_proba(features)), expected, atol=1e-5)


# Rows judged by models that have not seen their labels


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_labels_at_random_cannot_be_foretold(seed, n_classes):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(300, 60)).astype(np.float32)
    y_codes = rng.integers(n_classes, size=300)
    model, log_proba = fit_discriminant(features, y_codes, n_classes)
    rows = np.arange(300)
    loss = -log_proba[rows, y_codes].mean()
    # The frequencies of the other folds foretell as little.
    assert loss == pytest.approx(np.log(n_classes), abs=0.05)
    # A model that has seen them would flatter itself.
    sharp = model.sharpened(50).log_proba(features)
    assert (sharp.argmax(axis=1) == y_codes).mean() > 1 / n_classes + 0.15
    assert (log_proba.argmax(axis=1) == y_codes).mean() < 1 / n_classes + 0.1


@pytest.mark.parametrize("seed", range(3))
def test_cross_fitted_probabilities_are_as_sure_as_they_are_right(seed):
    features, y_codes = noisy_blobs(1000, n_features=30, seed=seed)
    _, log_proba = fit_discriminant(features, y_codes, 3)
    right = (log_proba.argmax(axis=1) == y_codes).mean()
    # Four standard errors of a share among a thousand rows.
    assert np.exp(log_proba.max(axis=1)).mean() == pytest.approx(right, abs=0.06)


@pytest.mark.parametrize("row", [0, 17])
def test_rows_of_a_fold_are_judged_by_a_model_refitted_without_them(row, plain):
    features, y_codes = standardized_blobs()
    _, log_proba = fit_discriminant(features, y_codes, 3)
    fold = fold_of(row, features, y_codes, 3)
    assert row in fold
    assert len(fold) == 120 // N_FOLDS
    rest = np.setdiff1d(np.arange(120), fold)
    refitted = textbook_log_proba(features[rest], y_codes[rest], 3, features[fold], plain)
    np.testing.assert_allclose(log_proba[fold], refitted, atol=1e-3)


@pytest.mark.parametrize(("n_samples", "sizes"), [(40, [4] * 10), (43, [4] * 7 + [5] * 3)])
def test_few_rows_fall_into_ten_disjoint_folds(n_samples, sizes, plain):
    features, y_codes = standardized_blobs(n_samples, n_features=2)
    folds = {tuple(fold_of(row, features, y_codes, 3)) for row in range(n_samples)}
    assert sorted(len(fold) for fold in folds) == sizes
    assert sorted(sum(folds, ())) == list(range(n_samples))


@pytest.mark.parametrize(("n_samples", "n_folds"), [(2_000, 10), (2_001, 5)])
def test_folds_are_twice_as_many_of_few_rows(n_samples, n_folds):
    features, y_codes = standardized_blobs(n_samples, n_features=2)
    _, crossed = _discriminant.fit_discriminant(features, y_codes, 3)
    assert len(crossed.models) == n_folds
    assert np.ptp(np.bincount(crossed.fold_of, minlength=n_folds)) <= 1


def test_folds_do_not_follow_the_order_of_the_rows(plain):
    # Rows often come sorted by label: folds of consecutive rows would miss whole classes.
    features, y_codes = standardized_blobs()
    fold = fold_of(0, features, y_codes, 3)
    assert len(np.unique(fold % N_FOLDS)) > 1
    assert np.ptp(fold) > 60


def test_another_seed_splits_anew_and_the_same_one_does_not(plain):
    features, y_codes = standardized_blobs()
    first, same, other = (
        fit_discriminant(features, y_codes, 3, random_state=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first[1], same[1])
    assert not np.allclose(first[1], other[1], atol=1e-6)
    np.testing.assert_allclose(first[0].coefficients, other[0].coefficients, atol=1e-4)


# Shrinkage and sharpness


def loss_of(log_proba, y_codes, factor=1.0):
    """Return the mean log loss with logits multiplied by ``factor``."""
    return -log_softmax(factor * log_proba, axis=1)[np.arange(len(y_codes)), y_codes].mean()


def test_shrinkage_that_foretells_best_is_taken():
    features, y_codes = noisy_blobs(60, n_features=30)
    losses, factors = [], np.exp(np.linspace(-4, 2, 121))
    for shrinkage in (0.02, 0.1, 0.4, 0.8):
        log_proba = np.empty((60, 3))
        for fold in _discriminant.draw_folds(60, n_folds=N_FOLDS):
            others = np.delete(np.arange(60), fold)
            given = features[others], y_codes[others], 3, features[fold]
            log_proba[fold] = textbook_log_proba(*given, shrinkage)
        losses.append(min(loss_of(log_proba, y_codes, factor) for factor in factors))
    _, log_proba = fit_discriminant(features, y_codes, 3)
    assert loss_of(log_proba, y_codes) == pytest.approx(min(losses), abs=1e-3)
    assert min(losses) < max(losses) - 0.01


def test_logits_are_multiplied_by_the_best_factor():
    features, y_codes = noisy_blobs(100, n_features=30)
    _, log_proba = fit_discriminant(features, y_codes, 3)
    for factor in np.exp(np.linspace(-2, 2, 61)):
        assert loss_of(log_proba, y_codes, factor) > loss_of(log_proba, y_codes) - 1e-3
    assert loss_of(log_proba, y_codes, 1.5) > loss_of(log_proba, y_codes) + 1e-3


# Weights


def test_weight_counts_a_row_so_many_times(plain):
    features, y_codes = standardized_blobs(60)
    times = np.random.default_rng(0).integers(0, 4, size=60)
    repeated, _ = fit_discriminant(features.repeat(times, axis=0), y_codes.repeat(times), 3)
    weight = times.astype(np.float32)
    weighted, log_proba = fit_discriminant(features, y_codes, 3, sample_weight=weight)
    np.testing.assert_allclose(
        weighted.log_proba(features), repeated.log_proba(features), atol=1e-3
    )
    # The split depends on the number of rows alone, and so the fold is that without weights.
    fold = fold_of(0, features, y_codes, 3)
    rest = np.setdiff1d(np.arange(60), fold)
    refitted = textbook_log_proba(
        features[rest].repeat(times[rest], axis=0),
        y_codes[rest].repeat(times[rest]),
        3,
        features[fold],
        plain,
    )
    np.testing.assert_allclose(log_proba[fold], refitted, atol=1e-3)


def test_label_of_a_row_of_weight_zero_does_not_matter():
    features, y_codes = standardized_blobs()
    weight = (np.arange(120) % 4 > 0).astype(np.float32)
    other = np.where(weight == 0, (y_codes + 1) % 3, y_codes)
    (model, log_proba), (same_model, same) = (
        fit_discriminant(features, labels, 3, sample_weight=weight) for labels in (y_codes, other)
    )
    np.testing.assert_array_equal(log_proba, same)
    np.testing.assert_array_equal(model.coefficients, same_model.coefficients)
    np.testing.assert_array_equal(model.intercept, same_model.intercept)


@pytest.mark.parametrize("n_features", [5, 90])
def test_models_of_two_folds_have_seen_neither(n_features, plain):
    features, y_codes = standardized_blobs(60, n_features)
    _, crossed = _discriminant.fit_discriminant(features, y_codes, 3)
    for one, other in itertools.product(range(N_FOLDS), repeat=2):
        is_new = np.isin(crossed.fold_of, [one, other])
        expected = textbook_log_proba(features[~is_new], y_codes[~is_new], 3, features, plain)
        np.testing.assert_allclose(
            crossed.models[one][other].log_proba(features), expected, rtol=1e-5, atol=1e-4
        )
        rows = np.flatnonzero(crossed.fold_of == one)
        logits = crossed.logits(rows, other)
        np.testing.assert_array_equal(logits, crossed.models[one][other].logits(features[rows]))


@pytest.mark.parametrize("n_features", [39, 40, 41, 200])
def test_dimensions_may_be_more_than_rows(n_features, plain):
    features, y_codes = standardized_blobs(60, n_features)
    model, _ = fit_discriminant(features[:40], y_codes[:40], 3)
    assert model.coefficients.shape == (n_features, 3)
    expected = textbook_log_proba(features[:40], y_codes[:40], 3, features, plain)
    np.testing.assert_allclose(model.log_proba(features), expected, rtol=1e-4, atol=1e-3)


# Degenerate input


def test_class_seen_once_is_no_obstacle():
    features, y_codes = standardized_blobs()
    y_codes[11] = 3
    _, log_proba = fit_discriminant(features, y_codes, 4)
    assert_log_proba(log_proba, (120, 4))


def test_constant_features_are_no_obstacle_and_add_nothing():
    features, y_codes = standardized_blobs()
    constant = np.hstack([features, np.zeros((120, 2), dtype=np.float32)])
    model, log_proba = fit_discriminant(constant, y_codes, 3)
    _, expected = fit_discriminant(features, y_codes, 3)
    np.testing.assert_allclose(log_proba, expected, atol=1e-3)
    np.testing.assert_array_equal(model.coefficients[5:], 0)


def test_features_that_are_all_constant_leave_the_frequencies():
    y_codes = np.array([0] * 60 + [1] * 30 + [2] * 10)
    model, log_proba = fit_discriminant(np.zeros((100, 3), dtype=np.float32), y_codes, 3)
    expected = [[0.6, 0.3, 0.1]]
    np.testing.assert_allclose(np.exp(log_proba), expected * 100, atol=0.06)
    new = np.exp(model.log_proba(np.zeros((1, 3), dtype=np.float32)))
    np.testing.assert_allclose(new, expected, atol=0.03)


def test_more_features_than_rows_are_no_obstacle(plain):
    features, y_codes = standardized_blobs(20, n_features=60)
    model, log_proba = fit_discriminant(features, y_codes, 3)
    assert_log_proba(log_proba, (20, 3))
    expected = textbook_log_proba(features, y_codes, 3, features, plain)
    np.testing.assert_allclose(model.log_proba(features), expected, atol=1e-2)


def test_single_class_is_certain():
    features, _ = standardized_blobs(20)
    model, log_proba = fit_discriminant(features, np.zeros(20, dtype=np.int64), 1)
    np.testing.assert_array_equal(log_proba, np.zeros((20, 1)))
    np.testing.assert_array_equal(model.log_proba(features), np.zeros((20, 1)))


@pytest.mark.parametrize("n_samples", [2, 3, 4])
def test_fewer_rows_than_folds_are_judged_one_by_one(n_samples, plain):
    features, y_codes = standardized_blobs(n_samples)
    _, log_proba = fit_discriminant(features, y_codes, 3)
    for row in range(n_samples):
        rest = np.delete(np.arange(n_samples), row)
        refitted = textbook_log_proba(features[rest], y_codes[rest], 3, features[[row]], plain)
        np.testing.assert_allclose(log_proba[[row]], refitted, atol=1e-3)


def test_arguments_are_left_as_they_are():
    features, y_codes = standardized_blobs()
    weight = np.ones(120, dtype=np.float32)
    for argument in (features, y_codes, weight):
        argument.flags.writeable = False
    _, log_proba = fit_discriminant(features, y_codes, 3, sample_weight=weight)
    assert_log_proba(log_proba, (120, 3))


# The space


def test_inner_product_is_the_bhattacharyya_coefficient():
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=2)
    space = bhattacharyya_space(np.log(proba))
    np.testing.assert_allclose(np.linalg.norm(space, axis=1), 1)
    assert space[0] @ space[1] == pytest.approx(np.sqrt(proba[0] * proba[1]).sum())

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import make_blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skdiffusion_label.retrieval import supervised_spaces

SHRINKAGE = 0.1


def standardized_blobs(n_samples=120, n_features=5, n_classes=3, seed=0):
    features, y_codes = make_blobs(
        n_samples, n_features, centers=n_classes, cluster_std=4.0, random_state=seed
    )
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return features.astype(np.float32), y_codes


def plain_discriminant(features, y_codes, n_classes, mapped):
    """Fit and map by the textbook formulas, one class after the other."""
    features, mapped = features.astype(np.float64), mapped.astype(np.float64)
    n_samples, n_features = features.shape
    scatter = np.zeros((n_features, n_features))
    means, prior = np.zeros((n_classes, n_features)), np.zeros(n_classes)
    for k in range(n_classes):
        members = features[y_codes == k]
        prior[k] = (len(members) + 1) / (n_samples + n_classes)
        if len(members):
            means[k] = members.mean(axis=0)
            scatter += (members - means[k]).T @ (members - means[k])
    covariance = (1 - SHRINKAGE) * scatter / n_samples + SHRINKAGE * np.eye(n_features)
    logits = np.empty((len(mapped), n_classes))
    for k in range(n_classes):
        coefficients = np.linalg.solve(covariance, means[k])
        logits[:, k] = mapped @ coefficients - means[k] @ coefficients / 2 + np.log(prior[k])
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.sqrt(proba / proba.sum(axis=1, keepdims=True))


class ShrunkTowardsIdentity(EmpiricalCovariance):
    def fit(self, X, y=None):
        super().fit(X)
        self.covariance_ = (1 - SHRINKAGE) * self.covariance_ + SHRINKAGE * np.eye(X.shape[1])
        return self


def fold_of(row, features, y_codes, n_classes, n_folds):
    """Return the rows mapped without the label of ``row``: those that its label does not move."""
    other = y_codes.copy()
    other[row] = (other[row] + 1) % n_classes
    space, moved = (
        supervised_spaces(features, labels, n_classes, n_folds=n_folds)
        for labels in (y_codes, other)
    )
    return np.flatnonzero(np.abs(space - moved).max(axis=1) < 1e-6)


@pytest.mark.parametrize("n_folds", [1, 2, 5])
def test_rows_have_unit_length(n_folds):
    features, y_codes = standardized_blobs()
    space = supervised_spaces(features, y_codes, 3, n_folds=n_folds)
    assert space.shape == (120, 3)
    assert space.dtype == np.float32
    assert (space >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(space, axis=1), 1, rtol=1e-5)


def test_squares_are_the_probabilities_of_scikit_learn_s_discriminant():
    features, y_codes = standardized_blobs(n_samples=120)  # 40 rows of each class
    discriminant = LinearDiscriminantAnalysis(
        solver="lsqr", covariance_estimator=ShrunkTowardsIdentity()
    )
    proba = discriminant.fit(features, y_codes).predict_proba(features)
    np.testing.assert_allclose(supervised_spaces(features, y_codes, 3) ** 2, proba, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_space_is_the_textbook_discriminant(seed):
    features, y_codes = standardized_blobs(seed=seed)
    # Classes of different sizes, and one that no row has.
    y_codes = np.where(np.random.default_rng(seed).random(120) < 0.4, 0, y_codes)
    expected = plain_discriminant(features, y_codes, 4, features)
    np.testing.assert_allclose(supervised_spaces(features, y_codes, 4), expected, atol=1e-4)


def test_inner_product_is_the_bhattacharyya_coefficient():
    features, y_codes = standardized_blobs()
    space = supervised_spaces(features, y_codes, 3)
    proba = plain_discriminant(features, y_codes, 3, features) ** 2
    coefficient = np.sqrt(proba[0] * proba[1]).sum()
    assert space[0] @ space[1] == pytest.approx(coefficient, abs=1e-4)


@pytest.mark.parametrize("n_folds", [2, 5])
@pytest.mark.parametrize("row", [0, 17])
def test_own_label_moves_rows_of_other_folds_alone(row, n_folds):
    features, y_codes = standardized_blobs()
    fold = fold_of(row, features, y_codes, 3, n_folds)
    assert row in fold
    assert len(fold) == 120 // n_folds


def test_own_label_moves_all_rows_without_folds():
    features, y_codes = standardized_blobs()
    assert len(fold_of(0, features, y_codes, 3, 1)) == 0


def test_rows_fall_into_disjoint_folds():
    features, y_codes = standardized_blobs(40)
    folds = {tuple(fold_of(row, features, y_codes, 3, 4)) for row in range(40)}
    assert len(folds) == 4
    assert sorted(sum(folds, ())) == list(range(40))


@pytest.mark.parametrize("n_folds", [2, 5])
def test_rows_of_a_fold_are_mapped_by_a_model_refitted_without_them(n_folds):
    features, y_codes = standardized_blobs()
    space = supervised_spaces(features, y_codes, 3, n_folds=n_folds)
    fold = fold_of(0, features, y_codes, 3, n_folds)
    rest = np.setdiff1d(np.arange(120), fold)
    refitted = plain_discriminant(features[rest], y_codes[rest], 3, features[fold])
    np.testing.assert_allclose(space[fold], refitted, atol=1e-4)
    assert not np.allclose(space, plain_discriminant(features, y_codes, 3, features), atol=1e-3)


@pytest.mark.parametrize("n_folds", [1, 5])
def test_space_is_the_same_for_a_seed_and_split_anew_by_another(n_folds):
    features, y_codes = standardized_blobs()
    first, same, other = (
        supervised_spaces(features, y_codes, 3, n_folds=n_folds, random_state=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert np.allclose(first, other, atol=1e-6) == (n_folds == 1)


def test_weight_counts_a_row_so_many_times():
    features, y_codes = standardized_blobs(60)
    times = np.random.default_rng(0).integers(0, 4, size=60)
    repeated = supervised_spaces(features.repeat(times, axis=0), y_codes.repeat(times), 3)
    weighted = supervised_spaces(features, y_codes, 3, sample_weight=times.astype(np.float32))
    np.testing.assert_allclose(weighted.repeat(times, axis=0), repeated, atol=1e-4)


@pytest.mark.parametrize("n_folds", [1, 5])
def test_label_of_a_row_of_weight_zero_does_not_matter(n_folds):
    features, y_codes = standardized_blobs()
    weight = (np.arange(120) % 4 > 0).astype(np.float32)
    other = np.where(weight == 0, (y_codes + 1) % 3, y_codes)
    first, second = (
        supervised_spaces(features, labels, 3, sample_weight=weight, n_folds=n_folds)
        for labels in (y_codes, other)
    )
    np.testing.assert_array_equal(first, second)


def assert_valid(space):
    assert np.isfinite(space).all()
    np.testing.assert_allclose(np.linalg.norm(space, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("n_folds", [1, 5])
def test_class_seen_once_is_no_obstacle(n_folds):
    features, y_codes = standardized_blobs()
    y_codes[11] = 3
    assert_valid(supervised_spaces(features, y_codes, 4, n_folds=n_folds))


@pytest.mark.parametrize("n_folds", [1, 5])
def test_constant_features_are_no_obstacle_and_add_nothing(n_folds):
    features, y_codes = standardized_blobs()
    constant = np.hstack([features, np.zeros((120, 2), dtype=np.float32)])
    space = supervised_spaces(constant, y_codes, 3, n_folds=n_folds)
    assert_valid(space)
    expected = supervised_spaces(features, y_codes, 3, n_folds=n_folds)
    np.testing.assert_allclose(space, expected, atol=1e-4)


@pytest.mark.parametrize("n_folds", [1, 5])
def test_more_features_than_rows_are_no_obstacle(n_folds):
    features, y_codes = standardized_blobs(20, n_features=60)
    space = supervised_spaces(features, y_codes, 3, n_folds=n_folds)
    assert_valid(space)
    if n_folds == 1:
        expected = plain_discriminant(features, y_codes, 3, features)
        np.testing.assert_allclose(space, expected, atol=1e-3)


@pytest.mark.parametrize("n_folds", [1, 5])
def test_single_class_maps_all_rows_to_one_point(n_folds):
    features, _ = standardized_blobs(20)
    space = supervised_spaces(features, np.zeros(20, dtype=np.int64), 1, n_folds=n_folds)
    np.testing.assert_array_equal(space, np.ones((20, 1)))


def test_fewer_rows_than_folds_are_no_obstacle():
    features, y_codes = standardized_blobs(3)
    assert_valid(supervised_spaces(features, y_codes, 3, n_folds=5))


def test_arguments_are_left_as_they_are():
    features, y_codes = standardized_blobs()
    features.flags.writeable = False
    y_codes.flags.writeable = False
    assert_valid(supervised_spaces(features, y_codes, 3, n_folds=5))

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import make_blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skdiffusion_label.retrieval import _space, supervised_spaces

SHRINKAGE = 0.05
N_FOLDS = 5


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


def rows_not_moved_by(row, features, y_codes, n_classes):
    """Return the rows of each space that do not move with the label of ``row``."""
    other = y_codes.copy()
    other[row] = (other[row] + 1) % n_classes
    spaces, moved = (supervised_spaces(features, labels, n_classes) for labels in (y_codes, other))
    return [
        np.flatnonzero(np.abs(space - then).max(axis=1) < 1e-6)
        for space, then in zip(spaces, moved, strict=True)
    ]


def fold_of(row, features, y_codes, n_classes):
    """Return the rows that are mapped without the label of ``row`` in the cross-fitted space."""
    return rows_not_moved_by(row, features, y_codes, n_classes)[1]


def assert_valid(spaces):
    """Check that both spaces hold finite rows of unit length and return them."""
    assert len(spaces) == 2
    for space in spaces:
        assert space.dtype == np.float32
        assert np.isfinite(space).all()
        assert (space >= 0).all()
        np.testing.assert_allclose(np.linalg.norm(space, axis=1), 1, rtol=1e-5)
    return spaces


def test_rows_have_unit_length():
    features, y_codes = standardized_blobs()
    for space in assert_valid(supervised_spaces(features, y_codes, 3)):
        assert space.shape == (120, 3)


def test_squares_are_the_probabilities_of_scikit_learn_s_discriminant():
    features, y_codes = standardized_blobs(n_samples=120)  # 40 rows of each class
    discriminant = LinearDiscriminantAnalysis(
        solver="lsqr", covariance_estimator=ShrunkTowardsIdentity()
    )
    proba = discriminant.fit(features, y_codes).predict_proba(features)
    space, _ = supervised_spaces(features, y_codes, 3)
    np.testing.assert_allclose(space**2, proba, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_space_is_the_textbook_discriminant(seed):
    features, y_codes = standardized_blobs(seed=seed)
    # Classes of different sizes, and one that no row has.
    y_codes = np.where(np.random.default_rng(seed).random(120) < 0.4, 0, y_codes)
    expected = plain_discriminant(features, y_codes, 4, features)
    space, _ = supervised_spaces(features, y_codes, 4)
    np.testing.assert_allclose(space, expected, atol=1e-4)


def test_inner_product_is_the_bhattacharyya_coefficient():
    features, y_codes = standardized_blobs()
    space, _ = supervised_spaces(features, y_codes, 3)
    proba = plain_discriminant(features, y_codes, 3, features) ** 2
    coefficient = np.sqrt(proba[0] * proba[1]).sum()
    assert space[0] @ space[1] == pytest.approx(coefficient, abs=1e-4)


@pytest.mark.parametrize("n_folds", [2, 5])
@pytest.mark.parametrize("row", [0, 17])
def test_own_label_moves_rows_of_other_folds_alone(row, n_folds, monkeypatch):
    monkeypatch.setattr(_space, "_N_FOLDS", n_folds)
    features, y_codes = standardized_blobs()
    fold = fold_of(row, features, y_codes, 3)
    assert row in fold
    assert len(fold) == 120 // n_folds


def test_own_label_moves_all_rows_of_the_space_of_one_model():
    features, y_codes = standardized_blobs()
    assert len(rows_not_moved_by(0, features, y_codes, 3)[0]) == 0


def test_rows_fall_into_five_disjoint_folds():
    features, y_codes = standardized_blobs(40)
    folds = {tuple(fold_of(row, features, y_codes, 3)) for row in range(40)}
    assert [len(fold) for fold in folds] == [8] * N_FOLDS
    assert sorted(sum(folds, ())) == list(range(40))


@pytest.mark.parametrize(("n_samples", "sizes"), [(43, [8, 8, 9, 9, 9]), (6, [1, 1, 1, 1, 2])])
def test_folds_differ_by_one_row_at_most(n_samples, sizes):
    features, y_codes = standardized_blobs(n_samples, n_features=2)
    folds = {tuple(fold_of(row, features, y_codes, 3)) for row in range(n_samples)}
    assert sorted(len(fold) for fold in folds) == sizes
    assert sorted(sum(folds, ())) == list(range(n_samples))


def test_folds_do_not_follow_the_order_of_the_rows():
    # Rows often come sorted by label: folds of consecutive rows would miss whole classes.
    features, y_codes = standardized_blobs()
    fold = fold_of(0, features, y_codes, 3)
    assert not np.array_equal(fold, np.arange(24))
    assert len(np.unique(fold % N_FOLDS)) > 1
    assert np.ptp(fold) > 60


@pytest.mark.parametrize("row", [0, 17])
@pytest.mark.parametrize("n_folds", [2, 5])
def test_rows_of_a_fold_are_mapped_by_a_model_refitted_without_them(n_folds, row, monkeypatch):
    monkeypatch.setattr(_space, "_N_FOLDS", n_folds)
    features, y_codes = standardized_blobs()
    _, space = supervised_spaces(features, y_codes, 3)
    fold = fold_of(row, features, y_codes, 3)
    rest = np.setdiff1d(np.arange(120), fold)
    refitted = plain_discriminant(features[rest], y_codes[rest], 3, features[fold])
    np.testing.assert_allclose(space[fold], refitted, atol=1e-4)
    assert not np.allclose(space, plain_discriminant(features, y_codes, 3, features), atol=1e-3)


def test_spaces_are_the_same_for_a_seed_and_another_seed_splits_anew():
    features, y_codes = standardized_blobs()
    first, same, other = (
        supervised_spaces(features, y_codes, 3, random_state=seed) for seed in (0, 0, 1)
    )
    for space, same_space in zip(first, same, strict=True):
        np.testing.assert_array_equal(space, same_space)
    np.testing.assert_allclose(first[0], other[0], atol=1e-6)
    assert not np.allclose(first[1], other[1], atol=1e-6)


def test_weight_counts_a_row_so_many_times():
    features, y_codes = standardized_blobs(60)
    times = np.random.default_rng(0).integers(0, 4, size=60)
    repeated, _ = supervised_spaces(features.repeat(times, axis=0), y_codes.repeat(times), 3)
    weight = times.astype(np.float32)
    weighted, cross_fitted = supervised_spaces(features, y_codes, 3, sample_weight=weight)
    np.testing.assert_allclose(weighted.repeat(times, axis=0), repeated, atol=1e-4)
    # The split depends on the number of rows alone, and so the fold is that without weights.
    fold = fold_of(0, features, y_codes, 3)
    rest = np.setdiff1d(np.arange(60), fold)
    refitted = plain_discriminant(
        features[rest].repeat(times[rest], axis=0),
        y_codes[rest].repeat(times[rest]),
        3,
        features[fold],
    )
    np.testing.assert_allclose(cross_fitted[fold], refitted, atol=1e-4)


def test_label_of_a_row_of_weight_zero_does_not_matter():
    features, y_codes = standardized_blobs()
    weight = (np.arange(120) % 4 > 0).astype(np.float32)
    other = np.where(weight == 0, (y_codes + 1) % 3, y_codes)
    first, second = (
        supervised_spaces(features, labels, 3, sample_weight=weight) for labels in (y_codes, other)
    )
    for space, same_space in zip(first, second, strict=True):
        np.testing.assert_array_equal(space, same_space)


def test_class_seen_once_is_no_obstacle():
    features, y_codes = standardized_blobs()
    y_codes[11] = 3
    assert_valid(supervised_spaces(features, y_codes, 4))


def test_constant_features_are_no_obstacle_and_add_nothing():
    features, y_codes = standardized_blobs()
    constant = np.hstack([features, np.zeros((120, 2), dtype=np.float32)])
    spaces = assert_valid(supervised_spaces(constant, y_codes, 3))
    for space, expected in zip(spaces, supervised_spaces(features, y_codes, 3), strict=True):
        np.testing.assert_allclose(space, expected, atol=1e-4)


def test_more_features_than_rows_are_no_obstacle():
    features, y_codes = standardized_blobs(20, n_features=60)
    space, _ = assert_valid(supervised_spaces(features, y_codes, 3))
    expected = plain_discriminant(features, y_codes, 3, features)
    np.testing.assert_allclose(space, expected, atol=1e-3)


def test_single_class_maps_all_rows_to_one_point():
    features, _ = standardized_blobs(20)
    for space in supervised_spaces(features, np.zeros(20, dtype=np.int64), 1):
        np.testing.assert_array_equal(space, np.ones((20, 1)))


@pytest.mark.parametrize("n_samples", [2, 3, 4])
def test_fewer_rows_than_folds_are_mapped_one_by_one(n_samples):
    features, y_codes = standardized_blobs(n_samples)
    _, space = assert_valid(supervised_spaces(features, y_codes, 3))
    for row in range(n_samples):
        rest = np.delete(np.arange(n_samples), row)
        refitted = plain_discriminant(features[rest], y_codes[rest], 3, features[[row]])
        np.testing.assert_allclose(space[[row]], refitted, atol=1e-4)


def test_arguments_are_left_as_they_are():
    features, y_codes = standardized_blobs()
    weight = np.ones(120, dtype=np.float32)
    for argument in (features, y_codes, weight):
        argument.flags.writeable = False
    assert_valid(supervised_spaces(features, y_codes, 3, sample_weight=weight))

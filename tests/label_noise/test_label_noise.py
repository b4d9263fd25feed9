"""What all noises have in common."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import binomtest

from skdiffusion_label.label_noise import (
    cluster_noise,
    flip_labels,
    hybrid_noise,
    instance_noise,
    margin_noise,
    pair_transition,
    poly_margin_noise,
    uniform_transition,
)

N_SAMPLES = 2000
NAMES = np.array(["ant", "bee", "cat", "dog", "elephant"])


class Data:
    """Overlapping classes in three dimensions, and their exact class probabilities."""

    def __init__(self, n_classes):
        rng = np.random.default_rng(0)
        centers = 2 * rng.standard_normal((n_classes, 3))
        self.X = centers[rng.integers(n_classes, size=N_SAMPLES)] + rng.standard_normal(
            (N_SAMPLES, 3)
        )
        likelihood = np.exp(-((self.X[:, None] - centers) ** 2).sum(axis=2) / 2)
        self.proba = likelihood / likelihood.sum(axis=1, keepdims=True)
        # The rate of poly-margin-diminishing noise may be anything if the top class is the label.
        self.y_codes = self.proba.argmax(axis=1)
        self.n_classes = n_classes


DATA = {n_classes: Data(n_classes) for n_classes in (2, 5)}


def uniform(y, data, noise_rate, **options):
    return flip_labels(y, uniform_transition(data.n_classes, noise_rate), **options)


def pair(y, data, noise_rate, **options):
    return flip_labels(y, pair_transition(data.n_classes, noise_rate), **options)


def poly_margin(noise_type, y, data, noise_rate, **options):
    return poly_margin_noise(y, data.proba, noise_rate, noise_type=noise_type, **options)


def hybrid(y, data, noise_rate, random_state):
    by_margin = partial(margin_noise, proba=data.proba, noise_rate=noise_rate)
    nothing = partial(flip_labels, transition_matrix=np.eye(data.n_classes))
    return hybrid_noise(y, [by_margin, nothing], random_state=random_state)


NOISES = {
    "uniform": uniform,
    "pair": pair,
    "margin": lambda y, data, rate, **options: margin_noise(y, data.proba, rate, **options),
    "type 1": partial(poly_margin, 1),
    "type 2": partial(poly_margin, 2),
    "type 3": partial(poly_margin, 3),
    "instance": lambda y, data, rate, **options: instance_noise(y, data.X, rate, **options),
    "cluster": lambda y, data, rate, **options: cluster_noise(y, data.X, rate, **options),
    "hybrid": hybrid,
}
EXACT = {"margin", "cluster", "hybrid"}

all_noises = pytest.mark.parametrize("name", NOISES)
all_data = pytest.mark.parametrize("data", DATA.values(), ids="{0.n_classes} classes".format)


@all_noises
@all_data
@pytest.mark.parametrize("noise_rate", [0, 0.05, 0.3, 0.7, 1])
def test_rate_is_hit_within_sampling_error(name, data, noise_rate):
    y_noisy = NOISES[name](data.y_codes, data, noise_rate, random_state=0)
    n_wrong = int(np.sum(y_noisy != data.y_codes))
    if name in EXACT or noise_rate in (0, 1):
        assert n_wrong == int(noise_rate * N_SAMPLES)
    else:
        # Rows that differ in their rates make the variance smaller than the binomial one.
        assert binomtest(n_wrong, N_SAMPLES, noise_rate).pvalue > 1e-4


@all_noises
@all_data
@pytest.mark.parametrize(
    "labels",
    [
        NAMES,
        NAMES.astype(object),
        np.array([-3, 0, 1, 7, 90], dtype=np.int8),
        np.array([0.0, 1.0, 2.0, 3.0, 4.0], dtype=np.float32),
    ],
    ids=["str", "object", "int8", "float32"],
)
def test_names_of_classes_change_nothing_and_dtype_is_kept(name, data, labels):
    labels = labels[: data.n_classes]
    expected = NOISES[name](data.y_codes, data, 0.4, random_state=0)
    y = labels[data.y_codes]
    y_before = y.copy()
    y_noisy = NOISES[name](y, data, 0.4, random_state=0)
    np.testing.assert_array_equal(y_noisy, labels[expected])
    np.testing.assert_array_equal(y, y_before)
    assert type(y_noisy) is np.ndarray
    assert y_noisy.dtype == y.dtype
    assert not np.shares_memory(y, y_noisy)
    np.testing.assert_array_equal(NOISES[name](y.tolist(), data, 0.4, random_state=0), y_noisy)


@all_noises
def test_random_state_determines_the_labels(name):
    data = DATA[5]
    noise = partial(NOISES[name], data.y_codes, data, 0.3)
    state = np.random.get_state()[1].copy()
    first = noise(random_state=0)
    np.testing.assert_array_equal(noise(random_state=0), first)
    np.testing.assert_array_equal(noise(random_state=np.random.RandomState(0)), first)
    assert np.any(noise(random_state=1) != first)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("name", sorted(NOISES.keys() - {"hybrid"}))
@pytest.mark.parametrize("noise_rate", [-0.1, 1.5, np.nan, "0.3", None, True])
def test_rate_is_checked(name, noise_rate):
    data = DATA[2]
    with pytest.raises(ValueError, match=r"noise_rate must be a number in \[0, 1\], got "):
        NOISES[name](data.y_codes, data, noise_rate)


@pytest.mark.parametrize("name", sorted(NOISES.keys() - {"hybrid"}))
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(N_SAMPLES), r"y needs at least two classes, got 1 class: \[0\.\]"),
        (np.zeros((N_SAMPLES, 2)), r"y must be one-dimensional and not empty, got shape \(2000, 2"),
        ([], r"y must be one-dimensional and not empty, got shape \(0,\)"),
        ([0.0, np.nan], "Input y contains NaN"),
        (["a", None], "y must hold labels that can be sorted"),
    ],
    ids=["one class", "two columns", "empty", "nan", "mixed"],
)
def test_labels_are_checked(name, y, message):
    with pytest.raises(ValueError, match=message):
        NOISES[name](y, DATA[2], 0.3)


# Noises that turn the second of three classes into the third.
CLASSES_TAKERS = {
    "flip_labels": lambda y, **options: flip_labels(y, np.roll(np.eye(3), 1, axis=1), **options),
    "margin_noise": lambda y, **options: margin_noise(
        y, np.tile([0.1, 0.3, 0.6], (len(y), 1)), 1.0, **options
    ),
    "poly_margin_noise": lambda y, **options: poly_margin_noise(
        y, np.tile([0.1, 0.3, 0.6], (len(y), 1)), 1.0, **options
    ),
}


@pytest.mark.parametrize("name", CLASSES_TAKERS)
def test_classes_name_what_y_lacks_in_the_order_of_columns(name):
    noise = CLASSES_TAKERS[name]
    y_noisy = noise(np.array(["owl", "owl"]), classes=["zebra", "owl", "worm"], random_state=0)
    assert y_noisy.tolist() == ["worm", "worm"]
    assert noise(np.array([1, 1], dtype=np.int16), classes=range(3)).dtype == np.int16
    assert noise(np.array([0.0, 0.0]), classes=[7, 0, 3]).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("name", CLASSES_TAKERS)
@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        ([0, 1], [1, 2, 3], r"classes must hold all labels of y, got \[1 2 3\] without \[0\]"),
        ([0, 1], [0, 1, 1], r"classes must be a list of different labels, got \[0 1 1\]"),
        ([0, 1], [[0, 1, 2]], "classes must be a list of different labels, got"),
        ([0, 1], ["a", "b", "c"], "classes must be labels like those of y"),
        (np.array([0, 1], dtype=np.int8), [0, 1, 300], "classes must be labels like those of y"),
        (["a", "b"], [0, 1, 2], "classes must be labels like those of y"),
        (np.array(["a", "b"], dtype=object), [0, 1], r"classes .* without \['a', 'b'\]"),
        ([0, 1], [0], "classes must hold all labels of y"),
        ([0, 0], [0], "y needs at least two classes, got 1 class"),
    ],
)
def test_classes_are_checked(name, y, classes, message):
    with pytest.raises(ValueError, match=message):
        CLASSES_TAKERS[name](y, classes=classes)

"""Noise from class probabilities."""

import numpy as np
import pytest
from scipy.stats import binomtest

from skdiffusion_label.label_noise import margin_noise, poly_margin_noise

KEEP = {
    1: lambda margin: (1 + margin**2) / 2,
    2: lambda margin: margin**3,
    3: lambda margin: (margin**3 + margin**2 + margin) / 3,
}


def random_proba(n_samples=3000, n_classes=4):
    return np.random.default_rng(0).dirichlet(np.full(n_classes, 0.5), size=n_samples)


def proba_of_margins(margins):
    """Return probabilities of three classes with the first on top and the second behind."""
    return np.stack([(1 + margins) / 2, (1 - margins) / 2, np.zeros_like(margins)], axis=1)


def test_smallest_margins_flip_to_the_best_wrong_class():
    proba = np.array(
        [[0.9, 0.06, 0.04], [0.5, 0.1, 0.4], [0.3, 0.4, 0.3], [0.2, 0.1, 0.7], [0.4, 0.5, 0.1]]
    )
    y = np.array([0, 0, 1, 0, 1])  # margins .84, .1, .1, -.5, .1
    assert margin_noise(y, proba, 0.2, jitter=0, classes=[0, 1, 2]).tolist() == [0, 0, 1, 2, 1]
    noisy = margin_noise(y, proba, 0.99, jitter=0, classes=[0, 1, 2])
    assert noisy.tolist() == [0, 2, 0, 2, 0]


def test_without_jitter_no_flipped_row_has_a_larger_margin_than_a_kept_one():
    proba = random_proba()
    y = proba.argmax(axis=1)
    top = np.sort(proba, axis=1)
    margins = top[:, -1] - top[:, -2]
    flipped = margin_noise(y, proba, 0.3, jitter=0) != y
    assert margins[flipped].max() <= margins[~flipped].min()
    with_jitter = margin_noise(y, proba, 0.3, random_state=0) != y
    assert margins[with_jitter].mean() < margins[~with_jitter].mean()
    assert margins[with_jitter].max() > margins[~with_jitter].min()


def test_number_of_flips_is_rounded_down():
    proba = random_proba(7)
    y = proba.argmax(axis=1)
    classes = range(4)
    assert np.sum(margin_noise(y, proba, 0.3, classes=classes, random_state=0) != y) == 2


@pytest.mark.parametrize("noise_type", [1, 2, 3])
@pytest.mark.parametrize("factor", [1.2, 1.43, 3.2])
def test_poly_margin_noise_follows_the_published_formulas(noise_type, factor):
    margins = np.array([0.1, 0.4, 0.7, 0.85])
    keep = np.minimum(1, KEEP[noise_type](margins) / factor)
    n_each = 5000
    proba = np.repeat(proba_of_margins(margins), n_each, axis=0)
    y = np.zeros(len(proba), dtype=int)
    y_noisy = poly_margin_noise(
        y, proba, 1 - keep.mean(), noise_type=noise_type, classes=[0, 1, 2], random_state=0
    )
    assert set(y_noisy) <= {0, 1}
    for kept, expected in zip((y_noisy == 0).reshape(4, n_each), keep, strict=True):
        assert binomtest(int(kept.sum()), n_each, expected).pvalue > 1e-4


def test_probability_of_being_kept_is_at_most_one():
    margins = np.array([0.1, 0.9])
    proba = np.repeat(proba_of_margins(margins), 1000, axis=0)
    y = np.zeros(2000, dtype=int)
    y_noisy = poly_margin_noise(y, proba, 0.25, noise_type=2, classes=[0, 1, 2], random_state=0)
    assert not np.any(y_noisy[1000:])
    assert binomtest(int(np.sum(y_noisy[:1000] == 1)), 1000, 0.5).pvalue > 1e-4


@pytest.mark.parametrize("noise_type", [1, 2, 3])
@pytest.mark.parametrize("noise_rate", [0.4, 0.5, 0.6])
def test_mistakes_of_the_classifier_count_in_the_rate(noise_type, noise_rate):
    proba = random_proba(20000)
    cumulative = proba.cumsum(axis=1)
    y = (np.random.default_rng(1).random((len(proba), 1)) < cumulative).argmax(axis=1)
    y_noisy = poly_margin_noise(y, proba, noise_rate, noise_type=noise_type, random_state=0)
    assert binomtest(int(np.sum(y_noisy != y)), len(y), noise_rate).pvalue > 1e-4
    order = proba.argsort(axis=1)
    assert np.all((y_noisy == order[:, -1]) | (y_noisy == order[:, -2]))


def test_rates_beyond_top_class_and_runner_up_are_refused():
    proba = np.repeat([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]], 2, axis=0)
    y = [0, 0, 0, 1]  # the top class is wrong for two rows, the runner-up for three
    for noise_rate in (0.5, 0.75):
        assert np.mean(poly_margin_noise(y, proba, noise_rate, classes=range(3)) != y) == noise_rate
    for noise_rate in (0.49, 0.76):
        with pytest.raises(
            ValueError, match=r"noise_rate must lie in \[0.5000, 0.7500\], .* got 0"
        ):
            poly_margin_noise(y, proba, noise_rate, classes=range(3))


@pytest.mark.parametrize("noise_type", [1, 2, 3])
def test_tiny_margins_are_solved_for(noise_type):
    margins = np.repeat([0.0, 1e-12, 1e-5, 0.5], 1000)
    proba = proba_of_margins(margins)
    y = np.zeros(len(proba), dtype=int)
    y_noisy = poly_margin_noise(
        y, proba, 0.4, noise_type=noise_type, classes=range(3), random_state=0
    )
    assert binomtest(int(np.sum(y_noisy != y)), len(y), 0.4).pvalue > 1e-4


@pytest.mark.parametrize("noise", [margin_noise, poly_margin_noise])
@pytest.mark.parametrize(
    ("proba", "message"),
    [
        (np.full((2, 3), 1 / 3), r"proba must have .* shape \(2, 2\), got shape \(2, 3\)"),
        (np.full((3, 2), 1 / 2), r"proba must have .* shape \(2, 2\), got shape \(3, 2\)"),
        ([[0.5, 0.5], [2.0, 3.0]], r"proba rows must sum to 1, got sums \[1. 5.\]"),
        ([[0.5, 0.5], [-1.0, 2.0]], "proba must hold numbers of at least 0"),
        ([[0.5, 0.5], [np.nan, 1.0]], "proba must hold numbers of at least 0"),
    ],
)
def test_proba_is_checked(noise, proba, message):
    with pytest.raises(ValueError, match=message):
        noise([0, 1], proba, 0.5)


def test_float32_probabilities_are_taken():
    proba = random_proba().astype(np.float32)
    y = proba.argmax(axis=1)
    assert np.mean(margin_noise(y, proba, 0.3) != y) == 0.3
    poly_margin_noise(y, proba, 0.3)


def test_options_are_checked():
    proba = np.eye(2)
    for jitter in (-1, np.nan, np.inf, "large"):
        with pytest.raises(ValueError, match="jitter must be a finite number of at least 0, got "):
            margin_noise([0, 1], proba, 0.5, jitter=jitter)
    for noise_type in (0, "I", 4):
        with pytest.raises(ValueError, match="noise_type must be 1, 2 or 3, got "):
            poly_margin_noise([0, 1], proba, 0.5, noise_type=noise_type)

"""Several noises, one on top of another."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import binomtest

from skdiffusion_label.label_noise import (
    CIFAR10_FLIPS,
    asymmetric_transition,
    flip_labels,
    hybrid_noise,
    pair_transition,
    poly_margin_noise,
    uniform_transition,
)


@pytest.mark.parametrize(("on_top", "expected"), [(0.3, 0.5335), (0.6, 0.7168)])
def test_uniform_noise_on_top_has_the_published_rate(on_top, expected):
    """Hold the shares of wrong labels in the published files (.5330 and .7177) as expected."""
    n_samples, base = 30000, 0.3503
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(10, 0.1), size=n_samples)
    y = proba.argmax(axis=1)
    noises = [
        partial(poly_margin_noise, proba=proba, noise_rate=base),
        partial(flip_labels, transition_matrix=uniform_transition(10, on_top)),
    ]
    y_noisy = hybrid_noise(y, noises, random_state=0)
    formula = base * (1 - on_top) + base * on_top * 8 / 9 + (1 - base) * on_top
    assert abs(formula - expected) < 1e-3
    assert binomtest(int(np.sum(y_noisy != y)), n_samples, formula).pvalue > 1e-4


def test_matrices_are_multiplied():
    first, second = pair_transition(10, 0.4), asymmetric_transition(10, 0.3, CIFAR10_FLIPS)
    noises = [partial(flip_labels, transition_matrix=matrix) for matrix in (first, second)]
    y = np.repeat(np.arange(10), 2000)
    y_noisy = hybrid_noise(y, noises, random_state=0)
    for true, given in np.ndindex(10, 10):
        count = int(np.sum(y_noisy[y == true] == given))
        probability = min(1, (first @ second)[true, given])
        assert binomtest(count, 2000, probability).pvalue > 1e-5


def test_the_same_noise_twice_draws_anew():
    y = np.repeat([0, 1], 5000)
    half = partial(flip_labels, transition_matrix=uniform_transition(2, 0.5))
    first = hybrid_noise(y, [half], random_state=0)
    both = hybrid_noise(y, [half, half], random_state=0)
    np.testing.assert_array_equal(first, flip_labels(y, uniform_transition(2, 0.5), random_state=0))
    assert binomtest(int(np.sum(both == first)), 10000, 0.5).pvalue > 1e-4


def test_no_noise_leaves_the_labels():
    assert hybrid_noise(["a", "b"], []).tolist() == ["a", "b"]

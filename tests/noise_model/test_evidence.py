import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdiffusion_label.noise_model import given_label_evidence, given_label_trust


def confident_rows(n_samples=8000, n_classes=4, seed=0):
    """Return calibrated probabilities from sure to torn, and labels that follow them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_samples, n_classes)) * rng.uniform(1, 20, size=(n_samples, 1))
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    proba /= proba.sum(axis=1, keepdims=True)
    y = (proba.cumsum(axis=1) < rng.random((n_samples, 1))).sum(axis=1)
    return proba, y, rng


def trust_and_evidence(proba, y_codes):
    return given_label_trust(proba, y_codes), given_label_evidence(proba, y_codes)


@pytest.mark.parametrize("noise_rate", [0.1, 0.4])
@pytest.mark.parametrize("kind", ["uniform", "pair"])
def test_noise_by_class_is_trusted_and_its_matrix_found(kind, noise_rate):
    proba, y, rng = confident_rows()
    shift = 1 if kind == "pair" else rng.integers(1, 4, size=len(y))
    y_given = np.where(rng.random(len(y)) < noise_rate, (y + shift) % 4, y)
    trust, evidence = trust_and_evidence(proba, y_given)
    assert trust > 0.95
    expected = np.eye(4) * (1 - noise_rate)
    expected += noise_rate * (
        np.roll(np.eye(4), 1, axis=1) if kind == "pair" else (1 - np.eye(4)) / 3
    )
    # The classifier's own errors count as noise.
    errors = 1 - proba.max(axis=1).mean()
    assert_allclose(np.exp(evidence), expected, atol=errors + 0.04)


def test_noise_where_the_classifier_hesitates_is_not_trusted():
    proba, y, _ = confident_rows()
    second = np.argsort(proba, axis=1)[:, -2]
    margin = proba[np.arange(len(y)), y] - proba[np.arange(len(y)), second]
    y_given = np.where(margin < np.quantile(margin, 0.3), second, y)
    trust, evidence = trust_and_evidence(proba, y_given)
    assert trust < 0.05


def test_labels_at_random_are_no_evidence():
    proba, _, rng = confident_rows()
    _, evidence = trust_and_evidence(proba, rng.integers(4, size=len(proba)))
    assert_allclose(evidence - evidence.mean(axis=0), 0, atol=0.1)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
@pytest.mark.parametrize("n_classes", [1, 2, 6])
def test_few_rows_and_classes_give_finite_evidence(n_rows, n_classes):
    proba = np.full((n_rows, n_classes), 1 / n_classes)
    trust, evidence = trust_and_evidence(proba, np.arange(n_rows) % n_classes)
    assert 0 <= trust <= 1
    assert evidence.shape == (n_classes, n_classes)
    assert np.isfinite(evidence).all()


def test_right_labels_of_a_sure_classifier_are_believed():
    y = np.arange(400) % 4
    trust, evidence = trust_and_evidence(np.eye(4)[y], y)
    assert trust > 0.95
    assert (evidence.diagonal() > np.log(0.99)).all()


@pytest.mark.parametrize("noise_rate", [0, 0.2, 0.4])
def test_noise_that_has_nothing_to_do_with_the_features_is_trusted_in_few_rows_too(noise_rate):
    trust = []
    for seed in range(200):
        proba, y, rng = confident_rows(150, seed=seed)
        wrong = rng.random(150) < noise_rate
        y_given = np.where(wrong, (y + rng.integers(1, 4, size=150)) % 4, y)
        trust.append(given_label_trust(proba, y_given))
    assert np.mean(np.less(trust, 0.05)) < 0.03
    assert np.mean(trust) > 0.6

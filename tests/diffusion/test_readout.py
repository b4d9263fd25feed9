import math

import pytest
import torch

from skdiffusion_label.diffusion import class_probabilities, fit_temperature

ONE_HOT_TYPES = pytest.mark.parametrize("prediction_type", ["sample", "epsilon"])


def random_distributions(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).mul(2).softmax(dim=-1)


@ONE_HOT_TYPES
def test_class_nearest_to_one_wins_rather_than_the_largest(prediction_type):
    y_0 = torch.tensor([[[1.3, 0.85, 0.1]]], dtype=torch.float64)
    proba = class_probabilities(y_0, prediction_type, 1.0)
    assert proba.argmax(dim=1).tolist() == [1]
    assert y_0.argmax(dim=2).tolist() == [[0]]


@ONE_HOT_TYPES
@pytest.mark.parametrize(("n_classes", "published"), [(2, 0.731), (10, 0.232), (100, 0.0267)])
def test_exact_one_hot_has_the_published_maximum(n_classes, published, prediction_type):
    y_0 = torch.eye(n_classes, dtype=torch.float64).unsqueeze(0)
    proba = class_probabilities(y_0, prediction_type, 1.0)
    exact = math.e / (math.e + n_classes - 1)
    torch.testing.assert_close(proba.diag(), torch.full_like(proba.diag(), exact))
    assert exact == pytest.approx(published, rel=2e-3)


@ONE_HOT_TYPES
@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_one_hot_labels_are_read_off_by_squared_distance(prediction_type, temperature):
    y_0 = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores = (-((y_0 - 1) ** 2) / temperature).exp()
    expected = (scores / scores.sum(dim=2, keepdim=True)).mean(dim=0)
    torch.testing.assert_close(class_probabilities(y_0, prediction_type, temperature), expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_distributions_are_averaged_over_draws_at_any_temperature(temperature):
    y_0 = random_distributions(7, 5, 3)
    torch.testing.assert_close(class_probabilities(y_0, "logits", temperature), y_0.mean(dim=0))


@pytest.mark.parametrize("prediction_type", ["logits", "sample", "epsilon"])
@pytest.mark.parametrize("temperature", [1e-3, 1.0, 30.0])
def test_probabilities_sum_to_one_even_for_exact_one_hot_labels(prediction_type, temperature):
    y_0 = torch.eye(4).repeat(3, 1, 1)
    proba = class_probabilities(y_0, prediction_type, temperature)
    assert torch.isfinite(proba).all()
    torch.testing.assert_close(proba.sum(dim=1), torch.ones(4))
    assert proba.argmax(dim=1).tolist() == [0, 1, 2, 3]


@ONE_HOT_TYPES
@pytest.mark.parametrize("temperature", [0.12, 0.5, 1.0, 2.3, 10.0])
def test_fit_temperature_recovers_a_known_temperature(prediction_type, temperature):
    # Cross-entropy against the read-off's own probabilities is least at their temperature.
    y_0 = random_distributions(1, 200, 4)
    target = class_probabilities(y_0, prediction_type, temperature)
    fitted = fit_temperature(y_0, prediction_type, target)
    # Twenty values per decade are tried: the nearest is within half a step.
    assert abs(math.log10(fitted / temperature)) < 0.026


@ONE_HOT_TYPES
def test_fit_temperature_is_low_for_right_one_hot_labels_and_high_for_random_ones(prediction_type):
    generator = torch.Generator().manual_seed(0)
    right = torch.eye(4, dtype=torch.float64)[torch.randint(0, 4, (100,), generator=generator)]
    unrelated = right[torch.randperm(100, generator=generator)]
    # The targets are not quite sure, or else any small temperature would do.
    target = 0.97 * right + 0.01
    sure = fit_temperature(0.9 * right.unsqueeze(0) + 0.025, prediction_type, target)
    unsure = fit_temperature(0.9 * unrelated.unsqueeze(0) + 0.025, prediction_type, target)
    assert sure < 1 < unsure

"""From sampled labels to class probabilities."""

import torch
from torch import Tensor

_LOG10_TEMPERATURES = (-1.0, 1.5)  # one-hot labels are believed up to 1 - exp(-10)
_GRID_SIZE = 15


def draw_probabilities(y_0: Tensor, prediction_type: str, temperature: float) -> Tensor:
    """Turn labels ``y_0`` (..., k) into probabilities of the same shape.

    A label in one-hot space is scored by its distance from each class's corner,
    ``-(y_0 - 1)^2``; the published read-off is the softmax of these scores, at ``temperature=1``.
    A label that is itself a distribution ("logits") is raised to the power ``1 / temperature``.
    """
    if prediction_type == "logits":
        scores = y_0.clamp(min=1e-30).log()
    else:
        scores = -(y_0 - 1).square()
    return (scores / temperature).softmax(dim=-1)


def class_probabilities(y_0: Tensor, prediction_type: str, temperature: float) -> Tensor:
    """Return the mean (n, k) of :func:`draw_probabilities` over draws ``y_0`` (draws, n, k)."""
    return draw_probabilities(y_0, prediction_type, temperature).mean(dim=0)


def fit_temperature(y_0: Tensor, prediction_type: str, label_distributions: Tensor) -> float:
    """Return the temperature of least cross-entropy against ``label_distributions`` (n, k)."""

    def cross_entropy(temperature: float) -> float:
        proba = class_probabilities(y_0, prediction_type, temperature)
        log_proba = proba.clamp(min=1e-12).log()
        return -float((label_distributions * log_proba).sum(dim=1).mean())

    low, high = _LOG10_TEMPERATURES
    for _ in range(2):  # a coarse grid, then a fine one around its best point
        grid = torch.linspace(low, high, _GRID_SIZE, dtype=torch.float64)
        best = min(grid.tolist(), key=lambda exponent: cross_entropy(10**exponent))
        step = (high - low) / (_GRID_SIZE - 1)
        low, high = max(low, best - step), min(high, best + step)
    return 10**best

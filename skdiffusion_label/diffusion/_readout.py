"""From sampled labels to class probabilities."""

import torch
from torch import Tensor

# Powers of ten between which the temperature is sought, without unit: from one-hot labels that are
# believed up to exp(-10) to those of which the scores differ by 0.03, next to nothing.
_LOG10_TEMPERATURES = (-1.0, 1.5)
# Temperatures tried at a time: a second grid between the first one's neighbors of the best leaves
# steps of 6 %, which cross-entropy does not tell apart.
_GRID_SIZE = 15
# Probability below which float32 soon has none: the logarithm of a class that is ruled out stays
# finite.
_LEAST_PROBABILITY = 1e-30


def draw_probabilities(y_0: Tensor, prediction_type: str, temperature: float) -> Tensor:
    """Turn labels ``y_0`` (..., k) into probabilities of the same shape.

    A label in one-hot space is scored by its distance from each class's corner,
    ``-(y_0 - 1)^2``; the published read-off is the softmax of these scores, at ``temperature=1``.
    A label that is itself a distribution ("logits") stays what it is.
    """
    if prediction_type == "logits":
        proba = y_0.clamp(min=_LEAST_PROBABILITY)
        return proba / proba.sum(dim=-1, keepdim=True)
    return (-(y_0 - 1).square() / temperature).softmax(dim=-1)


def class_probabilities(y_0: Tensor, prediction_type: str, temperature: float) -> Tensor:
    """Return the mean (n, k) of :func:`draw_probabilities` over draws ``y_0`` (draws, n, k)."""
    return draw_probabilities(y_0, prediction_type, temperature).mean(dim=0)


def fit_temperature(y_0: Tensor, prediction_type: str, label_distributions: Tensor) -> float:
    """Return the temperature of least cross-entropy against ``label_distributions`` (n, k).

    It is that of labels in one-hot space: those of "logits" have none.
    """

    def cross_entropy(temperature: float) -> float:
        log_proba = class_probabilities(y_0, prediction_type, temperature).log()
        return -float((label_distributions * log_proba).sum(dim=1).mean())

    low, high = _LOG10_TEMPERATURES
    for _ in range(2):  # a coarse grid, then a fine one around its best point
        grid = torch.linspace(low, high, _GRID_SIZE, dtype=torch.float64)
        best = min(grid.tolist(), key=lambda exponent: cross_entropy(10**exponent))
        step = (high - low) / (_GRID_SIZE - 1)
        low, high = max(low, best - step), min(high, best + step)
    return 10**best

"""From sampled labels to class probabilities."""

import math

import torch
from torch import Tensor

_TEMPERATURES = torch.logspace(-3, 1.5, 91, dtype=torch.float64).tolist()


def class_probabilities(y_0: Tensor, prediction_type: str, temperature: float) -> Tensor:
    """Turn labels ``y_0`` (draws, n, k) into probabilities (n, k), the mean over the draws.

    A label in one-hot space is scored by its distance from each class's corner, ``softmax(-(y_0 -
    1)^2 / temperature)``: the published read-off has ``temperature=1``. A label that is itself a
    distribution ("logits") is raised to the power ``1 / temperature``.
    """
    if prediction_type == "logits":
        scores = y_0.clamp(min=1e-30).log()
    else:
        scores = -(y_0 - 1).square()
    return (scores / temperature).softmax(dim=-1).mean(dim=0)


def fit_temperature(y_0: Tensor, prediction_type: str, label_distributions: Tensor) -> float:
    """Return the temperature of least cross-entropy against ``label_distributions`` (n, k)."""

    def cross_entropy(temperature: float) -> float:
        proba = class_probabilities(y_0, prediction_type, temperature)
        log_proba = proba.clamp(min=1e-12).log()
        return -float((label_distributions * log_proba).sum(dim=1).mean())

    losses = [cross_entropy(temperature) for temperature in _TEMPERATURES]
    best = min(
        range(len(losses)), key=lambda i: losses[i] if math.isfinite(losses[i]) else math.inf
    )
    return _TEMPERATURES[best]

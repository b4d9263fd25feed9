"""Features on one scale, of which outliers are no more than large."""

from dataclasses import dataclass

import numpy as np

_MAX_ROWS = 5_000  # quartiles are then known to one percent of all rows
_LARGEST = 3.0  # standard deviations of a normal distribution that the largest values approach
_NORMAL_QUARTILES = 1.349  # their distance in standard deviations
_ROWS_PER_BLOCK = 4_096
_VERY_LARGE = 1e100  # less than infinite


@dataclass(frozen=True)
class Scaler:
    """Median to zero, smooth clipping, mean to zero and variance to one.

    Robust scaling and smooth clipping are those of RealMLP (Holzmüller et al., 2024): in units of
    the distance of the quartiles, x becomes x / sqrt(1 + (x / 3)^2).
    """

    median: np.ndarray
    spread: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def transform(self, features):
        """Return the features as float32."""
        scaled = np.empty(features.shape, dtype=np.float32)
        for first in range(0, len(features), _ROWS_PER_BLOCK):
            block = slice(first, first + _ROWS_PER_BLOCK)
            clipped = _clipped(features[block] - self.median, self.spread)
            scaled[block] = (clipped - self.mean) / self.deviation
        return scaled


def fit_scaler(features, rows):
    """Fit the scaler of the rows that are trained on, whatever their weights."""
    trained = rows.trained
    if len(trained) > _MAX_ROWS:
        trained = trained[np.linspace(0, len(trained) - 1, _MAX_ROWS).astype(int)]
    some = features[trained].astype(np.float64)
    lower, median, upper = np.quantile(some, (0.25, 0.5, 0.75), axis=0)
    some -= median
    spread = (upper - lower) / _NORMAL_QUARTILES
    # Columns of which most entries are equal.
    spread = _without_zeros(np.where(spread > 0, spread, some.std(axis=0)))
    clipped = _clipped(some, spread)
    return Scaler(median, spread, clipped.mean(axis=0), _without_zeros(clipped.std(axis=0)))


def _clipped(deviations, spread):
    with np.errstate(over="ignore"):  # of constant columns but for the last digits
        values = np.clip(deviations / spread, -_VERY_LARGE, _VERY_LARGE)
    return values / np.hypot(1, values / _LARGEST)


def _without_zeros(scales):
    return np.where(scales > 0, scales, 1.0)

"""What the denoiser is given of rows: features, prior means, and an encoder's own inputs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skdiffusion_label.classifier._encoder_inputs import EncoderInputs
from skdiffusion_label.classifier._prior import prior_mean
from skdiffusion_label.classifier._scaler import Scaler
from skdiffusion_label.classifier._streams import numbers, take_rows


@dataclass(frozen=True)
class DenoiserInputs:
    """Features (n, d), prior means (n, n_classes) or None, and :class:`EncoderInputs` or None."""

    condition: np.ndarray
    prior_means: np.ndarray | None = None
    raw: EncoderInputs | None = None

    def __len__(self):
        return len(self.condition)

    def take(self, rows):
        """Return ``rows``, a slice or an array of indices."""
        means = None if self.prior_means is None else self.prior_means[rows]
        raw = None if self.raw is None else self.raw.take(rows)
        return DenoiserInputs(self.condition[rows], means, raw)

    def identity(self):
        """Return what tells these rows from others, for the name of a checkpoint."""
        raw = None if self.raw is None else self.raw.identity()
        return self.condition, self.prior_means, raw


def denoiser_inputs(scaled, prior_means=None, raw=None):
    """Return :class:`DenoiserInputs` of scaled features (n, n_features), any means beside them."""
    condition = scaled if prior_means is None else np.hstack([scaled, prior_means])
    return DenoiserInputs(condition, prior_means, raw)


@dataclass(frozen=True)
class Sight:
    """How the denoiser sees features: on one scale, and with a fitted prior's guess, if any."""

    scaler: Scaler
    prior: Any = None
    classes: np.ndarray | None = None

    def inputs(self, features, raw=None):
        """Return :class:`DenoiserInputs` of features (n, n_features)."""
        means = None if self.prior is None else prior_mean(self.prior, features, self.classes)
        return denoiser_inputs(self.scaler.transform(features), means, raw)


@dataclass(frozen=True)
class StreamedInputs:
    """:class:`DenoiserInputs` of rows that stay where they are, made when they are asked for."""

    features: Any
    scaler: Scaler
    prior_means: np.ndarray | None = None
    raw: EncoderInputs | None = None

    def __len__(self):
        return len(self.features)

    def take(self, rows):
        """Return :class:`DenoiserInputs` of ``rows``, a slice or an array of indices."""
        raw = None if self.raw is None else self.raw.take(rows)
        means = None if self.prior_means is None else self.prior_means[rows]
        scaled = self.scaler.transform(numbers(take_rows(self.features, rows)))
        return denoiser_inputs(scaled, means, raw)

    def identity(self):
        """Return what tells these rows from others, for the name of a checkpoint."""
        raw = None if self.raw is None else self.raw.identity()
        return self.features, vars(self.scaler), self.prior_means, raw

"""What the denoiser is given of rows: features, prior means, and an encoder's own inputs."""

from dataclasses import dataclass

import numpy as np

from skdiffusion_label.classifier._encoder_inputs import EncoderInputs


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

"""The classifier: fit and predict by retrieval, a noise model and label diffusion."""

from skdiffusion_label.classifier._classifier import LRADiffusionClassifier
from skdiffusion_label.classifier._image_classifier import LRADiffusionImageClassifier
from skdiffusion_label.classifier._presets import published_settings
from skdiffusion_label.classifier._versions import TRUSTED_TYPES

__all__ = [
    "TRUSTED_TYPES",
    "LRADiffusionClassifier",
    "LRADiffusionImageClassifier",
    "published_settings",
]

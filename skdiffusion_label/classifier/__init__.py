"""The classifier: fit and predict by retrieval, a noise model and label diffusion."""

from skdiffusion_label.classifier._classifier import LRADiffusionClassifier
from skdiffusion_label.classifier._image_classifier import LRADiffusionImageClassifier
from skdiffusion_label.classifier._presets import published_settings

__all__ = ["LRADiffusionClassifier", "LRADiffusionImageClassifier", "published_settings"]

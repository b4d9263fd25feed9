"""Learn from wrong labels: label-retrieval-augmented diffusion as scikit-learn estimators."""

from skdiffusion_label._classifier import LRADiffusionClassifier
from skdiffusion_label._presets import published_settings

__version__ = "0.1.0.dev0"

__all__ = ["LRADiffusionClassifier", "__version__", "published_settings"]

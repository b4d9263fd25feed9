"""Learn from wrong labels: label-retrieval-augmented diffusion as scikit-learn estimators."""

import importlib

__version__ = "0.1.0.dev0"

# The frequent names of the rooms, imported when they are asked for: torch takes seconds, which
# `skdiffusion-label --help` and its errors have no use for.
_LAZY = {
    "TRUSTED_TYPES": "classifier",
    "CLIPEmbedder": "embedding",
    "LRADiffusionClassifier": "classifier",
    "LRADiffusionImageClassifier": "classifier",
    "LabelCleaner": "cleaning",
    "published_settings": "classifier",
}

__all__ = [
    "TRUSTED_TYPES",
    "CLIPEmbedder",
    "LRADiffusionClassifier",
    "LRADiffusionImageClassifier",
    "LabelCleaner",
    "__version__",
    "published_settings",
]


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__():
    return sorted([*globals(), *_LAZY])

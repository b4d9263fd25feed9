"""What a pickle says of the version that it comes from."""

import sys
import warnings

# What skops.io is to be told to trust, beside scikit-learn's own types.
TRUSTED_TYPES = (
    "scipy.sparse._csr.csr_array",
    "skdiffusion_label.classifier._classifier.LRADiffusionClassifier",
    "skdiffusion_label.classifier._forests.Forest",
    "skdiffusion_label.classifier._judgement.Judges",
    "skdiffusion_label.classifier._models.Models",
    "skdiffusion_label.classifier._scaler.Scaler",
    "skdiffusion_label.cleaning._cleaner.LabelCleaner",
    "skdiffusion_label.cleaning._folds.NoiseOfFolds",
    "skdiffusion_label.noise_model._pool.LocalNoise",
    "skdiffusion_label.noise_model._pool.Pool",
    "skdiffusion_label.retrieval._bank.VoteBank",
    "skdiffusion_label.retrieval._discriminant.Discriminant",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)


class VersionedState:
    """Mixin: the pickled state carries the package's version, and another one is told of."""

    def __getstate__(self):
        return {**super().__getstate__(), "_skdiffusion_label_version": _version()}

    def __setstate__(self, state):
        state = dict(state)  # in the order that it has been pickled in
        version = state.pop("_skdiffusion_label_version", "of an unknown version")
        if version != _version():
            warnings.warn(
                f"{type(self).__name__} was pickled by skdiffusion_label {version} and is loaded "
                f"by {_version()}: it may fail, or predict otherwise. Fit it anew.",
                UserWarning,
                stacklevel=2,
            )
        super().__setstate__(state)


def _version():
    return sys.modules["skdiffusion_label"].__version__  # which imports this room

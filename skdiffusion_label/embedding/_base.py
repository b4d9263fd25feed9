"""What all image embedders share."""

import os
import warnings
from numbers import Integral

import joblib
import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, StrOptions

from skdiffusion_label._torch import fitting_device
from skdiffusion_label.embedding._batches import EmbeddingPass
from skdiffusion_label.embedding._cache import EmbeddingCache, cache_directory
from skdiffusion_label.embedding._identity import UnidentifiableError, identify
from skdiffusion_label.embedding._images import ImageRows

_N_NAMED = 3  # unreadable images that a warning names, so that it stays readable
_ROWS_AT_ONCE = 4096  # whose copies, 16 MB for 1,024 features, are small beside the embeddings


class ImageEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of transformers from images to embeddings.

    A subclass says what model it uses, by ``_load_encoder()``, ``_model_identity()``, which
    returns its kind and all that its embeddings depend on, and ``_check_model(rows)``, which
    returns the number of features if it takes an image to know it.
    """

    _parameter_constraints = {
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "normalize": ["boolean"],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "cache": [str, os.PathLike, joblib.Memory, None],
        "handle_unreadable": [StrOptions({"raise", "nan"})],
        "verbose": ["verbose"],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and the kind of ``X``; the weights are what they are.

        Parameters
        ----------
        X : sequence of n_samples images
            See :meth:`transform`.
        y : None
            Ignored.

        Returns
        -------
        self : ImageEmbedder
        """
        del y
        rows = ImageRows(X)
        fitting_device(self.device)
        cache_directory(self.cache)
        n_features = self._check_model(rows)
        if n_features is not None:
            self._n_features_out = n_features
        return self

    def transform(self, X):
        """Embed images.

        Parameters
        ----------
        X : sequence of n_samples images
            A list, tuple, object array, Series, one-column DataFrame or (n_samples, 1) array of PIL
            images of any mode, paths, bytes of image files, uint8 arrays (height, width) or
            (height, width, channels), or torch tensors (channels, height, width); an array of
            strings, which are paths; a uint8 array (n_samples, height, width) or (n_samples,
            height, width, channels); a torch tensor (n_samples, channels, height, width). There are
            1, 3 or 4 channels; tensors are uint8, or floats in [0, 1]. Files are read when it is
            their turn, and not kept; they are regular ones of at most 1 GiB, with as many pixels as
            ``PIL.Image.MAX_IMAGE_PIXELS`` allows. PIL images that were opened and not loaded stay
            loaded.
            An orientation in EXIF is not applied, and transparency is left to the conversion to
            RGB, which drops it, as with PIL and CLIP. Images of 16 bits are brought to 8.

        Returns
        -------
        ndarray of shape (n_samples, n_features), dtype=float32
            A row for each image.

        Raises
        ------
        TypeError, ValueError
            If ``X`` is no sequence of images.
        UnreadableImageError
            If an image is missing or damaged and ``handle_unreadable="raise"``: a ValueError.
        RuntimeError
            If the cache is damaged or cannot be written; the message says what to do.
        """
        self._validate_params()
        one_pass = self._run(ImageRows(X))
        embeddings = one_pass.embeddings
        if embeddings is None:  # not one image is readable
            if (n_features := getattr(self, "_n_features_out", None)) is None:
                raise one_pass.errors[0]
            embeddings = np.full((len(one_pass.rows), n_features), np.nan, dtype=np.float32)
        if one_pass.errors:
            _warn_of_unreadable(one_pass.errors, len(embeddings))
        return normalize_rows(embeddings) if self.normalize else embeddings

    def _run(self, rows):
        from tqdm import tqdm

        cache = self._open_cache()
        with tqdm(total=len(rows), unit="image", disable=not self.verbose) as progress:
            one_pass = EmbeddingPass(rows, cache, progress)
            one_pass.run(
                self._load_encoder,
                batch_size=self.batch_size,
                num_workers=self.num_workers,
                stop_at_error=self.handle_unreadable == "raise",
            )
        return one_pass

    def _open_cache(self):
        directory = cache_directory(self.cache)
        if directory is None:
            return None
        kind, *model = self._model_identity()
        try:
            return EmbeddingCache(directory, kind, identify(*model))
        except UnidentifiableError as error:
            warnings.warn(
                f"The cache {os.fspath(directory)} is not used: the model or its preprocessing "
                f"holds {error}, of which no other process can say whether it is the same.",
                UserWarning,
                stacklevel=5,
            )
            return None

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.no_validation = True
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def normalize_rows(embeddings):
    """Scale the rows to unit length, in place; rows of zeros stay."""
    for start in range(0, len(embeddings), _ROWS_AT_ONCE):
        some = embeddings[start : start + _ROWS_AT_ONCE]
        norms = np.linalg.norm(some, axis=1, keepdims=True)
        some /= np.maximum(norms, np.finfo(some.dtype).tiny)
    return embeddings


def _warn_of_unreadable(errors, n_images):
    named = "; ".join(str(error) for error in errors[:_N_NAMED])
    more = ", the first being" if len(errors) > _N_NAMED else ""
    warnings.warn(
        f"{len(errors)} of {n_images} images cannot be read, and their embeddings are NaN{more}: "
        f"{named}",
        UserWarning,
        stacklevel=4,
    )

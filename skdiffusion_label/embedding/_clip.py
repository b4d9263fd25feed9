"""CLIPEmbedder: images and texts to the embeddings of a CLIP model."""

import importlib.metadata
import os

from sklearn.utils._param_validation import StrOptions

from skdiffusion_label._torch import fitting_device
from skdiffusion_label.embedding._base import ImageEmbedder, normalize_rows
from skdiffusion_label.embedding._clip_models import embedding_size, encode_texts, loaded_clip
from skdiffusion_label.embedding._clip_source import check_names, find_source

_PRECISIONS = {"fp32", "fp16", "bf16", "pure_fp16", "pure_bf16", "amp", "amp_bf16"}


class CLIPEmbedder(ImageEmbedder):
    """Embed images with a CLIP model of open_clip.

    Weights are loaded when the first image is embedded, once per process and model, and are never
    part of a pickle. There is nothing to learn: an instance works unfitted.

    Parameters
    ----------
    model_name : str, default="ViT-B-32"
        A model of ``open_clip.list_models()``, ``"local-dir:/path"`` of a directory with
        ``open_clip_config.json`` and weights, or ``"hf-hub:org/repo"``.
    pretrained : str or path-like, default="laion2b_s34b_b79k"
        A tag of the model, whose weights open_clip downloads once, or the path of a checkpoint
        file, a state dict. OpenAI's weights as a state dict need a ``model_name`` that ends in
        "-quickgelu"; with tags the activation is chosen. None for ``local-dir:`` and ``hf-hub:``,
        which bring their weights along. Code in checkpoints is never run, so TorchScript archives,
        as OpenAI's own ``.pt`` files, are refused: the tag "openai" brings the same weights.
    batch_size : int, default=32
        Images that are embedded at once.
    device : str, default="auto"
        A torch device; "auto" is a CUDA GPU if there is one, else the CPU.
    precision : {"fp32", "fp16", "bf16", "pure_fp16", "pure_bf16", "amp", "amp_bf16"}, \
            default="fp32"
        Numbers that the model calculates with, as open_clip calls them. Embeddings are float32.
    normalize : bool, default=True
        Whether to scale embeddings to unit length. The paper's CLIP features are not.
    num_workers : int, default=0
        Processes that read and preprocess images; 0 means this one.
    cache : str, path-like, joblib.Memory or None, default=None
        Directory in which embeddings are kept, so that no image is embedded twice, in whatever
        fold, process or run. They are known by the content of the image, the model, its weights
        (content of a checkpoint file or a local directory, tag, or commit), ``precision`` and the
        versions of torch, Pillow and open_clip; ``normalize`` may change. ``Memory.clear()``
        empties it too.
    handle_unreadable : {"raise", "nan"}, default="raise"
        What to do with images that are missing or damaged: raise an error that names the row and
        the path, or give a row of NaN and one warning. What has been embedded before the error is
        in the cache. Most classifiers refuse NaN: drop these rows and their labels, by
        ``keep = ~np.isnan(embeddings).any(axis=1)``.
    verbose : int or bool, default=0
        Whether to show a progress bar.

    See Also
    --------
    CLIPZeroShotClassifier : Classify the embeddings by the names of the classes.
    TorchEmbedder : Embed images with any torch module.

    References
    ----------
    A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
    ICML 2021. G. Ilharco et al., "OpenCLIP", 2021.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdiffusion_label import LRADiffusionClassifier
    >>> from skdiffusion_label.embedding import CLIPEmbedder
    >>> embedder = CLIPEmbedder("ViT-L-14", "openai", cache="embeddings", normalize=False)
    >>> pipeline = make_pipeline(embedder, LRADiffusionClassifier())
    >>> clone(pipeline)[0].get_params()["model_name"]  # nothing has been loaded
    'ViT-L-14'

    ``pipeline.fit(["cat.jpg", "dog.jpg", ...], y)`` then downloads the weights and embeds the
    images; a second fit reads the directory ``embeddings``.
    """

    _parameter_constraints = {
        "model_name": [str],
        "pretrained": [str, os.PathLike, None],
        "precision": [StrOptions(_PRECISIONS)],
        **ImageEmbedder._parameter_constraints,
    }

    def __init__(
        self,
        model_name="ViT-B-32",
        pretrained="laion2b_s34b_b79k",
        *,
        batch_size=32,
        device="auto",
        precision="fp32",
        normalize=True,
        num_workers=0,
        cache=None,
        handle_unreadable="raise",
        verbose=0,
    ):
        self.model_name = model_name
        self.pretrained = pretrained
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.normalize = normalize
        self.num_workers = num_workers
        self.cache = cache
        self.handle_unreadable = handle_unreadable
        self.verbose = verbose

    def encode_text(self, texts):
        """Embed texts with the same model.

        Parameters
        ----------
        texts : list of str of length n_texts
            As "a photo of a cat.".

        Returns
        -------
        ndarray of shape (n_texts, n_features), dtype=float32
            Of unit length if ``normalize``.

        Raises
        ------
        TypeError, ValueError
            If ``texts`` is not a list or tuple of str, or is empty.
        """
        self._validate_params()
        if not isinstance(texts, list | tuple) or not all(isinstance(t, str) for t in texts):
            raise TypeError(f"texts must be a list of str, got {texts!r}.")
        if not texts:
            raise ValueError("texts must hold at least one text, got none.")
        embeddings = encode_texts(self._load_encoder(), self._source(), list(texts))
        return normalize_rows(embeddings) if self.normalize else embeddings

    def _logit_scale(self):
        """Return the factor that the model was trained to apply to cosines."""
        return float(self._load_encoder().model.logit_scale.float().exp())

    def _source(self):
        return find_source(self.model_name, self.pretrained)

    def _check_model(self, rows):
        del rows
        check_names(self._source())

    def _load_encoder(self):
        return loaded_clip(self._source(), self.precision, fitting_device(self.device))

    def _model_identity(self):
        source = self._complete_source()
        release = importlib.metadata.version("open_clip_torch")
        return "clip", source.identity(), self.precision, release

    @property
    def _n_features_out(self):
        return embedding_size(self._complete_source())

    def _complete_source(self):
        source = self._source()
        if not source.is_complete_here:
            self._load_encoder()  # which downloads it
            source = self._source()
        return source

"""TorchEmbedder: images to the embeddings of any torch module."""

import copy

import torch
from sklearn.utils._param_validation import StrOptions
from torch import nn

from skdiffusion_label._torch import fitting_device, seeded
from skdiffusion_label.embedding._base import ImageEmbedder
from skdiffusion_label.embedding._batches import PreprocessedImages
from skdiffusion_label.embedding._encoder import Encoder, LoadedModels
from skdiffusion_label.embedding._images import UnreadableImageError

_MADE = LoadedModels()  # by factories
_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class TorchEmbedder(ImageEmbedder):
    """Embed images with a torch module: a SimCLR backbone, a model of timm or your own.

    An instance works unfitted; ``fit`` embeds the first image, to know the number of features and
    with it their names.

    Parameters
    ----------
    module : nn.Module or callable
        Maps a batch of preprocessed images to embeddings (n_images, n_features). A copy of it runs,
        in evaluation mode: the module itself keeps its mode, device and weights. Or a function
        without arguments that returns such a module; it is called once per process, or again when
        others have taken its place, and is what pickles hold instead of weights. It must return the
        same weights each time: random ones are drawn from a fixed seed. It must be hashable.
    preprocess : callable
        Maps a PIL image, or a float tensor where that is what ``X`` holds, to a tensor; all of one
        shape. For instance a torchvision transform. Images come in whatever mode they have, as
        gray or with a palette: convert to RGB there, by ``image.convert("RGB")`` or ``v2.RGB()``.
    batch_size : int, default=32
        Images that are embedded at once.
    device : str, default="auto"
        A torch device; "auto" is a CUDA GPU if there is one, else the CPU.
    precision : {"fp32", "fp16", "bf16", "amp", "amp_bf16"}, default="fp32"
        Numbers that the copy of the module calculates with; "amp" leaves its weights in float32 and
        lets torch choose. Embeddings are float32.
    normalize : bool, default=False
        Whether to scale embeddings to unit length.
    num_workers : int, default=0
        Processes that read and preprocess images; 0 means this one.
    cache : str, path-like, joblib.Memory or None, default=None
        Directory in which embeddings are kept, so that no image is embedded twice. They are known
        by the content of the image, by ``precision``, by the module and ``preprocess`` with all
        that they hold and call: weights, attributes, hooks, code and the globals that it names, and
        by the versions of packages. With what cannot be known in this way, such as an open file,
        there is a warning and no cache.
    handle_unreadable : {"raise", "nan"}, default="raise"
        What to do with images that are missing or damaged: raise an error that names the row and
        the path, or give a row of NaN and one warning. Most classifiers refuse NaN: drop these rows
        and their labels, by ``keep = ~np.isnan(embeddings).any(axis=1)``.
    verbose : int or bool, default=0
        Whether to show a progress bar.

    See Also
    --------
    CLIPEmbedder : Embed images with a CLIP model.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from torch import nn
    >>> from skdiffusion_label.embedding import TorchEmbedder
    >>> def to_tensor(image):
    ...     pixels = np.asarray(image.convert("RGB").resize((8, 8)), dtype=np.float32)
    ...     return torch.from_numpy(pixels).permute(2, 0, 1) / 255
    >>> backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> images = np.random.default_rng(0).integers(256, size=(5, 32, 24, 3), dtype=np.uint8)
    >>> embedder = TorchEmbedder(backbone, to_tensor).fit(images)
    >>> embedder.transform(images).shape
    (5, 4)
    >>> embedder.get_feature_names_out()[:2]
    array(['torchembedder0', 'torchembedder1'], dtype=object)
    """

    _parameter_constraints = {
        "module": [callable],
        "preprocess": [callable],
        "precision": [StrOptions({"fp32", "fp16", "bf16", "amp", "amp_bf16"})],
        **ImageEmbedder._parameter_constraints,
    }

    def __init__(
        self,
        module,
        preprocess,
        *,
        batch_size=32,
        device="auto",
        precision="fp32",
        normalize=False,
        num_workers=0,
        cache=None,
        handle_unreadable="raise",
        verbose=0,
    ):
        self.module = module
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.normalize = normalize
        self.num_workers = num_workers
        self.cache = cache
        self.handle_unreadable = handle_unreadable
        self.verbose = verbose

    def _check_model(self, rows):
        """Embed the first readable image; return its number of features."""
        encoder = self._load_encoder()
        images = PreprocessedImages(rows, encoder.preprocess)
        for row in range(len(rows)):
            *_, image = images[row]
            is_unreadable = isinstance(image, UnreadableImageError)
            if not is_unreadable or self.handle_unreadable == "raise":
                break
        if isinstance(image, Exception):
            raise image
        return encoder.embed(image.unsqueeze(0)).shape[1]

    def _module(self):
        if isinstance(self.module, nn.Module):
            return self.module
        try:
            hash(self.module)
        except TypeError as error:
            raise TypeError(
                "module as a function must be hashable, for its module is known by it, got "
                f"{self.module!r}. Dataclasses are so with frozen=True."
            ) from error
        return _MADE.get(self.module, self._make)

    def _make(self):
        with seeded(0, fitting_device(self.device)):
            module = self.module()
        if not isinstance(module, nn.Module):
            raise TypeError(
                "module must be an nn.Module or a function that returns one, "
                f"got a function that returns {type(module).__name__}."
            )
        return module

    def _load_encoder(self):
        device = fitting_device(self.device)
        dtype = _DTYPES.get(self.precision, torch.float32)
        module = copy.deepcopy(self._module()).eval().to(device, dtype)
        return Encoder(module, self.preprocess, device, self.precision)

    def _model_identity(self):
        return "torch", self._module(), self.preprocess, self.precision

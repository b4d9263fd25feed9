"""TorchEmbedder: images to the embeddings of any torch module."""

import copy
import hashlib
import inspect

import joblib
import torch
from sklearn.utils._param_validation import StrOptions
from torch import nn

from skdiffusion_label._images import UnreadableImageError
from skdiffusion_label._torch import fitting_device
from skdiffusion_label.embedding._base import ImageEmbedder
from skdiffusion_label.embedding._encoder import Encoder, LoadedModels, kept_random_state

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
        without arguments that returns such a module; it is called once per process, and is what
        pickles hold instead of weights.
    preprocess : callable
        Maps a PIL image, or a float tensor where that is what ``X`` holds, to a tensor; all of one
        shape. For instance a torchvision transform.
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
        by the content of the image, by ``precision``, by the module's class, printed form and state
        dict, and by what pickle makes of ``preprocess``, with its source if it is a function. That
        leaves out code which these call: after changing it, take another directory. Lambdas and
        functions inside functions cannot be pickled, and are refused here.
    handle_unreadable : {"raise", "nan"}, default="raise"
        What to do with images that are missing or damaged: raise an error that names the row and
        the path, or give a row of NaN and one warning.
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
        """Embed the first readable image, to know the number of features."""
        encoder = self._load_encoder()
        for row in range(len(rows)):
            try:
                image = rows[row]
            except UnreadableImageError:
                if self.handle_unreadable == "raise" or row == len(rows) - 1:
                    raise
                continue
            batch = torch.as_tensor(encoder.preprocess(image)).unsqueeze(0)
            self._n_features_out = encoder.embed(batch).shape[1]
            return

    def _module(self):
        if isinstance(self.module, nn.Module):
            return self.module
        return _MADE.get(self.module, self._make)

    def _make(self):
        with kept_random_state():
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
        module = copy.deepcopy(self._module()).eval().requires_grad_(False).to(device, dtype)
        return Encoder(module, self.preprocess, device, self.precision)

    def _model_identity(self):
        return (
            "torch",
            _module_identity(self._module()),
            _function_identity(self.preprocess),
            self.precision,
        )


def _module_identity(module):
    kind = type(module)
    digest = hashlib.blake2b(f"{kind.__module__}.{kind.__qualname__}\n{module!r}".encode())
    for name, value in module.state_dict().items():
        if isinstance(value, torch.Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            content = value.detach().cpu().contiguous().reshape(-1)
            digest.update(content.view(torch.uint8).numpy())
        else:
            digest.update(f"{name} {joblib.hash(value)}".encode())
    return digest.hexdigest()


def _function_identity(function):
    try:
        by_pickle = joblib.hash(function)
    except Exception as error:  # pickle raises whatever the object's state leads to
        raise ValueError(
            f"preprocess must be picklable to be known in the cache, got {function!r}. "
            "Define it at the top of a module, or set cache=None."
        ) from error
    try:
        source = inspect.getsource(function) if inspect.isfunction(function) else ""
    except OSError:  # typed at a prompt
        source = ""
    return by_pickle, source

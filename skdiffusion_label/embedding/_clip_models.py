"""CLIP models, loaded once per process."""

import logging
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skdiffusion_label._torch import seeded
from skdiffusion_label.embedding._clip_source import check_names, check_reachable, import_open_clip
from skdiffusion_label.embedding._encoder import Encoder, LoadedModels

_LOADED = LoadedModels()
_TEXTS_AT_ONCE = 256  # in a batch; memory is then that of some images, however many texts


@dataclass(frozen=True)
class ClipPreprocess:
    """open_clip's transform, that brings float tensors to its three channels first."""

    transform: Any

    def __call__(self, image):
        """Return the model's input (3, height, width) for a PIL image or a float tensor."""
        if isinstance(image, torch.Tensor):
            # As PIL converts to RGB: gray is repeated, alpha is left out.
            image = image.float().expand(3, -1, -1) if len(image) == 1 else image.float()[:3]
        return self.transform(image)


def loaded_clip(source, precision, device):
    """Return the Encoder of ``source``, a ClipSource: that of the last time if it was used lately.

    Raises
    ------
    ValueError
        If there is no such model or tag, or if the weights do not fit the model.
    OSError
        If the weights are neither here nor can be downloaded.
    """
    key = (*source.stamp(), precision, str(device))
    return _LOADED.get(key, lambda: _load(source, precision, device))


def _load(source, precision, device):
    check_names(source)
    open_clip = import_open_clip()
    settings = {}
    if source.is_tag:
        # OpenAI's models and some others were trained with another activation than their name says.
        tag = open_clip.get_pretrained_cfg(source.model_name, source.pretrained)
        settings["force_quick_gelu"] = bool(tag.get("quick_gelu"))
    try:
        check_reachable(source)
        # Layers draw weights from the global generator when they are made.
        with seeded(0), _kept_handlers():
            model, transform = open_clip.create_model_from_pretrained(
                source.name_to_load,
                source.pretrained,
                precision=precision,
                device="cpu",
                weights_only=True,
                **settings,
            )
    except ImportError:
        raise  # of a package that this model needs, with its own hint
    except Exception as error:
        raise _loading_error(source, error) from error
    model = model.eval().requires_grad_(False).to(device)
    return Encoder(model.encode_image, ClipPreprocess(transform), device, precision, model)


def _loading_error(source, error):
    reason = (str(error).strip() or type(error).__name__).splitlines()
    reason = " ".join(line.strip() for line in reason[:3])
    if source.files and _is_torchscript(source.files[-1]):
        return ValueError(
            f"The weights in {source.files[-1]} are a TorchScript archive, a program, which is not "
            "loaded. OpenAI's weights have the tag pretrained='openai'; other weights can be given "
            "as a state dict."
        )
    if source.files:
        return ValueError(
            f"The weights in {source.files[-1]} cannot be loaded into model_name="
            f"{source.model_name!r}: {reason}"
        )
    return OSError(
        f"The weights of model_name={source.model_name!r}, pretrained={source.pretrained!r} cannot "
        f"be loaded: {reason} If this machine has no network connection, embed one image on a "
        "machine that has one and copy its Hugging Face cache, or give the path of a checkpoint "
        "file as pretrained, or model_name='local-dir:/path' with pretrained=None."
    )


def _is_torchscript(path):
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def encode_texts(encoder, source, texts):
    """Return the embeddings (n_texts, n_features) of texts, float32, as the model gives them."""
    with _kept_handlers():
        tokenizer = import_open_clip().get_tokenizer(source.model_name)
    batches = [
        encoder.embed(tokenizer(texts[start : start + _TEXTS_AT_ONCE]), encoder.model.encode_text)
        for start in range(0, len(texts), _TEXTS_AT_ONCE)
    ]
    return np.concatenate(batches)


def embedding_size(source):
    """Return the number of features of a model, from its configuration alone."""
    check_names(source)
    return import_open_clip().get_model_config(source.name_to_load)["embed_dim"]


@contextmanager
def _kept_handlers():
    """Leave logging as it was: open_clip's use of the root logger would set it up."""
    root = logging.getLogger()
    handler = None if root.handlers else logging.NullHandler()
    if handler is not None:
        root.addHandler(handler)
    try:
        yield
    finally:
        if handler is not None:
            root.removeHandler(handler)

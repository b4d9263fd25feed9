"""Models that are loaded: what they run on, how, and how many are kept."""

import threading
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_INPUT_DTYPES = {
    "fp16": torch.float16,
    "pure_fp16": torch.float16,
    "bf16": torch.bfloat16,
    "pure_bf16": torch.bfloat16,
}
_AUTOCAST_DTYPES = {"amp": torch.float16, "amp_bf16": torch.bfloat16}


@dataclass(frozen=True)
class Encoder:
    """A function on batches of tensors, with all that is needed to call it on images.

    ``encode`` maps a batch (n, ...) to embeddings (n, d); ``preprocess`` maps a PIL image, or a
    float tensor (c, h, w), to one of the batch; ``model`` is whatever else its maker has to keep.
    """

    encode: Any
    preprocess: Any
    device: torch.device
    precision: str
    model: Any = None

    def embed(self, batch: Tensor, encode: Any = None) -> np.ndarray:
        """Return the embeddings (n, d), float32, of a batch (n, ...), by ``encode`` if given."""
        dtype = batch.dtype
        if batch.is_floating_point():
            dtype = _INPUT_DTYPES.get(self.precision, torch.float32)
        batch = batch.to(self.device, dtype, non_blocking=True)
        with torch.inference_mode(), self._autocast():
            embeddings = (encode or self.encode)(batch)
        if not isinstance(embeddings, Tensor):
            raise TypeError(
                "The model must return a tensor of shape (n_images, n_features), "
                f"got {type(embeddings).__name__}."
            )
        if embeddings.ndim != 2 or len(embeddings) != len(batch):
            raise ValueError(
                "The model must return a tensor of shape (n_images, n_features), "
                f"got {tuple(embeddings.shape)} for {len(batch)} images."
            )
        return embeddings.float().cpu().numpy()

    def _autocast(self):
        if self.precision not in _AUTOCAST_DTYPES:
            return nullcontext()
        return torch.autocast(self.device.type, _AUTOCAST_DTYPES[self.precision])


class LoadedModels:
    """The models that this process has used last; threads wait for one that is being loaded."""

    def __init__(self, max_models: int = 2):
        self.max_models = max_models
        self._models: OrderedDict = OrderedDict()
        self._lock = threading.RLock()  # a function may load another model

    def get(self, key, load):
        """Return the model of ``key``; if there is none, what ``load()`` returns."""
        with self._lock:
            if key not in self._models:
                while len(self._models) >= self.max_models:
                    self._models.popitem(last=False)
                self._models[key] = load()
            self._models.move_to_end(key)
            return self._models[key]

"""The module that is trained along as an encoder."""

import copy
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from skdiffusion_label._torch import seeded
from skdiffusion_label.classifier._encoder_inputs import EncoderInputs

_N_ROWS_TRIED = 2  # rows that the module is called with to learn its width


@dataclass(frozen=True)
class JointEncoder:
    """A module to train along, what it is given of the training rows, and a table's columns."""

    module: nn.Module
    inputs: EncoderInputs
    columns: list | None


def initial_encoder(encoder, inputs, hidden_size, random_state):
    """Return a module from ``inputs`` to (b, hidden_size): a copy of ``encoder``, or a new one.

    A factory's random weights come from ``random_state``. An output of another width is followed by
    a linear layer.

    Raises
    ------
    TypeError, ValueError
        If the encoder does not map a batch to vectors.
    """
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    with seeded(seed):
        module = encoder if isinstance(encoder, nn.Module) else encoder()
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"encoder must be a torch module or return one, got {type(module).__name__}."
            )
        _check_parameters(module)
        with suppress(ValueError, RuntimeError):  # some cannot be copied before their first call
            module = copy.deepcopy(module)
        module = module.cpu().float()
        n_units = _n_units(module, inputs)
        if n_units != hidden_size:
            layer = nn.Linear(n_units, hidden_size, bias=False, dtype=torch.float32)
            module = nn.Sequential(module, layer)
    return module


def _check_parameters(module):
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise TypeError(
                "encoder must be a module in Python, which can be copied while it is trained, got "
                f"a program of TorchScript{f' in {name!r}' if name else ''}. Give the module that "
                "the program was made of."
            )
    for name, weight in module.named_parameters():
        if weight.is_complex() or (weight.requires_grad and not weight.is_floating_point()):
            raise ValueError(
                f"encoder must have weights of real numbers to train, got {weight.dtype} for "
                f"{name!r}."
            )


def _n_units(module, inputs):
    """Return the width of the output, in prediction and in training."""
    (batch,) = inputs.batches([range(min(_N_ROWS_TRIED, len(inputs)))])
    widths = []
    for in_training in (False, True):
        # Some modules can be copied only once they have been called.
        trial = copy.deepcopy(module).train() if in_training else module.eval()
        with torch.no_grad():
            try:
                output = trial(torch.cat([batch, batch]))  # batch normalization needs two rows
            except (RuntimeError, ValueError, TypeError) as error:
                raise ValueError(
                    f"encoder must take a batch of shape (n, {_sizes(batch)}): {error}"
                ) from error
        is_tensor = isinstance(output, torch.Tensor)
        if not is_tensor or output.ndim != 2 or len(output) != 2 * len(batch):
            got = f"a tensor ({_sizes(output, 'n, ')})" if is_tensor else type(output).__name__
            raise ValueError(
                f"encoder must turn a batch of shape (n, {_sizes(batch)}) into a tensor "
                f"(n, n_units) in {'training' if in_training else 'prediction'}, got {got}."
            )
        widths.append(output.shape[1])
    if widths[0] != widths[1]:
        raise ValueError(
            f"encoder must give as many units in training as in prediction, got {widths[1]} and "
            f"{widths[0]}."
        )
    return widths[0]


def _sizes(tensor, first=""):
    return first + ", ".join(map(str, tensor.shape[1:]))

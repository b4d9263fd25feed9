"""The network of a classifier: what decides about it, and models from what ``fit`` keeps."""

import copy

import torch

from skdiffusion_label._torch import arrays_to_module, module_to_arrays
from skdiffusion_label.diffusion import LabelDenoiser, LabelDiffusion, NoiseSchedule


def network_settings(estimator, n_features, n_classes):
    """Return what decides about the network and the meaning of its output, as a dict."""
    return {
        "n_inputs": n_features + (0 if estimator.prior is None else n_classes),
        "n_classes": n_classes,
        "hidden_size": estimator.hidden_size,
        "encoder": estimator.encoder if isinstance(estimator.encoder, str) else "module",
        "n_timesteps": estimator.n_timesteps,
        "noise_schedule": estimator.noise_schedule,
        "prediction_type": estimator.prediction_type,
    }


def build_model(network, encoder=None):
    """Return a model of :func:`network_settings`, its weights yet to be set but ``encoder``'s."""
    with torch.device("meta"):
        denoiser = LabelDenoiser(
            network["n_inputs"],
            network["n_classes"],
            network["n_timesteps"],
            network["hidden_size"],
            "linear" if encoder is not None else network["encoder"],
        )
    denoiser = denoiser.to_empty(device="cpu")
    if encoder is not None:
        denoiser.set_encoder(encoder)
    schedule = NoiseSchedule(network["noise_schedule"], network["n_timesteps"])
    return LabelDiffusion(denoiser, schedule, network["prediction_type"])


def fitted_weights(denoiser, encoder):
    """Return the attributes that keep a denoiser: ``weights_``, and ``encoder_`` or None.

    ``encoder`` is a module of the same kind as the denoiser's; a copy takes its weights.
    """
    arrays = module_to_arrays(denoiser)
    if encoder is not None:
        encoder = copy.deepcopy(encoder).cpu().eval()
        arrays_to_module(module_to_arrays(denoiser.encoder), encoder)
        arrays = {name: a for name, a in arrays.items() if not name.startswith("encoder.")}
    return {"weights_": arrays, "encoder_": encoder}


def fitted_model(estimator):
    """Return the model of what :func:`fitted_weights` has kept."""
    arrays, encoder = estimator.weights_, copy.deepcopy(estimator.encoder_)
    if encoder is not None:
        own = module_to_arrays(encoder)
        arrays = {**arrays, **{f"encoder.{name}": array for name, array in own.items()}}
    model = build_model(estimator._network, encoder)
    arrays_to_module(arrays, model.denoiser)
    return model

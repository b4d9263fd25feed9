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


def build_model(network):
    """Return a model of :func:`network_settings`, whose weights are yet to be set.

    No random numbers are drawn. An encoder that is a module is to be set too.
    """
    with torch.device("meta"):
        denoiser = LabelDenoiser(
            network["n_inputs"],
            network["n_classes"],
            network["n_timesteps"],
            network["hidden_size"],
            network["encoder"],
        )
    schedule = NoiseSchedule(network["noise_schedule"], network["n_timesteps"])
    return LabelDiffusion(denoiser.to_empty(device="cpu"), schedule, network["prediction_type"])


def fitted_weights(denoiser, encoder):
    """Return the attributes that keep a denoiser: ``weights_``, and ``encoder_`` or None.

    ``encoder`` is a module of the same kind as the denoiser's; a copy takes its weights.
    """
    if encoder is None:
        return {"weights_": module_to_arrays(denoiser), "encoder_": None}
    encoder = copy.deepcopy(encoder).cpu().eval()
    encoder.load_state_dict(denoiser.encoder.state_dict())
    return {"weights_": module_to_arrays(denoiser, without="encoder."), "encoder_": encoder}


def fitted_model(estimator):
    """Return the model of what :func:`fitted_weights` has kept."""
    model = build_model(estimator._network)
    arrays_to_module(estimator.weights_, model.denoiser)
    if estimator.encoder_ is not None:
        model.denoiser.set_encoder(copy.deepcopy(estimator.encoder_))
    return model

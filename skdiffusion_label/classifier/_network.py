"""The network of a classifier: what decides about it, and models from what ``fit`` keeps."""

import copy

import torch

from skdiffusion_label._torch import arrays_to_module, module_to_arrays
from skdiffusion_label.diffusion import LabelDenoiser, LabelDiffusion, NoiseSchedule


def network_settings(estimator, n_features, n_classes, joint):
    """Return what decides about the network and the meaning of its output, as a dict."""
    return {
        "n_inputs": n_features + (0 if estimator.prior is None else n_classes),
        "n_classes": n_classes,
        "hidden_size": estimator.hidden_size,
        "encoder": estimator.encoder if joint is None else "module",
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
        ).float()  # whatever torch's default is
    schedule = NoiseSchedule(network["noise_schedule"], network["n_timesteps"])
    return LabelDiffusion(denoiser.to_empty(device="cpu"), schedule, network["prediction_type"])


def initial_model(network, encoder, generator):
    """Return a model with random weights, and a copy of ``encoder`` if there is one."""
    model = build_model(network)
    if encoder is not None:
        model.denoiser.set_encoder(copy.deepcopy(encoder))
    model.denoiser.initialize(generator)
    return model


def fitted_weights(denoiser, joint):
    """Return a denoiser's weights as arrays, and its encoder on the CPU or None.

    A copy of the module in ``joint``, of the same kind as the denoiser's, takes its weights.
    """
    if joint is None:
        return module_to_arrays(denoiser), None
    encoder = copy.deepcopy(joint.module).cpu().eval()
    encoder.load_state_dict(denoiser.encoder.state_dict())
    return module_to_arrays(denoiser, without="encoder."), encoder


def fitted_model(network, weights, encoder):
    """Return the model of what :func:`fitted_weights` has returned."""
    model = build_model(network)
    arrays_to_module(weights, model.denoiser)
    if encoder is not None:
        model.denoiser.set_encoder(copy.deepcopy(encoder))
    return model

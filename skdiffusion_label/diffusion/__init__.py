"""Diffusion of labels: tensors in, tensors out."""

from skdiffusion_label.diffusion._data import TrainingData
from skdiffusion_label.diffusion._denoiser import LabelDenoiser
from skdiffusion_label.diffusion._forward import (
    add_noise,
    label_evidence,
    label_from_noise,
    noise_from_label,
)
from skdiffusion_label.diffusion._model import PREDICTION_TYPES, LabelDiffusion
from skdiffusion_label.diffusion._readout import (
    class_probabilities,
    draw_probabilities,
    fit_temperature,
)
from skdiffusion_label.diffusion._samplers import (
    ddim_steps,
    first_timestep_with_signal,
    sampling_timesteps,
)
from skdiffusion_label.diffusion._schedule import NOISE_SCHEDULES, NoiseSchedule
from skdiffusion_label.diffusion._training import (
    Processes,
    TrainingSettings,
    TrainingState,
    train_denoiser,
)

__all__ = [
    "NOISE_SCHEDULES",
    "PREDICTION_TYPES",
    "LabelDenoiser",
    "LabelDiffusion",
    "NoiseSchedule",
    "Processes",
    "TrainingData",
    "TrainingSettings",
    "TrainingState",
    "add_noise",
    "class_probabilities",
    "ddim_steps",
    "draw_probabilities",
    "first_timestep_with_signal",
    "fit_temperature",
    "label_evidence",
    "label_from_noise",
    "noise_from_label",
    "sampling_timesteps",
    "train_denoiser",
]

"""The label diffusion model: a denoiser, its noise schedule and what the denoiser predicts."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skdiffusion_label.diffusion._denoiser import Condition, LabelDenoiser
from skdiffusion_label.diffusion._forward import add_noise, label_evidence, label_from_noise
from skdiffusion_label.diffusion._samplers import (
    ddim_steps,
    first_timestep_with_signal,
    sampling_timesteps,
)
from skdiffusion_label.diffusion._schedule import NoiseSchedule

PREDICTION_TYPES = ("logits", "sample", "epsilon")

# Coefficient of the label, without unit, that a chain of predicted noise needs at its start: a
# label computed from noise has that noise's error divided by it. The published chain starts at .152
# (timestep 901 of 1,000, cosine).
_MIN_SIGNAL_OF_EPSILON = 0.15
# Least probability of a prior guess: what it rules out, the denoiser can still bring back.
_LEAST_PRIOR = 1e-4
# Probability that stands for zero in logarithms: far below what any other class is left with.
_LEAST_PROBABILITY = 1e-30


class LabelDiffusion(nn.Module):
    """Loss and reverse process of label diffusion.

    ``prediction_type`` names what the denoiser's output means: the added noise ("epsilon", as
    published), the clean one-hot label ("sample"), or its class logits ("logits"). The diffused
    label's evidence is added to the logits in closed form: by Bayes' rule, p(label | features, y_t)
    is proportional to p(label | features) p(y_t | label). The denoiser is left with the features,
    and where there is a prior guess, with the correction of its logarithm.
    """

    def __init__(self, denoiser: LabelDenoiser, schedule: NoiseSchedule, prediction_type: str):
        super().__init__()
        self.denoiser = denoiser
        self.schedule = schedule
        self.prediction_type = prediction_type

    def loss(
        self,
        label_distributions: Tensor,
        y_codes: Tensor,
        noise: Tensor,
        t: Tensor,
        features: Tensor,
        weights: Tensor,
        prior_mean: Tensor | None = None,
        inputs: Tensor | None = None,
    ) -> Tensor:
        """Return the loss summed with ``weights`` (b,).

        Labels ``y_codes`` (b,), drawn from ``label_distributions`` (b, k), are diffused. The target
        is not the drawn label but its expectation given the diffused one, which has the same
        gradient on average and less variance; predicted noise is compared with ``noise``.
        """
        y_0 = torch.zeros_like(noise).scatter_(1, y_codes.unsqueeze(1), 1)
        y_t = add_noise(y_0, noise, t, self.schedule, prior_mean)
        output = self.denoiser(y_t, t, self.denoiser.encode(features, inputs))
        if self.prediction_type == "epsilon":
            return weights @ (noise - output).square().mean(dim=1)
        evidence = label_evidence(y_t, t, self.schedule, prior_mean)
        target = (label_distributions.clamp(min=_LEAST_PROBABILITY).log() + evidence).softmax(dim=1)
        if self.prediction_type == "logits":
            logits = _after_prior(output, prior_mean) + evidence
            return weights @ cross_entropy(logits, target, reduction="none")
        return weights @ (target - output).square().mean(dim=1)

    def predict_label(
        self, y_t: Tensor, t: Tensor, condition: Condition, prior_mean: Tensor | None = None
    ) -> Tensor:
        """Return the expected clean label (..., b, k), within [0, 1]."""
        output = self.denoiser(y_t, t, condition)
        if self.prediction_type == "logits":
            evidence = label_evidence(y_t, t, self.schedule, prior_mean)
            return (_after_prior(output, prior_mean) + evidence).softmax(dim=-1)
        if self.prediction_type == "epsilon":
            output = label_from_noise(y_t, output, t, self.schedule, prior_mean)
        return output.clamp(0, 1)

    @property
    def starting_timestep(self) -> int:
        """The latest timestep at which a chain can start."""
        least = _MIN_SIGNAL_OF_EPSILON if self.prediction_type == "epsilon" else 0.0
        return first_timestep_with_signal(self.schedule, least)

    def timesteps(self, n_steps: int, *, start: int | None = None) -> list[int]:
        """Return the timesteps of a chain of ``n_steps``, from the latest one if not ``start``."""
        start = self.starting_timestep if start is None else start
        return sampling_timesteps(self.schedule, n_steps, start=start)

    def denoise(
        self,
        y_t: Tensor,
        timesteps: list[int],
        features: Tensor,
        prior_mean: Tensor | None = None,
        inputs: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Yield the labels that a chain from ``y_t`` guesses at each step, both (draws, n, k).

        ``features`` (n, d), ``prior_mean`` (n, k) and the encoder's ``inputs`` (n, ...) are shared
        by the draws.
        """
        condition = self.denoiser.encode(features, inputs)

        def predict_label(y_t: Tensor, t: Tensor) -> Tensor:
            return self.predict_label(y_t, t, condition, prior_mean)

        return ddim_steps(predict_label, y_t, timesteps, self.schedule, prior_mean)


def _after_prior(output: Tensor, prior_mean: Tensor | None) -> Tensor:
    """Return class logits: the denoiser's output corrects the logarithm of the prior guess."""
    if prior_mean is None:
        return output
    return output + prior_mean.clamp(min=_LEAST_PRIOR).log()

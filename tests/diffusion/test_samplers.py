"""Samplers against a known p(y | x), through the denoiser that is optimal for it.

If y_0 is a one-hot label drawn from p, then by Bayes' rule, with ``a = alphas_cumprod[t]``,
``E[y_0 | y_t] = softmax(log p + sqrt(a) (y_t - (1 - sqrt(a)) f_q) / (1 - a))``.
"""

import pytest
import torch
from torch import nn

from skdiffusion_label.diffusion import (
    NOISE_SCHEDULES,
    PREDICTION_TYPES,
    LabelDiffusion,
    NoiseSchedule,
    add_noise,
    ddim_steps,
    first_timestep_with_signal,
    noise_from_label,
    sampling_timesteps,
)

PROBA = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
PRIOR_MEAN = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
WITH_AND_WITHOUT_PRIOR = pytest.mark.parametrize(
    "prior_mean", [None, PRIOR_MEAN], ids=["no prior", "prior"]
)
COSINE = NoiseSchedule("cosine", 1000)


def expected_label(y_t, t, log_proba, schedule, prior_mean):
    a = schedule.alphas_cumprod[t]
    drift = 0 if prior_mean is None else (1 - a.sqrt()) * prior_mean
    return (log_proba + a.sqrt() * (y_t - drift) / (1 - a)).softmax(dim=-1)


def optimal_denoiser(schedule, prior_mean):
    def predict_label(y_t, t):
        return expected_label(y_t, t, PROBA.log(), schedule, prior_mean)

    return predict_label


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def run(n_steps, n_draws, prior_mean=None, schedule=COSINE):
    start = normal(n_draws, 3) + (0 if prior_mean is None else prior_mean)
    return ddim_steps(
        optimal_denoiser(schedule, prior_mean),
        start,
        sampling_timesteps(schedule, n_steps),
        schedule,
        prior_mean,
    )


def tolerance(samples, n_steps):
    """Four standard errors, and what few steps cost.

    Each step stands in the expected label for the random one, and so the state has too little
    spread and the next guess is too sure: the likelier class gains. That error is of first order
    in the length of a step. Measured with 200,000 draws it is at most 0.42 / n_steps, with
    and without a prior. A single step starts where there is no signal and is exact.
    """
    standard_error = samples.std(dim=0) / len(samples) ** 0.5
    discretization = 0.0 if n_steps == 1 else 0.45 / n_steps
    return 4 * standard_error + discretization + 1e-6


@WITH_AND_WITHOUT_PRIOR
@pytest.mark.parametrize("n_steps", [1, 3, 7, 10, 300, 333, 1000])
def test_ddim_recovers_class_probabilities(n_steps, prior_mean):
    *_, y_0 = run(n_steps, n_draws=4000, prior_mean=prior_mean)
    assert ((y_0.mean(dim=0) - PROBA).abs() < tolerance(y_0, n_steps)).all()


@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_ddim_recovers_class_probabilities_under_every_schedule(name):
    schedule = NoiseSchedule(name, 200)
    *_, y_0 = run(200, 4000, PRIOR_MEAN, schedule)
    assert ((y_0.mean(dim=0) - PROBA).abs() < tolerance(y_0, 200)).all()


def test_many_steps_end_in_one_class():
    *_, y_0 = run(100, n_draws=1000)
    assert float(y_0.max(dim=1).values.min()) > 0.999


def test_ddim_error_falls_at_first_order_in_the_length_of_a_step():
    # The same starts for all: random error cancels, and what differs is the discretization.
    def mean_label(n_steps):
        *_, y_0 = run(n_steps, n_draws=20_000)
        return y_0.mean(dim=0)

    limit = mean_label(200)
    errors = [float((mean_label(n_steps) - limit).abs().max()) for n_steps in (5, 10, 20)]
    assert errors[0] / errors[1] > 1.8
    assert errors[1] / errors[2] > 1.8


@WITH_AND_WITHOUT_PRIOR
def test_ddim_is_the_published_update(prior_mean):
    timesteps = sampling_timesteps(COSINE, 7)
    predict_label = optimal_denoiser(COSINE, prior_mean)
    y_t = normal(20, 3)
    steps = ddim_steps(predict_label, y_t, timesteps, COSINE, prior_mean)
    prior = 0 if prior_mean is None else prior_mean
    for t, t_next, y_0 in zip(timesteps, [*timesteps[1:], None], steps, strict=True):
        torch.testing.assert_close(y_0, predict_label(y_t, torch.tensor(t)))
        if t_next is not None:
            a, a_next = COSINE.alphas_cumprod[t], COSINE.alphas_cumprod[t_next]
            e = (y_t - a.sqrt() * y_0 - (1 - a.sqrt()) * prior) / (1 - a).sqrt()
            y_t = a_next.sqrt() * y_0 + (1 - a_next.sqrt()) * prior + (1 - a_next).sqrt() * e


@WITH_AND_WITHOUT_PRIOR
def test_denoiser_that_knows_the_label_gets_it_back(prior_mean):
    label = torch.eye(3, dtype=torch.float64)[[0, 2, 1, 1]]
    states = []

    def predict_label(y_t, t):
        states.append((t, y_t))
        return label

    start = add_noise(label, normal(4, 3), torch.tensor(999), COSINE, prior_mean)
    timesteps = sampling_timesteps(COSINE, 10)
    guesses = list(ddim_steps(predict_label, start, timesteps, COSINE, prior_mean))
    assert all(torch.equal(guess, label) for guess in guesses)
    # Without randomness the chain stays on the line of the noise that it started with.
    for t, y_t in states:
        e = noise_from_label(y_t, label, t, COSINE, prior_mean)
        torch.testing.assert_close(e, normal(4, 3))


def test_single_step_returns_the_first_guess():
    start = normal(5, 3)
    (y_0,) = ddim_steps(optimal_denoiser(COSINE, None), start, [700], COSINE)
    assert torch.equal(y_0, optimal_denoiser(COSINE, None)(start, torch.tensor(700)))


@pytest.mark.parametrize("n_timesteps", [1, 2, 10, 100, 1000])
def test_timesteps_are_as_many_as_asked_for_and_fall_from_the_last_to_zero(n_timesteps):
    schedule = NoiseSchedule("cosine", n_timesteps)
    for n_steps in range(1, n_timesteps + 1, 1 if n_timesteps <= 100 else 37):
        timesteps = sampling_timesteps(schedule, n_steps)
        assert len(timesteps) == n_steps
        assert timesteps[0] == n_timesteps - 1
        assert n_steps == 1 or timesteps[-1] == 0
        assert all(t > t_next for t, t_next in zip(timesteps, timesteps[1:], strict=False))


@pytest.mark.parametrize("n_steps", [3, 7, 300, 333, 1000])
def test_timesteps_stay_in_range_where_the_published_code_leaves_it(n_steps):
    timesteps = sampling_timesteps(COSINE, n_steps)
    assert len(set(timesteps)) == n_steps
    assert (max(timesteps), min(timesteps)) == (999, 0)


@pytest.mark.parametrize("start", range(0, 40))
def test_timesteps_fall_strictly_from_any_start(start):
    for n_steps in range(1, start + 2):
        timesteps = sampling_timesteps(COSINE, n_steps, start=start)
        assert len(timesteps) == n_steps
        assert timesteps[0] == start
        assert n_steps == 1 or timesteps[-1] == 0
        assert all(t > t_next for t, t_next in zip(timesteps, timesteps[1:], strict=False))


def test_timesteps_are_evenly_spaced():
    for n_steps in (3, 8, 300, 999):
        exact = torch.arange(n_steps - 1, -1, -1, dtype=torch.float64) * 999 / (n_steps - 1)
        timesteps = torch.tensor(sampling_timesteps(COSINE, n_steps))
        assert float((timesteps - exact).abs().max()) <= 0.5 + 1e-9


def test_more_steps_than_timesteps_visit_each_timestep_once():
    assert sampling_timesteps(NoiseSchedule("cosine", 5), 100) == [4, 3, 2, 1, 0]
    assert sampling_timesteps(COSINE, 100, start=2) == [2, 1, 0]


@pytest.mark.parametrize("min_signal", [0.05, 0.15, 0.5, 0.9])
@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_first_timestep_with_signal_is_the_last_that_has_enough(name, min_signal):
    schedule = NoiseSchedule(name, 200)
    signal = schedule.alphas_cumprod.sqrt()
    t = first_timestep_with_signal(schedule, min_signal)
    assert float(signal[t]) >= min_signal or t == 0
    assert t == 199 or float(signal[t + 1]) < min_signal


def test_first_timestep_with_signal_is_zero_where_none_has_enough():
    assert first_timestep_with_signal(COSINE, 1.0) == 0


def test_first_timestep_with_any_signal_is_the_last():
    assert first_timestep_with_signal(COSINE, 0.0) == 999


class OptimalDenoiser(nn.Module):
    """Stands in for the network: features are log p beside the prior mean (zero without prior)."""

    def __init__(self, schedule, prediction_type, n_classes):
        super().__init__()
        self.schedule = schedule
        self.prediction_type = prediction_type
        self.n_classes = n_classes

    def encode(self, features, inputs=None):
        return tuple(features.split(self.n_classes, dim=1))

    def forward(self, y_t, t, condition):
        log_proba, prior_mean = condition
        if self.prediction_type == "logits":
            # The correction of a prior guess; a constant does not matter.
            return log_proba + 5 - (prior_mean.log() if prior_mean.any() else 0)
        y_0 = expected_label(y_t, t, log_proba, self.schedule, prior_mean)
        if self.prediction_type == "sample":
            return y_0
        return noise_from_label(y_t, y_0, t, self.schedule, prior_mean)


def optimal_model(prediction_type, schedule=COSINE):
    return LabelDiffusion(OptimalDenoiser(schedule, prediction_type, 3), schedule, prediction_type)


ROWS = torch.stack([PROBA, torch.tensor([0.05, 0.05, 0.9], dtype=torch.float64)])
PRIOR_MEANS = torch.stack([PRIOR_MEAN, torch.tensor([0.1, 0.8, 0.1], dtype=torch.float64)])
FEATURES = torch.cat([ROWS.log(), torch.zeros_like(ROWS)], dim=1)
FEATURES_WITH_PRIOR = torch.cat([ROWS.log(), PRIOR_MEANS], dim=1)
PREDICTIONS = pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)


def true_states(t, n_draws, prior_means):
    """Draw diffused labels (draws, rows, classes) of both rows as the forward process does."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.multinomial(ROWS, n_draws, replacement=True, generator=generator).T
    y_0 = torch.eye(3, dtype=torch.float64)[codes]
    return add_noise(y_0, normal(n_draws, 2, 3, seed=2), torch.tensor(t), COSINE, prior_means)


@PREDICTIONS
@pytest.mark.parametrize("n_steps", [1, 100])
@pytest.mark.parametrize("prior_means", [None, PRIOR_MEANS], ids=["no prior", "prior"])
def test_model_recovers_class_probabilities_of_each_row(prediction_type, n_steps, prior_means):
    n_draws = 2000
    model = optimal_model(prediction_type)
    timesteps = model.timesteps(n_steps)
    features = FEATURES if prior_means is None else FEATURES_WITH_PRIOR
    # Chains of predicted noise begin where some signal is left, and need it in their start.
    start = true_states(timesteps[0], n_draws, prior_means)
    *_, y_0 = model.denoise(start, timesteps, features, prior_means)
    assert y_0.shape == (n_draws, 2, 3)
    for row in range(2):
        error = (y_0[:, row].mean(dim=0) - ROWS[row]).abs()
        assert (error < tolerance(y_0[:, row], n_steps)).all()


@pytest.mark.parametrize("prior_means", [None, PRIOR_MEANS], ids=["no prior", "prior"])
def test_chain_of_predicted_noise_started_from_noise_alone_is_little_biased(prior_means):
    # The start lacks the signal that a true state has. What comes out cannot differ by more than
    # the starts do, in total variation: half the shift sqrt(2) * 0.15 times sqrt(2 / pi).
    shift = 2**0.5 * 0.15
    model = optimal_model("epsilon")
    start = normal(2000, 2, 3) + (0 if prior_means is None else prior_means)
    features = FEATURES if prior_means is None else FEATURES_WITH_PRIOR
    *_, y_0 = model.denoise(start, model.timesteps(100), features, prior_means)
    for row in range(2):
        error = (y_0[:, row].mean(dim=0) - ROWS[row]).abs()
        bias = 0.5 * shift * (2 / torch.pi) ** 0.5
        assert (error < tolerance(y_0[:, row], 100) + bias).all()


def test_prediction_types_agree_where_they_say_the_same():
    timesteps = optimal_model("epsilon").timesteps(20)
    start = true_states(timesteps[0], 50, PRIOR_MEANS)
    labels = [
        torch.stack(
            list(
                optimal_model(prediction_type).denoise(
                    start, timesteps, FEATURES_WITH_PRIOR, PRIOR_MEANS
                )
            )
        )
        for prediction_type in PREDICTION_TYPES
    ]
    torch.testing.assert_close(labels[1], labels[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(labels[2], labels[0], atol=1e-6, rtol=0)


def test_rows_denoised_alone_and_together_agree():
    model = optimal_model("logits")
    timesteps = model.timesteps(10)
    start = normal(6, 2, 3)
    *_, together = model.denoise(start, timesteps, FEATURES)
    for row in range(2):
        alone = [row]
        *_, y_0 = model.denoise(start[:, alone], timesteps, FEATURES[alone])
        torch.testing.assert_close(y_0, together[:, alone])


def test_predicted_labels_stay_within_zero_and_one():
    class Wild(nn.Module):
        def forward(self, y_t, t, condition):
            return 100 * y_t

    for prediction_type in PREDICTION_TYPES:
        model = LabelDiffusion(Wild(), COSINE, prediction_type)
        y_0 = model.predict_label(normal(50, 3), torch.tensor(500), ())
        assert float(y_0.min()) >= 0
        assert float(y_0.max()) <= 1


def test_only_chains_of_predicted_noise_start_late():
    for prediction_type in ("logits", "sample"):
        assert optimal_model(prediction_type).timesteps(10)[0] == 999
    start, *rest = optimal_model("epsilon").timesteps(10)
    assert float(COSINE.alphas_cumprod[start].sqrt()) >= 0.15
    assert float(COSINE.alphas_cumprod[start + 1].sqrt()) < 0.15
    assert len(rest) == 9
    assert optimal_model("epsilon").timesteps(10, start=500)[0] == 500

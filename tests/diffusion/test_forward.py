import pytest
import torch

from skdiffusion_label.diffusion import (
    NOISE_SCHEDULES,
    NoiseSchedule,
    add_noise,
    label_evidence,
    label_from_noise,
    noise_from_label,
)

Y_0 = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
PRIOR_MEAN = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
WITH_AND_WITHOUT_PRIOR = pytest.mark.parametrize(
    "prior_mean", [None, PRIOR_MEAN], ids=["no prior", "prior"]
)


def betas(schedule):
    """Return the share of noise that each step adds."""
    signal = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alphas_cumprod])
    return 1 - signal[1:] / signal[:-1]


def step(y_t, beta, noise, prior_mean):
    """One step of the published process."""
    root = (1 - beta).sqrt()
    drift = 0 if prior_mean is None else (1 - root) * prior_mean
    return root * y_t + drift + beta.sqrt() * noise


@WITH_AND_WITHOUT_PRIOR
@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_closed_form_has_mean_and_variance_of_the_recursion(name, prior_mean):
    schedule = NoiseSchedule(name, 100)
    mean, variance = Y_0, torch.zeros((), dtype=torch.float64)
    zeros, ones = torch.zeros_like(Y_0), torch.ones_like(Y_0)
    for t, beta in enumerate(betas(schedule)):
        mean = step(mean, beta, zeros, prior_mean)
        variance = (1 - beta) * variance + beta
        closed_mean = add_noise(Y_0, zeros, torch.tensor(t), schedule, prior_mean)
        closed_sigma = add_noise(Y_0, ones, torch.tensor(t), schedule, prior_mean) - closed_mean
        torch.testing.assert_close(closed_mean, mean)
        torch.testing.assert_close(closed_sigma.square(), variance.expand(3))


@WITH_AND_WITHOUT_PRIOR
@pytest.mark.parametrize("t", [0, 9, 29])
def test_closed_form_has_the_law_of_the_simulated_recursion(t, prior_mean):
    n_draws = 20_000
    schedule = NoiseSchedule("cosine", 30)
    generator = torch.Generator().manual_seed(0)
    y_t = Y_0.expand(n_draws, 3)
    for beta in betas(schedule)[: t + 1]:
        noise = torch.randn(n_draws, 3, generator=generator, dtype=torch.float64)
        y_t = step(y_t, beta, noise, prior_mean)
    mean = add_noise(Y_0, torch.zeros_like(Y_0), torch.tensor(t), schedule, prior_mean)
    variance = 1 - float(schedule.alphas_cumprod[t])
    standard_error = (variance / n_draws) ** 0.5
    assert (y_t.mean(dim=0) - mean).abs().max() < 4 * standard_error
    covariance = torch.cov(y_t.T)
    # The standard error of a variance is sqrt(2 / n) of it, that of a covariance is smaller.
    error = (covariance - variance * torch.eye(3, dtype=torch.float64)).abs().max()
    assert error < 4 * variance * (2 / n_draws) ** 0.5


def test_process_with_prior_ends_at_the_prior():
    schedule = NoiseSchedule("cosine", 1000)
    noise = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    last = torch.full((5,), 999)
    y_t = add_noise(Y_0.expand(5, 3), noise, last, schedule, PRIOR_MEAN)
    # What is left of the label is its coefficient, 5e-5.
    torch.testing.assert_close(y_t, PRIOR_MEAN + noise, atol=1e-4, rtol=0)
    y_t = add_noise(Y_0.expand(5, 3), noise, last, schedule)
    torch.testing.assert_close(y_t, noise, atol=1e-4, rtol=0)


def test_label_equal_to_the_prior_mean_keeps_its_mean():
    schedule = NoiseSchedule("cosine", 20)
    t = torch.arange(20)
    mean = add_noise(PRIOR_MEAN.expand(20, 3), torch.zeros(20, 3), t, schedule, PRIOR_MEAN)
    torch.testing.assert_close(mean, PRIOR_MEAN.expand(20, 3))


def test_prior_mean_of_zero_is_no_prior():
    schedule = NoiseSchedule("linear", 20)
    t = torch.arange(20)
    noise = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    zero_prior = torch.zeros(20, 3, dtype=torch.float64)
    y_t = add_noise(Y_0.expand(20, 3), noise, t, schedule, zero_prior)
    torch.testing.assert_close(y_t, add_noise(Y_0.expand(20, 3), noise, t, schedule))


@WITH_AND_WITHOUT_PRIOR
@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_label_and_noise_round_trip_at_every_timestep(name, prior_mean):
    schedule = NoiseSchedule(name, 100)
    t = torch.arange(100)
    generator = torch.Generator().manual_seed(0)
    y_0 = torch.randn(100, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(100, 3, generator=generator, dtype=torch.float64)
    y_t = add_noise(y_0, noise, t, schedule, prior_mean)
    # Dividing by the last signals, down to 5e-4, costs digits.
    recovered = label_from_noise(y_t, noise, t, schedule, prior_mean)
    torch.testing.assert_close(recovered, y_0, atol=1e-9, rtol=1e-9)
    recovered = noise_from_label(y_t, y_0, t, schedule, prior_mean)
    torch.testing.assert_close(recovered, noise, atol=1e-9, rtol=1e-9)


@WITH_AND_WITHOUT_PRIOR
def test_one_timestep_for_all_rows_broadcasts(prior_mean):
    schedule = NoiseSchedule("cosine", 10)
    noise = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = add_noise(Y_0, noise, torch.tensor(7), schedule, prior_mean)
    each = add_noise(Y_0, noise, torch.full((4, 2), 7), schedule, prior_mean)
    assert torch.equal(one, each)
    for function in (label_from_noise, noise_from_label):
        one = function(noise, Y_0, torch.tensor(7), schedule, prior_mean)
        each = function(noise, Y_0, torch.full((4, 2), 7), schedule, prior_mean)
        assert torch.equal(one, each)


@pytest.mark.parametrize("prior_mean", [None, torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)])
@pytest.mark.parametrize("timestep", [0, 40, 99])
def test_evidence_is_the_log_density_around_each_label(timestep, prior_mean):
    schedule = NoiseSchedule("linear", 100)
    y_t = torch.tensor([0.3, 0.9, -0.4], dtype=torch.float64)
    t = torch.tensor(timestep)
    signal, sigma = schedule.signal_and_noise(t, y_t)
    densities = []
    for y_0 in torch.eye(3, dtype=torch.float64):
        mean = signal * y_0 + (0 if prior_mean is None else (1 - signal) * prior_mean)
        densities.append(torch.distributions.Normal(mean, sigma).log_prob(y_t).sum())
    evidence = label_evidence(y_t, t, schedule, prior_mean)
    torch.testing.assert_close(evidence.softmax(0), torch.stack(densities).softmax(0))


def test_pure_noise_is_no_evidence():
    evidence = label_evidence(torch.randn(3), torch.tensor(999), NoiseSchedule("cosine", 1000))
    torch.testing.assert_close(evidence, torch.zeros(3), atol=1e-3, rtol=0)

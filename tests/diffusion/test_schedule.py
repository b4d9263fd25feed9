import math

import pytest
import torch

from skdiffusion_label.diffusion import NOISE_SCHEDULES, NoiseSchedule

N_TIMESTEPS = [1, 2, 10, 100, 1000]


def test_cosine_schedule_has_the_published_values():
    schedule = NoiseSchedule("cosine", 1000)
    published = {0: 0.999959, 1: 0.999913, 101: 0.9711, 501: 0.4907, 801: 0.0922, 901: 0.02315}
    for t, value in published.items():
        digits = len(str(value)) - 2
        assert float(schedule.alphas_cumprod[t]) == pytest.approx(value, abs=0.5 * 10**-digits)
    assert float(schedule.alphas_cumprod[999]) == pytest.approx(2.4e-9, rel=0.03)
    assert float(schedule.betas[0]) == pytest.approx(4.13e-5, rel=2e-3)
    assert float(schedule.betas[998]) == pytest.approx(0.75, abs=5e-3)
    assert float(schedule.betas[999]) == 0.999


@pytest.mark.parametrize("n_timesteps", N_TIMESTEPS)
def test_cosine_signal_is_the_closed_form(n_timesteps):
    schedule = NoiseSchedule("cosine", n_timesteps)

    def cosine(i):
        return math.cos((i / n_timesteps + 0.008) / 1.008 * math.pi / 2) ** 2

    # Without the cap on the last beta the product telescopes.
    for i in range(n_timesteps - 1):
        expected = cosine(i + 1) / cosine(0)
        assert float(schedule.alphas_cumprod[i]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n_timesteps", N_TIMESTEPS)
def test_jsd_signal_falls_linearly(n_timesteps):
    # prod_{s <= t} (1 - 1 / (T - s)) telescopes to (T - t - 1) / T.
    schedule = NoiseSchedule("jsd", n_timesteps)
    linear = 1 - torch.arange(1, n_timesteps, dtype=torch.float64) / n_timesteps
    torch.testing.assert_close(schedule.alphas_cumprod[:-1], linear)


@pytest.mark.parametrize("n_timesteps", N_TIMESTEPS)
@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_signal_falls_strictly_within_zero_and_one(name, n_timesteps):
    alphas_cumprod = NoiseSchedule(name, n_timesteps).alphas_cumprod
    assert alphas_cumprod.dtype == torch.float64
    assert alphas_cumprod.shape == (n_timesteps,)
    assert float(alphas_cumprod.max()) < 1
    assert float(alphas_cumprod.min()) > 0
    assert (alphas_cumprod.diff() < 0).all()


@pytest.mark.parametrize("n_timesteps", N_TIMESTEPS)
@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_signal_is_the_cumulative_product_of_alphas(name, n_timesteps):
    schedule = NoiseSchedule(name, n_timesteps)
    product = 1.0
    for t in range(n_timesteps):
        assert 0 < float(schedule.betas[t]) <= 0.999
        product *= 1 - float(schedule.betas[t])
        assert float(schedule.alphas_cumprod[t]) == pytest.approx(product, rel=1e-9)


@pytest.mark.parametrize("n_timesteps", [10, 100, 1000])
@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_process_ends_close_to_pure_noise(name, n_timesteps):
    assert float(NoiseSchedule(name, n_timesteps).alphas_cumprod[-1]) < 0.02


@pytest.mark.parametrize("name", ["linear", "quad", "sigmoid", "cosine_anneal", "const"])
def test_betas_at_a_thousand_timesteps_run_from_1e_4_to_2e_2(name):
    betas = NoiseSchedule(name, 1000).betas
    first = 0.02 if name == "const" else 1e-4
    # CARD's sigmoid runs over [-6, 6], and so misses both ends by a quarter of a percent.
    tolerance = 0.02 / (1 + math.exp(6)) if name == "sigmoid" else 1e-12
    assert float(betas[0]) == pytest.approx(first, abs=tolerance)
    assert float(betas[-1]) == pytest.approx(0.02, abs=tolerance)
    assert (betas.diff() >= 0).all()


def test_signal_and_noise_are_columns_that_conserve_variance():
    schedule = NoiseSchedule("cosine", 50)
    t = torch.arange(50)
    signal, sigma = schedule.signal_and_noise(t, torch.empty(0, dtype=torch.float64))
    assert signal.shape == sigma.shape == (50, 1)
    torch.testing.assert_close(signal.square() + sigma.square(), torch.ones_like(signal))
    torch.testing.assert_close(signal[:, 0].square(), schedule.alphas_cumprod)


def test_coefficients_have_the_dtype_of_the_labels():
    schedule = NoiseSchedule("cosine", 10)
    coefficients = schedule.signal_and_noise(torch.tensor(3), torch.empty(0, dtype=torch.float32))
    assert [part.dtype for part in coefficients] == [torch.float32, torch.float32]
    assert [part.shape for part in coefficients] == [(1,), (1,)]


def test_schedule_moves_with_its_module_and_stays_out_of_the_state():
    schedule = NoiseSchedule("cosine", 10)
    assert dict(schedule.named_buffers()).keys() == {"betas", "alphas_cumprod"}
    assert not schedule.state_dict()
    with torch.device("meta"):
        assert NoiseSchedule("cosine", 10).alphas_cumprod.device.type == "cpu"


def test_unknown_schedule_is_named_in_the_error():
    with pytest.raises(ValueError, match="noise_schedule must be one of .*'cosine'.*got 'cubic'"):
        NoiseSchedule("cubic", 10)

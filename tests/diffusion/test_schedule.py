import math

import pytest
import torch

from skdiffusion_label.diffusion import NOISE_SCHEDULES, NoiseSchedule

N_TIMESTEPS = [1, 2, 3, 5, 10, 19, 20, 50, 100, 1000]


def betas(schedule):
    """Return the share of noise that each step adds."""
    signal = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alphas_cumprod])
    return 1 - signal[1:] / signal[:-1]


def test_cosine_schedule_has_the_published_values():
    schedule = NoiseSchedule("cosine", 1000)
    published = {0: 0.999959, 1: 0.999913, 101: 0.9711, 501: 0.4907, 801: 0.0922, 901: 0.02315}
    for t, value in published.items():
        digits = len(str(value)) - 2
        assert float(schedule.alphas_cumprod[t]) == pytest.approx(value, abs=0.5 * 10**-digits)
    assert float(schedule.alphas_cumprod[999]) == pytest.approx(2.4e-9, rel=0.03)
    assert float(betas(schedule)[0]) == pytest.approx(4.13e-5, rel=2e-3)
    assert float(betas(schedule)[998]) == pytest.approx(0.75, abs=5e-3)
    assert float(betas(schedule)[999]) == pytest.approx(0.999)


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
def test_signal_falls_alike_however_many_timesteps_there_are(name, n_timesteps):
    signal = NoiseSchedule(name, n_timesteps).alphas_cumprod.sqrt()
    of_a_thousand = NoiseSchedule(name, 1000).alphas_cumprod.sqrt()
    moments = torch.arange(1, n_timesteps + 1) * 1000 // n_timesteps - 1
    # Twenty linear steps leave a little less than a thousand do, and three are not at thirds of 20.
    torch.testing.assert_close(signal, of_a_thousand[moments], atol=0.08, rtol=0)


@pytest.mark.parametrize("n_timesteps", N_TIMESTEPS)
@pytest.mark.parametrize("name", NOISE_SCHEDULES)
def test_process_ends_close_to_pure_noise(name, n_timesteps):
    assert float(NoiseSchedule(name, n_timesteps).alphas_cumprod[-1]) <= 0.0011


@pytest.mark.parametrize("n_timesteps", [20, 100, 1000])
def test_linear_betas_run_from_1e_4_to_2e_2_in_proportion_to_the_length_of_a_step(n_timesteps):
    shares = betas(NoiseSchedule("linear", n_timesteps)) * n_timesteps / 1000
    assert float(shares[0]) == pytest.approx(1e-4)
    assert float(shares[-1]) == pytest.approx(0.02, rel=2e-3)  # the last of 20 is cut at .999
    torch.testing.assert_close(shares[1:-1].diff(), (shares[2] - shares[1]).expand(n_timesteps - 3))


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
    assert dict(schedule.named_buffers()).keys() == {"alphas_cumprod"}
    assert not schedule.state_dict()
    with torch.device("meta"):
        assert NoiseSchedule("cosine", 10).alphas_cumprod.device.type == "cpu"


def test_unknown_schedule_is_named_in_the_error():
    with pytest.raises(ValueError, match="noise_schedule must be one of .*'cosine'.*got 'const'"):
        NoiseSchedule("const", 10)

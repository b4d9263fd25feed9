import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdiffusion_label.label_noise import uniform_transition
from skdiffusion_label.noise_model import Pool, limited_by_learning_curve

RATES = 0.0, 0.2, 0.4, 0.6
N_SAMPLES = 400


def make_pool():
    transitions = np.stack([uniform_transition(4, rate) for rate in RATES])
    return Pool(np.ones((len(RATES), 2)), transitions, np.zeros(len(RATES)))


def foretell(y, n_wrong):
    """Return labels of which the first ``n_wrong`` are not as given."""
    return np.where(np.arange(len(y)) < n_wrong, (y + 1) % 4, y)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_noise_that_exceeds_a_flat_curve_is_less_likely_by_its_error(share):
    y = np.arange(N_SAMPLES) % 4
    told = foretell(y, int(share * N_SAMPLES))
    limited = limited_by_learning_curve(make_pool(), told, told, y)
    variance = share * (1 - share) / N_SAMPLES + 0.02**2
    excess = np.maximum(np.array(RATES) - share, 0)
    assert_allclose(limited.log_likely, -(excess**2) / variance / 2, rtol=1e-9)


def test_what_more_rows_have_taught_is_no_noise():
    y = np.arange(N_SAMPLES) % 4
    half, full = foretell(y, int(0.52 * N_SAMPLES)), foretell(y, int(0.4 * N_SAMPLES))
    flat = limited_by_learning_curve(make_pool(), full, full, y)
    falling = limited_by_learning_curve(make_pool(), full, half, y)
    # .4 - .12 / (sqrt 2 - 1) = .11
    assert flat.likely[2] > 0.3
    assert falling.likely[2] < 0.15
    assert falling.likely[0] > 0.4
    assert falling.evidence_of_noise < flat.evidence_of_noise


def test_rows_without_weight_and_unknown_given_labels_tell_nothing():
    y = np.arange(N_SAMPLES) % 4
    told = foretell(y, N_SAMPLES // 2)
    kept = np.arange(N_SAMPLES) >= N_SAMPLES // 4
    alone = limited_by_learning_curve(make_pool(), told[kept], told[kept], y[kept])
    weightless = limited_by_learning_curve(make_pool(), told, told, y, kept.astype(float))
    verified = limited_by_learning_curve(make_pool(), told, told, y, verified=~kept)
    assert_allclose(weightless.log_likely, alone.log_likely)
    assert_allclose(verified.log_likely, alone.log_likely)

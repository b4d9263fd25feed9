"""Whether probabilities are worth their name, judged by the given labels."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import softmax

# Nats by which the labels may speak against a power that is believed: the end of its confidence
# interval at 95 %. The end nearest to one is taken, as few labels are foretold by almost any power.
_DOUBT_NATS = 1.92
# Share of the labels' entropy that has to be foretold: what a good classifier of ten classes still
# foretells when 80 % of the labels are wrong. One that foretells less cannot tell noise from luck.
_KNOWN_SHARE = 0.01
# Nats by which labels have to be foretold better than by their frequencies: a likelihood ratio that
# luck alone exceeds once in a thousand.
_KNOWN_NATS = 5.4
_LOG_POWERS = (-5.0, 12.0)  # from almost constant to logits that are 150,000 times as large
_N_STEPS = 20  # of expectation maximization for one share: it has converged to three digits
_TINY = 1e-12


@dataclass(frozen=True)
class Calibration:
    """Probabilities (n_samples, n_classes), sharpened if that is called for.

    ``knows`` is False if they tell no more of the given labels than the frequencies of these.
    """

    proba: np.ndarray
    is_sharpened: bool
    knows: bool


def calibrated(proba, y_codes, hidden_share):
    """Sharpen probabilities that are too timid for how well they foretell the given labels.

    Like temperature scaling (Guo et al., 2017): a power of what is foretold beyond the frequencies,
    fitted by the log loss of the given labels. A share of these, fitted along, is taken for drawn
    from the frequencies: wrong labels are no reason to be timid about the others. Probabilities
    that hide at most ``hidden_share`` of what is known of the labels stay as they are.
    """
    n_samples, n_classes = proba.shape
    frequencies = np.bincount(y_codes, minlength=n_classes) / n_samples
    log_frequencies = np.log(frequencies.clip(min=_TINY))
    log_lifts = np.log(proba.clip(min=_TINY)) - np.log(proba.mean(axis=0).clip(min=_TINY))
    by_chance = frequencies[y_codes]

    def sharpened(log_power):
        return softmax(log_frequencies + np.exp(log_power) * log_lifts, axis=1)

    def loss(proba):
        foretold = proba[np.arange(n_samples), y_codes]
        share = 0.5
        for _ in range(_N_STEPS):
            share = np.mean(share * by_chance / (share * by_chance + (1 - share) * foretold))
        return -np.log(share * by_chance + (1 - share) * foretold).mean()

    best = minimize_scalar(lambda x: loss(sharpened(x)), bounds=_LOG_POWERS, method="bounded")
    entropy, loss_as_is = -np.log(by_chance).mean(), loss(proba)
    known = entropy - min(best.fun, loss_as_is)
    knows = known > max(_KNOWN_SHARE * entropy, _KNOWN_NATS / n_samples) or entropy == 0
    excess = max(hidden_share * known, _DOUBT_NATS / n_samples)
    is_timid = best.x > 0 and min(loss_as_is, loss(sharpened(0))) - best.fun > excess
    if not (knows and is_timid):
        return Calibration(proba, False, knows)
    believed = brentq(
        lambda x: loss(sharpened(x)) - best.fun - _DOUBT_NATS / n_samples, 0, best.x, xtol=0.01
    )
    return Calibration(sharpened(believed), True, True)

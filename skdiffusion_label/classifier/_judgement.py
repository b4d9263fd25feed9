"""What neighbors and models together say of the training rows' true labels."""

import itertools
from dataclasses import dataclass

import numpy as np

from skdiffusion_label.noise_model import (
    LocalNoise,
    Pool,
    fit_local_noise,
    fit_pool,
    posterior,
    vote_distributions,
)


@dataclass(frozen=True)
class Judgement:
    """Noise, and probabilities (n, n_classes), float32, of the training rows' true labels.

    Attributes
    ----------
    pool : Pool
        Of all judges, with the noise that goes by class.
    local_noise : LocalNoise
        Noise that goes by place.
    truth : ndarray
        P(true label | x), of judges that have not seen the row's given label.
    labels : ndarray
        What training draws labels from: P(true label | x, given label), or the published vote.
    """

    pool: Pool
    local_noise: LocalNoise
    truth: np.ndarray
    labels: np.ndarray


def judge_labels(label_aggregation, models, retrieval, rows, random_state):
    """Pool what ``models`` and neighbors say of ``rows``, and join it with the given labels."""
    votes = itertools.chain.from_iterable(retrieval.judgements.values())
    judgements = np.stack([*votes, *models.judgements])
    pool = fit_pool(judgements, rows.y_codes, rows.weight, random_state)
    transition, truth = pool.transition_matrix, pool.truth(judgements)
    local_noise = fit_local_noise(truth, rows.y_codes, transition, rows.weight)
    if label_aggregation == "vote":
        labels = vote_distributions(retrieval.votes, rows.y_codes, rows.weight)
    else:
        likelihood = local_noise.likelihood(truth, rows.y_codes, transition)
        labels = posterior(truth, np.where(rows.weight[:, None] > 0, likelihood, 1))
    return Judgement(pool, local_noise, truth.astype(np.float32), labels.astype(np.float32))

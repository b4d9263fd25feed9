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

# Entries of a table, rows times classes, that are judged at a time, and above which several tables
# are not copied into one.
_ENTRIES_AT_ONCE, _MANY_ENTRIES = 2**18, 2**22


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


class Judgements:
    """Tables (n_samples, n_classes) as one array (n_judges, ...) that is never held as a whole.

    A table is an array, or makes the rows that it is asked for.
    """

    def __init__(self, tables, shape):
        self._tables = tables
        self.shape = len(tables), *shape

    def __len__(self):
        return len(self._tables)

    def __iter__(self):
        return (table[:] for table in self._tables)

    def __getitem__(self, index):
        everyone, rows = index
        return np.stack([table[rows] for table in self._tables[everyone]])

    def mean(self, axis):
        """Return the mean over the judges, ``axis`` zero."""
        return by_blocks(lambda rows: self[:, rows].mean(axis=axis), *self.shape[1:])


def gathered(tables, shape):
    """Return tables (n_samples, n_classes) as one array, or as :class:`Judgements` if large."""
    if shape[0] * shape[1] > _MANY_ENTRIES:
        return Judgements(tables, shape)
    return np.stack([table[:] for table in tables])


def by_blocks(function, n_rows, n_classes):
    """Return ``function`` of slices of rows as one table (n_rows, n_classes), float32."""
    table = np.empty((n_rows, n_classes), dtype=np.float32)
    n_at_once = max(_ENTRIES_AT_ONCE // n_classes, 1)
    for first in range(0, n_rows, n_at_once):
        rows = slice(first, first + n_at_once)
        table[rows] = function(rows)
    return table


def judge_labels(label_aggregation, models, retrieval, rows, random_state):
    """Pool what ``models`` and neighbors say of ``rows``, and join it with the given labels."""
    shape = len(rows.y_codes), len(rows.classes)
    votes = itertools.chain.from_iterable(retrieval.judgements.values())
    judgements = gathered([*votes, *models.judgements], shape)
    pool = fit_pool(judgements, rows.y_codes, rows.weight, random_state)
    transition = pool.transition_matrix
    truth = by_blocks(lambda some: pool.truth(judgements[:, some]), *shape)
    local_noise = fit_local_noise(truth, rows.y_codes, transition, rows.weight)

    def joined(some):
        likelihood = local_noise.likelihood(truth[some], rows.y_codes[some], transition)
        return posterior(truth[some], np.where(rows.weight[some, None] > 0, likelihood, 1))

    if label_aggregation == "vote":
        labels = vote_distributions(retrieval.votes, rows.y_codes, rows.weight)
    else:
        labels = by_blocks(joined, *shape)
    return Judgement(pool, local_noise, truth, labels)

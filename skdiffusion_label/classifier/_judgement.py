"""What neighbors, models and network together say of true labels."""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from skdiffusion_label.classifier._models import Models, fit_models
from skdiffusion_label.classifier._tables import Table, by_blocks, gathered
from skdiffusion_label.noise_model import (
    LocalNoise,
    Pool,
    fit_local_noise,
    fit_pool,
    join_judge,
    labels_of,
    posterior,
    vote_distributions,
    with_verified,
)
from skdiffusion_label.retrieval import bhattacharyya_space, retrieve

_LEAST_WEIGHT = 0.01  # in the pool, below which new rows are not shown to a judge
# Probability that a new row is of any class, whatever judges say: nothing in given labels tells of
# errors that follow the features as the truth does. Of 119 fits .64 have a log loss below the best
# peer's (.58 without it), and what they miss it by, above .03, sums up to half as much. One that
# grows with how often judges and given labels disagree is worse.
_UNFORESEEN = 0.02
# Rows of each class, for which networks of halves count beforehand by half of what the network of
# all rows does, at half: the fewer rows are left to them, the less they know of those that they
# judge. Of 11 cells of 15 rows of each class, AUROCs of issues are higher by .009 without them, of
# 15 of small tables lower by .001, the mean precision by .005.
_ROWS_OF_HALF_SHARE = 100
# Rows are judged in blocks of one shape: see the chains.
_ROWS_PER_BLOCK = 512


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
    labels : Table or ndarray
        What training draws labels from: P(true label | x, given label), or the published vote.
    """

    pool: Pool
    local_noise: LocalNoise
    truth: np.ndarray
    labels: Any


def judge_rows(estimator, features, standardized, rows, seed, share_of_trees=1):
    """Fit models and retrieve neighbors, and return what they say of the training rows.

    ``share_of_trees`` is of those that forests have otherwise.

    Returns
    -------
    models : Models
    retrieval : Retrieval
    judgements : array-like of shape (n_judges, n, n_classes)
        Probabilities of given labels, each from a judge that has not seen the row's own: the votes
        of neighbors, the linear model, the forests.
    """
    how = seed, estimator.n_jobs, share_of_trees
    models, log_proba, of_forests = fit_models(standardized, rows, *how)
    shape = len(features), len(rows.classes)
    retrieval = retrieve(
        features,
        standardized,
        log_proba,
        rows.y_codes,
        len(rows.classes),
        n_neighbors=estimator.n_neighbors,
        metric=estimator.metric,
        space=estimator.retrieval_space,
        algorithm=estimator.neighbors_algorithm,
        sample_weight=rows.vote_weight,
        neighbors=rows.neighbors,
        groups=rows.groups,
        random_state=seed,
        n_jobs=effective_n_jobs(estimator.n_jobs),
    )
    votes = itertools.chain.from_iterable(retrieval.judgements.values())
    of_linear_model = Table(lambda some: np.exp(log_proba[some]), shape)
    return models, retrieval, gathered([*votes, of_linear_model, *of_forests], shape)


def judge_anew(models, retrieval, judgements, pool, of_network, rows, random_state, needed=None):
    """Let a network that has not seen the rows' labels join the judges.

    What it says of them, ``of_network`` (n, n_classes), is written over. With too few rows for one
    it is None, and the judges stand in.

    Returns
    -------
    judgement : Judgement
    judges : Judges
        Of new rows.
    """
    if of_network is None:
        of_network = conclude(judgements, pool, rows).truth
    given = {**rows.labels, "random_state": random_state}
    joined = join_judge(pool, judgements, of_network, **given)
    known = models, retrieval, judgements, joined, rows, of_network, given, needed
    judges = judges_of_new_rows(*known)
    rows_of_class = len(rows.trained) / len(rows.classes)
    share = rows_of_class / (rows_of_class + _ROWS_OF_HALF_SHARE) / 2
    joined = join_judge(pool, judgements, of_network, **given, share=share)
    return conclude(judgements, joined, rows, of_network), judges


def conclude(judgements, pool, rows, of_network=None):
    """Return the :class:`Judgement` of the pool, and of the network, which is written over."""
    shape = len(rows.y_codes), len(rows.classes)
    transition = pool.transition_matrix

    def judged(some):
        joined = () if of_network is None else (of_network[some],)
        return pool.truth(judgements[:, some], *joined)

    truth = by_blocks(judged, *shape, out=of_network)
    labels = labels_of(**rows.labels)
    local_noise = fit_local_noise(truth, labels.given, transition, labels.noisy_weight)
    found = Judgement(pool, local_noise, truth, None)

    def labels_to_draw(some):
        known = rows.y_codes[some], rows.weight[some], rows.verified[some]
        return join_given(truth[some], *known, found)

    return replace(found, labels=Table(labels_to_draw, shape))


def join_given(truth, y_codes, weight, verified, judged):
    """Return P(true label | x, given label) of rows, by pool and local noise of ``judged``."""
    likelihood = judged.local_noise.likelihood(truth, y_codes, judged.pool.transition_matrix)
    joined = posterior(truth, np.where(weight[:, None] > 0, likelihood, 1))
    return with_verified(joined, y_codes, verified)


def conclude_by_votes(retrieval, judgements, pool, rows):
    """Return the :class:`Judgement` of the pool, with the published votes as labels."""
    labels = published_labels(retrieval.votes, rows.y_codes, rows.weight, rows.verified)
    return replace(conclude(judgements, pool, rows), labels=labels)


def published_labels(votes, y_codes, weight, verified):
    """Return what training draws labels from by the published rule."""
    return with_verified(vote_distributions(votes, y_codes, weight), y_codes, verified)


@dataclass(frozen=True)
class Judges:
    """Judges of new rows, beside the network.

    Attributes
    ----------
    banks : dict of str to VoteBank
        By space.
    models : Models
    pool : Pool
        Its judges are the votes of the banks, the linear model, the forests and the network.
    class_weight : ndarray of shape (n_classes,)
        Factors of the probabilities.
    """

    banks: dict
    models: Models
    pool: Pool
    class_weight: np.ndarray

    @property
    def at_hand(self):
        """The same with the points of its banks made, for several calls."""
        return replace(self, banks={n: bank.at_hand() for n, bank in self.banks.items()})

    def truth(self, features, standardized, *of_network):
        """Return P(true label | x), (n_samples, n_classes), of each of ``of_network``.

        Those are what the network says of it. The judges are asked once.
        """
        judges = self.at_hand
        blocks = [
            [judges._weighted(judgements, each) for each in said]
            for judgements, _, said in judges.ask(features, standardized, *of_network)
        ]
        return [np.concatenate(part)[: len(features)] for part in zip(*blocks, strict=True)]

    def _weighted(self, judgements, of_network):
        foreseen = self.pool.truth(judgements, of_network)
        proba = (1 - _UNFORESEEN) * foreseen + _UNFORESEEN / len(self.class_weight)
        weighted = proba * self.class_weight
        return weighted / weighted.sum(axis=1, keepdims=True)

    def ask(self, features, standardized, *of_network):
        """Yield what all but the network say of a block of rows, and their neighbors by space.

        And those of its rows that each of ``of_network`` has.
        """
        leaves = self.models.leaves(standardized)
        parts = features, standardized, *leaves, *of_network
        for seen, scaled, *others in blocks_of_one_shape(*parts):
            ends, said = others[: len(leaves)], others[len(leaves) :]
            yield *self._ask(seen, scaled, ends), said

    def _ask(self, features, standardized, leaves):
        log_proba, of_forests = self.models.judge(standardized, leaves)
        points = {
            "features": features,
            "standardized": standardized,
            "supervised": bhattacharyya_space(log_proba),
        }
        nearest = {name: bank.nearest(points[name]) for name, bank in self.banks.items()}
        votes = [vote for name, bank in self.banks.items() for vote in bank.votes(nearest[name])]
        return np.stack([*votes, np.exp(log_proba), *of_forests]), nearest


def blocks_of_one_shape(*parts):
    """Yield blocks of rows of each of ``parts``, the last one filled up with zeros."""
    for first in range(0, len(parts[0]), _ROWS_PER_BLOCK):
        yield [_filled_up(part[first : first + _ROWS_PER_BLOCK]) for part in parts]


def _filled_up(block):
    filled = np.zeros((_ROWS_PER_BLOCK, block.shape[1]), dtype=block.dtype)
    filled[: len(block)] = block
    return filled


def judges_of_new_rows(
    models, retrieval, judgements, pool, rows, of_network=None, given=None, needed=None
):
    """Return :class:`Judges` of those that can be asked about new rows and have something to say.

    Neighbors that were found elsewhere cannot; the pool is then fitted without them. Those of the
    space ``needed`` are to be known, whatever their votes weigh. ``given`` are the labels by name,
    and the seed; the last judge is the network, if there is ``of_network``.
    """
    banks = retrieval.banks
    if not banks:
        n_votes = sum(map(len, retrieval.judgements.values()))
        judgements = judgements[n_votes:]
        pool = join_judge(fit_pool(judgements, **given), judgements, of_network, **given)
    n_networks = 0 if of_network is None else 1
    is_heard = pool.weights[pool.likely > 0].max(axis=0) > _LEAST_WEIGHT
    first = 0
    for name, bank in list(banks.items()):
        votes = slice(first, first + len(bank.numbers))
        is_heard[votes] = is_heard[votes].any() or name == needed
        if not is_heard[votes].any():
            banks = {other: banks[other] for other in banks if other != name}
        first = votes.stop
    is_heard[first] = True  # the linear model makes a space
    last = len(is_heard) - n_networks
    is_heard[last:] = True  # and the network is there anyway
    forests = tuple(itertools.compress(models.forests, is_heard[first + 1 : last]))
    pool = replace(pool, weights=pool.weights[:, is_heard])
    return Judges(banks, replace(models, forests=forests), pool, rows.class_weight)

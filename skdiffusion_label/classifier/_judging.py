"""What judges say of the training rows: of the core, then of all others, which are new to them."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from skdiffusion_label.classifier._chains import Chains, starting_noise
from skdiffusion_label.classifier._inputs import Sight
from skdiffusion_label.classifier._judgement import (
    Judges,
    conclude,
    conclude_by_votes,
    join_given,
    judge_anew,
    judge_rows,
    judges_of_new_rows,
    published_labels,
)
from skdiffusion_label.classifier._streams import map_rows
from skdiffusion_label.classifier._tables import by_blocks, condensed, expanded
from skdiffusion_label.classifier._training import judge_by_halves
from skdiffusion_label.noise_model import LocalNoise, Pool, fit_pool
from skdiffusion_label.retrieval import count_votes

# Of the forests that judge for networks of halves: their labels are drawn anew in each epoch.
_SHARE_OF_TREES = 0.25


@dataclass(frozen=True)
class Judged:
    """Rows judged, and who can judge others.

    Attributes
    ----------
    pool, local_noise
        See :class:`Judgement`.
    truth, labels : tuple of ndarray
        Its tables: whole, or what :func:`condensed` keeps of them where there are other rows.
    neighbors : ndarray of shape (n, n_neighbors)
        Positions of neighbors among the rows.
    n_voters : int
        How many of them have a vote in the published rule.
    space : str
        Where they were looked up.
    candidates : ndarray of shape (n_candidates,)
        Positions of the rows that may be neighbors.
    judges : Judges or None
        Of new rows, if they or the other rows of ``fit`` are to be judged.
    network : Chains or None
        Of half of the rows, if the network joins the judges.
    """

    pool: Pool
    local_noise: LocalNoise
    truth: tuple
    labels: tuple
    neighbors: np.ndarray
    n_voters: int
    space: str
    candidates: np.ndarray
    judges: Judges | None
    network: Chains | None

    def attributes(self):
        """Return what a classifier keeps of it, by name."""
        transition = self.pool.transition_matrix
        return {
            "neighbors_": self.neighbors,
            "n_neighbors_": self.neighbors.shape[1],
            "retrieval_space_": self.space,
            "out_of_sample_proba_": expanded(self.truth, len(transition)),
            "label_distributions_": expanded(self.labels, len(transition)),
            "transition_matrix_": transition,
            "noise_evidence_": self.pool.evidence_of_noise,
            "label_trust_": self.local_noise.trust,
            "_local_noise": self.local_noise,
        }


def judge_core(estimator, core, network, seed, generator, device, n_earlier_epochs, progress):
    """Let neighbors and models, and the network if it joins them, judge the given labels.

    ``network`` are its settings. Returns :class:`Judged`.
    """
    features, inputs, rows = core.features, core.inputs, core.rows
    standardized = inputs.condition[:, : features.shape[1]]
    with progress.stage("Models, neighbors and their pool"):
        seen = features, standardized, rows, seed
        models, retrieval, judgements = judge_rows(estimator, *seen)
        pool = fit_pool(judgements, **rows.labels, groups=rows.groups, random_state=seed)
    has_others = core.positions is not None
    needed = retrieval.space if has_others else None
    judges = chains = None
    if estimator._joins_judges:

        def labels_of_half(some, half):
            seen = features[some], standardized[some], half, seed, _SHARE_OF_TREES
            _, _, said = judge_rows(estimator, *seen)
            # That pool's dozen weights hold no trace of single labels.
            return conclude(said, pool, half).labels[:]

        halves = inputs, labels_of_half, rows.of_equal_classes, generator, device, n_earlier_epochs
        with progress.stage("Networks of halves"):
            of_network, chains = judge_by_halves(estimator, network, *halves)
        known = models, retrieval, judgements, pool, of_network, rows, seed, needed
        judgement, judges = judge_anew(*known)
        if chains is not None:
            # One chain from the mean of all starts: these take eight times as long and move
            # probabilities by less than the network's own error.
            chains = replace(chains, initial_noise=starting_noise("mean", len(rows.classes), None))
    else:
        is_vote = estimator.label_aggregation == "vote"
        known = judgements, pool, rows
        judgement = conclude_by_votes(retrieval, *known) if is_vote else conclude(*known)
        if has_others:
            judges = judges_of_new_rows(models, retrieval, judgements, pool, rows, needed=needed)
    voters = retrieval.judgements[retrieval.space][0]
    found = {name: getattr(retrieval, name) for name in ("neighbors", "space", "candidates")}
    found["n_voters"] = voters.neighbors.shape[1]
    found |= {name: getattr(judgement, name) for name in ("pool", "local_noise")}
    for name in ("truth", "labels"):
        table = getattr(judgement, name)
        found[name] = map_rows(condensed, table) if has_others else (table[:],)
    return Judged(**found, judges=judges, network=chains)


@dataclass(frozen=True)
class Jury:
    """Judges rows that are new to all of its members, a block at a time.

    Attributes
    ----------
    judges : Judges
    network : Chains or None
        Joins the judges, if it is there.
    sight : Sight
        What models and network see of features.
    space : str
        Where neighbors are wanted of.
    candidates : ndarray of shape (n_candidates,), dtype=int32
        Positions of those that may be neighbors, among all rows.
    """

    judges: Judges
    network: Chains | None
    sight: Sight
    space: str
    candidates: np.ndarray

    def __call__(self, features, is_known):
        """Return P(true label | x), (n, n_classes), and neighbors; of known rows the uniform."""
        n_classes = len(self.judges.class_weight)
        truth = np.full((len(features), n_classes), 1 / n_classes, dtype=np.float32)
        numbers = self.judges.banks[self.space].numbers
        neighbors = np.zeros((len(features), numbers[-1]), dtype=self.candidates.dtype)
        if not is_known.all():
            truth[~is_known], neighbors[~is_known] = self._judge(features[~is_known])
        return truth, neighbors

    def _judge(self, features):
        inputs = self.sight.inputs(features)
        parts = [features, inputs.condition[:, : features.shape[1]]]
        if self.network is not None:
            parts.append(self.network.proba(inputs))
        truths, neighbors = [], []
        for judgements, nearest, of_network in self.judges.ask(*parts):
            truths.append(self.judges.pool.truth(judgements, *of_network))
            neighbors.append(self.candidates[nearest[self.space]])
        return (np.concatenate(part)[: len(features)] for part in (truths, neighbors))


@dataclass(frozen=True)
class Verdict:
    """What is kept of a block of rows: neighbors, true labels, and labels to draw from."""

    jury: Jury
    pool: Pool
    local_noise: LocalNoise

    def __call__(self, features, is_known, *given):
        """Return arrays (n, ...) of a block of rows, of known rows whatever it is."""
        truth, neighbors = self.jury(features, is_known)

        def joined(some):
            return join_given(truth[some], *(column[some] for column in given), self)

        return neighbors, *condensed(truth), *condensed(by_blocks(joined, *truth.shape))


def judge_others(judged, positions, features, sight, rows, label_aggregation, progress):
    """Let those that the core, at ``positions``, has taught judge all other rows: new ones to them.

    Returns :class:`Judged` of all rows.
    """
    is_known = np.zeros(len(rows.y_codes), dtype=bool)
    is_known[positions] = True
    candidates = positions[judged.candidates].astype(np.int32)
    jury = Jury(judged.judges.at_hand, judged.network, sight, judged.space, candidates)
    verdict = Verdict(jury, judged.pool, judged.local_noise)
    given = rows.y_codes, rows.weight, rows.verified
    with progress.stage("Other rows"):
        told = progress.watched("Other rows", verdict, features)
        neighbors, *tables = map_rows(told, features, is_known, *given)
    neighbors[positions] = positions[judged.neighbors]
    for table, known in zip(tables, (*judged.truth, *judged.labels), strict=True):
        table[positions] = known
    n_parts = len(tables) // 2
    if label_aggregation == "vote":
        tables[n_parts:] = map_rows(partial(_published, judged.n_voters, rows), neighbors, *given)
    truth, labels = tuple(tables[:n_parts]), tuple(tables[n_parts:])
    return replace(judged, truth=truth, labels=labels, neighbors=neighbors)


def _published(n_voters, rows, neighbors, *given):
    """Return what is kept of the published vote of a block of ``neighbors``."""
    n_classes = len(rows.classes)
    votes = count_votes(neighbors[:, :n_voters], rows.y_codes, n_classes, rows.weight)
    return condensed(published_labels(votes, *given))

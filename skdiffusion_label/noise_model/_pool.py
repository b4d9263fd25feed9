"""Several judges of given labels, pooled through the noise into one judge of the true ones."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from skdiffusion_label.noise_model._blocks import row_blocks
from skdiffusion_label.noise_model._confusion import (
    clear_counts,
    expected_counts,
    normalized,
    one_rate,
    shrunk_transition,
)
from skdiffusion_label.noise_model._labels import LEAST_NOISE, labels_of
from skdiffusion_label.noise_model._purification import deconvolved, posterior

# Entries (rows x classes) that weights are fitted to: a dozen numbers need no more, a second does.
# Offsets of many classes need more rows: of 77 classes, accuracy moves by .006 from one draw of a
# thousand to the next, by .004 of two thousand, where it is .008 higher.
_MAX_ENTRIES, _MIN_ROWS = 40_000, 2_000
_MAX_ROWS = 4_000
# Of a judge, below which it would overrule all others: a thousandth, and with many classes a tenth
# of what chance has. Of 83 fits log losses are lower by .007 than with a tenth of it.
_LEAST_PROBABILITY, _LEAST_SHARE_OF_CHANCE = 1e-3, 0.1
# Nats for a squared distance of one from equal weights that sum to one: of each row, and of all
# rows together, for which weights of a hundred and fifty rows summed up to five.
_PENALTY_OF_ROW, _PENALTY_OF_ALL = 1e-3, 2.0
# The same, from where weights start when a judge joins: of 24 cells of 150 rows and 44 of small
# tables, log losses are lower by .11 and .001 than with .02 of each row.
_PENALTY_OF_START = 40.0
# Offsets have a standard deviation of one beforehand, half of it for a class of 200 rows: the
# more rows are left, the less of its class a judge misses that has not seen one. Of large classes
# offsets fit what the noise model does not explain (45,000 embeddings: -.008 of accuracy).
_ROWS_OF_HALF_OFFSET = 200
_LEAST_LIKELY = 0.01  # of a noise model, below which its weights are not worth a second
_NO_SHARE = 1e-7  # of a noise model, below which single precision does not see it
_MAX_ITERATIONS, _LEAST_GAIN = 60, 1e-7  # of L-BFGS; the gain in nats of a row
_STRENGTHS = (0.5, 1.0)  # of the noise among the clearest rows: they may be more or less than clear
_MAX_CLASSES_OF_MATRIX = 200  # with more, one rate: a matrix has more entries than there are labels
_N_REFINEMENTS = 3  # rounds, after which the matrix moves by its own error
# Nats for the mean cube of the leading class's probability: between noise models that foretell
# given labels about as well, that one is likely which leaves less doubt about the truth. A cube, as
# judges that are sure of a few rows more say less than judges that are sure of nearly all. Judges
# of few rows doubt because they know little: half as many nats for 100 rows of each class. Of 53
# cells of small tables .884 of the labels are right after mending (.865 with the probability
# itself); of 24 cells of 15 rows of each class .649 (.635 with the probability itself and 25 rows),
# where .654 of the given ones are.
_VALUE_OF_CONFIDENCE, _ROWS_OF_HALF_VALUE, _POWER_OF_CONFIDENCE = 20.0, 100, 3
_N_STRATA = 4  # quarters of the rows by the margin of their two leading classes


@dataclass(frozen=True)
class Pool:
    """Pooled judges under several noise models, each as likely as it foretells given labels.

    Attributes
    ----------
    weights : ndarray of shape (n_models, n_judges)
        Exponents of the judges' probabilities; last that of a judge who has joined.
    offsets : ndarray of shape (n_models, n_classes)
        Logarithms of factors of the classes, whose frequencies the judges may miss.
    transitions : ndarray of shape (n_models, n_classes, n_classes)
        P(given label = column | true label = row).
    log_likely : ndarray of shape (n_models,)
        How likely each noise model is, in nats and up to a constant; first that of no noise, which
        beforehand is as likely as all others together.
    """

    weights: np.ndarray
    offsets: np.ndarray
    transitions: np.ndarray
    log_likely: np.ndarray

    @property
    def likely(self):
        """How likely each noise model is, (n_models,); sums to one."""
        return softmax(self.log_likely)

    @property
    def evidence_of_noise(self):
        """Logarithm of the odds of noise that goes by class against none."""
        none, *others = self.log_likely
        return float(logsumexp(others) - none)

    @property
    def transition_matrix(self):
        """P(given | true), averaged over the noise models."""
        return np.tensordot(self.likely, self.transitions, 1)

    def truth(self, judgements, of_joined=None):
        """Return P(true label | x), (n_samples, n_classes), of what the judges say.

        ``judgements`` (n_judges, n_samples, n_classes) are probabilities of given labels;
        ``of_joined`` (n_samples, n_classes) are those of true labels by a judge who has joined.
        """
        shares = np.where(self.likely > _NO_SHARE, self.likely, 0)
        shares /= shares.sum()
        parameters = np.hstack([self.weights, self.offsets])
        return sum(
            share * _product(_log_truth(judgements, transition, of_joined), own)
            for share, own, transition in zip(shares, parameters, self.transitions, strict=True)
            if share
        )


def fit_pool(
    judgements,
    y_codes,
    sample_weight=None,
    random_state=0,
    verified=None,
    given=None,
    groups=None,
):
    """Weigh judges of given labels so that they judge true ones.

    Under a noise model P(given | true), each judge's probabilities of given labels are traced back
    to the true ones (Richardson), and their product, with one exponent for each judge and one
    factor for each class, is what the true label is. Exponents and factors are those that foretell
    given labels best through the noise: of a class of few rows, judges miss most. Noise models are
    none; one rate for all classes and a matrix, both at full and at half strength, counted among
    the rows where the judges are clearest; and this matrix counted anew among all rows by what the
    pool and the row's own label say. Each counts by how well it foretells given labels of rows that
    it has not been fitted to, in units of the standard error, and by how little doubt it leaves
    about the true labels: classes that overlap everywhere are less likely than labels that are
    wrong everywhere, if there are rows enough to tell classes apart.

    Parameters
    ----------
    judgements : ndarray of shape (n_judges, n_samples, n_classes)
        Probabilities of given labels, each from a judge that has not seen the row's own label.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows, one by default.
    random_state : int, default=0
        Seed of the choice of rows and of the split in two.
    verified, given : ndarray of shape (n_samples,), default=None
        Which labels are known to be right, and the label that these rows were given before; see
        :func:`labels_of`. Noise is counted among given labels alone.
    groups : ndarray of shape (n_samples,), default=None
        Integer-coded groups, each of which is on one side of the split.

    Returns
    -------
    Pool
    """
    n_classes = judgements.shape[2]
    labels = labels_of(y_codes, sample_weight, verified, given)
    weight = labels.weight
    rows = _some_rows(weight, n_classes, random_state)
    is_first = _first_half(rows, groups, random_state)
    halves = rows[is_first], rows[~is_first]
    foretold, fitted_to_halves = zip(
        *(_foretell(judgements, labels, *parts) for parts in (halves, halves[::-1])), strict=True
    )
    losses, confidences = np.concatenate(foretold, axis=2)
    weight_of_losses = weight[np.concatenate([rows[~is_first], rows[is_first]])]
    sure = confidences**_POWER_OF_CONFIDENCE
    confidence = np.average(sure, axis=1, weights=weight_of_losses)
    rows_of_class = _n_effective(weight) / n_classes
    value = _VALUE_OF_CONFIDENCE * rows_of_class / (rows_of_class + _ROWS_OF_HALF_VALUE)
    log_likely = value * confidence - _lags(losses, weight_of_losses)
    log_likely[1:] -= np.log(len(log_likely) - 1)
    transitions = _noise_models(judgements, labels, rows)
    near = np.mean(fitted_to_halves, axis=0)
    parts = zip(transitions, near, strict=True)
    fitted = [_fit_weights(judgements, labels, rows, *part) for part in parts]
    weights, offsets = np.split(np.stack(fitted), [len(judgements)], axis=1)
    return Pool(weights, offsets, np.stack(transitions), log_likely)


def join_judge(
    pool,
    judgements,
    proba,
    y_codes,
    sample_weight=None,
    random_state=0,
    verified=None,
    given=None,
    share=0.5,
):
    """Let a judge of true labels join the pool.

    Beforehand, who joins it counts by a share; given labels, foretold through the noise, move
    exponents and offsets from there.

    Parameters
    ----------
    pool : Pool
        Fitted to ``judgements``.
    judgements : ndarray of shape (n_judges, n_samples, n_classes)
        Probabilities of given labels.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of true labels by the judge who joins, who has not seen the row's own label.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows, one by default.
    random_state : int, default=0
        Seed of the choice of rows.
    verified, given : ndarray of shape (n_samples,), default=None
        Which labels are known to be right, and the label that these rows were given before; see
        :func:`labels_of`. Noise is counted among given labels alone.
    share : float, default=0.5
        What the judge counts beforehand; the pool has the rest.

    Returns
    -------
    Pool
        With one more column of weights.
    """
    labels = labels_of(y_codes, sample_weight, verified, given)
    weight = labels.weight
    rows = _some_rows(weight, judgements.shape[2], random_state)
    penalty = _PENALTY_OF_START / max(len(rows), 1)
    of_joined = np.full((len(pool.weights), 1), share)
    parameters = np.hstack([(1 - share) * pool.weights, of_joined, (1 - share) * pool.offsets])
    for model in np.flatnonzero(pool.likely > _LEAST_LIKELY):
        own, given = parameters[model], (judgements, labels, rows, pool.transitions[model])
        own[:] = _fit_weights(*given, of_joined=proba[rows], start=own, penalty=penalty)
    weights, offsets = np.split(parameters, [len(judgements) + 1], axis=1)
    return replace(pool, weights=weights, offsets=offsets)


def _some_rows(weight, n_classes, random_state):
    rows = np.flatnonzero(weight > 0)
    n_rows = min(max(_MAX_ENTRIES // n_classes, _MIN_ROWS), _MAX_ROWS)
    return np.random.default_rng(random_state).permutation(rows)[:n_rows]


def _first_half(rows, groups, random_state):
    """Mark every second of ``rows``, which are in random order, or all rows of half the groups."""
    names = () if groups is None else np.unique(groups[rows])
    if len(names) < 2:
        return np.arange(len(rows)) % 2 == 0
    return np.isin(groups[rows], np.random.default_rng(random_state).permutation(names)[::2])


def _foretell(judgements, labels, taught, others):
    """Return losses and confidences (n_models, n_others) of rows that have taught nothing.

    And the parameters (n_models, n_judges + n_classes) that others have taught.
    """
    weight = labels.weight.copy()
    weight[others] = 0
    labels = replace(labels, weight=weight)
    losses, confidences, fitted = [], [], [None]
    for model in _noise_models(judgements, labels, taught):
        fitted.append(_fit_weights(judgements, labels, taught, model, fitted[-1]))
        truth = _product(_log_truth(judgements[:, others], model), fitted[-1])
        losses.append(-np.log((truth * labels.likelihoods(others, model)).sum(axis=1)))
        confidences.append(truth.max(axis=1))
    return np.stack([losses, confidences]), np.stack(fitted[1:])


def _noise_models(judgements, labels, rows):
    """Return candidates for P(given | true), no noise first."""
    n_classes = judgements.shape[2]
    counted = labels.given, labels.noisy_weight, labels.unknown_weight
    counts = clear_counts(judgements.mean(axis=0), *counted)
    noisy = [one_rate(counts)]
    if n_classes <= _MAX_CLASSES_OF_MATRIX:
        noisy.append(shrunk_transition(counts))
    identity = np.eye(n_classes)
    models = [s * model + (1 - s) * identity for model in noisy for s in _STRENGTHS]
    if len(noisy) > 1:
        models.append(_refined(noisy[-1], judgements, labels, rows))
    return [_admissible(model) for model in [identity, *models]]


def _refined(transition, judgements, labels, rows):
    """Count the given labels of all rows by what the pool says of them, own label included."""
    counted, fitted = labels.noisy_weight[:, None], None
    for _ in range(_N_REFINEMENTS):
        transition = _admissible(transition)
        fitted = _fit_weights(judgements, labels, rows, transition, fitted)
        counts = 0.0
        for some in row_blocks(len(labels.given), len(transition)):
            truth = _product(_log_truth(judgements[:, some], transition), fitted)
            beliefs = posterior(truth, labels.likelihoods(some, transition))
            counts += expected_counts(beliefs * counted[some], labels.given[some])
        transition = shrunk_transition(counts)
    return transition


def _admissible(transition):
    """Leave room for labels given at random, and each class its own label as the most frequent.

    A class that another label is given to more often would be that other class.
    """
    transition = transition.copy()
    np.fill_diagonal(transition, transition.max(axis=1))
    return (1 - LEAST_NOISE) * normalized(transition) + LEAST_NOISE / len(transition)


def _lags(losses, weight):
    """Return by how many nats each model is less likely than the one that foretells best.

    That is half the square of the standard errors by which its mean loss exceeds the best one's,
    and no more than all rows' losses do: models that foretell the same differ by rounding alone,
    and that differs by many standard errors.
    """
    means = np.average(losses, axis=1, weights=weight)
    differences = losses - losses[means.argmin()]
    lag = means - means.min()
    deviation = np.sqrt(np.average((differences - lag[:, None]) ** 2, axis=1, weights=weight))
    n_rows = _n_effective(weight)
    of_all = n_rows * lag
    squares = np.divide(lag, deviation, where=deviation > 0, out=np.zeros(len(lag))) ** 2
    return np.minimum(n_rows * squares / 2, of_all)


def _n_effective(weight):
    """Return how many rows of equal weight would tell as much."""
    weight = weight.astype(np.float64)
    return weight.sum() ** 2 / (weight @ weight)


def _log_truth(judgements, transition, of_joined=None):
    """Return the logarithms of what judges say of true labels, (n_judges, n_samples, n_classes)."""
    n_classes = len(transition)
    traced = deconvolved(judgements.reshape(-1, n_classes), transition).reshape(judgements.shape)
    if of_joined is not None:
        traced = np.concatenate([traced, of_joined[None]])
    return np.log(traced.clip(min=min(_LEAST_PROBABILITY, _LEAST_SHARE_OF_CHANCE / n_classes)))


def _product(log_truth, parameters):
    weights, offsets = np.split(parameters, [len(log_truth)])
    return softmax(np.tensordot(weights, log_truth, 1) + offsets, axis=1)


def _fit_weights(
    judgements, labels, rows, transition, near=None, of_joined=None, start=None, penalty=None
):
    """Return the exponents, then the offsets, under which the labels of ``rows`` are most likely.

    ``penalty`` draws exponents towards those of ``start``, by default equal ones that sum to one;
    offsets are drawn towards those of ``start``, by default none. ``of_joined`` is of ``rows``.
    The search begins ``near`` what it may find, by default at the start.
    """
    log_truth = _log_truth(judgements[:, rows], transition, of_joined).astype(np.float64)
    n_judges, n_rows, n_classes = log_truth.shape
    likelihoods, weight = labels.likelihoods(rows, transition), labels.weight[rows]
    share = weight / max(weight.sum(), 1e-12)
    rows_of_class = np.bincount(labels.given, labels.weight, minlength=n_classes)
    if start is None:
        start = np.repeat([1 / n_judges, 0], [n_judges, n_classes])
        penalty = _PENALTY_OF_ROW + _PENALTY_OF_ALL / max(n_rows, 1)
    scales = np.r_[np.ones(n_judges), 1 / (1 + rows_of_class / _ROWS_OF_HALF_OFFSET)]
    penalties = np.repeat([penalty, 1 / (2 * max(n_rows, 1))], [n_judges, n_classes])
    start = start / scales

    def loss(parameters):
        truth = _product(log_truth, scales * parameters)
        joint = truth * likelihoods
        foretold = joint.sum(axis=1, keepdims=True)
        pull = (truth - joint / foretold) * share[:, None]
        gradient = scales * np.r_[np.tensordot(log_truth, pull, 2), pull.sum(axis=0)]
        away = parameters - start
        value = -share @ np.log(foretold[:, 0]) + penalties * away @ away
        return value, gradient + 2 * penalties * away

    bounds = [(0, None)] * n_judges + [(None, None)] * n_classes
    options = {"maxiter": _MAX_ITERATIONS, "ftol": _LEAST_GAIN}
    first = start if near is None else near / scales
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return scales * found.x


@dataclass(frozen=True)
class LocalNoise:
    """How far given labels follow the place instead of the class, by the judge's margin.

    Attributes
    ----------
    margins : ndarray of shape (n_strata - 1,)
        Quartiles of the margin of the two leading classes, less those that part no rows.
    shares : ndarray of shape (n_strata,)
        Share of the disagreement with given labels in each quarter that is more than noise by
        class explains: noise that goes by place, or the judge's own errors.
    """

    margins: np.ndarray
    shares: np.ndarray

    @property
    def trust(self):
        """How far given labels are believed beyond what the features say, from 0 to 1."""
        return float(1 - self.shares.mean())

    def share_of(self, truth):
        """Return the share (n_samples,) of each row of ``truth`` (n_samples, n_classes)."""
        return self.shares[np.searchsorted(self.margins, _margins(truth))]

    def likelihood(self, truth, y_codes, transition):
        """Return P(given label | true label, x), (n_samples, n_classes).

        A given label that follows the place is as frequent as the judge says, whatever is true.
        """
        share = self.share_of(truth)[:, None]
        at_place = (truth @ transition)[np.arange(len(truth)), y_codes]
        return (1 - share) * transition[:, y_codes].T + share * at_place[:, None]


def fit_local_noise(truth, y_codes, transition, sample_weight=None):
    """Compare the judge's disagreement with given labels to the noise that goes by class.

    Parameters
    ----------
    truth : ndarray of shape (n_samples, n_classes)
        Probabilities of true labels, of a judge that has not seen the rows' own labels.
    y_codes : ndarray of shape (n_samples,)
        Integer-coded given labels.
    transition : ndarray of shape (n_classes, n_classes)
        P(given label = column | true label = row), of the noise that goes by class.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows, one by default.

    Returns
    -------
    LocalNoise
    """
    weight = np.ones(len(truth)) if sample_weight is None else sample_weight
    margins = _margins(truth)
    counted = margins[weight > 0]
    levels = np.arange(1, _N_STRATA) / _N_STRATA
    quartiles = np.unique(np.quantile(counted, levels, method="inverted_cdf"))
    # Margins may tie: each stratum that is left holds a row.
    quartiles = quartiles[quartiles < counted.max()]
    strata = np.searchsorted(quartiles, margins)
    # Half a row beforehand: none of a few is not never.
    n_disagreements = np.bincount(strata, weight * (truth.argmax(axis=1) != y_codes)) + 0.5
    right = transition.diagonal()
    blocks = row_blocks(*truth.shape)
    n_by_class = np.bincount(
        strata, weight * (1 - np.concatenate([truth[some] @ right for some in blocks]))
    )
    return LocalNoise(quartiles, (1 - n_by_class / n_disagreements).clip(min=0))


def _margins(truth):
    if truth.shape[1] == 1:
        return np.ones(len(truth))
    margins = np.empty(len(truth), dtype=truth.dtype)
    for some in row_blocks(*truth.shape):
        leading = np.partition(truth[some], -2, axis=1)[:, -2:]
        margins[some] = leading[:, 1] - leading[:, 0]
    return margins

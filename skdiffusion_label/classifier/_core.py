"""The core: rows that judges learn from where there are many, and that stand for the others."""

from dataclasses import dataclass

import numpy as np

from skdiffusion_label.classifier._inputs import (
    DenoiserInputs,
    Sight,
    StreamedInputs,
    denoiser_inputs,
)
from skdiffusion_label.classifier._prior import fit_prior, prior_mean
from skdiffusion_label.classifier._streams import map_rows, numbers, take_rows
from skdiffusion_label.classifier._validation import TrainingRows

# Rows, up to which judges learn from all of them. What is measured on 45,000 rows stays as it is.
MANY_ROWS = 100_000
# Rows times classes, above which fewer rows are many, down to those of the core: tables of them, of
# which judges hold some five, are what a fit needs most memory of.
_MANY_ENTRIES = 50_000_000
# Rows: neighbors are sought among five thousand, trees see as many, the pool is fitted to less, and
# the linear model has a few hundred rows for each feature.
_ROWS_OF_CORE = 50_000
_MIN_ROWS_OF_STRATUM = 130  # or an equal share of the core: all candidates that a class may have


@dataclass(frozen=True)
class Core:
    """Rows that judges learn from.

    Attributes
    ----------
    features : ndarray of shape (n, n_features)
    inputs : DenoiserInputs
    rows : TrainingRows
    positions : ndarray of shape (n,) or None
        Where they are among all rows; None if they are all rows.
    """

    features: np.ndarray
    inputs: DenoiserInputs
    rows: TrainingRows
    positions: np.ndarray | None = None


def draw_core(rows, random_state):
    """Draw positions of rows that stand for all, in order, or return None for all rows.

    Given labels, verified or not, take part by their frequency, and each with at least 130 rows, or
    an equal share of the core, if it has them. A group is drawn as a whole, so that no other row's
    group is known.
    """
    n_rows = len(rows.y_codes)
    many = np.clip(_MANY_ENTRIES // len(rows.classes), _ROWS_OF_CORE, MANY_ROWS)
    if n_rows <= many or rows.neighbors is not None:
        return None
    shuffled = rows.trained
    rng = np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))
    if rows.groups is None:
        shuffled = rng.permutation(shuffled)
    else:
        order = rng.permutation(rows.groups.max() + 1)
        shuffled = shuffled[np.argsort(order[rows.groups[shuffled]], kind="stable")]
    strata = rows.strata[shuffled]
    sizes = np.bincount(strata)
    n_drawn = np.ceil(sizes * min(_ROWS_OF_CORE / len(shuffled), 1))
    least = min(_MIN_ROWS_OF_STRATUM, _ROWS_OF_CORE // np.count_nonzero(sizes))
    n_drawn = np.maximum(n_drawn, np.minimum(sizes, least))
    by_stratum = np.argsort(strata, kind="stable")
    rank = np.arange(len(shuffled)) - (np.cumsum(sizes) - sizes)[strata[by_stratum]]
    drawn = shuffled[by_stratum[rank < n_drawn[strata[by_stratum]]]]
    if rows.groups is not None:
        drawn = shuffled[np.isin(rows.groups[shuffled], rows.groups[drawn])]
    return None if len(drawn) == n_rows else np.sort(drawn)


def core_rows(rows, positions):
    """Return :class:`TrainingRows` of the core, each stratum with the weight that it has in all."""
    some = rows.take(positions)
    everyone = np.bincount(rows.strata, rows.weight)
    drawn = np.bincount(some.strata, some.weight, minlength=len(everyone))
    stands_for = (everyone / np.where(drawn > 0, drawn, 1))[some.strata]
    stands_for *= some.weight.sum() / (some.weight @ stands_for)
    return some.weighted(stands_for.astype(np.float32))


def make_core(estimator, features, scaler, rows, raw, random_state):
    """Return the :class:`Core`, and how the denoiser sees features.

    ``raw`` are inputs of an encoder of its own, or None. The core's prior means are out of sample;
    to a prior of the core all other rows are new.
    """
    positions = draw_core(rows, random_state)
    if positions is not None:
        raw = None if raw is None else raw.take(positions)
        features, rows = take_rows(features, positions), core_rows(rows, positions)
    features, prior, means = numbers(features), None, None
    if estimator.prior is not None:
        y = rows.classes[rows.y_codes]
        known = features, y, rows.weight, rows.classes
        prior, means = fit_prior(estimator.prior, *known, random_state, rows.groups)
    inputs = denoiser_inputs(scaler.transform(features), means, raw)
    return Core(features, inputs, rows, positions), Sight(scaler, prior, rows.classes)


def all_inputs(features, core, sight, raw):
    """Return the inputs of all rows: those of the core, or :class:`StreamedInputs`."""
    if core.positions is None:
        return core.inputs
    means = None
    if sight.prior is not None:
        (means,) = map_rows(lambda some: (prior_mean(sight.prior, some, sight.classes),), features)
        means[core.positions] = core.inputs.prior_means
    return StreamedInputs(features, sight.scaler, means, raw)

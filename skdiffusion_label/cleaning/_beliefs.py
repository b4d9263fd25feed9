"""What a classifier believes about the true labels of the rows that it learns from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
from scipy import sparse
from scipy.special import chdtri, expit
from sklearn.base import clone
from sklearn.utils import check_random_state

from skdiffusion_label.cleaning._annotators import aggregate_annotations, encode_annotations
from skdiffusion_label.cleaning._routing import last_step, told
from skdiffusion_label.noise_model import (
    normalized,
    posterior_of_given,
    row_blocks,
    with_verified,
)

_LEAST_PROBABILITY = 1e-6  # of a class that annotators name and no other label does
# Share of the labels' entropy that has to be foretold: what a good classifier of ten classes still
# foretells when 80 % of the labels are wrong. One that foretells less cannot tell noise from luck.
_KNOWN_SHARE = 0.01
# Labels have to be foretold better than by their frequencies, by a likelihood ratio that luck alone
# exceeds once in a thousand where a number for each class is fitted to the same labels. Of 80 draws
# without any information, of 3 to 60 rows of each class, one had more (50 classes of 4 rows, by a
# fiftieth), and 27 had more than the 5.4 nats that are enough for a single number.
_LUCK = 1e-3
# Log-odds of noise before labels are replaced: eleven to one. Without noise they were at most 2.3
# on 53 draws of clean cells of the grid. With noise that goes by class they were above that on 24
# of 38 cells: of more than 600 rows, on all but pair-wise flips of 77 classes with 15 rows.
_MIN_NOISE_EVIDENCE = 2.4
# By which the log-odds are divided where they are weighed against a label: rows of one set resemble
# each other, and the judges are no perfect models of them.
_DOUBT_OF_EVIDENCE = 3.0
KNOWS_NOTHING = (
    "The classifier foretells given labels hardly better than their frequencies do. It cannot "
    "tell wrong labels from right ones."
)
_MIN_OVERLAP = 0.5  # share of rows with several labels, from which annotators tell noise themselves
_CANNOT_TELL = (
    "The given labels do not tell noise from classes that overlap: they are foretold as well "
    "without noise. No label is replaced; what is suspicious is to be reviewed."
)
_ONE_CLASS = (
    "All given labels are the same: nothing tells what else a row may be. No label is replaced."
)


@dataclass(frozen=True)
class Beliefs:
    """Probabilities (n_samples, n_classes) of the true labels, in the order of the classes.

    ``proba``, which may be sparse, knows the row's features; ``purified`` knows its given label
    too, and is made of the slice of rows that it is called with. ``p_right`` (n_samples,) is how
    likely the given label is right. ``transition_matrix`` is P(given label = column | true
    label = row). ``neighbors`` (n_samples, n_neighbors) are the rows that the classifier has asked,
    ``estimator`` is what was fitted on all rows, ``noise`` is what folds have told of the noise;
    None without one. ``abstention`` is the reason why no label is to be replaced, or None.
    """

    proba: np.ndarray | sparse.csr_array
    purified: Callable
    p_right: np.ndarray
    transition_matrix: np.ndarray
    neighbors: np.ndarray | None = None
    estimator: object = None
    noise: object = None
    abstention: str | None = None


def seeded(estimator, random_state):
    """Return a clone whose missing seeds are drawn from ``random_state``, if that is one itself."""
    estimator = clone(estimator)
    if random_state is None:
        return estimator
    random_state = check_random_state(random_state)
    for name, value in sorted(estimator.get_params().items(), key=itemgetter(0)):
        if value is None and f"__{name}".endswith("__random_state"):
            seed = int(random_state.randint(np.iinfo(np.int32).max))
            estimator.set_params(**{name: seed})
    return estimator


def beliefs_of_one_fit(estimator, X, read, fit_params, random_state):
    """Fit a classifier that purifies labels, once and on all rows."""
    estimator = seeded(estimator, random_state)
    known = {"verified": None, "given": None}
    if read.verified.any():
        known = {"verified": read.verified, "given": read.given_labels}
    y = read.labels(has_none=~read.is_taught)
    fitted = estimator.fit(X, y, **fit_params, **told(estimator, **known))
    final = last_step(fitted)
    return believed(
        read.y_codes,
        final.out_of_sample_proba_,
        of_given(final.label_distributions_, read.y_codes),
        final.transition_matrix_,
        final.noise_evidence_,
        read.is_taught,
        neighbors=final.neighbors_,
        estimator=fitted,
    )


def dense(table):
    """Return rows of many classes, which a classifier of many rows keeps sparse, as an array."""
    return table.toarray() if sparse.issparse(table) else table


def of_given(table, y_codes):
    """Return the entries (n_samples,) of the given labels."""
    return dense(table[np.arange(len(y_codes)), y_codes])


def judged_by_purifier(fitted, X, y_codes):
    """Let a classifier that purifies labels judge rows that it was not fitted to.

    Returns the arguments of :func:`beliefs_of_new_rows` that come after the labels.
    """
    final = last_step(fitted)
    rows = fitted[:-1].transform(X) if final is not fitted and len(fitted) > 1 else X
    joined = of_given(final.purify_proba(rows, final.classes_[y_codes]), y_codes)
    return final.predict_proba(rows), joined, final.transition_matrix_, final.noise_evidence_


def beliefs_of_new_rows(read, abstention, proba, joined, transition_matrix, noise_evidence):
    """Weigh noise against the labels of new rows, as it has been against those of ``fit``."""
    if abstention == KNOWS_NOTHING:
        return beliefs_without_features(read.y_codes, len(read.classes), read.is_taught)
    told = proba, joined, transition_matrix, noise_evidence
    return replace(weighed(read.y_codes, *told), abstention=abstention)


def believed(y_codes, proba, joined, transition_matrix, noise_evidence, is_taught, **fitted):
    """Weigh noise against the given labels, if the features say anything about these.

    ``joined`` (n_samples,) are P(given label is right | x, given label) if noise may go by place.
    """
    beliefs = weighed(y_codes, proba, joined, transition_matrix, noise_evidence)
    if _knows(proba, transition_matrix, y_codes, is_taught):
        return replace(beliefs, **fitted)
    nothing = beliefs_without_features(y_codes, proba.shape[1], is_taught)
    # The order of suspicion stays: at most an even chance that a label is wrong.
    return replace(nothing, p_right=(beliefs.p_right + nothing.p_right) / 2, **fitted)


def weighed(y_codes, proba, joined, transition_matrix, noise_evidence):
    # Where the judges doubt, either the label is right, or noise goes by place: both are as likely.
    share = expit(noise_evidence / _DOUBT_OF_EVIDENCE)

    def by_class(some):
        return posterior_of_given(dense(proba[some]), y_codes[some], transition_matrix)

    def purified(some):
        distributions = share * by_class(some)
        distributions[np.arange(len(distributions)), y_codes[some]] += 1 - share
        return distributions

    p_right = np.empty(proba.shape[0])
    for some in row_blocks(*proba.shape):
        p_right[some] = (of_given(by_class(some), y_codes[some]) + joined[some]) / 2
    abstention = None if noise_evidence >= _MIN_NOISE_EVIDENCE else _CANNOT_TELL
    if proba.shape[1] == 1:
        abstention = _ONE_CLASS
    return Beliefs(proba, purified, p_right, transition_matrix, abstention=abstention)


def _knows(proba, transition_matrix, y_codes, is_taught):
    """Tell whether given labels are foretold better than by their frequencies."""
    n_taught, given = np.count_nonzero(is_taught), y_codes[is_taught]
    entropy = -np.log(frequencies_of(given, proba.shape[1])[given]).mean()
    foretold = np.empty(len(y_codes))
    for some in row_blocks(*proba.shape):
        likelihood = transition_matrix[:, y_codes[some]].T
        foretold[some] = (dense(proba[some]) * likelihood).sum(axis=1)
    known = entropy + np.log(foretold[is_taught].clip(min=1e-300)).mean()
    by_luck = chdtri(proba.shape[1], _LUCK) / 2 / n_taught
    return known > max(_KNOWN_SHARE * entropy, by_luck) or entropy == 0


def beliefs_without_features(y_codes, n_classes, is_taught):
    """Believe in all given labels."""
    transition_matrix = np.eye(n_classes)
    frequencies = np.full(n_classes, 1 / n_classes)
    if is_taught.any():
        frequencies = frequencies_of(y_codes[is_taught], n_classes)
    proba = np.broadcast_to(frequencies, (len(y_codes), n_classes))

    def purified(some):
        return posterior_of_given(proba[some], y_codes[some], transition_matrix)

    p_right = (frequencies[y_codes] > 0).astype(np.float64)
    return Beliefs(proba, purified, p_right, transition_matrix, abstention=KNOWS_NOTHING)


def frequencies_of(y_codes, n_classes):
    return np.bincount(y_codes, minlength=n_classes) / len(y_codes)


def beliefs_with_annotations(beliefs, read):
    """Let all annotators' labels, ``read.opinions``, stand in for their consensus.

    They are judged by the features, by verified labels and by each other. Returns the beliefs, and
    what :func:`aggregate_annotations` makes of the annotators. These may name classes that are not
    among those of ``read``, as these may hold some that only decisions have brought.
    """
    _, named = encode_annotations(read.opinions)
    known = with_verified(dense(beliefs.proba), read.y_codes, read.verified)
    proba = np.full((len(known), len(named)), _LEAST_PROBABILITY)
    columns, codes = np.intersect1d(named, read.classes, return_indices=True)[1:]
    proba[:, columns] = known[:, codes]
    judged = aggregate_annotations(read.opinions, normalized(proba))
    purified = np.full(known.shape, _LEAST_PROBABILITY)
    purified[:, codes] = judged.label_distributions[:, columns]
    purified = normalized(purified)
    # That labels are wrong is known from annotators who disagree.
    overlap = np.mean(judged.n_labels[judged.n_labels > 0] > 1) >= _MIN_OVERLAP
    abstention = None if overlap else beliefs.abstention
    p_right = of_given(purified, read.y_codes)
    told = {"purified": purified.__getitem__, "p_right": p_right, "abstention": abstention}
    return replace(beliefs, **told), judged

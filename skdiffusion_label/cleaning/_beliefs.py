"""What a classifier believes about the true labels of the rows that it learns from."""

import numbers
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp, softmax
from sklearn.base import clone
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import (
    _safe_indexing,
    assert_all_finite,
    check_random_state,
    get_tags,
    indexable,
)
from sklearn.utils.validation import _check_method_params

from skdiffusion_label.cleaning._annotators import aggregate_annotations, encode_annotations
from skdiffusion_label.cleaning._routing import last_step, told
from skdiffusion_label.cleaning._validation import check_proba
from skdiffusion_label.noise_model import (
    fit_local_noise,
    fit_pool,
    labels_of,
    normalized,
    posterior,
    posterior_of_given,
)

_LEAST_PROBABILITY = 1e-6  # of a classifier on folds: zeros of a few neighbors are no certainty
_MAX_LOG_POWER = 12.0  # logits that are 150,000 times as large
# Share of the labels' entropy that has to be foretold: what a good classifier of ten classes still
# foretells when 80 % of the labels are wrong. One that foretells less cannot tell noise from luck.
_KNOWN_SHARE = 0.01
# Nats by which labels have to be foretold better than by their frequencies: a likelihood ratio that
# luck alone exceeds once in a thousand.
_KNOWN_NATS = 5.4
# Log-odds of noise before labels are replaced: eleven to one. Without noise they were at most 2.3
# on 53 draws of clean cells of the grid. With noise that goes by class they were above that on 24
# of 38 cells: of more than 600 rows, on all but pair-wise flips of 77 classes with 15 rows.
_MIN_NOISE_EVIDENCE = 2.4
# By which the log-odds are divided where they are weighed against a label: rows of one set resemble
# each other, and the judges are no perfect models of them.
_DOUBT_OF_EVIDENCE = 3.0
_KNOWS_NOTHING = (
    "The classifier foretells given labels hardly better than their frequencies do. It cannot "
    "tell wrong labels from right ones."
)
_MIN_OVERLAP = 0.5  # share of rows with several labels, from which annotators tell noise themselves
_CANNOT_TELL = (
    "The given labels do not tell noise from classes that overlap: they are foretold as well "
    "without noise. No label is replaced; what is suspicious is to be reviewed."
)


@dataclass(frozen=True)
class Beliefs:
    """Probabilities (n_samples, n_classes) of the true labels, in the order of the classes.

    ``proba`` knows the row's features, ``purified`` its given label too. ``posterior`` says how
    likely the given label is right. ``transition_matrix`` is P(given label = column | true label =
    row). ``neighbors`` (n_samples, n_neighbors) are the rows that the classifier has asked,
    ``estimator`` is what was fitted on all rows; None without one. ``abstention`` is the reason why
    no label is to be replaced, or None.
    """

    proba: np.ndarray
    purified: np.ndarray
    posterior: np.ndarray
    transition_matrix: np.ndarray
    neighbors: np.ndarray | None = None
    estimator: object = None
    abstention: str | None = None


def _seeded(estimator, random_state):
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
    estimator = _seeded(estimator, random_state)
    known = {"verified": None, "given": None}
    if read.verified.any():
        known = {"verified": read.verified, "given": read.given_labels}
    y = read.labels(has_none=~read.is_taught)
    fitted = estimator.fit(X, y, **fit_params, **told(estimator, **known))
    final = last_step(fitted)
    return _beliefs(
        read.y_codes,
        _dense(final.out_of_sample_proba_).astype(np.float64),
        _dense(final.label_distributions_),
        final.transition_matrix_,
        final.noise_evidence_,
        read.is_taught,
        neighbors=final.neighbors_,
        estimator=fitted,
    )


def _dense(table):
    """Return a table of many classes, which a classifier of many rows keeps sparse, as an array."""
    return table.toarray() if sparse.issparse(table) else table


def beliefs_of_folds(
    estimator,
    X,
    read,
    fit_params,
    split_params,
    *,
    cv=5,
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Let each row be judged by a clone that has not seen its label.

    Rows that are not learned from are judged by a clone that has seen all others.
    """
    (X,) = indexable(X)
    y, taught = read.classes[read.y_codes], np.flatnonzero(read.is_taught)
    rows, labels = _safe_indexing(X, taught), y[taught]
    split_params = _check_method_params(X, split_params, taught)
    if isinstance(cv, numbers.Integral):
        kind = StratifiedGroupKFold if split_params else StratifiedKFold
        cv = kind(cv, shuffle=True, random_state=random_state)
    folds = list(check_cv(cv, labels, classifier=True).split(rows, labels, **split_params))
    estimator, X = _embedded_once(_seeded(estimator, random_state), X, fit_params)
    rows = _safe_indexing(X, taught)
    fit_params = _check_method_params(X, fit_params, taught)
    of_folds = cross_val_predict(
        estimator,
        rows,
        labels,
        cv=folds,
        method="predict_proba",
        n_jobs=n_jobs,
        params=fit_params,
        verbose=verbose,
    )
    codes = np.unique(read.y_codes[taught])
    proba = np.zeros((len(y), len(read.classes)))
    proba[np.ix_(taught, codes)] = check_proba(of_folds, len(codes), "predict_proba of estimator")
    others = np.flatnonzero(~read.is_taught)
    if len(others):
        fitted = clone(estimator).fit(rows, labels, **fit_params)
        proba[np.ix_(others, codes)] = fitted.predict_proba(_safe_indexing(X, others))
    return beliefs_from_proba(read.y_codes, proba, read)


def _embedded_once(estimator, X, fit_params):
    """Apply the first steps of a pipeline that learn nothing, as embedders, once for all folds.

    Returns the classifier that is left, and what it is given.
    """
    if not isinstance(estimator, Pipeline) or not hasattr(X, "__len__"):
        return estimator, X
    first = 0
    for name, step in estimator.steps[:-1]:
        is_told = any(key.startswith(f"{name}__") for key in fit_params)
        if step != "passthrough" and (is_told or get_tags(step).requires_fit):
            break
        first += 1
    if not first:
        return estimator, X
    return estimator[first:], estimator[:first].fit_transform(X)


def beliefs_from_proba(y_codes, proba, read=None):
    """Take out-of-sample probabilities of the given label apart into truth and noise.

    ``read`` is the :class:`LabelsRead` where some labels are missing, verified or excluded.
    """
    assert_all_finite(proba, input_name="predict_proba of estimator")
    known = {}
    is_taught = np.ones(len(y_codes), dtype=bool)
    if read is not None:
        is_taught = read.is_taught
        known = {"verified": read.verified, "given": read.given}
    labels = labels_of(y_codes, is_taught.astype(np.float64), **known)
    judgements = _sharpened(proba, y_codes, is_taught)[None]
    pool = fit_pool(judgements, y_codes, labels.weight, **known)
    truth, transition = pool.truth(judgements), pool.transition_matrix
    local_noise = fit_local_noise(truth, labels.given, transition, labels.noisy_weight)
    joined = posterior(truth, local_noise.likelihood(truth, y_codes, transition))
    return _beliefs(y_codes, truth, joined, transition, pool.evidence_of_noise, is_taught)


def _sharpened(proba, y_codes, is_taught):
    """Raise what is foretold beyond the frequencies to the power that foretells labels best.

    Like temperature scaling (Guo et al., 2017), but never below a power of one: what wrong labels
    cost those who are sure is left to the noise.
    """
    frequencies = _frequencies(y_codes[is_taught], proba.shape[1])
    log_proba = np.log(proba.clip(min=_LEAST_PROBABILITY))
    log_frequencies, log_means = np.log(
        np.stack([frequencies, proba[is_taught].mean(axis=0)]).clip(min=_LEAST_PROBABILITY)
    )

    def powered(log_power):
        return log_frequencies + np.exp(log_power) * (log_proba - log_means)

    def loss(log_power):
        logits = powered(log_power)
        own = logits[np.arange(len(logits)), y_codes]
        return (logsumexp(logits, axis=1) - own)[is_taught].mean()

    best = minimize_scalar(loss, bounds=(0, _MAX_LOG_POWER), method="bounded")
    return softmax(powered(best.x), axis=1)


def beliefs_of_new_rows(fitted, X, y_codes, is_missing, abstention):
    """Let a classifier that purifies labels judge rows that it was not fitted to."""
    final = last_step(fitted)
    rows = fitted[:-1].transform(X) if final is not fitted and len(fitted) > 1 else X
    proba = final.predict_proba(rows)
    if abstention == _KNOWS_NOTHING:
        return _beliefs_without_features(y_codes, len(final.classes_), ~is_missing)
    joined = final.purify_proba(rows, final.classes_[y_codes])
    noise = final.transition_matrix_, final.noise_evidence_
    return replace(_weighed(y_codes, proba, joined, *noise), abstention=abstention)


def _beliefs(y_codes, proba, joined, transition_matrix, noise_evidence, is_taught, **fitted):
    """Weigh noise against the given labels, if the features say anything about these.

    ``joined`` (n_samples, n_classes) are P(true label | x, given label) if noise may go by place.
    """
    weighed = _weighed(y_codes, proba, joined, transition_matrix, noise_evidence)
    if _knows((proba @ transition_matrix)[is_taught], y_codes[is_taught]):
        return replace(weighed, **fitted)
    nothing = _beliefs_without_features(y_codes, proba.shape[1], is_taught)
    # The order of suspicion stays: at most an even chance that a label is wrong.
    return replace(nothing, posterior=(weighed.posterior + nothing.posterior) / 2, **fitted)


def _weighed(y_codes, proba, joined, transition_matrix, noise_evidence):
    # Where the judges doubt, either the label is right, or noise goes by place: both are as likely.
    by_class = posterior_of_given(proba, y_codes, transition_matrix)
    share = expit(noise_evidence / _DOUBT_OF_EVIDENCE)
    purified = share * by_class + (1 - share) * np.eye(proba.shape[1])[y_codes]
    abstention = None if noise_evidence >= _MIN_NOISE_EVIDENCE else _CANNOT_TELL
    believed = (by_class + joined) / 2
    return Beliefs(proba, purified, believed, transition_matrix, abstention=abstention)


def _knows(foretold, y_codes):
    """Tell whether given labels are foretold better than by their frequencies."""
    n_samples = len(y_codes)
    frequencies = _frequencies(y_codes, foretold.shape[1])
    entropy = -np.log(frequencies[y_codes]).mean()
    known = entropy + np.log(foretold[np.arange(n_samples), y_codes].clip(min=1e-300)).mean()
    return known > max(_KNOWN_SHARE * entropy, _KNOWN_NATS / n_samples) or entropy == 0


def _beliefs_without_features(y_codes, n_classes, is_taught):
    """Believe in all given labels."""
    transition_matrix = np.eye(n_classes)
    frequencies = np.full(n_classes, 1 / n_classes)
    if is_taught.any():
        frequencies = _frequencies(y_codes[is_taught], n_classes)
    proba = np.tile(frequencies, (len(y_codes), 1))
    purified = posterior_of_given(proba, y_codes, transition_matrix)
    return Beliefs(proba, purified, purified, transition_matrix, abstention=_KNOWS_NOTHING)


def _frequencies(y_codes, n_classes):
    return np.bincount(y_codes, minlength=n_classes) / len(y_codes)


def beliefs_with_annotations(beliefs, opinions, classes):
    """Let all annotators' labels (n_samples, n_annotators) stand in for their consensus.

    They are judged by the features and by each other. Returns the beliefs, and what
    :func:`aggregate_annotations` makes of the annotators. These may name classes that are not among
    ``classes``, as these may hold some that only decisions have brought.
    """
    _, named = encode_annotations(opinions)
    proba = np.full((len(beliefs.proba), len(named)), _LEAST_PROBABILITY)
    columns, codes = np.intersect1d(named, classes, return_indices=True)[1:]
    proba[:, columns] = beliefs.proba[:, codes]
    judged = aggregate_annotations(opinions, normalized(proba))
    purified = np.full_like(beliefs.proba, _LEAST_PROBABILITY)
    purified[:, codes] = judged.label_distributions[:, columns]
    purified = normalized(purified)
    # That labels are wrong is known from annotators who disagree.
    overlap = np.mean(judged.n_labels > 1) >= _MIN_OVERLAP
    abstention = None if overlap else beliefs.abstention
    return replace(beliefs, purified=purified, posterior=purified, abstention=abstention), judged

"""What any classifier believes about true labels: folds judge, and the noise is read off them."""

import numbers
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, assert_all_finite, get_tags, indexable
from sklearn.utils.validation import _check_method_params

from skdiffusion_label.cleaning._beliefs import (
    believed,
    frequencies_of,
    of_given,
    seeded,
)
from skdiffusion_label.cleaning._validation import check_proba
from skdiffusion_label.noise_model import (
    LocalNoise,
    Pool,
    fit_local_noise,
    fit_pool,
    labels_of,
    posterior,
)

_LEAST_PROBABILITY = 1e-6  # of a classifier on folds: zeros of a few neighbors are no certainty
_MAX_LOG_POWER = 12.0  # logits that are 150,000 times as large


@dataclass(frozen=True)
class NoiseOfFolds:
    """How probabilities of given labels, of a classifier judged on folds, are read.

    Attributes
    ----------
    log_frequencies, log_means : ndarray of shape (n_classes,)
        Logarithms of the frequencies of given labels, and of their mean probabilities.
    power : float
        To which is raised what is foretold beyond the frequencies.
    pool : Pool
        The noise that goes by class, with the classifier as only judge.
    local_noise : LocalNoise
        Noise that goes by place.
    """

    log_frequencies: np.ndarray
    log_means: np.ndarray
    power: float
    pool: Pool
    local_noise: LocalNoise

    def judge(self, fitted, X, y_codes, classes):
        """Let a classifier of given labels judge rows that it was not fitted to.

        Returns the arguments of :func:`beliefs_of_new_rows` that come after the labels.
        """
        proba = _proba_of_all(fitted, X, classes)
        logits = _powered(proba, self.log_frequencies, self.log_means, self.power)
        truth = self.pool.truth(softmax(logits, axis=1)[None])
        noise = self.pool.transition_matrix, self.pool.evidence_of_noise
        return truth, self.joined(truth, y_codes), *noise

    def joined(self, truth, y_codes):
        """Return P(given label is right | x, given label), (n_samples,)."""
        likelihood = self.local_noise.likelihood(truth, y_codes, self.pool.transition_matrix)
        return of_given(posterior(truth, likelihood), y_codes)


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
    keeps_estimator=False,
):
    """Let each row be judged by a clone that has not seen its label.

    Rows that are not learned from are judged by a clone that has seen all others, which is fitted
    for them, or to be kept.
    """
    (X,) = indexable(X)
    y, taught = read.classes[read.y_codes], np.flatnonzero(read.is_taught)
    rows, labels = _safe_indexing(X, taught), y[taught]
    split_params = _check_method_params(X, split_params, taught)
    if isinstance(cv, numbers.Integral):
        kind = StratifiedGroupKFold if split_params else StratifiedKFold
        cv = kind(cv, shuffle=True, random_state=random_state)
    folds = list(check_cv(cv, labels, classifier=True).split(rows, labels, **split_params))
    embedder, estimator, X = _embedded_once(seeded(estimator, random_state), X, fit_params)
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
    if not keeps_estimator and not len(others):
        return beliefs_from_proba(read.y_codes, proba, read)
    fitted = clone(estimator).fit(rows, labels, **fit_params)
    if len(others):
        proba[others] = _proba_of_all(fitted, _safe_indexing(X, others), read.classes)
    beliefs = beliefs_from_proba(read.y_codes, proba, read)
    whole = fitted if embedder is None else Pipeline([*embedder.steps, *fitted.steps])
    return replace(beliefs, estimator=whole)


def _proba_of_all(fitted, X, classes):
    """Return the probabilities of ``classes``, of which the classifier may not know all."""
    codes = np.searchsorted(classes, fitted.classes_)
    of_known = check_proba(fitted.predict_proba(X), len(codes), "predict_proba of estimator")
    proba = np.zeros((len(of_known), len(classes)))
    proba[:, codes] = of_known
    return proba


def _embedded_once(estimator, X, fit_params):
    """Apply the first steps of a pipeline that learn nothing, as embedders, once for all folds.

    Returns these steps or None, the classifier that is left, and what it is given.
    """
    if not isinstance(estimator, Pipeline) or not hasattr(X, "__len__"):
        return None, estimator, X
    first = 0
    for name, step in estimator.steps[:-1]:
        is_told = any(key.startswith(f"{name}__") for key in fit_params)
        if step != "passthrough" and (is_told or get_tags(step).requires_fit):
            break
        first += 1
    if not first:
        return None, estimator, X
    embedder = estimator[:first]
    return embedder, estimator[first:], embedder.fit_transform(X)


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
    sharpness = _fit_sharpness(proba, y_codes, is_taught)
    judgements = softmax(_powered(proba, *sharpness), axis=1)[None]
    pool = fit_pool(judgements, y_codes, labels.weight, **known)
    truth, transition = pool.truth(judgements), pool.transition_matrix
    local_noise = fit_local_noise(truth, labels.given, transition, labels.noisy_weight)
    noise = NoiseOfFolds(*sharpness, pool, local_noise)
    told = truth, noise.joined(truth, y_codes), transition, pool.evidence_of_noise
    return believed(y_codes, *told, is_taught, noise=noise)


def _fit_sharpness(proba, y_codes, is_taught):
    """Return how what is foretold beyond the frequencies is raised to the best power.

    Like temperature scaling (Guo et al., 2017), but never below a power of one: what wrong labels
    cost those who are sure is left to the noise.
    """
    frequencies = frequencies_of(y_codes[is_taught], proba.shape[1])
    means = proba[is_taught].mean(axis=0)
    logarithms = np.log(np.stack([frequencies, means]).clip(min=_LEAST_PROBABILITY))

    def loss(log_power):
        logits = _powered(proba, *logarithms, np.exp(log_power))
        own = logits[np.arange(len(logits)), y_codes]
        return (logsumexp(logits, axis=1) - own)[is_taught].mean()

    best = minimize_scalar(loss, bounds=(0, _MAX_LOG_POWER), method="bounded")
    return *logarithms, float(np.exp(best.x))


def _powered(proba, log_frequencies, log_means, power):
    log_proba = np.log(proba.clip(min=_LEAST_PROBABILITY))
    return log_frequencies + power * (log_proba - log_means)

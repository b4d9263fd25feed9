"""What a classifier believes about the true labels of the rows that it learns from."""

import numbers
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, check_cv, cross_val_predict
from sklearn.utils import assert_all_finite, check_random_state, indexable

from skdiffusion_label.cleaning._calibration import calibrated
from skdiffusion_label.cleaning._routing import last_step, told
from skdiffusion_label.cleaning._validation import check_proba
from skdiffusion_label.noise_model import confident_transition, deconvolved, posterior_of_given

# Of what a classifier knows of given labels, the share that timid probabilities may hide. Linear
# models of unit-length rows hide 0.1 to 0.9 of it on folds; below that, sharpening costs more under
# pair noise than it gains under uniform noise.
_HIDDEN_ON_FOLDS = 0.1
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


def beliefs_of_one_fit(estimator, X, read, fit_params):
    """Fit a classifier that purifies labels, once and on all rows."""
    y_codes = read.y_codes
    y = read.labels(has_none=~read.is_taught)
    verified = read.verified if read.verified.any() else None
    given = read.given_labels if read.verified.any() else None
    knowledge = told(estimator, verified=verified, given=given)
    fitted = estimator.fit(X, y, **fit_params, **knowledge)
    final = last_step(fitted)
    proba = final.out_of_sample_proba_.astype(np.float64)
    foretold = proba @ final.transition_matrix_
    taught = read.is_taught
    if not _checked_calibration(foretold[taught], y_codes[taught], _HIDDEN_ON_FOLDS).knows:
        beliefs = _beliefs_without_features(y_codes, proba.shape[1])
        return replace(beliefs, neighbors=final.neighbors_, estimator=fitted)
    # Where the judges doubt, either the label is right, or noise goes by place: both are as likely.
    by_class = posterior_of_given(proba, y_codes, final.transition_matrix_)
    posterior = (by_class + final.label_distributions_) / 2
    share = expit(final.noise_evidence_ / _DOUBT_OF_EVIDENCE)
    purified = share * by_class + (1 - share) * np.eye(proba.shape[1])[y_codes]
    abstention = None if final.noise_evidence_ >= _MIN_NOISE_EVIDENCE else _CANNOT_TELL
    return Beliefs(
        proba,
        purified,
        posterior,
        final.transition_matrix_,
        final.neighbors_,
        fitted,
        abstention,
    )


def beliefs_of_folds(estimator, X, y, y_codes, fit_params, cv, n_jobs, random_state):
    """Let each row be judged by a clone that has not seen its label."""
    if isinstance(cv, numbers.Integral):
        cv = StratifiedKFold(cv, shuffle=True, random_state=random_state)
    (X,) = indexable(X)
    folds = list(check_cv(cv, y, classifier=True).split(X, y))
    proba = cross_val_predict(
        seeded(estimator, random_state),
        X,
        y,
        cv=folds,
        method="predict_proba",
        n_jobs=n_jobs,
        params=fit_params,
    )
    proba = check_proba(proba, y_codes.max() + 1, "predict_proba of estimator")
    return beliefs_from_proba(y_codes, proba)


def beliefs_from_proba(y_codes, proba):
    """Take out-of-sample probabilities of the given label apart into truth and noise."""
    calibration = _checked_calibration(proba, y_codes, _HIDDEN_ON_FOLDS)
    if not calibration.knows:
        return _beliefs_without_features(y_codes, proba.shape[1])
    transition_matrix = confident_transition(y_codes, calibration.proba)
    truth = deconvolved(calibration.proba, transition_matrix)
    purified = posterior_of_given(truth, y_codes, transition_matrix)
    return Beliefs(truth, purified, purified, transition_matrix)


def _checked_calibration(proba, y_codes, hidden_share):
    assert_all_finite(proba, input_name="predict_proba of estimator")
    return calibrated(proba, y_codes, hidden_share)


def _beliefs_without_features(y_codes, n_classes):
    """Believe in all given labels."""
    transition_matrix = np.eye(n_classes)
    frequencies = np.bincount(y_codes, minlength=n_classes) / len(y_codes)
    proba = np.tile(frequencies, (len(y_codes), 1))
    purified = posterior_of_given(proba, y_codes, transition_matrix)
    return Beliefs(proba, purified, purified, transition_matrix, abstention=_KNOWS_NOTHING)


def beliefs_with_annotations(beliefs, annotations, classes):
    """Let all annotators' labels stand in for the given one, their consensus.

    The consensus may leave out classes that some annotator has named.
    """
    distributions = annotations.label_distributions[:, np.isin(annotations.classes, classes)]
    likelihoods = distributions / distributions.mean(axis=0).clip(min=1e-300)
    purified = _normalized(beliefs.proba * likelihoods)
    # That labels are wrong is known from annotators who disagree.
    return replace(beliefs, purified=purified, posterior=purified, abstention=None)


def _normalized(proba):
    return proba / proba.sum(axis=1, keepdims=True).clip(min=1e-300)

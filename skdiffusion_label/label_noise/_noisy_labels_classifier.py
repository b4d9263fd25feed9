"""Noise studies under cross-validation: training labels are corrupted, test labels are not."""

from numbers import Real

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import assert_all_finite, check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skdiffusion_label.label_noise._features import cluster_noise, instance_noise
from skdiffusion_label.label_noise._transition import (
    flip_labels,
    pair_transition,
    uniform_transition,
)
from skdiffusion_label.label_noise._validation import encode_labels


def _class_noise(make_transition):
    """Return noise by the transition matrix of the classes of ``y``, blind to ``X``."""

    def noise(y, X, noise_rate, random_state):
        _, classes = encode_labels(y)
        transition_matrix = make_transition(len(classes), noise_rate)
        return flip_labels(y, transition_matrix, random_state=random_state)

    return noise


_NOISES = {
    "uniform": _class_noise(uniform_transition),
    "pair": _class_noise(pair_transition),
    "instance": instance_noise,
    "cluster": cluster_noise,
}


def _estimator_has(method):
    """Tell available_if whether the wrapped classifier has the method."""

    def check(self):
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


class NoisyLabelsClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Classifier whose training labels are corrupted, for studies of label noise.

    ``fit`` corrupts its labels and fits a clone of ``estimator`` to them. Nothing else touches
    labels: under ``cross_validate`` and in searches, training folds are noisy and test folds clean.

    Parameters
    ----------
    estimator : classifier
        What learns from the noisy labels.
    noise : {"uniform", "pair", "instance", "cluster"} or callable, default="uniform"
        Kind of noise: by :func:`uniform_transition`, :func:`pair_transition`,
        :func:`instance_noise` or :func:`cluster_noise`. A callable is called as
        ``noise(y, X, noise_rate, random_state=random_state)`` and returns labels.
    noise_rate : float, default=0.2
        Share of wrong labels, in [0, 1].
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same noise in each call of ``fit``.

    Attributes
    ----------
    estimator_ : classifier
        Clone of ``estimator``, fitted to the noisy labels.
    y_noisy_ : ndarray of shape (n_samples,)
        The labels that ``estimator_`` was fitted to.
    classes_ : ndarray of shape (n_classes,)
        Class labels that ``estimator_`` knows.
    n_features_in_ : int
        Number of features, if ``estimator_`` tells it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``estimator_`` tells them.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_predict, cross_validate
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdiffusion_label.label_noise import NoisyLabelsClassifier, margin_noise
    >>> X, y = load_digits(return_X_y=True)
    >>> for n_neighbors in (1, 20):
    ...     classifier = NoisyLabelsClassifier(
    ...         KNeighborsClassifier(n_neighbors), noise_rate=0.4, random_state=0
    ...     )
    ...     print(f"{cross_validate(classifier, X, y)['test_score'].mean():.2f}")
    0.56
    0.94

    Noise of one's own, here where a simple model finds classes hard to tell apart:

    >>> def hard_rows(y, X, noise_rate, random_state):
    ...     proba = cross_val_predict(GaussianNB(), X, y, method="predict_proba")
    ...     return margin_noise(y, proba, noise_rate, random_state=random_state)
    >>> classifier = NoisyLabelsClassifier(KNeighborsClassifier(), noise=hard_rows, random_state=0)
    >>> print(f"{(classifier.fit(X, y).y_noisy_ != y).mean():.2f}")
    0.20
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "noise": [StrOptions(set(_NOISES)), callable],
        "noise_rate": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator, *, noise="uniform", noise_rate=0.2, random_state=None):
        self.estimator = estimator
        self.noise = noise
        self.noise_rate = noise_rate
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)  # estimator is a user object
    def fit(self, X, y, **fit_params):
        """Corrupt the labels and fit the classifier to them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or what ``estimator`` takes
            Training data.
        y : array-like of shape (n_samples,)
            True labels, of at least two classes.
        **fit_params : dict
            Passed on to ``fit`` of ``estimator``, such as ``sample_weight``. Where metadata routing
            is enabled, ``estimator`` has to request them.

        Returns
        -------
        self : NoisyLabelsClassifier
            Fitted estimator.

        Raises
        ------
        ValueError
            If ``y`` holds no classes or only one, or if ``noise`` does not return a label for each.
        """
        fit_params = self._route(fit_params)
        y_noisy = self._corrupt(X, y)
        self.estimator_ = clone(self.estimator).fit(X, y_noisy, **fit_params)
        self.y_noisy_ = y_noisy
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _corrupt(self, X, y):
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        noise = self.noise if callable(self.noise) else _NOISES[self.noise]
        random_state = check_random_state(self.random_state)
        # A copy, as the noise may be a function of the user's that changes it.
        y_noisy = np.asarray(noise(y.copy(), X, self.noise_rate, random_state=random_state))
        if y_noisy.shape != y.shape:
            raise ValueError(
                f"noise must return a label for each row, shape {y.shape}, got shape "
                f"{y_noisy.shape}."
            )
        return y_noisy

    def _route(self, fit_params):
        if not get_config()["enable_metadata_routing"]:
            return fit_params
        return process_routing(self, "fit", **fit_params)["estimator"]["fit"]

    def get_metadata_routing(self):
        """Return which metadata go to ``estimator``.

        Returns
        -------
        routing : MetadataRouter
            ``fit`` passes what ``fit`` of ``estimator`` requests.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def predict(self, X):
        """Predict labels with the fitted classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or what ``estimator`` takes
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted labels.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X):
        """Predict class probabilities, where the classifier can.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or what ``estimator`` takes
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X):
        """Predict logarithms of class probabilities, where the classifier can.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or what ``estimator`` takes
            Rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X):
        """Score the classes, where the classifier can.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or what ``estimator`` takes
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            As returned by ``estimator_``.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags

"""The classifiers that ours is compared with."""

import copy
import importlib

import numpy as np
from child import n_threads
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

REGULARIZATIONS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
N_FOLDS = 3


def logistic_regression():
    """Return logistic regression; three folds of the given labels choose its regularization."""
    return make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=REGULARIZATIONS,
            l1_ratios=(0,),
            cv=N_FOLDS,
            scoring="neg_log_loss",
            max_iter=200,
            use_legacy_attributes=False,
        ),
    )


def tuned_logistic_regression(X, y):
    """Return unfitted logistic regression with the regularization that given labels advise.

    It is chosen on classes that have a row for each fold.
    """
    _, y_codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    is_frequent = counts[y_codes] >= N_FOLDS
    C = logistic_regression().fit(X[is_frequent], y[is_frequent])[-1].C_
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=200))


def knn_vote(n_neighbors):
    """Return a vote of the nearest neighbors by cosine similarity."""
    return KNeighborsClassifier(n_neighbors, metric="cosine", algorithm="brute")


def random_forest(seed, **options):
    """Return a random forest that uses the threads there are."""
    return RandomForestClassifier(random_state=seed, n_jobs=-1, **options)


def mlp(seed, early_stopping=True):
    """Return a neural network that stops when held-out given labels are met no better."""
    network = MLPClassifier(early_stopping=early_stopping, random_state=seed)
    return make_pipeline(StandardScaler(), network)


def mean_of_three(seed):
    """Return the mean of the probabilities of three unlike classifiers."""
    three = [
        ("logistic", TunedLogisticRegression()),
        ("forest", random_forest(seed, min_samples_leaf=10)),
        ("vote", knn_vote(25)),
    ]
    return VotingClassifier(three, voting="soft")


def import_optional(module):
    """Return a module of a package that only benchmarks need."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"This method needs {package}: pip install 'skdiffusion_label[bench]'."
        ) from error


def clean_learning(classifier, seed):
    """Return cleanlab's pruning of suspicious rows around ``classifier``."""
    no_processes = {"n_jobs": 1}
    return import_optional("cleanlab.classification").CleanLearning(
        classifier, seed=seed, verbose=False, find_label_issues_kwargs=no_processes
    )


class TunedLogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression, regularized as given labels advise, also where classes are tiny."""

    def fit(self, X, y):
        """Choose the regularization, and fit on all rows."""
        self.model_ = tuned_logistic_regression(X, y).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        """Return logistic regression's probabilities."""
        return self.model_.predict_proba(X)


class CatBoost(ClassifierMixin, BaseEstimator):
    """CatBoost with its defaults, silent, on as many threads as there are for all."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        """Fit without writing files."""
        model = import_optional("catboost").CatBoostClassifier(
            random_seed=self.random_state,
            thread_count=n_threads(),
            verbose=False,
            allow_writing_files=False,
        )
        self.model_ = model.fit(X, y)
        self.classes_ = np.asarray(model.classes_)
        return self

    def predict_proba(self, X):
        """Return CatBoost's probabilities."""
        return self.model_.predict_proba(X)


class FewRows(ClassifierMixin, BaseEstimator):
    """A classifier, or ``fallback`` where classes have too few rows for it."""

    def __init__(self, classifier, fallback):
        self.classifier = classifier
        self.fallback = fallback

    def fit(self, X, y):
        """Fit on codes of the classes without gaps, which some classifiers want."""
        labels, y_codes = np.unique(y, return_inverse=True)
        self.fell_back_ = False
        try:
            self.model_ = copy.deepcopy(self.classifier).fit(X, y_codes)
        except ValueError:
            self.fell_back_ = True
            self.model_ = copy.deepcopy(self.fallback).fit(X, y_codes)
        known = getattr(self.model_, "classes_", None)
        self.labels_ = labels
        self.classes_ = labels[self.model_.clf.classes_ if known is None else known]
        return self

    def predict_proba(self, X):
        """Predict with the classifier that could be fitted."""
        return self.model_.predict_proba(X)


class CleanLogisticRegression(ClassifierMixin, BaseEstimator):
    """Cleanlab around logistic regression, regularized as given labels advise before pruning."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X, y):
        """Choose the regularization, prune, and fit on what is left."""
        self.model_ = clean_learning(tuned_logistic_regression(X, y), self.seed).fit(X, y)
        self.classes_ = self.model_.clf.classes_
        return self

    def predict_proba(self, X):
        """Predict with the model of the rows that were left."""
        return self.model_.predict_proba(X)

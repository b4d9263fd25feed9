"""The classifiers that ours is compared with."""

import importlib

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

REGULARIZATIONS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def logistic_regression():
    """Return logistic regression; three folds of the given labels choose its regularization."""
    return make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=REGULARIZATIONS,
            l1_ratios=(0,),
            cv=3,
            scoring="neg_log_loss",
            max_iter=200,
            use_legacy_attributes=False,
        ),
    )


def tuned_logistic_regression(X, y):
    """Return unfitted logistic regression with the regularization that given labels advise."""
    C = logistic_regression().fit(X, y)[-1].C_
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=200))


def knn_vote(n_neighbors):
    """Return a vote of the nearest neighbors by cosine similarity."""
    return KNeighborsClassifier(n_neighbors, metric="cosine", algorithm="brute")


def random_forest(seed):
    """Return a random forest that uses the threads there are."""
    return RandomForestClassifier(random_state=seed, n_jobs=-1)


def mlp(seed):
    """Return a neural network that stops when held-out given labels are met no better."""
    return make_pipeline(StandardScaler(), MLPClassifier(early_stopping=True, random_state=seed))


def import_cleanlab(module):
    """Return a module of cleanlab."""
    try:
        return importlib.import_module(f"cleanlab.{module}")
    except ImportError as error:
        raise ImportError(
            "This method needs cleanlab: pip install 'skdiffusion_label[bench]'."
        ) from error


def clean_learning(classifier, seed):
    """Return cleanlab's pruning of suspicious rows around ``classifier``."""
    no_processes = {"n_jobs": 1}
    return import_cleanlab("classification").CleanLearning(
        classifier, seed=seed, verbose=False, find_label_issues_kwargs=no_processes
    )


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

"""The names in the tables, and how to make each classifier from a seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from heads import (
    CleanedLogisticRegression,
    JudgesAlone,
    NetworkAlone,
    RetrievalVote,
    SoftLabelNetwork,
    WithoutRetrieval,
)
from peers import (
    CleanLogisticRegression,
    clean_learning,
    knn_vote,
    logistic_regression,
    mlp,
    random_forest,
)
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skdiffusion_label import LRADiffusionClassifier, published_settings


@dataclass(frozen=True)
class Method:
    """A line of a table.

    ``judge(model, X, y, seed)`` returns what a fitted model says of the labels that it was given.
    """

    make: Callable
    description: str
    is_random: bool = True
    is_ours: bool = False
    cleans: bool = False
    judge: Callable | None = None


def lra(seed, **options):
    """Return our classifier."""
    return LRADiffusionClassifier(random_state=seed, **options)


def plain_logistic_regression():
    """Return logistic regression on the features as they are."""
    return LogisticRegression(max_iter=200)


def _changed(description, **options):
    return Method(lambda seed: lra(seed, **options), description, is_ours=True)


OURS = {
    "lra": Method(lra, "LRADiffusionClassifier with its defaults", is_ours=True),
    "lra_published": _changed(
        'LRADiffusionClassifier with published_settings("cifar"), all 200 epochs',
        **published_settings("cifar"),
    ),
    "lra_cleaned_logistic": Method(
        lambda seed: CleanedLogisticRegression(random_state=seed),
        "logistic_regression_default on what LabelCleaner.fit_resample returns",
        is_ours=True,
        cleans=True,
    ),
}
PEERS = {
    "logistic_regression": Method(
        lambda seed: logistic_regression(),
        "standardized features; C of 1e-4 to 1 by log loss on given labels, 3 folds",
        is_random=False,
    ),
    "logistic_regression_default": Method(
        lambda seed: plain_logistic_regression(),
        "scikit-learn's default C, features as they are, max_iter=200",
        is_random=False,
    ),
    "knn_vote_10": Method(lambda seed: knn_vote(10), "10 neighbors, cosine", is_random=False),
    "knn_vote_25": Method(lambda seed: knn_vote(25), "25 neighbors, cosine", is_random=False),
    "knn_vote_50": Method(lambda seed: knn_vote(50), "50 neighbors, cosine", is_random=False),
    "random_forest": Method(random_forest, "RandomForestClassifier, defaults"),
    "hist_gradient_boosting": Method(
        lambda seed: HistGradientBoostingClassifier(random_state=seed),
        "HistGradientBoostingClassifier, defaults",
    ),
    "mlp": Method(mlp, "MLPClassifier, standardized features, early_stopping=True"),
    "cleanlab_logistic": Method(
        CleanLogisticRegression, "CleanLearning around logistic_regression at its chosen C"
    ),
    "cleanlab_logistic_default": Method(
        lambda seed: clean_learning(plain_logistic_regression(), seed),
        "CleanLearning around logistic_regression_default",
    ),
    "cleanlab_forest": Method(
        lambda seed: clean_learning(random_forest(seed), seed),
        "CleanLearning around random_forest",
    ),
}
ABLATIONS = {
    "judges_alone": Method(
        lambda seed: JudgesAlone(random_state=seed),
        "no diffusion: neighbors, linear model and forests, pooled through the noise",
        is_ours=True,
    ),
    "retrieval_vote": Method(
        lambda seed: RetrievalVote(random_state=seed),
        "no diffusion: retrieval in the supervised space, read through the noise",
        is_ours=True,
    ),
    "soft_label_network": Method(
        lambda seed: SoftLabelNetwork(random_state=seed),
        "no diffusion: network_alone's network under cross-entropy on the same soft labels",
        is_ours=True,
    ),
    "lra_no_retrieval": Method(
        lambda seed: WithoutRetrieval(random_state=seed),
        "nothing retrieved, no judges: diffusion on the given labels",
        is_ours=True,
    ),
    "lra_published_vote": _changed("labels by vote, at face value", label_aggregation="vote"),
    "lra_features": _changed("plain space: the features", retrieval_space="features"),
    "lra_supervised": _changed("supervised space", retrieval_space="supervised"),
    "lra_k_10": _changed("k = 10", n_neighbors=10),
    "lra_k_25": _changed("k = 25", n_neighbors=25),
    "lra_k_50": _changed("k = 50", n_neighbors=50),
    "lra_epsilon": _changed("target epsilon", prediction_type="epsilon"),
    "lra_sample": _changed("target sample", prediction_type="sample"),
    "lra_ten_steps": _changed("ten denoising steps", n_sampling_steps=10),
    "lra_agreement": _changed("labels weighed by agreement", label_weighting="agreement"),
    "network_alone": Method(
        lambda seed: NetworkAlone(random_state=seed),
        "the diffusion alone, without the judges in prediction",
        is_ours=True,
    ),
}
SPEED = {
    "knn_brute_50": Method(
        lambda seed: KNeighborsClassifier(50, algorithm="brute"),
        "KNeighborsClassifier(50, algorithm='brute')",
        is_random=False,
    ),
    "lra_all_threads": _changed("as many threads as there are processors", n_jobs=-1),
}
METHODS = {**OURS, **PEERS, **ABLATIONS, **SPEED}


def classes_of(model):
    """Return the labels that stand for the columns of the model's probabilities."""
    return np.asarray(model.classes_ if hasattr(model, "classes_") else model.clf.classes_)

"""The classifiers of the grid: what a practitioner would take, with no knob turned."""

from dataclasses import replace

import numpy as np
from methods import PEERS, Method, lra
from peers import (
    CatBoost,
    CleanLogisticRegression,
    FewRows,
    TunedLogisticRegression,
    clean_learning,
    mean_of_three,
    mlp,
    random_forest,
)
from rankers import Judgement, by_folds, judgement_of_cleaner
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label.cleaning import LabelCleaner

MAX_RANKED = 5_000  # rows that simple classifiers judge out of fold


class CleanerClassifier(LabelCleaner):
    """One fit that classifies and judges the given labels."""

    def predict_proba(self, X):
        """Predict with the classifier that has judged."""
        return self.estimator_.predict_proba(X)


def judge_by_cleaner(model, X, y, seed):
    """Return what our fit has found of the labels ``y``, one or the most frequent of several."""
    del X, seed
    judgement, told = judgement_of_cleaner(model), model.annotations_
    if told is None:
        return judgement
    p_error = 1 - told.label_distributions[np.arange(len(y)), np.searchsorted(told.classes, y)]
    is_issue = judgement.clean_labels != y
    return replace(judgement, suspicion=p_error, p_error=p_error, is_issue=is_issue)


def judge_by_clean_learning(model, X, y, seed):
    """Return what CleanLearning has found; None if it could not be fitted."""
    del X, seed
    cleaner = getattr(model.model_, "model_", model.model_)
    if not hasattr(cleaner, "get_label_issues"):
        return None
    issues = cleaner.get_label_issues()
    is_issue = issues["is_label_issue"].to_numpy()
    predicted = model.labels_[issues["predicted_label"].to_numpy()]
    return Judgement(
        1 - issues["label_quality"].to_numpy(),
        is_issue=is_issue,
        clean_labels=np.where(is_issue, predicted, y),
    )


def judge_by_logistic(model, X, y, seed):
    """Return how little logistic regression of the chosen C believes labels, out of fold."""
    C = model.model_[-1].C
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=200))
    return by_folds(X, y, seed, classifier) if len(y) <= MAX_RANKED else None


def judge_by_forest(model, X, y, seed):
    """Return how little a forest believes labels, out of fold."""
    return by_folds(X, y, seed, model) if len(y) <= MAX_RANKED else None


GRID_METHODS = {
    "lra": Method(
        lambda seed: CleanerClassifier(lra(seed)),
        "LabelCleaner around LRADiffusionClassifier, both with their defaults, fitted once: its "
        "table for the label issues, of several annotators what they and it make of the most "
        "frequent label, its "
        "estimator_ for the test rows",
        is_ours=True,
        cleans=True,
        judge=judge_by_cleaner,
    ),
    "logistic_regression": Method(
        lambda seed: TunedLogisticRegression(),
        "standardized features; C of 1e-4 to 1 by log loss on given labels, 3 folds, on classes of "
        f"three rows or more; label issues of {MAX_RANKED:,} rows at most, 5 folds at this C",
        is_random=False,
        judge=judge_by_logistic,
    ),
    **{name: PEERS[name] for name in ("knn_vote_10", "knn_vote_25", "knn_vote_50")},
    "random_forest": PEERS["random_forest"],
    "random_forest_leaf_10": Method(
        lambda seed: random_forest(seed, min_samples_leaf=10),
        "RandomForestClassifier, min_samples_leaf=10; label issues of "
        f"{MAX_RANKED:,} rows at most, 5 folds",
        judge=judge_by_forest,
    ),
    "hist_gradient_boosting": PEERS["hist_gradient_boosting"],
    "catboost": Method(CatBoost, "CatBoostClassifier, defaults: 1,000 trees"),
    "mlp": Method(
        lambda seed: FewRows(mlp(seed), mlp(seed, early_stopping=False)),
        "MLPClassifier, standardized features, early_stopping=True, but False where a class has "
        "too few rows to hold any out",
    ),
    "mean_of_three": Method(
        mean_of_three,
        "mean of the probabilities of logistic_regression, random_forest_leaf_10, knn_vote_25",
    ),
    "cleanlab_logistic": Method(
        lambda seed: FewRows(CleanLogisticRegression(seed), TunedLogisticRegression()),
        "CleanLearning around logistic_regression at its chosen C; alone where it raises",
        judge=judge_by_clean_learning,
    ),
    "cleanlab_forest": Method(
        lambda seed: FewRows(clean_learning(random_forest(seed), seed), random_forest(seed)),
        "CleanLearning around random_forest; the forest alone where it raises",
        judge=judge_by_clean_learning,
    ),
}

TOO_SLOW = (  # methods, cells, reason
    (
        "hist_gradient_boosting catboost",
        "banking77* classes_300*",
        "a tree, or its leaves, for each of 77 or 300 classes in each iteration",
    ),
    ("catboost", "cifar10*", "1,024 features for ten classes in each of 1,000 trees"),
    ("hist_gradient_boosting", "cifar10_[!15]*", "45,000 rows, 1,024 features, ten classes"),
)

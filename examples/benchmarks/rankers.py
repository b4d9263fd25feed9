"""Suspicion of each given label: rows and given labels in, a number for each row out."""

from dataclasses import dataclass

import numpy as np
from methods import Method, lra
from peers import import_optional, random_forest, tuned_logistic_regression
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label.cleaning import LabelCleaner

N_FOLDS = 5


@dataclass(frozen=True)
class Judgement:
    """What a method says about each given label.

    The higher the ``suspicion``, the more likely it is wrong; ``p_error`` is the probability that
    it is. ``is_issue`` is the method's own verdict, ``clean_labels`` what it would mend them to,
    ``transition_matrix`` its estimate of P(given label = column | true label = row).
    """

    suspicion: np.ndarray
    p_error: np.ndarray | None = None
    is_issue: np.ndarray | None = None
    clean_labels: np.ndarray | None = None
    transition_matrix: np.ndarray | None = None


def by_cleaner(X, y, seed):
    """Return what LabelCleaner finds."""
    return judgement_of_cleaner(LabelCleaner(lra(seed)).fit(X, y))


def judgement_of_cleaner(cleaner):
    """Return what a fitted LabelCleaner has found."""
    issues = cleaner.label_issues_
    p_error = issues["p_label_error"].to_numpy()
    return Judgement(
        p_error,
        p_error,
        issues["is_label_issue"].to_numpy(),
        cleaner.clean_labels_,
        cleaner.transition_matrix_,
    )


def by_judges(X, y, seed):
    """Return how little neighbors and models believe a given label that they have not seen."""
    return _judgement_of(lra(seed).fit(X, y).out_of_sample_proba_, y)


def by_retrieval(X, y, seed):
    """Return how little neighbors and models believe the given label, which counts too."""
    return _judgement_of(lra(seed).fit(X, y).label_distributions_, y)


def by_posterior(X, y, seed):
    """Return how little our classifier believes the given label when it sees the row alone."""
    return _judgement_of(lra(seed).fit(X, y).predict_proba(X), y)


def by_purifying(X, y, seed):
    """Return how little our classifier believes the given label when it sees that too."""
    return _judgement_of(lra(seed).fit(X, y).purify_proba(X, y), y)


def by_k_disagreement(X, y, seed, n_neighbors=10):
    """Return the share of the nearest neighbors whose given label is another."""
    del seed
    search = NearestNeighbors(n_neighbors=n_neighbors, metric="cosine", algorithm="brute").fit(X)
    others = y[search.kneighbors(return_distance=False)] != y[:, None]
    return Judgement(np.mean(others, axis=1))


def by_datalab_rule(X, y, seed):
    """Return what Datalab makes of features: a vote of eleven, the own one removed.

    cleanlab's rule written anew, so that it runs without Datalab's dependencies.
    """
    del seed
    vote = KNeighborsClassifier(11).fit(X, y)
    counts = vote.predict_proba(X) * 11
    counts[np.arange(len(y)), y] = np.maximum(counts[np.arange(len(y)), y] - 1, 0)
    return Judgement(1 - _of_given(counts / counts.sum(axis=1, keepdims=True), y))


def by_mcs(X, y, seed, n_steps=20):
    """Return how seldom a label survives Markov chain sampling, scikit-clean's MCS written anew.

    In each step logistic regression is fitted on the labels that are left, and labels are left
    for the next step with the probability that it gives them.
    """
    rng = np.random.default_rng(seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    is_left = np.ones(len(y), dtype=bool)
    n_left = np.zeros(len(y))
    for _ in range(n_steps):
        n_left += is_left
        proba = clone(model).fit(X[is_left], y[is_left]).predict_proba(X)
        is_left = rng.random(len(y)) < _of_given(proba, y)
        if len(np.unique(y[is_left])) < len(np.unique(y)):
            break
    return Judgement(1 - n_left / n_steps)


def by_cleanlab(X, y, seed, score, model="logistic", adjust=False):
    """Return 1 - cleanlab's label quality score of out-of-fold probabilities, and its issues."""
    find_label_issues = import_optional("cleanlab.filter").find_label_issues
    get_label_quality_scores = import_optional("cleanlab.rank").get_label_quality_scores
    count = import_optional("cleanlab.count")
    classifier = tuned_logistic_regression(X, y) if model == "logistic" else random_forest(seed)
    proba = out_of_fold_proba(classifier, X, y, seed)
    quality = get_label_quality_scores(y, proba, method=score, adjust_pred_probs=adjust)
    is_issue = find_label_issues(y, proba, n_jobs=1)
    clean_labels = np.where(is_issue, np.unique(y)[proba.argmax(axis=1)], y)
    _, of_true, _, _ = count.estimate_py_and_noise_matrices_from_probabilities(y, proba)
    return Judgement(1 - quality, 1 - _of_given(proba, y), is_issue, clean_labels, of_true.T)


def by_folds(X, y, seed, classifier):
    """Return how little a classifier that has not seen a row believes its given label."""
    y_codes = np.unique(y, return_inverse=True)[1]
    return Judgement(1 - _of_given(out_of_fold_proba(classifier, X, y_codes, seed), y_codes))


def out_of_fold_proba(classifier, X, y, seed):
    """Return probabilities of a classifier that has not seen the row, columns in sorted order."""
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    return cross_val_predict(classifier, X, y, cv=folds, method="predict_proba")


def _judgement_of(proba, y):
    p_error = 1 - _of_given(proba, y)
    return Judgement(p_error, p_error, clean_labels=np.unique(y)[proba.argmax(axis=1)])


def _of_given(proba, y):
    return np.asarray(proba)[np.arange(len(y)), y]


def _cleanlab(description, **options):
    return Method(
        lambda seed: lambda X, y: by_cleanlab(X, y, seed, **options),
        f"cleanlab, {N_FOLDS}-fold {description}",
    )


def _ranker(rank, description, **options):
    return Method(lambda seed: lambda X, y: rank(X, y, seed), description, **options)


RANKERS = {
    "label_cleaner": _ranker(by_cleaner, "LabelCleaner with its defaults, one fit", is_ours=True),
    "lra_judges": _ranker(by_judges, "1 - out_of_sample_proba_ of the given label", is_ours=True),
    "lra_retrieval": _ranker(
        by_retrieval, "1 - label_distributions_ of the given label", is_ours=True
    ),
    "lra_posterior": _ranker(by_posterior, "1 - predict_proba of the given label", is_ours=True),
    "lra_purified": _ranker(by_purifying, "1 - purify_proba of the given label", is_ours=True),
    "cleanlab_self_confidence": _cleanlab(
        "logistic regression with chosen C, self confidence", score="self_confidence"
    ),
    "cleanlab_normalized_margin": _cleanlab(
        "logistic regression with chosen C, normalized margin", score="normalized_margin"
    ),
    "cleanlab_forest_margin": _cleanlab(
        "random forest, normalized margin, adjusted",
        score="normalized_margin",
        model="forest",
        adjust=True,
    ),
    "datalab_rule": _ranker(
        by_datalab_rule,
        "Datalab's rule for features: vote of 11 neighbors less the own one",
        is_random=False,
    ),
    "k_disagreement": _ranker(
        by_k_disagreement, "share of 10 neighbors (cosine) of another label", is_random=False
    ),
    "mcs": _ranker(by_mcs, "Markov chain sampling of scikit-clean, written anew"),
}

"""Wrong labels for the grid: how the labels of its cells are made wrong."""

import tempfile
import zlib
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label.label_noise import (
    flip_labels,
    margin_noise,
    pair_transition,
    uniform_transition,
)

N_FOLDS = 5
MAX_FITTED = 5_000  # rows that a model of the noise learns from, in each fold or tree
ASYMMETRIC = np.array([[0.9, 0.1], [0.3, 0.7]])
NOISES = {
    "clean": "all labels right",
    "sym": "symmetric noise",
    "pair": "each class to the next",
    "asym": "10 % of the one class and 30 % of the other are wrong",
    "linear": "smallest margins of logistic regression, out of fold, to its runner-up",
    "forest": "smallest margins of a forest, out of bag, to its runner-up",
    "boosted": "smallest margins of boosted trees, out of fold, to their runner-up",
    "means": "farthest from the mean of their class, to the nearest other mean",
}


def corrupt(noise, rate, X, y, seed):
    """Return given labels for true labels ``y``, codes of the classes that all have rows."""
    n_classes = int(y.max()) + 1
    if noise == "clean":
        return y.copy()
    if noise == "sym":
        return flip_labels(y, uniform_transition(n_classes, rate), random_state=seed)
    if noise == "pair":
        return flip_labels(y, pair_transition(n_classes, rate), random_state=seed)
    if noise == "asym":
        return flip_labels(y, ASYMMETRIC, random_state=seed)
    if noise == "means":
        return flip_far_rows(y, X, rate)
    proba = cached(MODELS[noise], X, y, seed)
    return margin_noise(y, proba, rate, jitter=0.0)


def flip_far_rows(y, X, rate):
    """Flip the rows that are farthest from the mean of their class to the nearest other mean."""
    rows = np.arange(len(y))
    means = np.stack([X[y == code].mean(axis=0) for code in range(y.max() + 1)])
    distances = euclidean_distances(X, means)
    own = distances[rows, y]
    distances[rows, y] = np.inf
    flipped = np.argsort(-own, kind="stable")[: int(rate * len(y))]
    y_given = y.copy()
    y_given[flipped] = distances[flipped].argmin(axis=1)
    return y_given


def linear_proba(X, y, seed):
    """Return logistic regression's probabilities out of fold."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    return _out_of_fold(model, X, y, seed)


def boosted_proba(X, y, seed):
    """Return boosted trees' probabilities out of fold."""
    return _out_of_fold(HistGradientBoostingClassifier(random_state=seed), X, y, seed)


def forest_proba(X, y, seed):
    """Return a forest's probabilities out of bag."""
    forest = RandomForestClassifier(
        300,
        min_samples_leaf=3,
        max_samples=min(MAX_FITTED, len(y)),
        oob_score=True,
        random_state=seed,
    )
    return forest.fit(X, y).oob_decision_function_


MODELS = {"linear": linear_proba, "forest": forest_proba, "boosted": boosted_proba}


def _out_of_fold(model, X, y, seed):
    rng = np.random.default_rng(seed)
    proba = np.zeros((len(y), y.max() + 1))
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(X, y):
        train = rng.permutation(train)[:MAX_FITTED]
        model.fit(X[train], y[train])
        columns = np.ix_(test, model.classes_)
        proba[columns] = model.predict_proba(X[test])
    return proba


def cached(function, X, y, seed):
    """Return ``function(X, y, seed)``, found again in the temporary folder the next time."""
    checksum = zlib.crc32(np.ascontiguousarray(X).tobytes(), zlib.crc32(y.tobytes()))
    folder = Path(tempfile.gettempdir()) / "benchmark-grid"
    path = folder / f"{function.__name__}-{checksum:08x}-{seed}.npy"
    if path.exists():
        return np.load(path)
    proba = function(X, y, seed)
    folder.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial.npy")
    np.save(partial, proba)
    partial.replace(path)
    return proba

"""What a child process does: fit one method on given labels, and report what came of it."""

import numpy as np
from child import Stopwatch, measured, read_arrays
from methods import METHODS, classes_of
from rankers import RANKERS


def fit_and_predict(method, seed, folder):
    """Fit on the given labels in ``folder`` and return probabilities of the test rows."""
    arrays = read_arrays(folder)
    warm_up(method)
    model = METHODS[method].make(seed)
    result = {}
    with measured(result):
        watch = Stopwatch()
        model.fit(arrays["X_train"], arrays["y_given"])
        result["fit_seconds"] = watch.lap()
        result["proba"] = model.predict_proba(arrays["X_test"])
        result["predict_seconds"] = watch.lap()
    result["classes"] = classes_of(model)
    if hasattr(model, "label_distributions_"):
        retrieved = np.asarray(model.label_distributions_).argmax(axis=1)
        result["retrieved"] = model.classes_[retrieved]
        result["n_neighbors"] = int(model.n_neighbors_)
        result["retrieval_space"] = model.retrieval_space_
    return result


def rank_labels(method, seed, folder):
    """Return what a method says about each given label in ``folder``."""
    arrays = read_arrays(folder)
    rank = RANKERS[method].make(seed)
    result = {}
    with measured(result):
        watch = Stopwatch()
        result["judgement"] = rank(arrays["X_train"], arrays["y_given"])
        result["fit_seconds"] = watch.lap()
    return result


def warm_up(method):
    """Fit on a handful of rows, so that libraries are loaded before anything is measured."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = (rng.normal(size=(90, 5)) + 3 * np.eye(5)[y]).astype(np.float32)
    model = METHODS[method].make(0)
    if "max_iter" in model.get_params():
        model.set_params(max_iter=1)
    with measured({}):
        model.fit(X, y).predict_proba(X)

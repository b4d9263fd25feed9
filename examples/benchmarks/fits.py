"""What a child process does: fit one method on given labels, and report what came of it."""

import numpy as np
from child import Stopwatch, measured, read_arrays
from grid_methods import GRID_METHODS
from methods import METHODS, classes_of
from rankers import RANKERS


def fit_and_predict(method, seed, folder):
    """Fit on the given labels in ``folder`` and return probabilities of the test rows."""
    arrays = read_arrays(folder)
    model = METHODS[method].make(seed)
    result = _fit_and_predict(METHODS[method], model, arrays["y_given"], arrays)
    if hasattr(model, "label_distributions_"):
        retrieved = np.asarray(model.label_distributions_).argmax(axis=1)
        result["retrieved"] = model.classes_[retrieved]
        result["n_neighbors"] = int(model.n_neighbors_)
        result["retrieval_space"] = model.retrieval_space_
    return result


def fit_and_judge(method, seed, folder):
    """Fit as above, ours on several annotators' labels, and return what is said of given labels."""
    arrays = read_arrays(folder)
    method = GRID_METHODS[method]
    model = method.make(seed)
    y_given = arrays["y_given"]
    y = arrays.get("annotations", y_given) if method.is_ours else y_given
    result = _fit_and_predict(method, model, y, arrays)
    if method.judge:
        watch = Stopwatch()
        result["judgement"] = method.judge(model, arrays["X_train"], y_given, seed)
        result["judge_seconds"] = watch.lap()
    if getattr(model, "fell_back_", False):
        result["fell_back"] = True
    return result


def _fit_and_predict(method, model, y, arrays):
    warm_up(method)
    result = {}
    with measured(result):
        watch = Stopwatch()
        model.fit(arrays["X_train"], y)
        result["fit_seconds"] = watch.lap()
        result["proba"] = model.predict_proba(arrays["X_test"])
        result["predict_seconds"] = watch.lap()
    result["classes"] = classes_of(model).astype(int)
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
    model = method.make(0)
    short = {"max_iter", "estimator__max_iter"} & set(model.get_params())
    model.set_params(**dict.fromkeys(short, 1))
    with measured({}):
        model.fit(X, y).predict_proba(X)

"""Which of what ``fit`` is told reaches the classifier, and which the splitter."""

from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import has_fit_parameter

# What the cleaner itself tells a classifier that can take it.
_TOLD = "verified", "given"


def last_step(estimator):
    """Return a classifier, or the last step of a pipeline."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def purifies(estimator):
    """Tell whether a classifier, or the last step of a pipeline, can purify given labels."""
    return hasattr(last_step(estimator), "purify_proba")


def routed(cleaner, estimator, params):
    """Return parameters of the classifier's ``fit``, and of the splitter's ``split``.

    Without scikit-learn's metadata routing, groups reach the splitter and classifiers that purify
    labels, and all else the classifier: the last step of a pipeline, if it has no step's prefix.
    """
    params = {name: value for name, value in params.items() if value is not None}
    if get_config().get("enable_metadata_routing"):
        found = process_routing(cleaner, "fit", **params)
        return dict(found.estimator.fit), dict(found.splitter.split)
    groups = params.pop("groups", None)
    of_splitter = {} if groups is None else {"groups": groups}
    if purifies(estimator):
        params |= of_splitter
    return {_step_name(estimator, name): value for name, value in params.items()}, of_splitter


def told(estimator, **known):
    """Return what the cleaner knows of labels as parameters of the classifier's ``fit``.

    Only what is known, and only if it can take it; asks for it under metadata routing.
    """
    final = last_step(estimator)
    names = [name for name in _TOLD if known[name] is not None and has_fit_parameter(final, name)]
    if names and get_config().get("enable_metadata_routing"):
        final.set_fit_request(**dict.fromkeys(names, True))
        return {name: known[name] for name in names}
    return {_step_name(estimator, name): known[name] for name in names}


def _step_name(estimator, name):
    if isinstance(estimator, Pipeline) and "__" not in name:
        return f"{estimator.steps[-1][0]}__{name}"
    return name

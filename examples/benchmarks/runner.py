"""Run methods on tasks, each in a process of its own, and write down every run at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np
from child import run_in_child, shared_folder
from fits import fit_and_judge, fit_and_predict, rank_labels
from grid_methods import GRID_METHODS
from methods import METHODS, Method
from rankers import RANKERS
from scores import all_class_proba, score_binary, score_judgement, score_proba, score_verdicts
from store import append_run, circumstances, describe_model, find_run, package_hash, read_runs
from tasks import check_noise


@dataclass(frozen=True)
class Kind:
    """A kind of run: what the child does with a method and how the parent scores the result.

    ``work(method, seed, folder)`` runs in the child. ``score(result, given, truth)`` takes what is
    not for the record out of the result and returns scores.
    """

    name: str
    work: Callable
    methods: Mapping[str, Method]
    score: Callable
    repeats_all: bool = False  # the seed is the number of a repeat


def score_classifier(result, given, truth):
    """Score probabilities of test rows."""
    proba, classes = result.pop("proba"), result.pop("classes")
    retrieved = result.pop("retrieved", None)
    if retrieved is not None:
        result["share_of_retrieved_labels_right"] = float(np.mean(retrieved == truth.y_clean))
    return score_proba(truth.y_test, all_class_proba(proba, classes, truth.n_classes))


def score_issues(result, given, truth):
    """Score what is said of given labels."""
    return score_judgement(truth.y_clean, given.y_given, result.pop("judgement"))


def score_grid(result, given, truth):
    """Score probabilities of test rows and, where there is any, the judgement of given labels."""
    proba, classes = result.pop("proba"), result.pop("classes")
    proba = all_class_proba(proba, classes, truth.n_classes)
    scores = score_proba(truth.y_test, proba) | score_binary(truth.y_test, proba)
    judgement = result.pop("judgement", None)
    if judgement is not None:
        scores |= score_verdicts(truth.y_clean, given.y_given, judgement)
    return scores


CLASSIFICATION = Kind("classification", fit_and_predict, METHODS, score_classifier)
LABEL_ISSUES = Kind("label_issues", rank_labels, RANKERS, score_issues)
GRID = Kind("grid", fit_and_judge, GRID_METHODS, score_grid)
SPEED = Kind("speed", fit_and_predict, METHODS, score_classifier, repeats_all=True)


def run_tasks(kind, tasks, methods, seeds, runs_file, *, time_limit=None, skipped=(), log=print):
    """Run what ``runs_file`` lacks of ``methods`` (names) on ``tasks`` with ``seeds``.

    A method without randomness runs once on a task that does not change with the seed. ``skipped``
    are patterns of methods and of tasks that are not run together, and the reason.
    """
    for task in tasks:
        for seed in seeds:
            due = [
                name
                for name in methods
                if not reasons_to_skip(skipped, name, task.name)
                and (
                    seed == seeds[0]
                    or kind.repeats_all
                    or task.is_redrawn
                    or kind.methods[name].is_random
                )
            ]
            if due:
                _run_methods(kind, task, due, seed, runs_file, time_limit, log)


def reasons_to_skip(skipped, method, task):
    """Return why a method is not run on a task; nothing if it is."""
    return [
        reason
        for methods, tasks, reason in skipped
        if any(fnmatch(method, pattern) for pattern in methods.split())
        and any(fnmatch(task, pattern) for pattern in tasks.split())
    ]


def _package_of(method, kind):
    if not method.is_ours:
        return None
    return package_hash(LABEL_ISSUES.name if method.cleans else kind.name)


def _run_methods(kind, task, methods, seed, runs_file, time_limit, log):
    given, truth = task.draw(seed if task.is_redrawn else 0)
    described = {
        "group": task.group,
        "description": task.description,
        "n_train": len(given.X_train),
        "n_test": len(given.X_test),
        "n_features": given.X_train.shape[1],
        "n_classes": truth.n_classes,
        "noise_rate": check_noise(task, given, truth),
    }
    fingerprint = given.fingerprint()
    with shared_folder(**given.arrays()) as folder:
        for name in methods:
            method = kind.methods[name]
            model = method.make(seed)
            identity = {
                "kind": kind.name,
                "task": task.name,
                "method": name,
                "seed": seed,
                "model": describe_model(model) if hasattr(model, "fit") else method.description,
                "data": fingerprint,
                "package": _package_of(method, kind),
            }
            if find_run(read_runs(runs_file), identity, time_limit):
                continue
            result = run_in_child(kind.work, name, seed, folder, time_limit=time_limit)
            result = _scored(kind, result, given, truth)
            run = {**identity, **described, **result, **circumstances()}
            append_run(runs_file, run)
            log(summary_line(run))


def _scored(kind, result, given, truth):
    if result["status"] != "ok":
        return result
    try:
        scores = kind.score(result, given, truth)
    except ValueError as error:
        return {"status": "failed", "error": f"no score: {error}"}
    return {**result, "scores": scores}


def summary_line(run):
    """Return one line about a run; what is drawn as a curve is left out."""
    line = f"{run['kind']}, {run['task']}, {run['method']}, seed {run['seed']}: "
    if run["status"] != "ok":
        return line + run["error"]
    told = {name: score for name, score in run["scores"].items() if "tenth_" not in name}
    scores = ", ".join(f"{name} {value:.4f}" for name, value in told.items())
    return line + f"{scores}, fit {run['fit_seconds']:.1f} s"

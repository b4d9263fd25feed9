"""From runs to the numbers in a table."""

import numpy as np
from scipy.stats import rankdata

HIGHER_IS_BETTER = {
    "clean_label_accuracy",
    "f1",
    "accuracy",
    "balanced_accuracy",
    "auroc",
    "auprc",
    "issue_auroc",
    "share_of_retrieved_labels_right",
}
TASK_FACTS = ("group", "description", "n_train", "n_test", "n_features", "n_classes")
PER_RUN = ("fit_seconds", "predict_seconds", "peak_memory_mb", "share_of_retrieved_labels_right")


def summarize(runs):
    """Return for each task what it is, and for each method mean, standard error and median."""
    tasks = {}
    for run in runs:
        task = tasks.setdefault(run["task"], {"methods": {}})
        for name in TASK_FACTS:
            task[name] = run.get(name, task.get(name))
        task.setdefault("noise_rates", {})[run["seed"]] = run.get("noise_rate")
        task["methods"].setdefault(run["method"], []).append(run)
    for task in tasks.values():
        rates = [rate for rate in task.pop("noise_rates").values() if rate is not None]
        task["noise_rate"] = float(np.mean(rates)) if rates else None
        task["methods"] = {name: _summarize(own) for name, own in task["methods"].items()}
    return tasks


def _summarize(runs):
    finished = [run for run in runs if run["status"] == "ok"]
    summary = {
        "n_runs": len(finished),
        "errors": sorted({run["error"] for run in runs if run["status"] != "ok"}),
        "warnings": sorted({warning for run in finished for warning in run["warnings"]}),
    }
    for run in finished:
        own = {**run["scores"], **{name: run[name] for name in PER_RUN if name in run}}
        for metric, value in own.items():
            summary.setdefault(metric, []).append(value)
    return {
        name: statistics(value) if name not in ("n_runs", "errors", "warnings") else value
        for name, value in summary.items()
    }


def statistics(values):
    """Return mean, standard error (None for a single value) and median."""
    values = np.asarray(values, dtype=float)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
    return {
        "mean": float(values.mean()),
        "standard_error": None if error is None else float(error),
        "median": float(np.median(values)),
    }


def value_of(tasks, task, method, metric, statistic="mean"):
    """Return a number of :func:`summarize`, or None if there is none."""
    return tasks[task]["methods"].get(method, {}).get(metric, {}).get(statistic)


def best_methods(tasks, task, methods, metric, statistic="mean"):
    """Return the methods with the best value of a metric on a task."""
    values = {name: value_of(tasks, task, name, metric, statistic) for name in methods}
    values = {name: value for name, value in values.items() if value is not None}
    if len(values) < 2:
        return []
    best = (max if metric in HIGHER_IS_BETTER else min)(values.values())
    return [name for name, value in values.items() if value == best]


def mean_ranks(tasks, methods, metric):
    """Return the mean rank over the tasks, 1 the best, of the methods that ran on all of them."""
    sign = -1 if metric in HIGHER_IS_BETTER else 1
    values = {name: [value_of(tasks, task, name, metric) for task in tasks] for name in methods}
    complete = {name: own for name, own in values.items() if None not in own}
    if len(complete) < 2 or not tasks:
        return {}
    ranks = rankdata(sign * np.array(list(complete.values())), axis=0).mean(axis=1)
    return dict(zip(complete, ranks.tolist(), strict=True))


def mean_differences(tasks, methods, metric, reference):
    """Return how much each method has more than ``reference``, in the mean over the tasks."""
    differences = {}
    for name in methods:
        pairs = [
            (value_of(tasks, task, name, metric), value_of(tasks, task, reference, metric))
            for task in tasks
        ]
        if name != reference and None not in sum(pairs, ()):
            differences[name] = float(np.mean([own - other for own, other in pairs]))
    return differences


def speed_ratios(tasks):
    """Return how long ours takes in units of others, by medians."""
    pairs = [
        ("fit_seconds", "lra", "logistic_regression_default"),
        ("fit_seconds", "lra_all_threads", "logistic_regression_default"),
        ("fit_seconds", "lra", "cleanlab_logistic_default"),
        ("predict_seconds", "lra", "knn_brute_50"),
    ]
    ratios = {}
    for task in tasks:
        for metric, own, other in pairs:
            ours = value_of(tasks, task, own, metric, "median")
            theirs = value_of(tasks, task, other, metric, "median")
            if ours is not None and theirs:
                verb = metric.removesuffix("_seconds")
                ratios[f"{verb}: {own} / {other}"] = ours / theirs
        loop = tasks[task]["methods"].get("training_loop", {})
        if "training_loop_seconds" in loop:
            parts = (
                loop[f"{name}_seconds"]["median"] for name in ("training_loop", "matrix_products")
            )
            whole, bare = parts
            ratios["training loop / its bare matrix products"] = whole / bare
    return ratios


def circumstances_of(runs):
    """Return on what the runs were measured; more than one value where they differ."""
    facts = {
        "machines": lambda run: f"{run['machine']['platform']}, {run['machine']['n_cpus']} CPUs",
        "versions": lambda run: ", ".join(
            f"{name} {version}" for name, version in run["versions"].items()
        ),
        "threads": lambda run: run.get("n_threads"),
        "packages": lambda run: run["package"],
    }
    return {name: sorted({fact(run) for run in runs} - {None}) for name, fact in facts.items()} | {
        "finished": max((run["finished"] for run in runs), default=None)
    }

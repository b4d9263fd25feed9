"""Regret: what the best peer of a cell has over ours, and what mending does to labels."""

import numpy as np
from summary import HIGHER_IS_BETTER, value_of

OURS = "lra"
METRICS = ("accuracy", "log_loss", "issue_auroc")
CLOSE = 0.003  # a regret of no more counts as first
TITLES = {"accuracy": "accuracy", "log_loss": "log loss", "issue_auroc": "AUROC of label issues"}
JUDGES = (OURS, "cleanlab_logistic", "cleanlab_forest")
LABEL_COLUMNS = (
    ("right as given", "labels_right_given", None),
    *(("right when mended", "labels_right_mended", judge) for judge in JUDGES),
    *(("of the rarest classes right", "recall_of_rarest", judge) for judge in JUDGES),
    *(("precision", "issue_precision", judge) for judge in JUDGES),
    *(("recall", "issue_recall", judge) for judge in JUDGES),
    ("calibration error", "issue_calibration_error", OURS),
)
LABEL_HEADER = [f"{title}, {judge}" if judge else title for title, _, judge in LABEL_COLUMNS]


def regrets(runs):
    """Return for each metric a list of cells, each with ours, the best peer and the regret.

    Runs are compared on the same data and, where a peer depends on it, with the same seed; means
    over seeds come first, and the best peer is the best of these.
    """
    finished = [run for run in runs if run["status"] == "ok"]
    tasks = {run["task"]: run["group"] for run in finished}
    cells = {metric: [] for metric in METRICS}
    for task, group in tasks.items():
        own = [run for run in finished if run["task"] == task]
        for metric in METRICS:
            cell = _regret([run for run in own if metric in run["scores"]], metric)
            if cell:
                cells[metric].append({"task": task, "group": group, **cell})
    return cells


def _regret(runs, metric):
    """Return how far the best peer is ahead; None without ours or without a peer."""
    ours = {run["seed"]: run for run in runs if run["method"] == OURS}
    best = None
    peers = sorted({run["method"] for run in runs} - {OURS})
    for peer in peers:
        theirs = [run for run in runs if run["method"] == peer]
        pairs = {
            seed: (run["scores"][metric], value)
            for seed, run in ours.items()
            if (value := _value_beside(run, theirs, metric)) is not None
        }
        cell = _compare(peer, pairs, metric)
        if cell and (best is None or cell["regret"] > best["regret"]):
            best = cell
    return {**best, "n_peers": len(peers)} if best else None


def _value_beside(run, theirs, metric):
    """Return a peer's score on the data of ``run``: of the same seed, or the mean over seeds."""
    values = {
        other["seed"]: other["scores"][metric] for other in theirs if other["data"] == run["data"]
    }
    mean = float(np.mean(list(values.values()))) if values else None
    return values.get(run["seed"], mean)


def _compare(peer, pairs, metric):
    if not pairs:
        return None
    sign = 1 if metric in HIGHER_IS_BETTER else -1
    by_seed = {str(seed): sign * (best - own) for seed, (own, best) in pairs.items()}
    own, best = np.mean(list(pairs.values()), axis=0)
    regret = float(np.mean(list(by_seed.values())))
    return {
        "peer": peer,
        "ours": float(own),
        "best": float(best),
        "regret": regret,
        "by_seed": by_seed,
    }


def sum_up(cells):
    """Return the mean regret over cells, its standard error over seeds, the worst, the firsts."""
    regret = np.array([cell["regret"] for cell in cells])
    seeds = set.intersection(*(set(cell["by_seed"]) for cell in cells))
    means = [np.mean([cell["by_seed"][seed] for cell in cells]) for seed in seeds]
    error = np.std(means, ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else None
    return {
        "n_cells": len(cells),
        "mean": float(regret.mean()),
        "standard_error": None if error is None else float(error),
        "worst": cells[int(regret.argmax())],
        "share_first": float(np.mean(regret <= CLOSE)),
    }


def regret_tables(report):
    """Return for each metric a table of regrets by family, by its title."""
    tables = {}
    for metric, cells in report["regrets"].items():
        families = {"all": cells}
        for cell in cells:
            families.setdefault(cell["group"], []).append(cell)
        rows = [_family_row(name, sum_up(own)) for name, own in families.items() if own]
        header = ["family", "cells", "mean", "first or within .003", "worst", "where"]
        tables[f"Regret in {TITLES[metric]}"] = [header, *rows]
    return tables


def _family_row(name, own):
    error = own["standard_error"]
    mean = f"{own['mean']:+.4f}" + ("" if error is None else f" ± {error:.4f}")
    worst = own["worst"]
    where = f"{worst['task']}, {worst['peer']}"
    return [
        name,
        str(own["n_cells"]),
        mean,
        f"{own['share_first']:.0%}",
        f"{worst['regret']:+.3f}",
        where,
    ]


def peer_table(report):
    """Return what each method has over ours, on the cells where both ran."""
    tasks = report["tasks"]
    rows = []
    for name in report["methods"]:
        ran = [task for task in tasks if value_of(tasks, task, name, "accuracy") is not None]
        if not ran:
            continue
        slow = sum("took longer" in "".join(_errors(tasks[task], name)) for task in tasks)
        seconds = np.median([value_of(tasks, task, name, "fit_seconds") for task in ran])
        best = [
            str(sum(cell["peer"] == name for cell in cells)) for cells in report["regrets"].values()
        ]
        ahead = [_mean_ahead(tasks, name, metric) for metric in METRICS]
        rows.append([name, str(len(ran)), str(slow), *ahead, *best, f"{seconds:.3g}"])
    titles = [TITLES[metric] for metric in METRICS]
    header = ["method", "cells", "too slow", *(f"{title} less ours" for title in titles)]
    header += [*(f"best peer in {title}" for title in titles), "median fit time (s)"]
    return [header, *rows]


def _errors(task, method):
    return task["methods"].get(method, {}).get("errors", [])


def _mean_ahead(tasks, method, metric):
    pairs = [[value_of(tasks, task, name, metric) for name in (method, OURS)] for task in tasks]
    pairs = [pair for pair in pairs if None not in pair]
    if not pairs or method == OURS:
        return ""
    return f"{np.mean([own - other for own, other in pairs]):+.3f}"


def cell_tables(report):
    """Return for each metric a table of all cells, by its title."""
    tables = {}
    for metric, cells in report["regrets"].items():
        rows = [
            [
                cell["group"],
                cell["task"],
                f"{cell['ours']:.3f}",
                f"{cell['best']:.3f}",
                cell["peer"],
                f"{cell['regret']:+.3f}",
                str(cell["n_peers"]),
            ]
            for cell in cells
        ]
        header = ["family", "cell", "ours", "best peer", "which", "regret", "peers"]
        tables[f"All cells, {TITLES[metric]}"] = [header, *rows]
    return tables


def family_table(report):
    """Return a table of what happens to labels in the mean over families of cells.

    The mean is over the cells where all that have verdicts were run.
    """
    tasks = report["tasks"]
    families = {}
    for task, values in _label_values(tasks).items():
        if all(value_of(tasks, task, judge, "n_flagged") is not None for judge in JUDGES):
            families.setdefault(tasks[task]["group"], []).append(values)
    rows = [[name, *map(_mean, zip(*own, strict=True))] for name, own in families.items()]
    return {"Labels by family": [["family", *LABEL_HEADER], *map(_texts, rows)]}


def label_table(report):
    """Return a table of what happens to labels in each cell."""
    tasks = report["tasks"]
    rows = [[tasks[task]["group"], task, *own] for task, own in _label_values(tasks).items()]
    return {"Labels, all cells": [["family", "cell", *LABEL_HEADER], *map(_texts, rows)]}


def _label_values(tasks):
    values = {
        task: [_of_judge(tasks, task, judge, metric) for _, metric, judge in LABEL_COLUMNS]
        for task in tasks
    }
    return {task: own for task, own in values.items() if set(own) != {None}}


def _of_judge(tasks, task, judge, metric):
    """Return a judge's value, of the first that has one if none is named."""
    values = [value_of(tasks, task, name, metric) for name in ([judge] if judge else JUDGES)]
    return next((value for value in values if value is not None), None)


def _mean(values):
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _texts(row):
    return [v if isinstance(v, str) else "" if v is None else f"{v:.3f}" for v in row]

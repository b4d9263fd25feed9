"""What was measured, as pictures and a few small tables: each from a JSON file of the results."""

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from regret import METRICS, OURS, sum_up
from regret import TITLES as METRIC_TITLES
from report import TITLES
from scores import N_TENTHS
from summary import value_of

NAMES = {
    "lra": "LRADiffusionClassifier",
    "logistic_regression": "logistic regression",
    "logistic_regression_default": "logistic regression",
    "cleanlab_logistic": "cleanlab, logistic regression",
    "cleanlab_logistic_default": "cleanlab, logistic regression",
    "cleanlab_forest": "cleanlab, random forest",
    "knn_vote_10": "10 neighbors",
    "knn_vote_25": "25 neighbors",
    "knn_vote_50": "50 neighbors",
}
# What a dot of regret is cut off at: one cell of log loss would hide all others.
FARTHEST = {"accuracy": 0.06, "log_loss": 0.35, "issue_auroc": 0.06}
JITTER = 0.28  # of the distance of two families, so that dots do not hide one another


def name_of(method):
    """Return what a method is called where nobody has read a legend."""
    return NAMES.get(method, method.replace("_", " "))


def plot_regret(report, path):
    """Draw a dot for each cell by family: what the best peer has more than ours."""
    figure = _figure(10, 3.2)
    rng = np.random.default_rng(0)
    families = list(dict.fromkeys(cell["group"] for cell in report["regrets"]["accuracy"]))
    axes = figure.subplots(1, len(METRICS), sharey=True)
    for ax, metric in zip(axes, METRICS, strict=True):
        far = FARTHEST[metric]
        ax.axvline(0, color="black", linewidth=0.8)
        for place, family in enumerate(families):
            regret = [
                cell["regret"] for cell in report["regrets"][metric] if cell["group"] == family
            ]
            if not regret:
                continue
            places = place + rng.uniform(-JITTER, JITTER, len(regret))
            ax.scatter(np.clip(regret, -far, far), places, s=14, alpha=0.6)
            ax.plot(np.mean(regret), place, "k|", markersize=18, markeredgewidth=2)
        ax.set(xlim=(-1.08 * far, 1.08 * far), title=METRIC_TITLES[metric])
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlabel("← ours is ahead   best of the others →", fontsize="small")
    axes[0].set_yticks(range(len(families)), families)
    axes[0].invert_yaxis()
    return _saved(figure, path)


def plot_labels(report, path):
    """Draw the share of right labels in each cell, before and after mending."""
    figure = _figure(10, 3.9)
    judges = ("lra", "cleanlab_logistic", "cleanlab_forest")
    tasks = report["tasks"]
    axes = figure.subplots(1, len(judges), sharex=True, sharey=True)
    for ax, judge in zip(axes, judges, strict=True):
        ax.axline((0, 0), slope=1, color="black", linewidth=0.8)
        for family in dict.fromkeys(task["group"] for task in tasks.values()):
            own = [name for name, task in tasks.items() if task["group"] == family]
            metrics = ("labels_right_given", "labels_right_mended")
            pairs = [[value_of(tasks, name, judge, metric) for metric in metrics] for name in own]
            pairs = [pair for pair in pairs if None not in pair]
            if pairs:
                ax.scatter(*np.transpose(pairs), s=16, alpha=0.7, label=family)
        title = "LabelCleaner" if judge == OURS else name_of(judge)
        ax.set(title=title, xlabel="right labels as given", xlim=(0.45, 1.01), ylim=(0.45, 1.01))
    axes[0].set_ylabel("right labels when mended")
    families = axes[0].get_legend_handles_labels()
    if families[0]:
        figure.legend(*families, loc="outside lower center", ncols=len(families[0]))
    return _saved(figure, path)


def plot_calibration(report, path):
    """Draw by family how far ``p_label_error`` is off on average in each cell."""
    figure = _figure(7, 2.4)
    ax, errors = figure.subplots(), calibration_errors(report)
    rng = np.random.default_rng(0)
    for place, values in enumerate(errors.values()):
        places = place + rng.uniform(-JITTER, JITTER, len(values))
        ax.scatter(values, places, s=14, alpha=0.6)
        ax.plot(np.mean(values), place, "k|", markersize=18, markeredgewidth=2)
    ax.set_yticks(range(len(errors)), list(errors))
    ax.invert_yaxis()
    ax.set(xlim=(0, None), xlabel="mean error of p_label_error in a cell")
    return _saved(figure, path)


def calibration_errors(report):
    """Return the calibration errors of our probabilities of error, by family."""
    tasks, errors = report["tasks"], {}
    for name, task in tasks.items():
        value = value_of(tasks, name, OURS, "issue_calibration_error")
        if value is not None:
            errors.setdefault(task["group"], []).append(value)
    return errors


def plot_reliability(report, path):
    """Draw by family how often labels are wrong against ``p_label_error``, in tenths of it."""
    curves = reliability_curves(report)
    n_rows = max(-(-len(curves) // 4), 1)
    figure = _figure(10, 0.5 + 2.6 * n_rows)
    axes = figure.subplots(n_rows, 4, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(curves) :]:
        ax.set_axis_off()
    for ax, (family, (foretold, wrong, rows)) in zip(axes.flat, curves.items(), strict=False):
        ax.axline((0, 0), slope=1, color="black", linewidth=0.8)
        ax.plot(foretold, wrong, linewidth=0.8)
        ax.scatter(foretold, wrong, s=300 * rows, alpha=0.6)
        ax.set(title=family, xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), xlabel="p_label_error")
    for ax in axes[:, 0]:
        ax.set_ylabel("share of wrong labels")
    return _saved(figure, path)


def reliability_curves(report):
    """Return by family, for the tenths that hold rows, what was foretold, what was, and rows.

    What was foretold and what was are shares of the rows of a tenth, rows shares of all.
    """
    tasks, shares = report["tasks"], {}
    for name, task in tasks.items():
        own = [
            [
                value_of(tasks, name, OURS, f"issue_tenth_{tenth}_{part}")
                for tenth in range(N_TENTHS)
            ]
            for part in ("foretold", "happened", "rows")
        ]
        if None not in own[0]:
            shares.setdefault(task["group"], []).append(own)
    curves = {}
    for family, own in shares.items():
        foretold, happened, rows = np.mean(own, axis=0)
        held = rows > 0
        curves[family] = foretold[held] / rows[held], happened[held] / rows[held], rows[held]
    return curves


def plot_scaling(report, path):
    """Draw fit time and memory against the number of rows, and return ``path``."""
    tasks = report["tasks"]
    names = sorted(tasks, key=lambda name: tasks[name]["n_train"])
    figure = _figure(8, 3.2)
    metrics = ("fit_seconds", "peak_memory_mb")
    for ax, metric in zip(figure.subplots(1, 2), metrics, strict=True):
        for method in report["methods"]:
            points = [
                (tasks[name]["n_train"], value)
                for name in names
                if (value := value_of(tasks, name, method, metric, "median"))
            ]
            if points:
                ax.loglog(*zip(*points, strict=True), marker="o", label=name_of(method))
        ax.set(xlabel="training rows", ylabel=TITLES[metric][0])
        ax.legend()
    return _saved(figure, path)


def regret_summary(report):
    """Return a table of regrets by family, for people who have read no legend."""
    header = ["data", "cells", *(f"{METRIC_TITLES[metric]}: mean, first" for metric in METRICS)]
    rows = []
    families = dict.fromkeys(cell["group"] for cell in report["regrets"]["accuracy"])
    for family in ["all", *families]:
        texts = []
        for metric in METRICS:
            cells = [cell for cell in report["regrets"][metric] if family in ("all", cell["group"])]
            own = sum_up(cells) if cells else None
            texts.append(f"{own['mean']:+.3f}, {own['share_first']:.0%}" if own else "")
        n_cells = sum(family in ("all", cell["group"]) for cell in report["regrets"]["accuracy"])
        rows.append([family, str(n_cells), *texts])
    return [header, *rows]


def fit_times(report):
    """Return a sentence about the median time of a fit."""
    tasks = report["tasks"]
    times = [
        (name_of(method), [value_of(tasks, name, method, "fit_seconds") for name in tasks])
        for method in (OURS, "cleanlab_logistic", "cleanlab_forest")
    ]
    known = [(name, [value for value in values if value is not None]) for name, values in times]
    texts = [f"{name} {np.median(values):.1f} s" for name, values in known if values]
    return f"Median time of a fit: {', '.join(texts)}."


def _figure(width, height):
    # The same files whenever the same results are drawn.
    matplotlib.rcParams["svg.hashsalt"] = "skdiffusion_label"
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _saved(figure, path):
    figure.savefig(path, metadata={"Date": None})
    return path

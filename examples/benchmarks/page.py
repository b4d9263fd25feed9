"""The results pages of the documentation, made from the JSON of the tables."""

import json
import re
from pathlib import Path

import numpy as np
from figures import (
    calibration_errors,
    fit_times,
    name_of,
    plot_calibration,
    plot_labels,
    plot_regret,
    plot_reliability,
    plot_scaling,
    regret_summary,
)
from report import (
    LEGEND,
    TITLES,
    circumstance_lines,
    failure_lines,
    grids,
    method_lines,
    ratio_lines,
    regret_sections,
    skip_lines,
    task_lines,
)
from tables import TABLES

INTRODUCTION = """\
Written by ``python examples/benchmarks page`` from the files in ``docs/results``, not by hand.
"""

OVERVIEW = """\
Ours is :class:`~skdiffusion_label.LRADiffusionClassifier` with its defaults, and
:class:`~skdiffusion_label.cleaning.LabelCleaner` around it. The others are logistic regression,
votes of 10, 25 and 50 neighbors, random forests, gradient boosting, a multi-layer perceptron, a
mean of three of them, and cleanlab around a logistic regression and around a forest. Models learn
from given labels alone; right ones are for counting.
"""

NUMBERS = """\
All numbers, all methods and where ours loses. In the tables ``lra`` is ours; kinds of noise are
part of a task's name: ``sym`` is symmetric, ``pair`` pair-wise, ``asym`` class-dependent,
``instance``, ``pmd1`` and ``boosted`` depend on the features, and the number is the share of wrong
labels in percent.
"""

REGRET = """\
*Regret* is what the best of twelve plain methods has more than ours (of log loss: less), where the
best is chosen for each data set by its right labels: above zero, something plainer was better.
*First*: how often ours is first or within .003.
"""

IMAGES = """\
JPEG files of 500 x 375 pixels, through networks of random weights, against a bare loop over the
same network and batches. Medians of turns in one process, and medians of the ratios within a turn.
Training is an epoch of ``LRADiffusionClassifier`` with this network as encoder, without retrieval,
against cross-entropy on the network alone.
"""


FIGURES = {
    "grid": (
        (
            "regret",
            "Against the best of twelve others",
            plot_regret,
            "A dot is a data set with one kind of wrong labels. It shows how far the best of "
            "twelve plain methods, chosen for this data set by its right labels, is ahead of ours: "
            "right of the line it is, left of it ours is. The bar is the mean. Dots beyond the "
            "edge lie on it.",
        ),
        (
            "labels",
            "What mending does to labels",
            plot_labels,
            "Above the line there are more right labels after mending than before. Where all "
            "labels are right, at the right edge, mending can only do harm.",
        ),
        (
            "reliability",
            "What probabilities of error are worth",
            plot_reliability,
            "Labels are put into tenths by ``p_label_error``; a dot shows how many of a tenth are "
            "wrong, and its size how many there are. On the line probabilities are frequencies; "
            "above it more labels are wrong than they say.",
        ),
        (
            "calibration",
            "How far probabilities of error are off",
            plot_calibration,
            "Zero would be honest everywhere. Curves of three kinds of noise are in "
            ":ref:`sphx_glr_auto_examples_plot_reliability.py`.",
        ),
    ),
    "scaling": (
        (
            "scaling",
            "Time and memory against rows",
            plot_scaling,
            "Clusters of 128 features; ours alone, on two cores.",
        ),
    ),
}


def write_page(results):
    """Write the pages of figures and of tables, and return the path of the latter."""
    results = Path(results)
    reports = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in TABLES
        if (path := results / f"{name}.json").exists()
    }
    reports = {name: report for name, report in reports.items() if report["tasks"]}
    parts = [_heading("All tables", "="), INTRODUCTION, LEGEND]
    for report in reports.values():
        parts += _section(report, results)
    for path in sorted(results.glob("images_*.json")):
        parts += _images_section(json.loads(path.read_text(encoding="utf-8")))
    _write(results / "tables.rst", parts)
    _write(results.with_suffix(".rst"), _figures_page(reports, results))
    for name, parts in _included(reports).items():
        _write(results / f"{name}.inc", parts)
    return results / "tables.rst"


def _write(path, parts):
    path.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


def _figures_page(reports, results):
    """Return the parts of the page of figures, which it draws."""
    parts = [_heading("Results", "="), INTRODUCTION, OVERVIEW]
    for name, figures in FIGURES.items():
        if name not in reports:
            continue
        for stem, title, plot, about in figures:
            image = plot(reports[name], results / f"{stem}.svg")
            command = f"python examples/benchmarks {name}"
            source = f"``docs/{results.name}/{name}.json``, from ``{command}``"
            parts += [_heading(title, "-"), about]
            parts.append(f".. image:: {results.name}/{image.name}\n   :alt: {title}")
            parts.append(f"From {source}; drawn by ``python examples/benchmarks page``.")
    links = ".. toctree::\n   :maxdepth: 1\n\n   All tables <results/tables>"
    return [*parts, _heading("The numbers", "-"), NUMBERS, links]


def _included(reports):
    """Return the parts of small tables that guides include, by the name of their file."""
    included = {}
    if "grid" in reports:
        grid = reports["grid"]
        included["which_tool"] = [
            REGRET,
            _csv_table("Regret by kind of data", regret_summary(grid)),
            fit_times(grid),
        ]
        errors = calibration_errors(grid).items()
        rows = [
            [name, str(len(own)), f"{np.mean(own):.3f}", f"{max(own):.3f}"] for name, own in errors
        ]
        title = "How far p_label_error is off, on average within a data set"
        included["trust"] = [_csv_table(title, [["data", "cells", "mean", "worst"], *rows])]
    if {"classification", "label_issues"} <= set(reports):
        included["embeddings"] = [
            _csv_table("Accuracy and log loss", accuracy_table(reports["classification"])),
            _csv_table("Share of right labels", mending_table(reports["label_issues"])),
        ]
    return included


def accuracy_table(report):
    """Return accuracy and log loss of ours and of the best of the others on embeddings."""
    rows = [["labels", "wrong", "ours", "best of the others"]]
    for name, task in report["tasks"].items():
        shown = {
            method: (values["accuracy"]["mean"], values["log_loss"]["mean"])
            for method, values in task["methods"].items()
            if "accuracy" in values
        }
        peers = {method: value for method, value in shown.items() if not method.startswith("lra")}
        if task["group"] != "embeddings" or "lra" not in shown or not peers:
            continue
        best = max(peers, key=peers.get)
        ours, theirs = ("{:.3f} / {:.2f}".format(*shown[method]) for method in ("lra", best))
        rows.append([name, f"{task['noise_rate']:.0%}", ours, f"{theirs} ({name_of(best)})"])
    return rows


def mending_table(report):
    """Return the share of right labels after mending by ours and by cleanlab on embeddings."""
    rows = [["labels", "right as given", "LabelCleaner", "cleanlab"]]
    for name, task in report["tasks"].items():
        methods = task["methods"]
        judges = "label_cleaner", "cleanlab_self_confidence"
        if task["group"] == "embeddings" and all(judge in methods for judge in judges):
            shares = [methods[judge]["clean_label_accuracy"]["mean"] for judge in judges]
            right = 1 - task["noise_rate"]
            rows.append([name, f"{right:.3f}", *(f"{share:.3f}" for share in shares)])
    return rows


def _section(report, results):
    parts = [_heading(report["title"], "-"), report["about"]]
    for metric, group, table in grids(report):
        parts.append(_csv_table(f"{TITLES[metric][0]}, {group}", table))
    for title, table in regret_sections(report, details=False).items():
        parts.append(_csv_table(title, table))
    facts = [ratio_lines, method_lines, task_lines, skip_lines, failure_lines, circumstance_lines]
    if report.get("regrets"):
        facts.remove(task_lines)
        parts.append(f"All cells: ``docs/{results.name}/{report['table']}.md``.")
    for lines in facts:
        parts.append(_items(lines(report)))
    return [part for part in parts if part]


def _images_section(report):
    """Return what ``images.py`` has measured on one device."""
    device, versions = report["device"], report["versions"]
    header = ["method", "images per second", "times the bare loop"]
    parts = [_heading(f"Images, {device}", "-"), IMAGES]
    for title, methods in report["results"].items():
        rows = [
            [name, f"{values['images_per_second']:.1f}", f"{values['ratio']:.2f}"]
            for name, values in methods.items()
        ]
        parts.append(_csv_table(f"{title}, {report['n_images']} images", [header, *rows]))
    lines = [
        f"Machine: {report['machine']['platform']}. Threads: {report['n_threads']}.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}.",
        f"Command: {report['command']}",
    ]
    return [*parts, _items(lines)]


def _heading(text, line):
    return f"{text}\n{line * len(text)}"


def _items(lines):
    return "\n".join(f"- {_escaped(line)}" for line in lines)


def _escaped(text):
    return re.sub(r"([\\*`|]|_(?!\w))", r"\\\1", text)  # what is markup, as label_ would be


def _csv_table(title, table):
    header, *rows = table
    lines = [f".. csv-table:: {title}", "   :header-rows: 1", ""]
    lines += ["   " + ", ".join(f'"{cell}"' for cell in cells) for cells in [header, *rows]]
    return "\n".join(lines)

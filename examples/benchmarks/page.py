"""The results page of the documentation, made from the JSON of the tables."""

import json
import re
from pathlib import Path

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
from summary import value_of
from tables import TABLES

INTRODUCTION = """\
Written by ``python examples/benchmarks page`` from the files in ``docs/results``, not by hand.
"""

IMAGES = """\
JPEG files of 500 x 375 pixels, through networks of random weights, against a bare loop over the
same network and batches. Medians of turns in one process, and medians of the ratios within a turn.
Training is an epoch of ``LRADiffusionClassifier`` with this network as encoder, without retrieval,
against cross-entropy on the network alone.
"""


def write_page(results):
    """Write the page beside the folder ``results`` and return its path."""
    results = Path(results)
    reports = [
        json.loads(path.read_text(encoding="utf-8"))
        for name in TABLES
        if (path := results / f"{name}.json").exists()
    ]
    parts = [_heading("Results", "="), INTRODUCTION, LEGEND]
    for report in reports:
        if report["tasks"]:
            parts += _section(report, results)
    for path in sorted(results.glob("images_*.json")):
        parts += _images_section(json.loads(path.read_text(encoding="utf-8")))
    page = results.with_suffix(".rst")
    page.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    return page


def _section(report, results):
    parts = [_heading(report["title"], "-"), report["about"]]
    if report["table"] == "scaling":
        image = plot_scaling(report, results / "scaling.svg")
        parts.append(f".. image:: {results.name}/{image.name}\n   :alt: {report['about']}")
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


def plot_scaling(report, path):
    """Draw fit time and memory against the number of rows, and return ``path``."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    tasks = report["tasks"]
    names = sorted(tasks, key=lambda name: tasks[name]["n_train"])
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasSVG(figure)
    metrics = ("fit_seconds", "peak_memory_mb")
    for ax, metric in zip(figure.subplots(1, 2), metrics, strict=True):
        for method in report["methods"]:
            points = [
                (tasks[name]["n_train"], value)
                for name in names
                if (value := value_of(tasks, name, method, metric, "median"))
            ]
            if points:
                ax.loglog(*zip(*points, strict=True), marker="o", label=method)
        ax.set(xlabel="training rows", ylabel=TITLES[metric][0])
        ax.legend()
    figure.savefig(path, metadata={"Date": None})
    return path


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

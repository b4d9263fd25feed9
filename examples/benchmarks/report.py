"""From the summary of a table (JSON) to its text: Markdown or reStructuredText."""

import numpy as np
from regret import cell_tables, family_table, label_table, peer_table, regret_tables
from summary import HIGHER_IS_BETTER, best_methods, mean_differences, mean_ranks, value_of

TITLES = {
    "accuracy": ("Accuracy", ".3f"),
    "balanced_accuracy": ("Balanced accuracy", ".3f"),
    "log_loss": ("Log loss", ".3f"),
    "brier_score": ("Brier score", ".3f"),
    "calibration_error": ("Expected calibration error", ".3f"),
    "auroc": ("AUROC", ".3f"),
    "issue_auroc": ("AUROC of label issues", ".3f"),
    "auprc": ("AUPRC", ".3f"),
    "f1": ("F1 score of the verdicts", ".3f"),
    "clean_label_accuracy": ("Accuracy of the mended labels", ".3f"),
    "transition_error": ("Error of the estimated transition matrix", ".3f"),
    "share_of_retrieved_labels_right": ("Share of right labels among the most retrieved", ".3f"),
    "fit_seconds": ("Fit time (s)", ".3g"),
    "predict_seconds": ("Prediction time (s)", ".3g"),
    "peak_memory_mb": ("Growth of memory (MB)", ".0f"),
}
COSTS = ("fit_seconds", "predict_seconds", "peak_memory_mb")
LEGEND = (
    "Mean ± standard error over runs; no error where a method without randomness ran once or one "
    "seed was run. Bold: the best of a column. Mean and mean rank: over the tasks, of methods that "
    "ran on all of them. Log loss is sklearn.metrics.log_loss, which clips "
    "float64 probabilities to [2.2e-16, 1 - 2.2e-16]. Brier score: squared error summed over "
    "classes (0 to 2). Expected calibration error: 15 equal-width bins of the top probability. "
    "Times are wall; memory is what fit and predict add to the process at its peak. Each run has "
    "a process of its own, which never holds a right label."
)


def grid(report, group, metric):
    """Return a table as rows of cells, header first: methods by tasks of one group."""
    tasks = {name: task for name, task in report["tasks"].items() if task["group"] == group}
    methods = [
        name
        for name in report["methods"]
        if any(value_of(tasks, task, name, metric) is not None for task in tasks)
        or any(tasks[task]["methods"].get(name, {}).get("errors") for task in tasks)
    ]
    statistic = report["statistic"]
    best = {task: best_methods(tasks, task, methods, metric, statistic) for task in tasks}
    last = _last_columns(report, tasks, methods, metric)
    header = ["method", *tasks, *last]
    rows = []
    for name in methods:
        cells = [
            _cell(tasks[task]["methods"].get(name), metric, statistic, name in best[task])
            for task in tasks
        ]
        rows.append([name, *cells, *(column.get(name, "") for column in last.values())])
    return [header, *rows]


def _last_columns(report, tasks, methods, metric):
    """Return columns that sum up the tasks, by title; none for costs and single tasks."""
    digits = TITLES[metric][1]
    if metric in COSTS or report["statistic"] != "mean":
        return {}
    if report["reference"]:
        differences = mean_differences(tasks, methods, metric, report["reference"])
        cells = {name: format(value, "+" + digits) for name, value in differences.items()}
        return {f"mean difference to {report['reference']}": cells} if cells else {}
    ranks = mean_ranks(tasks, methods, metric) if len(tasks) > 1 else {}
    means = {
        name: np.mean([value_of(tasks, task, name, metric) for task in tasks]) for name in ranks
    }
    columns = {
        "mean": {name: format(mean, digits) for name, mean in means.items()},
        "mean rank": {name: f"{rank:.1f}" for name, rank in ranks.items()},
    }
    return columns if ranks else {}


def _cell(summary, metric, statistic, is_best):
    if summary is None:
        return ""
    if metric not in summary:
        return "failed" if summary["errors"] else ""
    value, digits = summary[metric], TITLES[metric][1]
    text = format(value[statistic], digits)
    text = f"**{text}**" if is_best else text
    if statistic == "mean" and metric not in COSTS and value["standard_error"] is not None:
        text += " ± " + format(value["standard_error"], digits)
    return text


def grids(report):
    """Yield the metric, the group and the :func:`grid` of each table that has rows."""
    groups = list(dict.fromkeys(task["group"] for task in report["tasks"].values()))
    for metric in report["metrics"]:
        for group in groups:
            table = grid(report, group, metric)
            if len(table) > 1:
                yield metric, group, table


def ratio_lines(report):
    """Return a line about each ratio."""
    return [f"{name}: {ratio:.2f}" for name, ratio in report["ratios"].items()]


def method_lines(report):
    """Return a line about each method that is shown."""
    shown = {name for task in report["tasks"].values() for name in task["methods"]}
    return [f"{name}: {line}" for name, line in report["methods"].items() if name in shown]


def task_lines(report):
    """Return a line about each task."""
    lines = []
    for name, task in report["tasks"].items():
        rate = task["noise_rate"]
        wrong = "" if rate is None else f", {rate:.1%} of the given labels wrong"
        lines.append(
            f"{name}: {task['description']}; {task['n_train']:,} training rows"
            + (f", {task['n_test']:,} test rows" if task["n_test"] else "")
            + f", {task['n_features']:,} features, {task['n_classes']} classes{wrong}; "
            + _run_counts(task)
        )
    return lines


def _run_counts(task):
    counts = sorted({method["n_runs"] for method in task["methods"].values()})
    few, many = counts[0], counts[-1]
    runs = f"{many}" if few == many else f"{few} to {many}"
    return f"runs of each method: {runs}"


def failure_lines(report):
    """Return a line about each method that failed on a task."""
    return [
        f"{name} failed on {task_name}: {'; '.join(method['errors'])}"
        for task_name, task in report["tasks"].items()
        for name, method in task["methods"].items()
        if method["errors"]
    ]


def circumstance_lines(report):
    """Return what was measured on what."""
    facts = report["circumstances"]
    lines = [
        f"Machine: {'; '.join(facts['machines'])}. Threads: "
        f"{', '.join(map(str, facts['threads']))}.",
        f"Versions: {'; '.join(facts['versions'])}.",
        f"Command: {report['command']}",
    ]
    if len(facts["packages"]) > 1:
        lines.append(
            f"Ours was run at {len(facts['packages'])} states of the package's source: "
            f"{', '.join(facts['packages'])}."
        )
    return lines


def skip_lines(report):
    """Return a line about each method that is not run on some tasks."""
    return [f"{methods} on {tasks}: {why}" for methods, tasks, why in report.get("skipped", ())]


def regret_sections(report, details):
    """Return tables of regrets that have rows, by title; with ``details`` those of all tasks."""
    if not report.get("regrets"):
        return {}
    tables = regret_tables(report) | {"Methods beside ours": peer_table(report)}
    tables |= family_table(report)
    tables |= cell_tables(report) | label_table(report) if details else {}
    return {title: rows for title, rows in tables.items() if len(rows) > 1}


def to_markdown(report):
    """Return a report as Markdown."""
    parts = [f"# {report['title']}", report["about"]]
    if not report["tasks"]:
        return "\n\n".join([*parts, "No runs yet."]) + "\n"
    for metric, group, table in grids(report):
        direction = "higher" if metric in HIGHER_IS_BETTER else "lower"
        parts.append(f"## {TITLES[metric][0]}, {group} ({direction} is better)")
        parts.append(_markdown_table(table))
    for title, table in regret_sections(report, details=True).items():
        parts += [f"## {title}", _markdown_table(table)]
    if report["ratios"]:
        parts += ["## Ratios", _items(ratio_lines(report))]
    parts += ["## Methods", _items(method_lines(report))]
    parts += ["## Tasks", _items(task_lines(report))]
    if skip_lines(report):
        parts += ["## Not run, as too slow", _items(skip_lines(report))]
    if failure_lines(report):
        parts += ["## Failures", _items(failure_lines(report))]
    parts += ["## Circumstances", LEGEND, _items(circumstance_lines(report))]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table):
    header, *rows = table
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _items(lines):
    return "\n".join(f"- {line}" for line in lines)

"""The tables: which methods run on which tasks, and which numbers are shown."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch

from grid_cells import FAMILIES, grid_tasks
from grid_methods import GRID_METHODS, TOO_SLOW
from hard_classes import hard_class_tasks
from methods import ABLATIONS, OURS, PEERS
from rankers import RANKERS
from runner import CLASSIFICATION, GRID, LABEL_ISSUES, SPEED, Kind, run_tasks
from simulated import openml_task, ranking_tasks, small_tasks, synthetic_tasks
from speed import run_training_loop, scaling_tasks, speed_task
from tasks import archive_tasks

SPEED_METHODS = [
    "lra",
    "lra_all_threads",
    "logistic_regression_default",
    "cleanlab_logistic_default",
    "knn_brute_50",
]
SCALING_METHODS = ["lra", "logistic_regression_default"]
CLASSIFICATION_METRICS = (
    "accuracy",
    "log_loss",
    "brier_score",
    "calibration_error",
    "fit_seconds",
    "predict_seconds",
    "peak_memory_mb",
)
COST_METRICS = ("fit_seconds", "predict_seconds", "peak_memory_mb")


@dataclass(frozen=True)
class Table:
    """A table of the results page.

    ``tasks(options)`` returns the tasks to run. All runs of these methods on tasks of ``groups``
    are shown, also those of tasks that cannot be run here. ``reference`` is the method that the
    others are a change of: its own runs alone do not put a task into the table. ``skipped`` are
    patterns of methods and of tasks that are not run together, and the reason. ``time_limit`` is in
    seconds for one run.
    """

    name: str
    title: str
    about: str
    kind: Kind
    groups: tuple
    tasks: Callable
    methods: tuple
    metrics: tuple
    statistic: str = "mean"
    reference: str | None = None
    runs_file: str = "runs.jsonl"
    time_limit: float = 7200.0
    skipped: tuple = ()


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    data_dir: str
    task_patterns: tuple = ("*",)
    method_patterns: tuple = ("*",)
    seeds: tuple = (0, 1, 2)
    quick: bool = False
    openml: tuple = ()
    time_limit: float | None = None


def classification_tasks(options):
    """Return embeddings, small tables, the synthetic set, and data sets of OpenML."""
    if options.quick:
        return small_tasks()[-3:]
    return [
        *archive_tasks(options.data_dir),
        *small_tasks(),
        *synthetic_tasks(),
        *map(openml_task, options.openml),
    ]


def ablation_tasks(options):
    """Return embeddings and digits."""
    if options.quick:
        return small_tasks()[-3:-2]
    digits = [task for task in small_tasks() if task.name.startswith("digits")]
    return [*archive_tasks(options.data_dir), *digits]


def imbalance_tasks(options):
    """Return the tasks with troubled classes."""
    return hard_class_tasks()[1:2] if options.quick else hard_class_tasks()


def label_issue_tasks(options):
    """Return embeddings and the small tables without test rows."""
    if options.quick:
        return ranking_tasks()[-3:-2]
    return [*archive_tasks(options.data_dir), *ranking_tasks()]


def grid_table_tasks(options):
    """Return all cells, or the smallest table's."""
    cells = grid_tasks(options.data_dir)
    return cells[:3] if options.quick else cells


def speed_tasks(options):
    """Return one task, small under ``quick``."""
    if options.quick:
        return [speed_task(options.data_dir, 1_000, 500, 64)]
    return [speed_task(options.data_dir)]


def scaling_table_tasks(options):
    """Return sets of growing numbers of rows."""
    return scaling_tasks((500, 1_000), 16) if options.quick else scaling_tasks()


TABLES = {
    table.name: table
    for table in (
        Table(
            "classification",
            "Classification",
            "Fitted on given labels of which many are wrong, scored on right labels of test rows.",
            CLASSIFICATION,
            ("embeddings", "small tables", "synthetic", "OpenML"),
            classification_tasks,
            (*OURS, *PEERS),
            CLASSIFICATION_METRICS,
        ),
        Table(
            "ablations",
            "Ablations",
            "Ours with one thing changed, and what the diffusion adds to its own judges, to a "
            "vote of neighbors and to the same network trained directly on the retrieved soft "
            "labels.",
            CLASSIFICATION,
            ("embeddings", "small tables"),
            ablation_tasks,
            ("lra", *ABLATIONS),
            ("accuracy", "log_loss", "share_of_retrieved_labels_right", "fit_seconds"),
            reference="lra",
        ),
        Table(
            "imbalance",
            "Rare, missing, unequal and one-sidedly mislabeled classes",
            "Test rows have all classes in equal shares, so accuracy is the mean over classes.",
            CLASSIFICATION,
            ("hard classes",),
            imbalance_tasks,
            ("lra", *PEERS),
            ("accuracy", "log_loss", "brier_score"),
        ),
        Table(
            "label_issues",
            "Label issues",
            "How well a suspicion puts wrong given labels before right ones, the F1 score of the "
            "method's own verdict, the calibration error of the probability that a label is wrong, "
            "the accuracy of the mended labels, and the total variation between the estimated and "
            "the true distribution of given labels, averaged over rows.",
            LABEL_ISSUES,
            ("embeddings", "small tables"),
            label_issue_tasks,
            tuple(RANKERS),
            (
                "auroc",
                "auprc",
                "f1",
                "calibration_error",
                "clean_label_accuracy",
                "transition_error",
                "fit_seconds",
            ),
        ),
        Table(
            "speed",
            "Speed",
            "Medians of repeats that take turns.",
            SPEED,
            ("speed",),
            speed_tasks,
            tuple(SPEED_METHODS),
            ("accuracy", *COST_METRICS),
            statistic="median",
        ),
        Table(
            "scaling",
            "Scaling",
            "Fit time and growth of memory against the number of rows.",
            SPEED,
            ("scaling",),
            scaling_table_tasks,
            tuple(SCALING_METHODS),
            COST_METRICS,
            statistic="median",
        ),
        Table(
            "grid",
            "A wide grid",
            "Real and simulated wrong labels of all kinds, clean labels, unequal and many classes. "
            "The regret of a cell is what its best peer has more than ours (of log loss: less), "
            "after the mean over seeds: negative where ours is first. The best of many peers is "
            "chosen by the right labels, which ours is not. Peers that took longer than the time "
            "limit count as too slow, not as beaten. Standard errors are over seeds.",
            GRID,
            FAMILIES,
            grid_table_tasks,
            tuple(GRID_METHODS),
            (),
            runs_file="grid_runs.jsonl",
            time_limit=600.0,
            skipped=TOO_SLOW,
        ),
    )
}


def run_table(table, options, runs_file, log=print):
    """Run what ``runs_file`` lacks of a table, as far as the options ask for it."""
    tasks = _matching(table.tasks(options), options.task_patterns, lambda task: task.name)
    methods = _matching(table.methods, options.method_patterns, str)
    run_tasks(
        table.kind,
        tasks,
        methods,
        options.seeds,
        runs_file,
        time_limit=options.time_limit or table.time_limit,
        skipped=table.skipped,
        log=log,
    )
    if table.name == "speed" and "lra" in methods:
        for task in tasks:
            run_training_loop(task, len(options.seeds), runs_file, log=log)


def runs_of(table, runs):
    """Return the runs that a table shows, in the order of groups, tasks, methods and seeds."""
    kinds = (table.kind.name, "training_loop") if table.name == "speed" else (table.kind.name,)
    methods = [*table.methods, "training_loop"]
    own = [
        run
        for run in runs
        if run["kind"] in kinds and run["group"] in table.groups and run["method"] in methods
    ]
    shown = {run["task"] for run in own if run["method"] != table.reference}

    def place(run):
        return (
            table.groups.index(run["group"]),
            run["task"],
            methods.index(run["method"]),
            run["seed"],
        )

    return sorted((run for run in own if run["task"] in shown), key=place)


def describe_methods(table):
    """Return the name and the description of each method of a table."""
    return {name: table.kind.methods[name].description for name in table.methods}


def _matching(items, patterns, name_of):
    return [item for item in items if any(fnmatch(name_of(item), p) for p in patterns)]

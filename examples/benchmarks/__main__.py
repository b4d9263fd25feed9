"""Run the benchmarks, and print and save their tables.

For example, from the root of the repository::

    python examples/benchmarks                                    # all tables
    python examples/benchmarks classification --tasks 'digits_*' --methods lra 'knn_*'
    python examples/benchmarks grid --data-dir ../shared/data     # ours against all, everywhere
    python examples/benchmarks --quick --output /tmp/results      # a few minutes
    python examples/benchmarks page                               # only write the results page

Every finished run is written to ``runs.jsonl`` in the output folder, those of the grid to
``grid_runs.jsonl``, and is not run again, nor is one that took longer than the time limit; runs of
our own classifier are run again when the package's source has changed. From the runs follow, for
each table, ``<table>.json`` and ``<table>.md``, and from these the results page beside the folder.
Set OMP_NUM_THREADS to limit the threads of all methods.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from page import write_page
from regret import regrets
from report import to_markdown
from store import read_runs
from summary import circumstances_of, speed_ratios, summarize
from tables import TABLES, Options, describe_methods, run_table, runs_of
from tasks import archive_tasks


def make_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python examples/benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; or page; all by default"
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path("../shared/data"), help="folder of the archives"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("docs/results"), help="folder of the results"
    )
    parser.add_argument("--tasks", nargs="+", default=["*"], help="patterns of names of tasks")
    parser.add_argument("--methods", nargs="+", default=["*"], help="patterns of names of methods")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--openml", nargs="+", default=[], help="names of data sets of OpenML")
    parser.add_argument(
        "--time-limit",
        type=float,
        help="seconds for one run; 600 in the grid, else 7200 by default",
    )
    parser.add_argument("--quick", action="store_true", help="small data, to see that all works")
    return parser


def make_report(table, runs, command):
    """Return all that is shown of a table, ready for JSON."""
    own = runs_of(table, runs)
    tasks = summarize(own)
    return {
        "table": table.name,
        "title": table.title,
        "about": table.about,
        "command": command,
        "statistic": table.statistic,
        "reference": table.reference,
        "metrics": table.metrics,
        "methods": describe_methods(table),
        "tasks": tasks,
        "ratios": speed_ratios(tasks) if table.name == "speed" else {},
        "regrets": regrets(own) if table.name == "grid" else {},
        "skipped": table.skipped,
        "circumstances": circumstances_of(own),
    }


def main(argv=None):
    """Run the tables that are asked for."""
    argv = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    arguments = parser.parse_args(argv)
    names = arguments.tables or [*TABLES, "page"]
    unknown = set(names) - {*TABLES, "page"}
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}; available: {', '.join(TABLES)}, page")
    if not archive_tasks(arguments.data_dir):
        print(f"No archives in {arguments.data_dir}: only simulated tasks are run.")
    options = Options(
        str(arguments.data_dir),
        tuple(arguments.tasks),
        tuple(arguments.methods),
        tuple(arguments.seeds),
        arguments.quick,
        tuple(arguments.openml),
        arguments.time_limit,
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "examples/benchmarks", *map(str, argv)])
    for name in names:
        if name == "page":
            print(f"Written: {write_page(arguments.output)}")
            continue
        table = TABLES[name]
        runs_file = arguments.output / table.runs_file
        try:
            run_table(table, options, runs_file, log=lambda line: print(line, flush=True))
        except (OSError, ImportError) as error:
            parser.error(str(error))
        report = make_report(table, read_runs(runs_file), command)
        text = to_markdown(report)
        print(text)
        (arguments.output / f"{name}.md").write_text(text, encoding="utf-8")
        (arguments.output / f"{name}.json").write_text(
            json.dumps(report, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()

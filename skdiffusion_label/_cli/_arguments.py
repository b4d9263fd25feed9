"""The words of the command line."""

import argparse

from skdiffusion_label import __version__
from skdiffusion_label._cli._formats import KINDS
from skdiffusion_label._cli._messages import PROGRAM
from skdiffusion_label._cli._simulate import NOISES

_DESCRIPTION = """Find wrong labels in a table of rows, texts or images, and mend them.

Tables are CSV, TSV, JSON lines (.jsonl) or Parquet, known by their names, .gz included; - is
standard input or output. Text is written as it was read: a cell that a spreadsheet would take for
a formula stays one. Exit code: 0, or 1 for issues under --fail-on-issues, or 2 for an error."""


def make_parser(commands):
    """Return the parser; ``commands`` are the functions behind the words, by name."""
    parser = argparse.ArgumentParser(
        PROGRAM, description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    words = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_find, _add_apply, _add_judge, _add_simulate):
        command = add(words)
        command.set_defaults(run=commands[command.prog.split()[-1]])
        _add_said(command)
    return parser


def _add_command(words, name, summary, details=""):
    command = words.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {details}",
        allow_abbrev=False,
    )
    command.add_argument("data", help="the table; - is standard input")
    return command


def _add_find(words):
    command = _add_command(words, "find", "find wrong labels")
    _add_labels(command)
    _add_learning(command)
    group = command.add_argument_group("output")
    group.add_argument("--out", metavar="FILE", help="the table of issues; - is standard output")
    group.add_argument("--review", metavar="FILE", help="a page to review the issues, HTML")
    group.add_argument(
        "--review-rows", metavar="N", type=_positive, default=300, help="on the page (default: 300)"
    )
    group.add_argument(
        "--controls",
        metavar="N",
        type=_not_negative,
        default=0,
        help="rows that are certainly right among them, to see how often the reviewer errs",
    )
    group.add_argument(
        "--blind", action="store_true", help="hide suggestions until a row is decided"
    )
    _add_issues(group)
    _add_reading(command)
    return command


def _add_apply(words):
    command = _add_command(
        words,
        "apply",
        "put reviewed labels into the table",
        "Excluded rows are left out. Decisions of another table are refused.",
    )
    command.add_argument(
        "decisions", nargs="+", help="what the page has downloaded, CSV or JSON; the last counts"
    )
    _add_labels(command)
    _add_learning(command)
    group = command.add_argument_group("output")
    group.add_argument(
        "--out", metavar="FILE", default="-", help="the table with decided labels (default: -)"
    )
    group.add_argument("--into", metavar="COLUMN", help="a new column for decided labels")
    group.add_argument(
        "--mark", metavar="COLUMN", help="a new column that says what was decided on the row"
    )
    group.add_argument(
        "--new-class",
        metavar="NAME",
        action="append",
        default=[],
        help="a decided label that is none of the given ones, on purpose",
    )
    group.add_argument(
        "--issues", metavar="FILE", help="find again, with decided labels verified: the new issues"
    )
    group.add_argument("--only-issues", action="store_true", help="only rows that are issues")
    _add_reading(command)
    return command


def _add_judge(words):
    command = _add_command(
        words, "judge", "judge the labels of new rows", "The first table is learned from."
    )
    command.add_argument("new_data", help="the table of new rows, with the same columns")
    _add_labels(command)
    _add_learning(command)
    group = command.add_argument_group("output")
    group.add_argument(
        "--out", metavar="FILE", default="-", help="the table of issues (default: -)"
    )
    _add_issues(group)
    _add_reading(command)
    return command


def _add_simulate(words):
    command = _add_command(words, "simulate", "make labels wrong, to try the tool")
    _add_labels(command)
    _add_learning(command)
    group = command.add_argument_group("output")
    group.add_argument("--noise", choices=NOISES, default="symmetric", help="(default: symmetric)")
    group.add_argument("--rate", type=_share, default=0.2, help="of wrong labels (default: .2)")
    group.add_argument("--out", metavar="FILE", default="-", help="the table (default: -)")
    group.add_argument(
        "--true-column", metavar="COLUMN", help="where true labels are kept (default: true_LABEL)"
    )
    _add_reading(command)
    return command


def _add_labels(command):
    group = command.add_argument_group("columns")
    group.add_argument(
        "--label",
        metavar="COLUMN",
        action="append",
        required=True,
        help="given labels; once for each annotator",
    )
    kind = group.add_mutually_exclusive_group()
    kind.add_argument("--text", metavar="COLUMN", help="texts, which alone are learned from")
    kind.add_argument("--image", metavar="COLUMN", help="paths of images, from the table's folder")
    group.add_argument("--id", metavar="COLUMN", help="names of the rows, in outputs too")
    group.add_argument(
        "--ignore", metavar="COLUMN", action="append", default=[], help="not to be learned from"
    )
    group.add_argument("--verified", metavar="COLUMN", help="whether the label has been checked")
    group.add_argument("--group", metavar="COLUMN", help="rows of one patient, video, document")
    group.add_argument("--truth", metavar="COLUMN", help="true labels, to count what is found")
    group.add_argument(
        "--unlabeled",
        metavar="VALUE",
        action="append",
        default=[],
        help="a label that means none, as an empty one does",
    )


def _add_learning(command):
    group = command.add_argument_group("learning")
    group.add_argument("--random-state", metavar="SEED", type=_seed, default=0, help="(default: 0)")
    group.add_argument(
        "--jobs", metavar="N", type=_n_jobs, default=1, help="CPU threads (default: 1)"
    )
    group.add_argument(
        "--target-precision", metavar="P", type=_precision, help="expected share of true issues"
    )
    group.add_argument(
        "--text-model",
        metavar="MODEL",
        help="of sentence-transformers, a name or a folder; tfidf counts words",
    )
    group.add_argument(
        "--image-model",
        metavar="MODEL",
        default="ViT-B-32:laion2b_s34b_b79k",
        help="of open_clip, NAME:TAG, NAME:FILE or local-dir:FOLDER; or of torchvision, NAME:FILE, "
        "as in resnet18:weights.pth (default: %(default)s)",
    )
    group.add_argument("--image-root", metavar="FOLDER", help="of relative paths")
    group.add_argument("--image-cache", metavar="FOLDER", help="where embeddings are kept")


def _add_issues(group):
    group.add_argument("--only-issues", action="store_true", help="only rows that are issues")
    group.add_argument("--fail-on-issues", action="store_true", help="exit with 1 if there is one")


def _add_reading(command):
    group = command.add_argument_group("files")
    group.add_argument("--from", dest="kind_of_input", choices=KINDS, help="if not as it is named")
    group.add_argument("--to", dest="kind_of_output", choices=KINDS, help="if not as it is named")
    group.add_argument("--encoding", help="of the input (default: utf-8)")
    group.add_argument("--delimiter", type=_delimiter, help="of CSV, a character or tab")
    group.add_argument("--force", action="store_true", help="overwrite files")


def _add_said(command):
    group = command.add_argument_group("messages")
    group.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="of the summary: json is on stdout",
    )
    group.add_argument("-q", "--quiet", action="store_true", help="only warnings and errors")
    group.add_argument(
        "-v", "--verbose", action="store_true", help="progress, and tracebacks of errors"
    )


def _delimiter(text):
    delimiter = "\t" if text in ("tab", r"\t") else text
    if len(delimiter) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not one character")
    return delimiter


def _number(of, is_right, rule):
    """Return what reads a number, and refuses one that breaks a rule before any work."""

    def read(text):
        try:
            number = of(text)
        except ValueError:
            number = None
        if number is None or not is_right(number):
            raise argparse.ArgumentTypeError(f"{text} is not {rule}")
        return number

    return read


_share = _number(float, lambda number: 0 <= number <= 1, "in [0, 1]")
_precision = _number(float, lambda number: 0 < number < 1, "between 0 and 1")
_positive = _number(int, lambda number: number > 0, "a positive number of rows")
_not_negative = _number(int, lambda number: number >= 0, "a number of rows")
_seed = _number(int, lambda number: 0 <= number < 2**32, "an integer from 0 to 2**32 - 1")
_n_jobs = _number(int, lambda number: number != 0, "an integer other than 0")

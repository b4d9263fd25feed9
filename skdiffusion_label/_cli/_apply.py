"""The command that puts decided labels into a table."""

import numpy as np

from skdiffusion_label._cli._columns import labels_of, like, rows_of
from skdiffusion_label._cli._files import check_outputs, read_table, write_table
from skdiffusion_label._cli._find import fit_options, make_cleaner, write_issues
from skdiffusion_label._cli._messages import report, teller


def apply(arguments):
    """Write the table with decided labels in it, without the rows that are to be left out."""
    from skdiffusion_label.cleaning import fingerprint, read_decisions

    check_outputs([arguments.out, arguments.issues], arguments)
    table, style = read_table(arguments.data, arguments)
    rows, labels = rows_of(table, arguments, style), labels_of(table, arguments)
    decisions = read_decisions(arguments.decisions)
    if set(decisions["fingerprint"]) - {fingerprint(rows, labels)}:
        raise ValueError(f"{arguments.decisions} holds decisions of other data or labels.")
    cleaned = with_decisions(table, decisions, arguments)
    if arguments.issues is not None:
        _find_again(table, rows, labels, decisions, arguments)
    write_table(cleaned, arguments.out, arguments, like=style)
    counts = {name: int(count) for name, count in decisions["decision"].value_counts().items()}
    summary = {"rows": len(cleaned), "decisions": counts, "out": arguments.out}
    report(summary, arguments)
    return 0


def with_decisions(table, decisions, arguments):
    """Return a copy of the table with decided labels, and without excluded rows."""
    into = _target(table, arguments)
    cleaned = table.copy()
    if into not in cleaned:
        cleaned[into] = ""
    words = np.full(len(table), "", dtype=object)
    labels = cleaned[into].astype(object).tolist()
    known = _labels_by_text(table, arguments)
    for row, decision, label in decisions[["row", "decision", "label"]].itertuples(index=False):
        words[row] = decision
        if decision != "exclude":
            labels[row] = known.get(label, label)
    cleaned[into] = like(labels, cleaned[into])
    if arguments.mark is not None:
        cleaned[arguments.mark] = words
    return cleaned[words != "exclude"]


def _target(table, arguments):
    """Return the column that takes decided labels."""
    for name in (arguments.into, arguments.mark):
        if name is not None and name in table.columns:
            raise ValueError(f"there is a column {name!r} already: name a new one.")
    if arguments.into is not None:
        return arguments.into
    if len(arguments.label) > 1:
        raise ValueError("labels of several annotators need a column for what is decided: --into.")
    return arguments.label[0]


def _labels_by_text(table, arguments):
    """Return the labels that there are by what they look like: decisions are texts."""
    columns = [table[name].astype(object) for name in arguments.label]
    return {str(label): label for column in columns for label in column.dropna().unique()}


def _find_again(table, rows, labels, decisions, arguments):
    tell = teller(arguments)
    cleaner = make_cleaner(rows, arguments, tell)
    options = fit_options(table, arguments)
    tell(f"judging {len(rows)} labels, {len(decisions)} of them decided")
    cleaner.apply(rows, labels, decisions, **options)
    write_issues(cleaner.label_issues_, arguments.issues, arguments)

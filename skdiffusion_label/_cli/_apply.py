"""The command that puts decided labels into a table."""

import numpy as np

from skdiffusion_label._cli._columns import labels_of, like, rows_of
from skdiffusion_label._cli._files import check_outputs, read_table, write_table
from skdiffusion_label._cli._find import fit_cleaner, write_issues
from skdiffusion_label._cli._messages import report


def apply(arguments):
    """Write the table with decided labels in it, without the rows that are to be left out."""
    check_outputs([arguments.out, arguments.issues], arguments)
    table, style = read_table(arguments.data, arguments)
    rows, labels = rows_of(table, arguments, style), labels_of(table, arguments)
    decisions = _decisions_about(rows, labels, arguments)
    cleaned = with_decisions(table, decisions, arguments)
    if arguments.issues is not None:
        decided = {"decisions": decisions, "new_classes": arguments.new_class}
        cleaner = fit_cleaner(table, rows, labels, arguments, **decided)
        write_issues(cleaner.label_issues_, arguments.issues, arguments)
    write_table(cleaned, arguments.out, arguments, like=style)
    counts = {name: int(count) for name, count in decisions["decision"].value_counts().items()}
    report({"rows": len(cleaned), "decisions": counts, "out": arguments.out}, arguments)
    return 0


def _decisions_about(rows, labels, arguments):
    """Return the last decision on each row, without planted rows, all about these labels."""
    import pandas as pd

    from skdiffusion_label.cleaning import data_fingerprint, read_decisions

    expected = data_fingerprint(rows, labels)
    read = []
    for path in arguments.decisions:
        decisions = read_decisions(path)
        if set(decisions["fingerprint"]) - {expected}:
            raise ValueError(
                f"{path} holds decisions about other rows or labels than those of {arguments.data}."
            )
        far = decisions["row"][decisions["row"] >= len(labels)]
        if len(far):
            raise ValueError(
                f"{path} must be about one of {len(labels)} rows, got row {far.iloc[0]}."
            )
        read.append(decisions[decisions["control"] == 0])
    return pd.concat(read).drop_duplicates("row", keep="last")


def with_decisions(table, decisions, arguments):
    """Return a copy of the table with decided labels, and without excluded rows."""
    into, cleaned = _target(table, arguments), table.copy()
    if into not in cleaned:
        cleaned[into] = np.full(len(table), None)
    labels, words = cleaned[into].astype(object).tolist(), np.full(len(table), None)
    known = _labels_by_text(table, arguments)
    for row, decision, label in decisions[["row", "decision", "label"]].itertuples(index=False):
        words[row] = decision
        if decision != "exclude":
            if label not in known:
                raise ValueError(
                    f"row {row} is decided to be {label!r}, which no label is; one that is new on "
                    "purpose is named by --new-class."
                )
            labels[row] = known[label]
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
    known = {str(label): label for column in columns for label in column.dropna().unique()}
    return {name: name for name in arguments.new_class} | known

"""What the page is given: each row with what is seen of it, and why it is doubted."""

import numpy as np

from skdiffusion_label.review._evidence import UsualValues, as_text
from skdiffusion_label.review._rows import codes_of
from skdiffusion_label.review._seen import images_seen, texts_seen

# Columns of a table that are sent, those that differ most: of more, nobody reads any.
_MAX_CELLS = 40
# What a row of the table shows, where it has it.
_NOTHING = {"image": "", "problem": "", "name": "", "text": "", "cells": []}


def payload_of(cleaner, content, reviewed, neighbors, max_bytes, rng):
    """Return what the script is given, and the rows of the table that needs no script."""
    table, classes = cleaner.label_issues_, [str(label) for label in cleaner.classes_.tolist()]
    given = codes_of(table["given_label"], cleaner.classes_)
    rows = [
        _row(table, given, item, found) for item, found in zip(reviewed, neighbors, strict=True)
    ]
    if content.kind == "table":
        usual = UsualValues(content, given, table["action"].to_numpy() == "keep")
        for row, item in zip(rows, reviewed, strict=True):
            row["cells"] = _cells(content, usual, item)
    shown = [item.row for item in reviewed]
    beside = sorted({j for found in neighbors for j, _ in found}.difference(shown))
    seen = _seen(content, shown, beside, max_bytes)
    in_table = [row for row in rows if not row["control"]]
    static = [{**_NOTHING, **row, **seen.get(row["row"], {})} for row in in_table]
    for row in in_table:  # the script takes the image from there
        seen.get(row["row"], {}).pop("image", None)
    data = {
        "fingerprint": cleaner.fingerprint_,
        "kind": content.kind,
        "classes": classes,
        "counts": np.bincount(given[given >= 0], minlength=len(classes)).tolist(),
        "rows": rows,
        "shuffled": rng.permutation(len(rows)).tolist(),
        "seen": seen,
        "ids": {row: str(table.index[row]) for row in beside},
    }
    return data, static


def _row(table, given, item, neighbors):
    return {
        "row": item.row,
        "id": str(table.index[item.row]),
        "given": item.given,
        "suggested": item.suggested,
        "pGiven": round(item.p_given, 4),
        "pSuggested": round(item.p_suggested, 4),
        "action": item.action,
        "control": int(item.is_control),
        "neighbors": [
            [j, int(given[j]), None if far is None else round(far, 2)] for j, far in neighbors
        ],
    }


def _seen(content, shown, beside, max_bytes):
    if content.kind == "image":
        return images_seen(content, shown, beside, max_bytes)
    return texts_seen(content, shown, beside) if content.kind == "text" else {}


def _cells(table, usual, item):
    """Return [name, value, usual value of the given and of the suggested class, differences].

    The columns that are most unusual for the given class come first.
    """
    row = item.row
    of_given = usual.differences(row, item.given)
    of_suggested = usual.differences(row, item.suggested)
    order = np.argsort(-of_given[0], kind="stable")[:_MAX_CELLS]
    return [
        [
            table.names[j],
            as_text(table.columns[j][row]),
            of_given[1][j],
            of_suggested[1][j],
            round(float(of_given[0][j]), 1),
            round(float(of_suggested[0][j]), 1),
        ]
        for j in order
    ]

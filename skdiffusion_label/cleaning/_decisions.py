"""What people have decided about labels: read from files, and checked."""

import csv
import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np

_FIELDS = (
    "row",
    "id",
    "decision",
    "label",
    "given",
    "suggested",
    "reviewer",
    "time",
    "fingerprint",
    "control",
)
_NEEDED = "row", "decision", "label", "fingerprint"
_DECISIONS = "keep", "relabel", "exclude"
_VERSION = 1  # of the JSON file
# In CSV files, texts that a spreadsheet would take for formulas have an apostrophe before them.
_GUARDED = re.compile(r"''*[=+\-@\t\r]")


def read_decisions(path):
    """Read the decisions that the review page has downloaded.

    Parameters
    ----------
    path : str or path-like
        CSV or JSON file in UTF-8.

    Returns
    -------
    DataFrame
        A row for each decision, with the columns ``row`` (position among the rows that were
        judged), ``id`` (their index), ``decision`` ("keep", "relabel" or "exclude"), ``label``
        (what was decided, as text), ``given``, ``suggested``, ``reviewer``, ``time``,
        ``fingerprint`` (of rows and labels) and ``control`` (1 for rows that were planted to judge
        the reviewer).

    Raises
    ------
    ValueError
        If a field is missing or is not what it should be; file, line and field are named.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skdiffusion_label.cleaning import read_decisions
    >>> text = '''row,id,decision,label,given,suggested,reviewer,time,fingerprint,control
    ... 3,r3,relabel,cat,dog,cat,Ada,2026-01-31T12:00:00Z,00ff,0
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "decisions.csv"
    ...     _ = path.write_text(text)
    ...     decisions = read_decisions(path)
    >>> decisions[["row", "decision", "label"]].values.tolist()
    [[3, 'relabel', 'cat']]
    """
    import pandas as pd

    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be a file in UTF-8: {error}.") from error
    is_json = text.lstrip().startswith(("{", "["))
    found = _from_json(path, text) if is_json else _from_csv(path, text)
    records = [_checked(record, where) for where, record in found]
    rows = [record["row"] for record in records]
    for position, row in enumerate(rows):
        if row in rows[:position]:
            raise ValueError(f"{found[position][0]}, field row: row {row} is decided twice.")
    return pd.DataFrame(records, columns=list(_FIELDS))


def gathered_decisions(decisions, fingerprint):
    """Return one decision for each row, the last one, without the planted rows.

    Parameters
    ----------
    decisions : DataFrame, path, or list of these
    fingerprint : str
        Of the data that they have to be about.

    Returns
    -------
    list of tuple
        Row, decision and label.
    """
    many = decisions if isinstance(decisions, list | tuple) else [decisions]
    decided = {}
    for one in many:
        frame = one if hasattr(one, "columns") else read_decisions(one)
        missing = [name for name in _NEEDED if name not in frame.columns]
        if missing:
            raise ValueError(f"decisions must have the columns {_NEEDED}, got none of {missing}.")
        for position, record in enumerate(frame.to_dict("records")):
            record = _checked(record, f"decisions, line {position}", _NEEDED)
            if record["fingerprint"] != fingerprint:
                raise ValueError(
                    "decisions must be about these rows and labels, whose fingerprint is "
                    f"{fingerprint!r}, got one about {record['fingerprint']!r}."
                )
            if not int(record.get("control", 0)):
                decided[record["row"]] = record["decision"], record["label"]
    return [(row, *decision) for row, decision in decided.items()]


def _from_csv(path, text):
    """Return where each record is, and the records."""
    reader = csv.DictReader(text.splitlines(keepends=True))
    missing = [name for name in _FIELDS if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path}, line 1 must name the fields {_FIELDS}, got none of {missing}.")
    return [
        (f"{path}, line {reader.line_num}", {name: _unguarded(record[name]) for name in _FIELDS})
        for record in reader
    ]


def _unguarded(text):
    return text[1:] if text is not None and _GUARDED.match(text) else text


def _from_json(path, text):
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno} must be JSON: {error.msg}.") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} must be an object with version, fingerprint and decisions, as the page for "
            "reviews writes it, got a list."
        )
    if content.get("version") != _VERSION:
        raise ValueError(
            f"{path}, field version must be {_VERSION}, got {content.get('version')!r}."
        )
    records = content.get("decisions")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{path}, field decisions must be a list of decisions.")
    shared = {name: content[name] for name in ("fingerprint", "reviewer") if name in content}
    return [
        (f"{path}, decision {number}", {**shared, **record})
        for number, record in enumerate(records, start=1)
    ]


def _checked(record, where, fields=_FIELDS):
    """Return a record with its fields in their types."""
    for name in fields:
        if record.get(name) is None:
            raise ValueError(f"{where}, field {name} is missing.")
    record = {**record, "fingerprint": str(record["fingerprint"])}
    record["row"] = _whole_number(record["row"], f"{where}, field row")
    if record["decision"] not in _DECISIONS:
        raise ValueError(
            f"{where}, field decision must be one of {_DECISIONS}, got {record['decision']!r}."
        )
    if record["decision"] != "exclude" and str(record["label"]) == "":
        raise ValueError(f"{where}, field label must not be empty unless the row is excluded.")
    if "control" in fields:
        record["control"] = _whole_number(record["control"], f"{where}, field control")
        if record["control"] > 1:
            raise ValueError(f"{where}, field control must be 0 or 1, got {record['control']}.")
    if "time" in fields:
        _check_time(record["time"], where)
    texts = {"id", "label", "given", "suggested", "reviewer", "time"} & set(record)
    return record | {name: str(record[name]) for name in texts}


def _whole_number(value, where):
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number < 0:
        raise ValueError(f"{where} must be a number from 0, got {value!r}.")
    return number


def _check_time(value, where):
    try:
        datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"{where}, field time must be ISO 8601, got {value!r}.") from error


def codes_of_texts(texts, classes, new_classes=()):
    """Return the codes of labels that have travelled as text, and all classes, sorted.

    Parameters
    ----------
    texts : list of str
    classes : ndarray of shape (n_classes,)
        Known labels.
    new_classes : sequence
        Labels that may be introduced.

    Returns
    -------
    codes : ndarray of int
    classes : ndarray
        The known ones, and those introduced.
    """
    used = set(texts)
    new = [label for label in new_classes if str(label) in used]
    everyone = np.unique(np.concatenate([classes, np.asarray(new)])) if new else classes
    code_of = {str(label): code for code, label in enumerate(everyone)}
    for text in texts:
        if text not in code_of:
            raise ValueError(
                f"decisions must be for labels among {everyone[:5]}, got {text!r}; name a class "
                "that is new on purpose in new_classes."
            )
    return np.array([code_of[text] for text in texts], dtype=np.int64), everyone

"""What the columns of a table are for: labels, features, who has checked what."""

import json

import numpy as np

# What programs write where a number is missing, in lower case.
_MISSING_NUMBERS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-"})
_YES = frozenset({"1", "true", "t", "yes", "y", "keep", "relabel"})
_NO = frozenset({"0", "false", "f", "no", "n", ""})
_N_NAMED = 20  # columns that an error names, so that it stays readable
WHY_LEFT_OUT = "counts the rows, is empty or is the truth"
TRUE_LABEL = "true_{}"  # the column where simulate keeps the labels that it takes for true


def labels_of(table, arguments):
    """Return the labels (n_samples,), or (n_samples, n_annotators), with None where none is."""
    import pandas as pd

    columns = []
    if len(set(arguments.label)) < len(arguments.label):
        raise ValueError("--label names a column more than once.")
    for name in arguments.label:
        values = cells_of(table, name)
        unlabeled = {"", *arguments.unlabeled}
        columns.append([None if str(value) in unlabeled else value for value in values])
        if all(value is None for value in columns[-1]):
            raise ValueError(f"the column {name!r} has no labels.")
    index = ids_of(table, arguments.id)
    if len(columns) == 1:
        return pd.Series(columns[0], index=index, name=arguments.label[0]).infer_objects()
    return pd.DataFrame(dict(zip(arguments.label, columns, strict=True)), index=index, dtype=object)


def ids_of(table, name):
    """Return an index of the user's names of the rows, or of their numbers."""
    import pandas as pd

    if name is None:
        return pd.RangeIndex(len(table))
    index = pd.Index([str(value) for value in cells_of(table, name)], dtype=object)
    if index.has_duplicates:
        repeated = index[index.duplicated()][0]
        raise ValueError(f"the column {name!r} must tell the rows apart, {repeated!r} is in two.")
    return index


def rows_of(table, arguments, style, numbers=None):
    """Return all columns but the labels, as features: numbers as such, all else as text.

    ``numbers`` are the names of the columns of numbers; by default, those that can be.
    """
    import pandas as pd

    decimal = "." if style.dialect is None or style.dialect.delimiter == "," else ","
    columns = {}
    for name in table.columns:
        if name in arguments.label:
            continue
        values = [_plain(value) for value in cells_of(table, name)]
        if name in numbers if numbers is not None else _are_numbers(values, decimal):
            columns[name] = _numbers(values, decimal, name)
        else:
            texts = [None if value is None else str(value) for value in values]
            columns[name] = pd.Series(texts, dtype=object)
    return pd.DataFrame(columns)


def feature_names(rows, arguments):
    """Return the columns to learn from, and those left out though nobody has asked for it."""
    named = {arguments.id, arguments.verified, arguments.group, arguments.truth, *arguments.ignore}
    for name in (named | {arguments.text, arguments.image}) - {None}:
        _check_name(name, [*rows.columns, *arguments.label])
    open_names = [name for name in rows.columns if name not in named]
    true_labels = {TRUE_LABEL.format(name) for name in arguments.label}
    left_out = [
        name
        for name in open_names
        if name in true_labels or rows[name].isna().all() or _counts_rows(rows[name])
    ]
    names = [name for name in open_names if name not in left_out]
    if not names:
        reason = f": {', '.join(left_out)} {WHY_LEFT_OUT}" if left_out else ""
        raise ValueError(f"no column is left to learn from{reason}.")
    return names, left_out


def verified_of(table, name):
    """Return a mask of the rows whose labels somebody has checked, or None."""
    if name is None:
        return None
    words = [str(value).strip().lower() for value in cells_of(table, name, missing="")]
    wrong = next((row for row, word in enumerate(words) if word not in _YES | _NO), None)
    if wrong is not None:
        raise ValueError(
            f"the column {name!r} must say yes or no (true or false, 1 or 0, keep or relabel or "
            f"nothing), row {wrong} says {words[wrong]!r}."
        )
    return np.array([word in _YES for word in words])


def groups_of(table, name):
    """Return a number for each group of rows, or None; a row without a group is one of its own."""
    if name is None:
        return None
    import pandas as pd

    codes, groups = pd.factorize(np.array(cells_of(table, name, missing=None), dtype=object))
    is_alone = codes < 0
    codes[is_alone] = len(groups) + np.arange(is_alone.sum())
    return codes


def like(values, column):
    """Return a column of values of the type, and with the index, of another one."""
    import pandas as pd

    return pd.Series(values, index=column.index, dtype=column.dtype)


def cells_of(table, name, missing=None):
    """Return the cells of a column as Python's own values, and ``missing`` for empty ones."""
    import pandas as pd

    _check_name(name, table.columns)
    column = table[name].astype(object)
    is_missing = pd.isna(column)
    return [
        missing if gone or (isinstance(cell, str) and cell == "") else cell
        for gone, cell in zip(is_missing, column, strict=True)
    ]


def _check_name(name, names):
    if name not in names:
        shown = ", ".join(map(repr, names[:_N_NAMED])) + ", ..." * (len(names) > _N_NAMED)
        raise ValueError(f"there is no column {name!r} among {shown}.")


def _plain(value):
    """Return a list or a dict as its JSON, which is a feature, and all else as it is."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    is_nested = isinstance(value, list | dict)
    return json.dumps(value, ensure_ascii=False, default=str) if is_nested else value


def _are_numbers(values, decimal):
    """Tell whether all values that are there, and at least one, are numbers."""
    try:
        return any([not np.isnan(_number(value, decimal)) for value in values])
    except (TypeError, ValueError):
        return False


def _numbers(values, decimal, name):
    """Return float64 numbers (n_samples,), NaN where there is none."""
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        try:
            numbers[row] = _number(value, decimal)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"the column {name!r} must hold numbers, row {row} has {value!r}."
            ) from error
        if np.isinf(numbers[row]):
            raise ValueError(f"the column {name!r} must hold finite numbers, row {row} does not.")
    return numbers


def _number(value, decimal):
    if value is None:
        return np.nan
    if not isinstance(value, str):
        return float(value)
    value = value.strip()
    if value.lower() in _MISSING_NUMBERS:
        return np.nan
    if "_" in value:  # which Python reads as a number
        raise ValueError(f"{value} is no number.")
    return float(value.replace(decimal, "."))


def _counts_rows(column):
    """Tell whether a column of numbers counts the rows up, from whatever number."""
    values = column.to_numpy()
    return values.dtype.kind == "f" and len(values) > 1 and bool((np.diff(values) == 1).all())

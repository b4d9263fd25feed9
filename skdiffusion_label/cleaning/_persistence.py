"""The table of issues as arrays: files that run no code, as those of skops, hold no frames."""

import numpy as np


def columns_of(frame):
    """Return a DataFrame as a dict of its columns and its index."""
    columns = {name: _values(frame[name]) for name in frame.columns}
    index = {"values": _values(frame.index), "names": list(frame.index.names)}
    return {"columns": columns, "index": index}


def frame_of(state):
    """Return the DataFrame that :func:`columns_of` has taken apart."""
    import pandas as pd

    values, names = state["index"]["values"], state["index"]["names"]
    if len(names) > 1:
        index = pd.MultiIndex.from_tuples(values, names=names)
    else:
        index = pd.Index(values, name=names[0])
    return pd.DataFrame(state["columns"], index=index)


def _values(column):
    """Return numbers as an array, and all else as a list."""
    values = column.to_numpy()
    is_number = isinstance(values.dtype, np.dtype) and values.dtype.kind in "biufM"
    return values if is_number else column.tolist()

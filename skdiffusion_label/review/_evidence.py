"""Why a label is doubted: the nearest rows, and the columns that are unusual for its class."""

import numpy as np
from scipy.stats import norm
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

# As many fit beside each other on a screen, and are grasped at a glance.
N_NEIGHBORS = 6
# Interquartile ranges of one standard deviation of a normal distribution.
_IQR_OF_NORMAL = 1.349
# Distinct texts of a column beyond which they are names or free text, of which none is usual.
_MAX_CATEGORIES = 50
# Robust units beyond which a value is just far off, and may be infinite.
_FAR_OFF = 99.0


def robust_units(columns):
    """Return the median and the unit of each column: what a standard deviation is in normal ones.

    Columns (n_samples, n_columns) whose middle half is one value have their standard deviation as
    unit, constant ones infinity. NaN does not count.
    """
    columns = np.where(np.isnan(columns).all(axis=0), 0.0, columns)
    with np.errstate(invalid="ignore"):  # infinities are far from each other
        low, median, high = np.nanquantile(columns, [0.25, 0.5, 0.75], axis=0)
        unit = (high - low) / _IQR_OF_NORMAL
        spread = np.nanstd(columns, axis=0)
    unit = np.where(unit > 0, unit, np.where(spread > 0, spread, np.inf))
    return np.nan_to_num(median), unit


def features_of(content, features):
    """Return the numbers by which rows are far or near (n_samples, n_features), or None."""
    if features is not None:
        features = check_array(features, ensure_all_finite="allow-nan", input_name="features")
        if len(features) != len(content):
            raise ValueError(
                f"features must have a row for each of the {len(content)} rows of X, "
                f"got {len(features)}."
            )
    elif content.kind == "table":
        numbers = [column for column in content.columns if column.dtype.kind == "f"]
        features = np.column_stack(numbers) if numbers else None
    if features is None:
        return None
    median, unit = robust_units(features)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num((features - median) / unit).clip(-_FAR_OFF, _FAR_OFF)


def nearest_rows(cleaner, features, rows):
    """Return for each of ``rows`` a list of up to six (neighbor, distance or None), nearest first.

    They are those that the cleaner's classifier has asked, or else the nearest in ``features``. The
    distance is the root of the mean squared difference over features, in robust units.
    """
    final = getattr(cleaner, "estimator_", None)
    final = final[-1] if isinstance(final, Pipeline) else final
    neighbors = getattr(final, "neighbors_", None)
    if neighbors is not None:
        neighbors = neighbors[rows]
    elif features is not None and len(rows):
        n_neighbors = min(N_NEIGHBORS + 1, len(features))
        index = NearestNeighbors(n_neighbors=n_neighbors).fit(features)
        neighbors = index.kneighbors(features[rows], return_distance=False)
    else:
        return [[] for _ in rows]
    return [
        [(int(j), _distance(features, row, j)) for j in nearest[nearest != row][:N_NEIGHBORS]]
        for row, nearest in zip(rows, neighbors, strict=True)
    ]


def _distance(features, row, neighbor):
    if features is None:
        return None
    return float(np.sqrt(np.mean((features[row] - features[neighbor]) ** 2)))


class UsualValues:
    """What is usual in the columns of a table for the rows of a class.

    Parameters
    ----------
    table : Table
    y_codes : ndarray of shape (n_samples,)
        Codes of the given labels.
    is_trusted : ndarray of shape (n_samples,)
        Whose labels are believed; the others tell nothing of their class.
    """

    def __init__(self, table, y_codes, is_trusted):
        self._table = table
        self._y_codes = np.where(is_trusted, y_codes, -1)
        self._units = [_unit(column) for column in table.columns]
        self._by_class = {}

    def differences(self, row, code):
        """Return for each column how unusual the row's value is for a class, and what is usual.

        The first is an array (n_columns,): numbers by their distance from the median in robust
        units, texts by how rare they are, as the number of standard deviations beyond which a
        normal number is as rare. The second is a list of texts.
        """
        if code not in self._by_class:
            # A row without a label is compared to all rows.
            members = np.flatnonzero((self._y_codes == code) | (code < 0))
            self._by_class[code] = [_usual(column[members]) for column in self._table.columns]
        found = [
            _difference(column[row], usual, unit)
            for column, usual, unit in zip(
                self._table.columns, self._by_class[code], self._units, strict=True
            )
        ]
        return np.array([difference for difference, _ in found]), [text for _, text in found]


def _unit(column):
    if column.dtype.kind == "f":
        return robust_units(column[:, None])[1][0]
    return 1.0 if len(set(column)) <= _MAX_CATEGORIES else np.inf


def _usual(values):
    """Return the median of numbers, or the shares of texts; None without a value."""
    if values.dtype.kind == "f":
        values = values[~np.isnan(values)]
        return float(np.median(values)) if len(values) else None
    texts, counts = np.unique(values.astype(str), return_counts=True)
    # One more row of each text, so that none is impossible.
    return {
        "rarest": 1 / (len(values) + 2),
        "share": dict(zip(texts, (counts + 1) / (len(values) + 2), strict=True)),
    }


def _difference(value, usual, unit):
    if usual is None or np.isinf(unit):
        return 0.0, ""
    if isinstance(usual, dict):
        share = usual["share"].get(value, usual["rarest"])
        return float(norm.isf(share / 2)), f"{share:.0%} have it"
    difference = 0.0 if np.isnan(value) else abs(value - usual) / unit
    return float(min(difference, _FAR_OFF)), as_text(usual)


def as_text(value):
    """Return a cell of a table as people read it."""
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{value:.4g}"

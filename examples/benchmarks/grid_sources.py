"""Where the rows of the grid's cells come from; their labels are right, unless people erred.

Tables are standardized by their training rows; embeddings, and digits, are as they are.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from simulated import TEST_SHARE, digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

DEFECTS = {  # the share of wrong heuristic labels
    "jruby": 0.19,
    "lucene": 0.226,
    "camel": 0.281,
    "hbase": 0.26,
    "activemq": 0.139,
    "derby": 0.29,
}


@dataclass(frozen=True)
class Rows:
    """Training rows with right labels, test rows, and labels that the source brings of its own."""

    X_train: np.ndarray
    y_clean: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    own: dict = field(default_factory=dict)

    def take(self, rows):
        """Return these training rows alone."""
        own = {name: labels[rows] for name, labels in self.own.items()}
        return replace(self, X_train=self.X_train[rows], y_clean=self.y_clean[rows], own=own)


@lru_cache(maxsize=3)
def read_arrays(path):
    """Return the arrays of a file, without texts."""
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files if not name.startswith("text")}


def embeddings(seed, path, own):
    """Return the rows of an archive that has test rows, with the labels named ``own``."""
    del seed
    arrays = read_arrays(path)
    return Rows(
        arrays["X_train"].astype(np.float32),
        arrays["y_train_clean"].astype(int),
        arrays["X_test"].astype(np.float32),
        arrays["y_test"].astype(int),
        {name: arrays[f"y_train_{name}"].astype(int) for name in own},
    )


def music(seed, path):
    """Return audio features with one, the most frequent, and all of the annotators' labels."""
    rows = embeddings(seed, path, ("one", "majority"))
    annotations = read_arrays(path)["annotations"].astype(float)
    annotations[annotations < 0] = np.nan
    return standardized(replace(rows, own={**rows.own, "annotators": annotations}))


def defects(seed, path, name):
    """Return code metrics of a release, with its heuristic labels."""
    arrays = read_arrays(path)
    X, y_clean, y = (arrays[f"{name}_{part}"] for part in ("X", "y_clean", "y_heuristic"))
    rows = split(seed, X, y_clean, np.arange(len(X)))
    own = {"heuristic": y.astype(int)[rows.own.pop("all")]}
    return standardized(replace(rows, own=own))


def table(seed, path, name):
    """Return the rows of a table without test rows, split."""
    arrays = read_arrays(path)
    return standardized(split(seed, arrays[f"{name}_X"], arrays[f"{name}_y"]))


def small_table(seed, rows):
    """Return the rows of a set of scikit-learn's, split."""
    own = split(seed, *rows(seed))
    return single_precision(own) if rows is digits else standardized(own)


def split(seed, X, y, *others):
    """Split rows, with equal shares of classes in both parts."""
    parts = train_test_split(
        X, y.astype(int), *others, test_size=TEST_SHARE, stratify=y, random_state=seed
    )
    X_train, X_test, y_train, y_test = parts[:4]
    own = {"all": parts[4]} if others else {}
    return Rows(X_train, y_train, X_test, y_test, own)


def standardized(rows):
    """Standardize by the training rows."""
    scaler = StandardScaler().fit(rows.X_train.astype(float))
    X_train, X_test = (scaler.transform(X.astype(float)) for X in (rows.X_train, rows.X_test))
    return single_precision(replace(rows, X_train=X_train, X_test=X_test))


def single_precision(rows):
    """Return the rows as float32."""
    X_train, X_test = (X.astype(np.float32) for X in (rows.X_train, rows.X_test))
    return replace(rows, X_train=X_train, X_test=X_test)


def cut(seed, source, sizes):
    """Keep ``sizes(counts)`` of the training rows of each class, at random."""
    rows = source(seed)
    counts = np.bincount(rows.y_clean)
    order = np.random.default_rng(seed).permutation(len(rows.y_clean))
    kept = [order[rows.y_clean[order] == code][:size] for code, size in enumerate(sizes(counts))]
    return rows.take(np.sort(np.concatenate(kept)))


def in_all(n_rows):
    """Return sizes of classes that add up to ``n_rows``, in the shares that they have."""

    def sizes(counts):
        ends = np.round(np.cumsum(counts) * min(1, n_rows / counts.sum())).astype(int)
        return np.diff(ends, prepend=0)

    return sizes


def of_each(n_rows):
    """Return sizes of classes of ``n_rows``."""
    return lambda counts: np.minimum(counts, n_rows)


def unequal(ratio, largest=1_000):
    """Return sizes of classes in a geometric series from the most frequent to 1:``ratio``."""

    def sizes(counts):
        order = np.argsort(-counts, kind="stable")
        shares = np.geomspace(1, 1 / ratio, len(counts))
        scale = min(largest, (counts[order] / shares).min())
        sizes = np.empty(len(counts), dtype=int)
        sizes[order] = np.maximum(np.round(scale * shares), 1)
        return sizes

    return sizes


def many_classes(seed, n_classes=300, n_features=64, n_rows=5):
    """Return rows around a center for each class, as many to train on as to test."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=0.65, size=(n_classes, n_features))
    y = np.repeat(np.arange(n_classes), n_rows)
    X_train, X_test = (
        (centers[y] + rng.normal(size=(len(y), n_features))).astype(np.float32) for _ in range(2)
    )
    return Rows(X_train, y, X_test, y)

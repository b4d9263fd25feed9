"""Measure a fit with many classes: ``python examples/benchmarks/memory.py --rows 100000``.

What it adds to the process at its peak, over that with the data and a small fit behind it, in
tables of rows by classes in single precision, as ``label_distributions_`` is one; and the seconds.
"""

import argparse

import numpy as np
from child import Stopwatch, measured, run_in_child

from skdiffusion_label import LRADiffusionClassifier

N_WARM_UP = 200  # rows of the small fit, which loads what every fit needs
WRONG = 0.3  # share of labels that are drawn anew


def fit_many_classes(n_rows, n_features, n_classes):
    """Fit clusters of equal size, and return what it took."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n_rows) % n_classes)
    X = rng.normal(size=(n_classes, n_features)).astype(np.float32)[y]
    X += 0.5 * rng.standard_normal(X.shape, dtype=np.float32)
    y = np.where(rng.random(n_rows) < WRONG, rng.integers(n_classes, size=n_rows), y)
    some = slice(N_WARM_UP)
    LRADiffusionClassifier(max_iter=1, random_state=0).fit(X[some], y[some] % 3)
    result, watch = {}, Stopwatch()
    with measured(result):
        clf = LRADiffusionClassifier(random_state=0).fit(X, y)
    table_mb = clf.label_distributions_.nbytes / 2**20
    tables = result["peak_memory_mb"] / table_mb
    return {**result, "fit_seconds": watch.lap(), "table_mb": table_mb, "tables": tables}


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--classes", type=int, default=500)
    arguments = parser.parse_args()
    sizes = arguments.rows, arguments.features, arguments.classes
    result = run_in_child(fit_many_classes, *sizes)
    if result["status"] != "ok":
        raise SystemExit(result["error"])
    print("{} rows, {} features, {} classes:".format(*sizes))
    print("{tables:.2f} tables of {table_mb:.0f} MB, {fit_seconds:.0f} s".format_map(result))


if __name__ == "__main__":
    main()

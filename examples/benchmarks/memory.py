"""Measure a fit with many classes: ``python examples/benchmarks/memory.py --rows 100000``.

Features are read from a file. What the fit adds to the process at its peak, over that with a small
fit behind it, in tables of rows by classes in single precision, as ``label_distributions_`` is one
where judges learn from all rows; and the seconds. Pages of the file that the system holds in memory
count.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from child import Stopwatch, measured, run_in_child

from skdiffusion_label import LRADiffusionClassifier

N_WARM_UP = 200  # rows of the small fit, which loads what every fit needs
ROWS_AT_ONCE = 10_000  # that are drawn
WRONG = 0.3  # share of labels that are drawn anew


def fit_many_classes(n_rows, n_features, n_classes, dtype="float32"):
    """Fit clusters of equal size, whose features are in a file, and return what it took."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n_rows) % n_classes)
    centers = rng.normal(size=(n_classes, n_features)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        header = {"descr": np.dtype(dtype).str, "fortran_order": False}
        with path.open("wb") as file:  # whose pages are then none of this process
            np.lib.format.write_array_header_1_0(file, header | {"shape": (n_rows, n_features)})
            for first in range(0, n_rows, ROWS_AT_ONCE):
                some = y[first : first + ROWS_AT_ONCE]
                noise = rng.standard_normal((len(some), n_features), dtype=np.float32)
                file.write((centers[some] + 0.5 * noise).astype(dtype).tobytes())
        X = np.load(path, mmap_mode="r")
        y = np.where(rng.random(n_rows) < WRONG, rng.integers(n_classes, size=n_rows), y)
        some = slice(N_WARM_UP)
        LRADiffusionClassifier(max_iter=1, random_state=0).fit(X[some], y[some] % 3)
        result, watch = {}, Stopwatch()
        with measured(result):
            LRADiffusionClassifier(random_state=0).fit(X, y)
    table_mb = 4 * n_rows * n_classes / 2**20
    tables = result["peak_memory_mb"] / table_mb
    return {**result, "fit_seconds": watch.lap(), "table_mb": table_mb, "tables": tables}


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--classes", type=int, default=500)
    parser.add_argument("--dtype", default="float32", choices=("float16", "float32", "float64"))
    arguments = parser.parse_args()
    sizes = arguments.rows, arguments.features, arguments.classes
    result = run_in_child(fit_many_classes, *sizes, arguments.dtype)
    if result["status"] != "ok":
        raise SystemExit(result["error"])
    print("{} rows, {} features, {} classes:".format(*sizes))
    print("{tables:.2f} tables of {table_mb:.0f} MB, {fit_seconds:.0f} s".format_map(result))


if __name__ == "__main__":
    main()

"""Measure the page of a review in Chromium: its size, its start, and its answer to keys.

For example, from the root of the repository::

    python examples/benchmarks/review.py

300 rows of smooth images of 500 x 375 pixels, with six neighbors each. It needs Debian's
``chromium`` and ``chromium-driver``, and selenium, and writes ``review.json`` in the output folder.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from chromium import open_browser
from images import make_images
from sklearn.linear_model import LogisticRegression
from store import write_results

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.review import write_review

N_CLASSES = 10
# Milliseconds from the start of loading until the row in focus, its image included, was painted.
FIRST_ROW = """
const done = arguments[0];
new PerformanceObserver((list) => done(Math.max(...list.getEntries().map((e) => e.startTime))))
    .observe({type: "largest-contentful-paint", buffered: true});
"""
# Milliseconds from a key to the end of the frame that shows what came of it, its images decoded.
KEY = """
const [key, done] = arguments, start = performance.now();
document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
Promise.all([...document.querySelectorAll("#card img")].map((image) => image.decode())).then(() =>
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start))));
"""


def write_page(folder, n_rows):
    """Write a page of images of which all rows are doubted; return its path and the seconds."""
    rng = np.random.default_rng(0)
    n_images = 3 * n_rows
    paths = make_images(folder, n_images)
    y = np.arange(n_images) % N_CLASSES
    features = np.eye(N_CLASSES)[y] * 4 + rng.normal(size=(n_images, N_CLASSES))
    y_given = np.where(rng.random(n_images) < 0.45, (y + 1) % N_CLASSES, y)
    cleaner = LabelCleaner(LogisticRegression(), random_state=0).fit(features, y_given)
    start = time.perf_counter()
    options = {"features": features, "max_rows": n_rows}
    path = write_review(folder / "page.html", cleaner, paths, **options)
    return path, time.perf_counter() - start


def measure(path, browser, repeats):
    """Return milliseconds: of each start, and of each key."""
    starts = []
    for _ in range(repeats):
        browser.get("about:blank")
        browser.get(path.as_uri())
        starts.append(browser.execute_async_script(FIRST_ROW))
    keys = [browser.execute_async_script(KEY, key) for _ in range(20) for key in "nakxpu"]
    return starts, keys


def main(argv=None):
    """Measure, print and write."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n-rows", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path, seconds = write_page(Path(folder), options.n_rows)
        megabytes = path.stat().st_size / 1e6
        browser = open_browser(Path(folder) / "chromium")
        try:
            starts, keys = measure(path, browser, options.repeats)
        finally:
            browser.quit()
    results = {
        "n_rows": options.n_rows,
        "megabytes": round(megabytes, 2),
        "seconds_to_write": round(seconds, 1),
        "first_row_ms": {"median": round(statistics.median(starts)), "worst": round(max(starts))},
        "key_ms": {"median": round(statistics.median(keys)), "worst": round(max(keys))},
    }
    print(json.dumps(results, indent=1))
    write_results(options.output / "review.json", __file__, argv, results)


if __name__ == "__main__":
    main()

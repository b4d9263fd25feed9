"""Measure what verified labels do to the other ones.

For example, from the root of the repository::

    python examples/benchmarks/review_loop.py --data-dir ../shared/data
    python examples/benchmarks/review_loop.py digits --n-rows 800 --seeds 0 1

``digits``: 40 % of the labels are wrong, and 50 rows are reviewed, the most suspicious or at
random, or 20 at random of which the labels before are not known. Share of right labels, and how
well wrong ones are put first, of the other rows, before and after. ``defects``: 5 % of the rows of
six software releases are verified at random; how well wrong labels are put first among the others.
``music``: labels of all annotators, share of right ones. Written to ``review_loop.json`` in the
output folder.
"""

import argparse
import json
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from grid_sources import DEFECTS, defects, music
from simulated import digits
from sklearn.metrics import roc_auc_score
from store import write_results

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, uniform_transition

WRONG = 0.4  # share of labels of digits
N_REVIEWED, N_VERIFIED = 50, 20  # rows of digits
VERIFIED = 0.05  # share of rows of a release


def cleaned(X, y_given, y, seed, **known):
    """Return a fitted cleaner, and the share of right labels and the AUROC of issues of rows."""
    cleaner = LabelCleaner(random_state=seed).fit(X, y_given, **known)
    suspicion = cleaner.label_issues_["p_label_error"].to_numpy()

    def score(rows, is_wrong):
        right = float(np.mean(cleaner.clean_labels_[rows] == y[rows]))
        return {"right": right, "auroc": float(roc_auc_score(is_wrong[rows], suspicion[rows]))}

    return cleaner, score


def review_digits(seed, n_rows):
    """Yield what was reviewed, and scores of the other rows before and after."""
    X, y = digits(seed)
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(y))[:n_rows]
    X, y = X[some], y[some]
    y_given = flip_labels(y, uniform_transition(10, WRONG), random_state=seed)
    is_wrong = y_given != y
    cleaner, before = cleaned(X, y_given, y, seed)
    suspicious = np.argsort(-cleaner.label_issues_["p_label_error"], kind="stable")[:N_REVIEWED]
    at_random = rng.permutation(len(y))[:N_REVIEWED]
    verified_alone = at_random[:N_VERIFIED]
    for name, rows in (
        ("suspicious", suspicious),
        ("at_random", at_random),
        ("verified_alone", verified_alone),
    ):
        known = {"decisions": decisions_of(cleaner, rows, y)}
        labels = y_given
        if name == "verified_alone":
            is_known = np.isin(np.arange(len(y)), rows)
            labels, known = np.where(is_known, y, y_given), {"verified": is_known}
        reviewed, after = cleaned(X, labels, y, seed, **known)
        others = np.setdiff1d(np.arange(len(y)), rows)
        flagged = int(reviewed.label_issues_["is_label_issue"].to_numpy()[rows].sum())
        scores = before(others, is_wrong), after(others, is_wrong)
        yield name, {"flagged_again": flagged, **_differences(*scores)}


def decisions_of(cleaner, rows, y):
    """Return what a reviewer who knows the right labels decides."""
    table = {"row": rows, "decision": "relabel", "label": y[rows].astype(str)}
    return pd.DataFrame({**table, "fingerprint": cleaner.fingerprint_})


def verify_defects(seed, name, data_dir):
    """Return scores of rows that are not verified, before and after."""
    rows = defects(seed, data_dir / "defects.npz", name)
    X, y, y_given = rows.X_train, rows.y_clean, rows.own["heuristic"]
    verified = np.random.default_rng(seed).random(len(y)) < VERIFIED
    _, before = cleaned(X, y_given, y, seed)
    _, after = cleaned(X, np.where(verified, y, y_given), y, seed, verified=verified)
    return _differences(*(of(~verified, y_given != y) for of in (before, after)))


def hear_annotators(seed, data_dir):
    """Return the share of right labels of all annotators of music."""
    rows = music(seed, data_dir / "music_genre.npz")
    cleaner = LabelCleaner(random_state=seed).fit(rows.X_train, rows.own["annotators"])
    return {"right": float(np.mean(cleaner.clean_labels_.astype(int) == rows.y_clean))}


def _differences(before, after):
    return {
        f"{when}_{name}": value
        for when, scores in (("before", before), ("after", after))
        for name, value in scores.items()
    }


def measure(parts, seeds, n_rows, data_dir, log=print):
    """Return records of all parts."""
    records = []

    def add(**record):
        records.append(record)
        log(json.dumps(record), flush=True)

    for seed in seeds:
        if "digits" in parts:
            for name, scores in review_digits(seed, n_rows):
                add(part="digits", what=name, seed=seed, **scores)
        if "defects" in parts:
            for name in DEFECTS:
                add(part="defects", what=name, seed=seed, **verify_defects(seed, name, data_dir))
        if "music" in parts:
            add(part="music", what="annotators", seed=seed, **hear_annotators(seed, data_dir))
    return records


def summarize(records):
    """Return means over seeds, and of defects over releases too."""
    frame = pd.DataFrame(records)
    frame.loc[frame["part"] == "defects", "what"] = "releases"
    means = frame.drop(columns="seed").groupby(["part", "what"]).mean().round(4)
    return {" ".join(key): row.dropna().to_dict() for key, row in means.iterrows()}


def main(argv=None):
    """Measure, print and write."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = "digits", "defects", "music"
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(known)}; all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--n-rows", type=int, default=1_797, help="rows of digits")
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args(argv)
    parts = options.parts or known
    if unknown := set(parts) - set(known):
        parser.error(f"no part {', '.join(sorted(unknown))}; available: {', '.join(known)}")
    warnings.filterwarnings("ignore", category=UserWarning)  # of abstentions, which are scored
    tell = partial(print, file=sys.stderr)
    records = measure(parts, options.seeds, options.n_rows, options.data_dir, tell)
    results = summarize(records)
    print(json.dumps(results, indent=1))
    path = options.output / "review_loop.json"
    write_results(path, __file__, argv, results, runs=records)


if __name__ == "__main__":
    main()

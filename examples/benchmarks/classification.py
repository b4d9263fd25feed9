"""Compare classifiers that are fitted on wrong labels, scored on right ones.

For example, from the root of the repository::

    python examples/benchmarks/classification.py --data ../shared/data/cifar10_mobilenet.npz \
        --labels human_worse --seeds 0 1 2 --json result.json --markdown result.md

``--data`` is a NumPy archive (.npz) with ``X_train``, ``X_test``, ``y_test`` and, for each set of
given labels, ``y_train_<name>``. If there is a ``y_train_clean`` too, the share of wrong labels is
reported; no method sees it. Methods run one after the other in one process. Forests use all cores,
``lra`` one, linear algebra as many as its library takes.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdiffusion_label
from skdiffusion_label import LRADiffusionClassifier

LOG_LOSS_CLIPPING = (
    "as sklearn.metrics.log_loss: float64 probabilities are clipped to [2.2e-16, 1 - 2.2e-16]"
)


def lra(seed, **options):
    """Return our classifier."""
    return LRADiffusionClassifier(random_state=seed, **options)


def knn_vote(n_neighbors):
    """Return a vote of the nearest neighbors by cosine similarity."""
    return KNeighborsClassifier(n_neighbors, metric="cosine", algorithm="brute")


def random_forest(seed):
    """Return a random forest that uses all cores."""
    return RandomForestClassifier(random_state=seed, n_jobs=-1)


def clean_learning(classifier, seed):
    """Return cleanlab's pruning of suspicious rows around ``classifier``."""
    try:
        from cleanlab.classification import CleanLearning
    except ImportError as error:
        raise ImportError(
            "This method needs cleanlab: pip install 'skdiffusion_label[bench]'."
        ) from error
    return CleanLearning(classifier, seed=seed, verbose=False)


METHODS = {
    "lra": lra,
    "lra_vote": lambda seed: lra(seed, label_aggregation="vote"),
    "logistic_regression": lambda seed: LogisticRegression(max_iter=200),
    "logistic_regression_scaled": lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=200)
    ),
    "knn_vote_10": lambda seed: knn_vote(10),
    "knn_vote_25": lambda seed: knn_vote(25),
    "knn_vote_50": lambda seed: knn_vote(50),
    "knn_brute_50": lambda seed: KNeighborsClassifier(50, algorithm="brute"),
    "random_forest": random_forest,
    "hist_gradient_boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "mlp": lambda seed: make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
    "cleanlab_logistic": lambda seed: clean_learning(LogisticRegression(max_iter=200), seed),
    "cleanlab_forest": lambda seed: clean_learning(random_forest(seed), seed),
}
DEFAULT_METHODS = ["lra", "logistic_regression", "knn_vote_10", "knn_vote_50", "knn_brute_50"]
SEEDLESS_METHODS = {
    "logistic_regression",
    "logistic_regression_scaled",
    "knn_vote_10",
    "knn_vote_25",
    "knn_vote_50",
    "knn_brute_50",
}
METRICS = {
    "accuracy": ("accuracy", ".4f"),
    "log_loss": ("log loss", ".4f"),
    "brier_score": ("Brier score", ".4f"),
    "calibration_error": ("calibration error", ".4f"),
    "fit_seconds": ("fit (s)", ".2f"),
    "predict_seconds": ("predict (s)", ".2f"),
}
RATIOS = [
    ("fit_seconds", "lra", "logistic_regression"),
    ("fit_seconds", "lra", "logistic_regression_scaled"),
    ("predict_seconds", "lra", "knn_brute_50"),
]


def read_data(path, labels, n_train=None):
    """Read features as float32 and labels as codes of the classes; clean labels may be None."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if not name.startswith("text")}
    prefix = "y_train_"
    missing = [name for name in ("X_train", "X_test", "y_test") if name not in arrays]
    if missing:
        raise ValueError(f"{path} must hold {', '.join(missing)}, got {', '.join(arrays)}.")
    if prefix + labels not in arrays:
        names = [name.removeprefix(prefix) for name in arrays if name.startswith(prefix)]
        raise ValueError(f"{path} has no labels {labels!r}; available: {', '.join(sorted(names))}.")

    y_given, y_test = arrays[prefix + labels], arrays["y_test"]
    y_clean = arrays.get(prefix + "clean", y_given)
    rows = np.arange(len(y_given))
    if n_train is not None and n_train < len(rows):
        rows = np.sort(np.random.default_rng(0).permutation(len(rows))[:n_train])
    classes = np.unique(np.concatenate([y_given, y_clean, y_test]))
    return {
        "X_train": arrays["X_train"][rows].astype(np.float32),
        "X_test": arrays["X_test"].astype(np.float32),
        "y_given": np.searchsorted(classes, y_given[rows]),
        "y_test": np.searchsorted(classes, y_test),
        "y_clean": np.searchsorted(classes, y_clean[rows]) if prefix + "clean" in arrays else None,
        "n_classes": len(classes),
    }


def expected_calibration_error(y_true, proba, n_bins=15):
    """Return the mean gap of accuracy and top probability in equal-width bins, weighted by rows."""
    confidence = proba.max(axis=1)
    is_right = proba.argmax(axis=1) == y_true
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, is_right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(y_true))


def score(y_true, proba):
    """Return the scores of class probabilities whose columns are the codes of the classes."""
    n_classes = proba.shape[1]
    one_hot = np.eye(n_classes)[y_true]
    return {
        "accuracy": float(np.mean(proba.argmax(axis=1) == y_true)),
        "log_loss": float(log_loss(y_true, proba, labels=np.arange(n_classes))),
        "brier_score": float(np.square(proba - one_hot).sum(axis=1).mean()),
        "calibration_error": expected_calibration_error(y_true, proba),
    }


def all_class_proba(model, proba, n_classes):
    """Return float64 probabilities with a column for each class, also those unseen in fit."""
    classes = model.classes_ if hasattr(model, "classes_") else model.clf.classes_
    full = np.zeros((len(proba), n_classes))
    full[:, classes] = proba
    return full / full.sum(axis=1, keepdims=True)


def run_method(name, seed, data):
    """Fit one method on the given labels and return its scores on the test rows."""
    model = METHODS[name](seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        model.fit(data["X_train"], data["y_given"])
        fitted = time.perf_counter()
        proba = model.predict_proba(data["X_test"])
        predicted = time.perf_counter()
    run = {
        "method": name,
        "seed": None if name in SEEDLESS_METHODS else seed,
        **score(data["y_test"], all_class_proba(model, proba, data["n_classes"])),
        "fit_seconds": fitted - start,
        "predict_seconds": predicted - fitted,
        "warnings": sorted({warning.category.__name__ for warning in caught}),
    }
    if hasattr(model, "label_distributions_"):
        run["n_neighbors"] = model.n_neighbors_
        run["retrieval_space"] = model.retrieval_space_
        if data["y_clean"] is not None:
            retrieved = model.classes_[model.label_distributions_.argmax(axis=1)]
            run["share_of_retrieved_labels_right"] = float(np.mean(retrieved == data["y_clean"]))
    return run


def summarize(runs):
    """Return mean and standard error of each metric for each method."""
    summary = {}
    for name in dict.fromkeys(run["method"] for run in runs):
        own = [run for run in runs if run["method"] == name]
        summary[name] = {"n_runs": len(own)}
        for metric in METRICS:
            values = np.array([run[metric] for run in own])
            error = values.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else None
            summary[name][metric] = {
                "mean": float(values.mean()),
                "standard_error": None if error is None else float(error),
            }
    return summary


def time_ratios(summary):
    """Return how long ours takes in units of others, for those that ran."""
    return {
        f"{metric}, {ours} / {other}": summary[ours][metric]["mean"]
        / summary[other][metric]["mean"]
        for metric, ours, other in RATIOS
        if ours in summary and other in summary
    }


def describe_machine():
    """Return what timings depend on."""
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "n_cpus": os.cpu_count(),
        "cuda_device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def describe_versions():
    """Return the versions of the packages that take part."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "sklearn": sklearn.__version__,
        "torch": torch.__version__,
        "skdiffusion_label": skdiffusion_label.__version__,
    }


def make_report(arguments, command, data, runs):
    """Return all that is known of a benchmark, ready for JSON."""
    noise_rate = None
    if data["y_clean"] is not None:
        noise_rate = float(np.mean(data["y_given"] != data["y_clean"]))
    summary = summarize(runs)
    return {
        "command": command,
        "data": str(arguments.data),
        "labels": arguments.labels,
        "n_train": len(data["X_train"]),
        "n_test": len(data["X_test"]),
        "n_features": data["X_train"].shape[1],
        "n_classes": data["n_classes"],
        "noise_rate": noise_rate,
        "share_of_given_labels_right": None if noise_rate is None else 1 - noise_rate,
        "seeds": arguments.seeds,
        "log_loss_clipping": LOG_LOSS_CLIPPING,
        "versions": describe_versions(),
        "machine": describe_machine(),
        "runs": runs,
        "summary": summary,
        "ratios": time_ratios(summary),
    }


def to_markdown(report):
    """Return the report as a GitHub-style table with its circumstances."""
    header = ["method", *(title for title, _ in METRICS.values()), "runs", "notes"]
    rows = [_table_row(name, report) for name in report["summary"]]
    table = [header, ["---", *["---:"] * (len(METRICS) + 1), "---"], *rows]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    machine = report["machine"]
    rate = report["noise_rate"]
    return "\n".join(
        [
            f"**{Path(report['data']).stem}, labels {report['labels']}**: {report['n_train']:,} "
            f"training rows, {report['n_test']:,} test rows, {report['n_features']:,} features, "
            f"{report['n_classes']} classes; "
            + ("wrong labels unknown" if rate is None else f"{rate:.1%} of training labels wrong"),
            "",
            *("| " + " | ".join(cells) + " |" for cells in table),
            "",
            "Mean ± standard error over seeds. Log loss clips "
            f"{report['log_loss_clipping']}. Brier score: squared error summed over classes (0 to "
            "2). Calibration error: 15 equal-width bins of the top probability. Times are wall.",
            "",
            *(f"- {name}: {ratio:.2f}" for name, ratio in report["ratios"].items()),
            f"- {machine['platform']}, {machine['n_cpus']} CPUs, "
            f"{machine['cuda_device'] or 'no CUDA device'}; {versions}",
            f"- `{report['command']}`",
            "",
        ]
    )


def _table_row(name, report):
    own = [run for run in report["runs"] if run["method"] == name]
    notes = ["no seed: run once"] if name in SEEDLESS_METHODS else []
    notes += sorted({warning for run in own for warning in run["warnings"]})
    cells = [f"`{name}`"]
    for metric, (_, digits) in METRICS.items():
        value = report["summary"][name][metric]
        cell = format(value["mean"], digits)
        if value["standard_error"] is not None:
            cell += " ± " + format(value["standard_error"], digits)
        cells.append(cell)
    return [*cells, str(len(own)), ", ".join(notes)]


def make_parser():
    """Return the parser of the command line."""
    summary = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--data", type=Path, required=True, help="archive (.npz) of features")
    parser.add_argument("--labels", required=True, help="name of the given labels, as human_worse")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=DEFAULT_METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--n-train", type=int, help="fit on this many rows, drawn at random")
    parser.add_argument("--json", type=Path, help="file for all runs and their circumstances")
    parser.add_argument("--markdown", type=Path, help="file for the printed table")
    return parser


def main(argv=None):
    """Run the benchmark and print its table."""
    argv = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        data = read_data(arguments.data, arguments.labels, arguments.n_train)
        for name in arguments.methods:
            METHODS[name](0)  # missing packages are found out before the first fit
    except (OSError, ValueError, ImportError) as error:
        parser.error(str(error))
    runs = []
    for name in dict.fromkeys(arguments.methods):
        for seed in arguments.seeds[:1] if name in SEEDLESS_METHODS else arguments.seeds:
            run = run_method(name, seed, data)
            runs.append(run)
            print(
                f"{name}, seed {run['seed']}: accuracy {run['accuracy']:.4f}, "
                f"log loss {run['log_loss']:.4f}, fit {run['fit_seconds']:.1f} s",
                file=sys.stderr,
                flush=True,
            )
    command = shlex.join(["python", "examples/benchmarks/classification.py", *map(str, argv)])
    report = make_report(arguments, command, data, runs)
    markdown = to_markdown(report)
    print(markdown)
    if arguments.markdown:
        arguments.markdown.write_text(markdown, encoding="utf-8")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

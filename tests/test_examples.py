"""Tests of the scripts in examples/."""

import importlib.util
import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.naive_bayes import GaussianNB

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def classification():
    path = EXAMPLES / "benchmarks" / "classification.py"
    spec = importlib.util.spec_from_file_location("classification", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archive(tmp_path):
    """An archive in the format of the benchmark data, 20 % of the labels wrong."""
    X, y = make_blobs([70, 70, 70], n_features=4, cluster_std=2.0, random_state=0)
    X = np.clip(8 * X + 128, 0, 255).astype(np.uint8)
    y_train, y_test = y[:180].astype(np.uint8), y[180:].astype(np.uint8)
    is_wrong = np.random.default_rng(0).permutation(180) < 36
    path = tmp_path / "blobs.npz"
    np.savez(
        path,
        X_train=X[:180],
        X_test=X[180:],
        y_test=y_test,
        y_train_clean=y_train,
        y_train_sym_20=np.where(is_wrong, (y_train + 1) % 3, y_train).astype(np.uint8),
        y_train_human=y_train,
        class_names=np.array(["a", "b", "c"]),
        text_train=np.array(["some text"] * 180),
    )
    return path


def test_digits_demo_puts_our_classifier_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plot_noisy_digits.py", str(tmp_path / "figures")])

    namespace = runpy.run_path(str(EXAMPLES / "plot_noisy_digits.py"), run_name="__main__")

    figure = tmp_path / "figures" / "plot_noisy_digits.png"
    assert figure.read_bytes().startswith(b"\x89PNG")
    output, errors = capsys.readouterr()
    assert not errors
    for y_given in namespace["noisy_labels"].values():
        assert np.mean(y_given != namespace["y_train"]) == pytest.approx(0.4, abs=0.02)

    table = output.split("Mean of both\n")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^ +(\S+) +(0\.\d+ +\d+\.\d+) ", table, flags=re.MULTILINE))
    accuracy = {method: float(cells.split()[0]) for method, cells in rows.items()}
    loss = {method: float(cells.split()[1]) for method, cells in rows.items()}
    assert len(accuracy) == 5
    assert next(iter(accuracy)) == "LRADiffusionClassifier"
    ours = accuracy.pop("LRADiffusionClassifier")
    assert loss.pop("LRADiffusionClassifier") < 0.5 * min(loss.values())
    assert ours > max(accuracy.values())
    n_found = re.findall(r"(\d+) of 20", output)
    assert len(n_found) == 2 and min(map(int, n_found)) >= 17


def test_classification_reports_every_run(classification, archive, tmp_path, capsys):
    json_file, markdown_file = tmp_path / "result.json", tmp_path / "result.md"
    methods = ["lra", "logistic_regression", "knn_brute_50", "cleanlab_logistic"]

    classification.main(
        ["--data", str(archive), "--labels", "sym_20", "--seeds", "0", "1"]
        + ["--methods", *methods, "--json", str(json_file), "--markdown", str(markdown_file)]
    )

    report = json.loads(json_file.read_text())
    assert [(run["method"], run["seed"]) for run in report["runs"]] == [
        ("lra", 0),
        ("lra", 1),
        ("logistic_regression", None),
        ("knn_brute_50", None),
        ("cleanlab_logistic", 0),
        ("cleanlab_logistic", 1),
    ]
    assert report["noise_rate"] == pytest.approx(0.2)
    assert report["share_of_given_labels_right"] == pytest.approx(0.8)
    assert (report["n_train"], report["n_test"], report["n_classes"]) == (180, 30, 3)
    assert {"python", "numpy", "sklearn", "torch", "skdiffusion_label"} == set(report["versions"])
    assert {"n_cpus", "platform"} <= set(report["machine"])
    assert "--labels sym_20" in report["command"]
    assert set(report["ratios"]) == {
        "fit_seconds, lra / logistic_regression",
        "predict_seconds, lra / knn_brute_50",
    }
    for run in report["runs"]:
        assert run["accuracy"] > 0.8
        assert 0 < run["log_loss"] < 1
        assert 0 < run["brier_score"] < 0.6
        assert 0 <= run["calibration_error"] < 0.5
        assert run["fit_seconds"] > 0 and run["predict_seconds"] > 0
    assert report["runs"][0]["share_of_retrieved_labels_right"] > 0.8

    accuracies = [run["accuracy"] for run in report["runs"][:2]]
    summary = report["summary"]["lra"]["accuracy"]
    assert summary["mean"] == pytest.approx(np.mean(accuracies))
    assert summary["standard_error"] == pytest.approx(abs(np.diff(accuracies)[0]) / 2)
    assert report["summary"]["knn_brute_50"]["accuracy"]["standard_error"] is None

    markdown = markdown_file.read_text(encoding="utf-8")
    assert markdown in capsys.readouterr().out
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip(" `") for line in table[2:]] == methods
    assert len({line.count("|") for line in table}) == 1
    assert "no seed: run once" in table[3] and "±" not in table[3]
    assert "20.0% of training labels wrong" in markdown


def test_classification_fits_the_given_labels(classification, archive, monkeypatch):
    class Recorder(GaussianNB):
        def fit(self, X, y):
            fitted.append((X, y))
            return super().fit(X, y)

    fitted = []
    monkeypatch.setitem(classification.METHODS, "recorder", lambda seed: Recorder())
    data = classification.read_data(archive, "sym_20", n_train=100)
    classification.run_method("recorder", 0, data)

    [(X, y)] = fitted
    assert X.shape == (100, 4) and X.dtype == np.float32
    np.testing.assert_array_equal(y, data["y_given"])
    with np.load(archive) as arrays:
        assert {tuple(row) for row in X} <= {tuple(row) for row in arrays["X_train"]}
    assert 0 < np.mean(y != data["y_clean"]) < 0.4


@pytest.mark.parametrize(
    "method",
    ["lra_vote", "logistic_regression_scaled", "knn_vote_25", "random_forest"]
    + ["hist_gradient_boosting", "mlp", "cleanlab_forest"],
)
def test_every_method_runs(classification, archive, method):
    run = classification.run_method(method, 0, classification.read_data(archive, "human"))
    assert run["accuracy"] > 0.7
    assert "share_of_retrieved_labels_right" not in run or method == "lra_vote"


def test_classification_names_the_available_labels(classification, archive, capsys):
    with pytest.raises(SystemExit) as stop:
        classification.main(["--data", str(archive), "--labels", "worst"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "no labels 'worst'; available: clean, human, sym_20." in message


def test_classification_names_the_missing_arrays(classification, tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, X_train=np.zeros((2, 2)), y_train_a=np.zeros(2))
    with pytest.raises(ValueError, match="must hold X_test, y_test, got X_train, y_train_a"):
        classification.read_data(path, "a")


def test_classification_says_what_to_install(classification, archive, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cleanlab.classification", None)
    options = ["--data", str(archive), "--labels", "human", "--methods", "cleanlab_forest"]
    with pytest.raises(SystemExit):
        classification.main(options)
    assert "pip install 'skdiffusion_label[bench]'" in capsys.readouterr().err


def test_every_default_method_exists(classification):
    assert set(classification.DEFAULT_METHODS) <= set(classification.METHODS)
    assert set(classification.SEEDLESS_METHODS) <= set(classification.METHODS)


def test_calibration_error_of_known_cases(classification):
    y_true = np.array([0, 0, 0, 1, 0, 0])
    # Four rows at 0.75 of which three are right; two rows at 1, both right: no error.
    proba = np.array([[0.75, 0.25]] * 4 + [[1.0, 0.0]] * 2)
    assert classification.expected_calibration_error(y_true, proba) == pytest.approx(0)
    # Four of four right at 0.75, one of two right at 1: (4 * 0.25 + 2 * 0.5) / 6.
    y_true = np.array([0, 0, 0, 0, 0, 1])
    assert classification.expected_calibration_error(y_true, proba) == pytest.approx(1 / 3)
    # In a single bin the two errors cancel: 5 of 6 right at a mean confidence of 5 / 6.
    error = classification.expected_calibration_error(y_true, proba, n_bins=1)
    assert error == pytest.approx(0)


def test_scores_of_a_known_case(classification):
    proba = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0]])
    scores = classification.score(np.array([0, 1]), proba)
    assert scores["accuracy"] == 1
    assert scores["log_loss"] == pytest.approx(-np.log(0.8) / 2)
    assert scores["brier_score"] == pytest.approx((0.2**2 + 0.2**2) / 2)


def test_classes_unseen_in_fit_get_zero_probability(classification):
    class Model:
        classes_ = np.array([0, 2])

    proba = classification.all_class_proba(Model(), np.array([[0.25, 0.75]], np.float32), 4)
    np.testing.assert_allclose(proba, [[0.25, 0, 0.75, 0]])

"""Tests of the benchmark suite in examples/benchmarks, on data of a few rows."""

import csv
import functools
import importlib.util
import json
import operator
import os
import sys
import time
import warnings
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skdiffusion_label.cleaning import LabelCleaner

BENCHMARKS = Path(__file__).parents[1] / "examples" / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
NAMES = (
    "child fits hard_classes heads images methods page rankers report review_loop runner scores "
    "simulated speed store summary tables tasks"
)
(
    child,
    fits,
    hard_classes,
    heads,
    images,
    methods,
    page,
    rankers,
    report,
    review_loop,
    runner,
    scores,
    simulated,
    speed,
    store,
    summary,
    tables,
    tasks,
) = map(importlib.import_module, NAMES.split())


@pytest.fixture(scope="module")
def command():
    """The command line, ``python examples/benchmarks``."""
    spec = importlib.util.spec_from_file_location("benchmarks", BENCHMARKS / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive in the format of the benchmark data, 40 % of the labels wrong."""
    X, y = make_blobs([70, 70, 70], n_features=4, cluster_std=2.0, random_state=0)
    X = np.clip(8 * X + 128, 0, 255).astype(np.uint8)
    y_train, y_test = y[:180].astype(np.uint8), y[180:].astype(np.uint8)
    is_wrong = np.random.default_rng(0).permutation(180) < 72
    path = tmp_path_factory.mktemp("data") / "banking77_minilm.npz"
    np.savez(
        path,
        X_train=X[:180],
        X_test=X[180:],
        y_test=y_test,
        y_train_clean=y_train,
        y_train_sym_40=np.where(is_wrong, (y_train + 1) % 3, y_train).astype(np.uint8),
        y_train_pair_40=y_train,
        class_names=np.array(["a", "b", "c"]),
        text_train=np.array(["some text"] * 180),
    )
    return path


@pytest.fixture
def sym_40(archive):
    return tasks.archive_tasks(archive.parent)[0]


@pytest.fixture
def in_process(monkeypatch):
    """Let the parent do what children do, so that a test can look on."""

    def run(function, *arguments, time_limit=None):
        return {"status": "ok", **function(*arguments)}

    monkeypatch.setattr(runner, "run_in_child", run)


def blobs_task(is_redrawn):
    def draw(seed):
        X, y = make_blobs(150, centers=3, random_state=seed)
        y_given = np.where(np.arange(150) % 5 == 0, (y + 1) % 3, y)[:100]
        return tasks.Given(X[:100], y_given, X[100:]), tasks.Truth(y[:100], y[100:], 3)

    return tasks.Task("blobs", "small tables", "blobs", 0.2, draw, is_redrawn)


# Tasks


def test_archive_is_read_as_codes_and_float32(sym_40, archive):
    given, truth = sym_40.draw(0)
    with np.load(archive) as arrays:
        np.testing.assert_array_equal(given.X_train, arrays["X_train"])
        np.testing.assert_array_equal(given.y_given, arrays["y_train_sym_40"])
        np.testing.assert_array_equal(truth.y_clean, arrays["y_train_clean"])
        np.testing.assert_array_equal(truth.y_test, arrays["y_test"])
    assert given.X_train.dtype == given.X_test.dtype == np.float32
    assert truth.n_classes == 3
    assert tasks.check_noise(sym_40, given, truth) == pytest.approx(0.4)


def test_archive_without_the_labels_names_those_it_has(archive):
    with pytest.raises(ValueError, match="'worst'; available: clean, pair_40, sym_40"):
        tasks.read_archive(archive, "worst")


def test_archive_without_the_arrays_names_those_it_needs(tmp_path):
    np.savez(tmp_path / "other.npz", X_train=np.zeros((2, 2)), y_train_a=np.zeros(2))
    with pytest.raises(
        ValueError, match="must hold X_train, X_test, y_test, y_train_clean, got X_train"
    ):
        tasks.read_archive(tmp_path / "other.npz", "a")


def test_missing_archives_leave_no_tasks(tmp_path):
    assert tasks.archive_tasks(tmp_path) == []


def test_clean_labels_in_the_place_of_given_ones_are_found(archive, tmp_path, in_process):
    pair_40 = tasks.archive_tasks(archive.parent)[1]  # whose labels are all right
    with pytest.raises(ValueError, match="states 40% wrong labels, got 0.0%"):
        runner.run_tasks(
            runner.CLASSIFICATION, [pair_40], ["knn_vote_10"], [0], tmp_path / "runs.jsonl"
        )


@pytest.mark.parametrize("noise", ["sym_40", "pair_40", "instance_30"])
def test_small_tables_have_the_noise_that_they_state(noise):
    (task,) = [task for task in simulated.small_tasks() if task.name == f"wine_{noise}"]
    given, truth = task.draw(0)
    assert tasks.check_noise(task, given, truth) > 0.2
    assert len(given.X_test) == len(truth.y_test) == 54
    assert given.fingerprint() == task.draw(0)[0].fingerprint() != task.draw(1)[0].fingerprint()


@pytest.mark.parametrize("noise", ["pmd1", "pmd2", "pmd3"])
def test_margin_diminishing_noise_has_the_rate_asked_for(noise):
    X, y = simulated.digits(0)
    y_given = simulated.corrupt(noise, 0.35, X, y, 0)
    assert np.mean(y_given != y) == pytest.approx(0.35, abs=0.04)


def test_every_task_has_a_name_of_its_own(archive):
    options = tables.Options(str(archive.parent), openml=("iris",))
    for table in tables.TABLES.values():
        own = table.tasks(options)
        assert len({task.name for task in own}) == len(own)
        assert {task.group for task in own} <= set(table.groups)


def test_ranking_tasks_have_no_test_rows():
    (task,) = [task for task in simulated.ranking_tasks() if task.name == "wine_sym_30"]
    given, truth = task.draw(0)
    assert (len(given.X_train), len(given.X_test), len(truth.y_test)) == (178, 0, 0)


@pytest.mark.parametrize("task", hard_classes.hard_class_tasks(), ids=lambda task: task.name)
def test_hard_classes_are_what_they_are_called(task):
    given, truth = task.draw(0)
    assert tasks.check_noise(task, given, truth) > 0.04
    counts = np.bincount(truth.y_clean, minlength=10)
    assert truth.n_classes == 10 and np.bincount(truth.y_test).min() > 40
    wrong = truth.y_clean[given.y_given != truth.y_clean]
    if task.name == "digits_one_class_60":
        assert set(wrong) == {8}
    elif task.name == "digits_rare_class":
        assert counts[9] == 3
    elif task.name == "digits_missing_class":
        assert counts[9] == 0 and 9 not in given.y_given
    else:
        assert counts[0] / counts[9] == pytest.approx(100, rel=0.1)


def test_openml_without_a_network_says_so(monkeypatch):
    def fail(*arguments, **options):
        raise URLError("no network")

    monkeypatch.setattr(simulated, "fetch_openml", fail)
    with pytest.raises(OSError, match="'iris' could not be fetched from OpenML.*network"):
        simulated.openml_task("iris").draw(0)


def test_openml_tables_are_filled_and_encoded(monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": [1.0, None, 3.0], "kind": ["a", "b", "a"]})
    y = pandas.Series(["yes", "no", "yes"])
    monkeypatch.setattr(simulated, "fetch_openml", lambda *arguments, **options: (frame, y))
    X, codes = simulated.openml_rows(0, "some")
    np.testing.assert_array_equal(X, [[1, 1, 0], [2, 0, 1], [3, 1, 0]])
    np.testing.assert_array_equal(codes, [1, 0, 1])


# Children


def test_child_hands_back_results_and_failures():
    assert child.run_in_child(dict, [("a", 1)]) == {"status": "ok", "a": 1}
    result = child.run_in_child(operator.truediv, 1, 0)
    assert result == {"status": "failed", "error": "ZeroDivisionError: division by zero"}
    result = child.run_in_child(os._exit, 3)
    assert result == {"status": "failed", "error": "the process ended with code 3"}
    result = child.run_in_child(time.sleep, 60, time_limit=0.2)
    assert result == {"status": "failed", "error": "took longer than 0.2 s", "time_limit": 0.2}


def test_child_imports_the_package_as_it_is_when_the_child_starts(tmp_path, monkeypatch):
    look = "{'file': __import__('skdiffusion_label').__file__}"
    assert child.run_in_child(eval, look)["file"] == store.skdiffusion_label.__file__
    (tmp_path / "skdiffusion_label.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert child.run_in_child(eval, look)["file"] == str(tmp_path / "skdiffusion_label.py")
    result = child.run_in_child(fits.fit_and_predict, "lra", 0, tmp_path)  # cannot be imported
    assert result["status"] == "failed" and "ImportError" in result["error"]


def test_measured_counts_memory_and_names_warnings():
    result = {}
    with child.measured(result):
        np.ones(40 * 2**20 // 8)
        warnings.warn("something", RuntimeWarning, stacklevel=1)
    assert result["warnings"] == ["RuntimeWarning"]
    assert result["peak_memory_mb"] >= 0
    assert result["n_threads"] >= 1


# What fit sees


class Recorder(GaussianNB):
    seen = []

    def fit(self, X, y):
        Recorder.seen.append((X.copy(), y.copy()))
        return super().fit(X, y)


@pytest.mark.parametrize("kind", [runner.CLASSIFICATION, runner.LABEL_ISSUES])
def test_fit_sees_the_given_labels_and_nothing_else(
    kind, sym_40, tmp_path, monkeypatch, in_process
):
    folders = []

    def rank(X, y):
        proba = Recorder().fit(X, y).predict_proba(X)
        return rankers.Judgement(-proba[np.arange(len(y)), y])

    def read_arrays(folder):
        folders.append(sorted(path.name for path in folder.iterdir()))
        return child.read_arrays(folder)

    recorder = methods.Method(lambda seed: Recorder(), "records what it is fitted on")
    monkeypatch.setitem(methods.METHODS, "recorder", recorder)
    monkeypatch.setitem(rankers.RANKERS, "recorder", methods.Method(lambda seed: rank, "records"))
    monkeypatch.setattr(fits, "read_arrays", read_arrays)
    monkeypatch.setattr(fits, "warm_up", lambda method: None)
    monkeypatch.setattr(Recorder, "seen", [])
    runs_file = tmp_path / "runs.jsonl"
    runner.run_tasks(kind, [sym_40], ["recorder"], [0], runs_file, log=lambda line: None)

    given, truth = sym_40.draw(0)
    [(X, y)] = Recorder.seen
    np.testing.assert_array_equal(X, given.X_train)
    np.testing.assert_array_equal(y, given.y_given)
    assert np.mean(y != truth.y_clean) == pytest.approx(0.4)
    assert folders == [["X_test.npy", "X_train.npy", "y_given.npy"]]
    [run] = store.read_runs(runs_file)
    assert run["status"] == "ok" and run["noise_rate"] == pytest.approx(0.4)


# Methods


@pytest.mark.parametrize("name", [*methods.METHODS])
def test_every_method_fits_and_predicts(name):
    fits.warm_up(methods.METHODS[name])
    assert methods.METHODS[name].description
    method = methods.METHODS[name]
    assert (store.describe_model(method.make(0)) == store.describe_model(method.make(1))) == (
        not method.is_random
    )


@pytest.mark.parametrize("name", [*rankers.RANKERS])
@pytest.mark.filterwarnings("ignore:The given labels do not tell")  # a hundred of them
def test_every_ranking_puts_wrong_labels_first(name, monkeypatch):
    given, truth = blobs_task(is_redrawn=True).draw(0)
    quick = {"max_iter": 10, "retrieval_space": "features", "n_neighbors": 10}
    monkeypatch.setattr(rankers, "lra", lambda seed: methods.lra(seed, **quick))
    judgement = rankers.RANKERS[name].make(0)(given.X_train.astype(np.float32), given.y_given)
    found = scores.score_judgement(truth.y_clean, given.y_given, judgement)
    assert found["auroc"] > 0.8
    if rankers.RANKERS[name].is_ours:
        assert found["clean_label_accuracy"] >= np.mean(given.y_given == truth.y_clean)
    if name == "label_cleaner":
        assert found["calibration_error"] < 0.2
        assert found["transition_error"] < 0.2


def test_without_retrieval_diffusion_sees_the_given_labels():
    X, y = make_blobs(60, centers=3, random_state=0)
    model = heads.WithoutRetrieval(max_iter=1, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.label_distributions_, np.eye(3)[y])


def test_what_has_no_diffusion_reads_through_the_noise_too():
    given, truth = blobs_task(is_redrawn=True).draw(0)
    given_right = np.mean(given.y_given == truth.y_clean)
    for model in (heads.JudgesAlone(), heads.RetrievalVote(), heads.SoftLabelNetwork(max_iter=30)):
        proba = model.fit(given.X_train, given.y_given).predict_proba(given.X_test)
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
        assert np.mean(proba.argmax(axis=1) == truth.y_test) > given_right + 0.05


def test_methods_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.classification", None)
    with pytest.raises(ImportError, match=r"pip install 'skdiffusion_label\[bench\]'"):
        methods.METHODS["cleanlab_forest"].make(0)


# Scores


def test_calibration_error_of_known_cases():
    y_true = np.array([0, 0, 0, 1, 0, 0])
    # Four rows at 0.75 of which three are right; two rows at 1, both right: no error.
    proba = np.array([[0.75, 0.25]] * 4 + [[1.0, 0.0]] * 2)
    assert scores.expected_calibration_error(y_true, proba) == pytest.approx(0)
    # Four of four right at 0.75, one of two right at 1: (4 * 0.25 + 2 * 0.5) / 6.
    y_true = np.array([0, 0, 0, 0, 0, 1])
    assert scores.expected_calibration_error(y_true, proba) == pytest.approx(1 / 3)
    # In a single bin the two errors cancel: 5 of 6 right at a mean confidence of 5 / 6.
    error = scores.expected_calibration_error(y_true, proba, n_bins=1)
    assert error == pytest.approx(0)


def test_scores_of_a_known_case():
    proba = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    own = scores.score_proba(np.array([0, 1, 0]), proba)
    assert own["accuracy"] == own["balanced_accuracy"] == 1
    assert own["log_loss"] == pytest.approx(-np.log(0.8) / 3)
    assert own["brier_score"] == pytest.approx((0.2**2 + 0.2**2) / 3)
    own = scores.score_proba(np.array([0, 1, 2]), proba)
    assert own["accuracy"] == own["balanced_accuracy"] == pytest.approx(2 / 3)


def test_classes_unseen_in_fit_get_zero_probability():
    proba = scores.all_class_proba(np.array([[0.25, 0.75]], np.float32), [0, 2], 4)
    np.testing.assert_allclose(proba, [[0.25, 0, 0.75, 0]])


# Runs


def test_finished_runs_are_not_run_again(tmp_path, monkeypatch, in_process):
    runs_file, log = tmp_path / "runs.jsonl", []
    names = ["knn_vote_10", "quick"]
    quick = methods.Method(lambda seed: Recorder(), "stands for ours", is_ours=True)
    monkeypatch.setitem(methods.METHODS, "quick", quick)
    monkeypatch.setattr(fits, "warm_up", lambda method: None)

    def run(seeds, is_redrawn=True):
        log.clear()
        task = blobs_task(is_redrawn)
        runner.run_tasks(runner.CLASSIFICATION, [task], names, seeds, runs_file, log=log.append)
        return [line.split(":")[0].removeprefix("classification, blobs, ") for line in log]

    assert run([0, 1], is_redrawn=False) == [
        "knn_vote_10, seed 0",
        "quick, seed 0",
        "quick, seed 1",
    ]
    assert run([0, 1], is_redrawn=False) == []
    assert run([0, 1]) == ["knn_vote_10, seed 1", "quick, seed 1"]  # other rows
    monkeypatch.setattr(runner, "package_hash", lambda kind: "another")
    assert run([0, 1]) == ["quick, seed 0", "quick, seed 1"]
    assert len(store.read_runs(runs_file)) == 4
    assert len(runs_file.read_text().splitlines()) == 7


def test_failed_runs_are_noted_and_tried_again(tmp_path, monkeypatch):
    results = [{"status": "failed", "error": "the process ended with code -9"}] * 2
    monkeypatch.setattr(runner, "run_in_child", lambda *arguments, **options: results.pop())
    runs_file, log = tmp_path / "runs.jsonl", []
    for _ in range(2):
        runner.run_tasks(
            runner.CLASSIFICATION, [blobs_task(True)], ["mlp"], [0], runs_file, log=log.append
        )
    assert log == ["classification, blobs, mlp, seed 0: the process ended with code -9"] * 2
    tasks_of_runs = summary.summarize(store.read_runs(runs_file))
    assert tasks_of_runs["blobs"]["methods"]["mlp"] == {
        "n_runs": 0,
        "errors": ["the process ended with code -9"],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("room", "kinds"),
    [
        ("retrieval", {"classification", "label_issues"}),
        ("cleaning", {"label_issues"}),
        ("label_noise", set()),
        ("embedding", set()),
    ],
)
def test_package_hash_follows_the_source_that_a_run_depends_on(room, kinds, tmp_path, monkeypatch):
    (tmp_path / room).mkdir()
    (tmp_path / room / "_file.py").write_text("a = 1")
    monkeypatch.setattr(store.skdiffusion_label, "__file__", str(tmp_path / "__init__.py"))
    before = {kind: store.package_hash(kind) for kind in ("classification", "label_issues")}
    assert before == {kind: store.package_hash(kind) for kind in before}
    (tmp_path / room / "_file.py").write_text("a = 2")
    assert {kind for kind in before if store.package_hash(kind) != before[kind]} == kinds


def test_training_loop_is_timed_beside_its_matrix_products(tmp_path):
    np.save(tmp_path / "X_train.npy", np.random.default_rng(0).normal(size=(600, 8)).astype("f4"))
    result = speed.time_training_loop(tmp_path, 3, repeats=1)
    times = result["scores"]
    assert times["training_loop_seconds"] > times["matrix_products_seconds"] > 0


def test_speed_and_scaling_tasks_have_the_sizes_asked_for(tmp_path):
    task = speed.speed_task(tmp_path, 60, 20, 8)
    given, truth = task.draw(0)
    assert given.X_train.shape == (60, 8) and given.X_test.shape == (20, 8)
    names = [task.name for task in speed.scaling_tasks()]
    sizes = 1_000, 10_000, 100_000, 300_000, 1_000_000
    assert names == [f"scaling_{n}" for n in sizes]


# Reports


def made_run(task="a", method="lra", seed=0, **scores_of_run):
    return {
        "kind": "classification",
        "task": task,
        "method": method,
        "seed": seed,
        "data": task,
        "package": "abc" if method.startswith("lra") else None,
        "group": "small tables",
        "description": f"rows of {task}",
        "n_train": 1000,
        "n_test": 100,
        "n_features": 4,
        "n_classes": 3,
        "noise_rate": 0.4,
        "status": "ok",
        "fit_seconds": 2.0,
        "predict_seconds": 0.5,
        "peak_memory_mb": 10.0,
        "n_threads": 1,
        "warnings": [],
        "versions": {"python": "3"},
        "machine": {"platform": "Linux", "n_cpus": 2},
        "finished": "2026-01-01",
        "scores": scores_of_run,
    }


@pytest.fixture
def made_runs():
    failed = {**made_run("b", "mlp"), "status": "failed", "error": "no memory"}
    return [
        made_run(accuracy=0.8, log_loss=0.5),
        made_run(seed=1, accuracy=0.9, log_loss=0.7),
        made_run("b", accuracy=0.6, log_loss=1.0),
        made_run("a", "knn_vote_10", accuracy=0.7, log_loss=0.4),
        made_run("b", "knn_vote_10", accuracy=0.65, log_loss=1.5),
        made_run("a", "mlp", accuracy=0.1, log_loss=9.0),
        failed,
    ]


def test_summary_has_means_errors_and_ranks(made_runs):
    own = summary.summarize(made_runs)
    accuracy = own["a"]["methods"]["lra"]["accuracy"]
    assert accuracy["mean"] == pytest.approx(0.85)
    assert accuracy["standard_error"] == pytest.approx(0.05)
    assert own["b"]["methods"]["lra"]["accuracy"]["standard_error"] is None
    ranks = summary.mean_ranks(own, ["lra", "knn_vote_10", "mlp"], "accuracy")
    assert ranks == {"lra": 1.5, "knn_vote_10": 1.5}
    assert summary.best_methods(own, "a", ["lra", "mlp"], "log_loss") == ["lra"]
    differences = summary.mean_differences(own, ["lra", "knn_vote_10"], "accuracy", "lra")
    assert differences == {"knn_vote_10": pytest.approx((-0.15 + 0.05) / 2)}


def test_speed_ratios_compare_medians():
    runs = [
        {**made_run(), "fit_seconds": 1.0},
        {**made_run(seed=1), "fit_seconds": 2.0},
        {**made_run(seed=2), "fit_seconds": 9.0},
        {**made_run(method="logistic_regression_default"), "fit_seconds": 4.0},
        {
            **made_run(method="training_loop"),
            "scores": {"training_loop_seconds": 3.0, "matrix_products_seconds": 2.0},
        },
    ]
    assert summary.speed_ratios(summary.summarize(runs)) == {
        "fit: lra / logistic_regression_default": 0.5,
        "training loop / its bare matrix products": 1.5,
    }


def test_markdown_shows_what_was_measured_on_what(command, made_runs):
    own = command.make_report(tables.TABLES["classification"], made_runs, "python some")
    text = report.to_markdown(own)
    lines = text.splitlines()
    start = lines.index("## Accuracy, small tables (higher is better)")
    assert lines[start + 2 : start + 7] == [
        "| method | a | b | mean | mean rank |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| lra | **0.850** ± 0.050 | 0.600 | 0.725 | 1.5 |",
        "| knn_vote_10 | 0.700 | **0.650** | 0.675 | 1.5 |",
        "| mlp | 0.100 | failed |  |  |",
    ]
    assert "a: rows of a; 1,000 training rows, 100 test rows, 4 features, 3 classes, 40.0%" in text
    assert "mlp failed on b: no memory" in text
    assert "runs of each method: 1 to 2" in text
    assert "Machine: Linux, 2 CPUs. Threads: 1." in text and "Command: python some" in text


def test_ablations_show_the_difference_to_ours(command):
    runs = [
        made_run(accuracy=0.8, log_loss=0.5),
        made_run("a", "lra_sample", accuracy=0.7, log_loss=0.6),
        made_run("b", accuracy=0.8, log_loss=0.5),  # of the classification table alone
    ]
    own = command.make_report(tables.TABLES["ablations"], runs, "python some")
    assert list(own["tasks"]) == ["a"]
    text = report.to_markdown(own)
    assert "| method | a | mean difference to lra |" in text
    assert "| lra_sample | 0.700 | -0.100 |" in text
    assert "| lra_sample | 0.600 | +0.100 |" in text


def test_page_is_made_from_the_files(command, made_runs, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    scaling = [
        {
            **made_run(f"scaling_{n}", accuracy=0.5),
            "kind": "speed",
            "group": "scaling",
            "n_train": n,
        }
        for n in (10, 100)
    ]
    for name, runs in (("classification", made_runs), ("scaling", scaling), ("speed", [])):
        own = command.make_report(tables.TABLES[name], runs, "python some")
        (results / f"{name}.json").write_text(json.dumps(own))
    text = page.write_page(results).read_text(encoding="utf-8")

    assert (results / "scaling.svg").read_text().startswith("<?xml")
    assert ".. image:: results/scaling.svg" in results.with_suffix(".rst").read_text()
    block = text.split(".. csv-table:: Accuracy, small tables\n")[1].split("\n\n")[1]
    rows = list(csv.reader(block.splitlines(), skipinitialspace=True))
    assert rows[0] == ["method", "a", "b", "mean", "mean rank"]
    assert rows[1] == ["lra", "**0.850** ± 0.050", "0.600", "0.725", "1.5"]
    assert "Speed" not in text


def test_page_is_valid_restructured_text(command, made_runs, tmp_path):
    core = pytest.importorskip("docutils.core")
    results = tmp_path / "results"
    results.mkdir()
    for name, table in tables.TABLES.items():
        runs = [
            {**run, "kind": table.kind.name, "group": table.groups[0], "method": method}
            for run in made_runs[:1]
            for method in table.methods
        ]
        runs[-1] |= {"status": "failed", "error": "label_ *and* `more` | of \\ it_"}
        own = command.make_report(table, runs, "python some")
        for task in own["tasks"].values():
            for method in task["methods"].values():
                method |= {metric: summary.statistics([1.0, 2.0]) for metric in table.metrics}
        (results / f"{name}.json").write_text(json.dumps(own))
    path = page.write_page(results)
    options = {"halt_level": 2, "input_encoding": "utf-8", "report_level": 2}
    html = core.publish_string(
        path.read_text(encoding="utf-8"), writer="html5", settings_overrides=options
    ).decode()
    assert "label_ *and* `more` | of \\ it_" in html and "label_distributions_" in html
    assert "First" in (results / "which_tool.inc").read_text()


# The command


def test_one_command_runs_saves_and_resumes(command, tmp_path, capsys):
    output = tmp_path / "results"
    options = ["classification", "page", "--data-dir", str(tmp_path), "--output", str(output)]
    options += ["--tasks", "wine_sym*", "--methods", "knn_vote_[12]*", "mlp", "--seeds", "0", "1"]
    command.main(options)
    printed = capsys.readouterr().out
    assert f"No archives in {tmp_path}: only simulated tasks are run." in printed
    assert printed.count("\nclassification, wine_sym_40, ") == 6
    text = (output / "classification.md").read_text(encoding="utf-8")
    assert text in printed and "| knn_vote_25 | " in text
    runs = store.read_runs(output / "runs.jsonl")
    assert len(runs) == 6
    for run in runs:
        assert run["status"] == "ok" and 0.3 < run["scores"]["accuracy"] <= 1
        assert run["fit_seconds"] > 0 and run["predict_seconds"] > 0
        assert run["peak_memory_mb"] >= 0 and run["n_threads"] == child.n_threads()
        assert {"python", "numpy", "sklearn", "torch"} <= set(run["versions"])
    own = json.loads((output / "classification.json").read_text())
    assert own["tasks"]["wine_sym_40"]["methods"]["mlp"]["n_runs"] == 2
    assert "--seeds 0 1" in own["command"]
    assert (tmp_path / "results.rst").exists()

    command.main(options)
    assert "\nclassification, wine_sym_40, " not in capsys.readouterr().out
    assert (output / "classification.md").read_text(encoding="utf-8") == text


def test_unknown_tables_are_named(command, capsys):
    with pytest.raises(SystemExit):
        command.main(["classifications"])
    assert "no table classifications; available: classification, abl" in capsys.readouterr().err


def test_images_are_timed_against_bare_loops(tmp_path, capsys):
    options = ["--clip", "--encoder", "resnet18", "--n-images", "4", "--batch-size", "2"]
    images.main([*options, "--repeats", "1", "--output", str(tmp_path)])

    report = json.loads((tmp_path / "images_cpu.json").read_text())
    own, bare = report["results"]["train resnet18"].values()
    assert bare["ratio"] == 1
    assert own["ratio"] > 0 and own["images_per_second"] > 0
    assert "train resnet18" in capsys.readouterr().out
    text = page.write_page(tmp_path).read_text(encoding="utf-8")
    assert f'"bare loop", "{bare["images_per_second"]:.1f}", "1.00"' in text


def test_embedders_of_images_take_turns_with_the_bare_loop(tmp_path, monkeypatch):
    import open_clip

    small = {"image_size": 32, "patch_size": 16, "width": 32, "head_width": 16, "layers": 1}
    text = {"vocab_size": 10, "width": 16, "heads": 1, "layers": 1}
    config = {"embed_dim": 8, "vision_cfg": small, "text_cfg": text}
    models = {**open_clip.factory._MODEL_CONFIGS, "tiny": config}
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", models)
    options = images.make_parser().parse_args(["--batch-size", "2"])
    paths = images.make_images(tmp_path, 3)
    functions = images.time_embedding("tiny", paths, tmp_path, options)

    results = images.compare(functions, 1, len(paths))

    assert list(results) == ["CLIPEmbedder", "CLIPEmbedder, all cached", "bare loop"]
    assert all(result["ratio"] > 0 for result in results.values())


def test_review_loop_scores_the_other_rows(monkeypatch, tmp_path, capsys):
    judge = LogisticRegression(max_iter=500)
    monkeypatch.setattr(review_loop, "LabelCleaner", functools.partial(LabelCleaner, judge))
    words = "digits", "--n-rows", "400", "--seeds", "0", "--output", str(tmp_path)
    review_loop.main(words)
    written = json.loads((tmp_path / "review_loop.json").read_text(encoding="utf-8"))
    assert written["results"] == json.loads(capsys.readouterr().out)
    assert written["command"].split()[1:3] == ["examples/benchmarks/review_loop.py", "digits"]
    names = ["at_random", "suspicious", "verified_alone"]
    assert list(written["results"]) == [f"digits {name}" for name in names]
    for scores in written["results"].values():
        assert scores["flagged_again"] == 0
        assert 0.5 < scores["before_right"] < 1
        assert abs(scores["after_right"] - scores["before_right"]) < 0.1
    with pytest.raises(SystemExit):
        review_loop.main(["digit"])

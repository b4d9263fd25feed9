"""Tests of the wide grid in examples/benchmarks, on data of a few rows."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_blobs

BENCHMARKS = Path(__file__).parents[1] / "examples" / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
NAMES = "fits grid_cells grid_methods grid_noise grid_sources peers regret report runner scores"
(
    fits,
    grid_cells,
    grid_methods,
    grid_noise,
    grid_sources,
    peers,
    regret,
    report,
    runner,
    scores,
) = map(importlib.import_module, NAMES.split())
store, tables, tasks = map(importlib.import_module, ("store", "tables", "tasks"))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Files in the formats of the benchmark data, of a few rows of four classes."""
    folder = tmp_path_factory.mktemp("data")
    X, y = make_blobs([60, 50, 45, 40], n_features=5, cluster_std=2.0, random_state=0)
    X, y, other = X.astype(np.float32), y.astype(np.uint8), ((y + 1) % 4).astype(np.uint8)

    def given(share):
        return np.where(np.random.default_rng(0).random(len(y)) < share, other, y)

    rows = {"X_train": X, "y_train_clean": y, "X_test": X[:40], "y_test": y[:40]}
    for prefix, (file_name, _, labels) in tasks.ARCHIVES.items():
        own = {f"y_train_{name}": given(rate) for name, (rate, _) in labels.items()}
        np.savez(folder / file_name, text_train=np.array(["text"]), **rows, **own)
        del prefix
    np.savez(folder / "noisyagnews_minilm.npz", y_train_human=given(0.196), **rows)
    annotations = np.full((len(y), 5), -1, dtype=np.int8)
    annotations[:, 1], annotations[:, 3] = y, given(0.5)
    music = {"y_train_one": given(0.48), "y_train_majority": given(0.29)}
    np.savez(folder / "music_genre.npz", annotations=annotations, **music, **rows)
    binary, defects = y % 2, {}
    for name, rate in grid_sources.DEFECTS.items():
        is_wrong = np.arange(len(y)) % 100 < 100 * rate
        defects[f"{name}_X"], defects[f"{name}_y_clean"] = X, binary
        defects[f"{name}_y_heuristic"] = np.where(is_wrong, 1 - binary, binary)
    np.savez(folder / "defects.npz", **defects)
    labels = {"pima": binary, "phoneme": binary, "vowel": y, "winequality": y}
    features = {f"{name}_X": X for name in labels}
    y_of_tables = {f"{name}_y": own for name, own in labels.items()}
    np.savez(folder / "tables.npz", **features, **y_of_tables)
    return folder


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(grid_noise.tempfile, "gettempdir", lambda: str(tmp_path))


def cell(name, data_dir):
    (task,) = [task for task in grid_cells.grid_tasks(data_dir) if task.name == name]
    return task


# Cells


def test_the_grid_is_wide(data_dir):
    cells = grid_cells.grid_tasks(data_dir)
    names = [task.name for task in cells]
    assert len(set(names)) == len(names) >= 70
    assert {task.group for task in cells} == set(grid_cells.FAMILIES)
    for task in cells:
        assert task.name.endswith("_clean") == (task.noise_rate == 0)
    assert {"cifar10_human_worse", "banking77_15_sym_60", "cifar10_5000_means_30"} <= set(names)
    assert {"music_annotators", "derby_heuristic", "agnews_human", "pima_asym_17"} <= set(names)


def test_the_grid_without_data_has_sets_of_scikit_learn(tmp_path):
    prefixes = {task.name.split("_")[0] for task in grid_cells.grid_tasks(tmp_path)}
    assert prefixes == {"wine", "breast", "digits", "classes"} | {"digits"}


@pytest.mark.parametrize(
    "name",
    [
        "wine_sym_40",
        "wine_boosted_25",
        "breast_cancer_asym_23",
        "digits_1to100_sym_20",
        "banking77_15_linear_30",
        "banking77_15_forest_30",
        "banking77_15_means_30",
        "jruby_heuristic",
        "classes_300_sym_20",
        "vowel_clean",
    ],
)
def test_cells_are_what_they_state_and_follow_the_seed(name, data_dir, own_cache):
    task = cell(name, data_dir)
    given, truth = task.draw(0)
    assert tasks.check_noise(task, given, truth) == pytest.approx(task.noise_rate, abs=0.13)
    assert given.X_train.dtype == given.X_test.dtype == np.float32
    assert len(given.X_train) == len(given.y_given) == len(truth.y_clean)
    assert set(truth.y_test) <= set(range(truth.n_classes))
    assert given.fingerprint() == task.draw(0)[0].fingerprint() != task.draw(1)[0].fingerprint()


def test_real_noise_is_that_of_the_file(data_dir):
    given, truth = cell("cifar10_human_worse", data_dir).draw(0)
    with np.load(data_dir / "cifar10_mobilenet.npz") as arrays:
        np.testing.assert_array_equal(given.y_given, arrays["y_train_human_worse"])
        np.testing.assert_array_equal(truth.y_clean, arrays["y_train_clean"])


def test_several_annotators_stand_beside_their_majority(data_dir):
    given, truth = cell("music_annotators", data_dir).draw(0)
    assert given.annotations.shape == (len(given.y_given), 5)
    np.testing.assert_array_equal(given.annotations[:, 1], truth.y_clean)
    assert np.isnan(given.annotations[:, 0]).all()
    assert given.fingerprint() != cell("music_majority", data_dir).draw(0)[0].fingerprint()


def test_sizes_of_classes():
    counts = np.array([100, 200, 150, 90])
    np.testing.assert_array_equal(grid_sources.of_each(95)(counts), [95, 95, 95, 90])
    assert grid_sources.in_all(270)(counts).sum() == 270
    sizes = grid_sources.unequal(20)(counts)
    assert np.all(sizes <= counts) and sizes[1] / sizes[3] == pytest.approx(20, rel=0.1)
    assert grid_sources.unequal(1000)(counts).min() == 1


def test_the_farthest_rows_become_the_nearest_other_class():
    X = np.array([[0.0], [1], [5], [10], [11], [20], [21]])
    y = np.array([0, 0, 0, 1, 1, 2, 2])
    y_given = grid_noise.flip_far_rows(y, X, 1 / 7)
    np.testing.assert_array_equal(np.flatnonzero(y_given != y), [2])
    assert y_given[2] == 1


def test_probabilities_of_the_noise_are_kept(own_cache):
    calls = []

    def model(X, y, seed):
        calls.append(seed)
        return np.eye(2)[y]

    X, y = np.zeros((3, 1)), np.array([0, 1, 1])
    for seed in (0, 0, 1):
        np.testing.assert_array_equal(grid_noise.cached(model, X, y, seed), np.eye(2)[y])
    assert calls == [0, 1]


# Methods


@pytest.mark.parametrize("name", [*grid_methods.GRID_METHODS])
@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
@pytest.mark.filterwarnings("ignore:Duplicated some data across multiple folds:UserWarning")
@pytest.mark.filterwarnings("ignore:May not flag all label issues:UserWarning")
@pytest.mark.filterwarnings("ignore:Number of classes in training fold:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:The given labels do not tell noise:UserWarning")  # all right
def test_every_method_fits_where_classes_are_tiny(name):
    if name == "catboost":
        pytest.importorskip("catboost")
    method = grid_methods.GRID_METHODS[name]
    X, y = make_blobs([60, 40, 12, 1], n_features=4, random_state=0)
    y = np.array([0, 1, 3, 4])[y]  # nobody is given class 2
    model = method.make(0)
    quick = {"max_iter", "estimator__max_iter"} & set(model.get_params())
    model.set_params(**dict.fromkeys(quick, 5)).fit(X, y)
    proba = scores.all_class_proba(model.predict_proba(X), np.asarray(model.classes_), 5)
    assert np.mean(proba.argmax(axis=1) == y) > 0.5
    judgement = method.judge and method.judge(model, X, y, 0)
    if judgement:
        assert judgement.suspicion.shape == y.shape and np.isfinite(judgement.suspicion).all()
        assert judgement.clean_labels is None or set(judgement.clean_labels) <= set(y)
    assert bool(judgement) == (method.judge is not None)


def test_the_fallback_is_used_where_the_classifier_raises():
    class Picky(peers.TunedLogisticRegression):
        def fit(self, X, y):
            raise ValueError("too few rows")

    X, y = make_blobs(60, random_state=0)
    model = peers.FewRows(Picky(), peers.knn_vote(5)).fit(X, y)
    assert model.fell_back_ and model.predict_proba(X).shape == (60, 3)


# Scores and runs


def judgement(**parts):
    return importlib.import_module("rankers").Judgement(**parts)


def test_verdicts_of_a_known_case():
    y_clean = np.array([0, 0, 0, 1, 1, 2])
    y_given = np.array([0, 0, 1, 1, 0, 2])
    own = scores.score_verdicts(
        y_clean,
        y_given,
        judgement(
            suspicion=np.array([0.1, 0.2, 0.9, 0.3, 0.8, 0.7]),
            is_issue=np.array([0, 0, 1, 0, 0, 1], dtype=bool),
            clean_labels=np.array([0, 0, 0, 1, 0, 1]),
        ),
    )
    assert own == {
        "issue_auroc": 1,
        "issue_auprc": 1,
        "n_flagged": 2,
        "issue_precision": 0.5,
        "issue_recall": 0.5,
        "labels_right_given": pytest.approx(4 / 6),
        "labels_right_mended": pytest.approx(4 / 6),
        "recall_of_rarest": 0,
    }


def test_reliability_counts_what_was_foretold_and_what_was():
    happened = np.array([True, False, False, True])
    shares = scores.reliability(happened, np.array([0.95, 0.91, 0.0, 1.0]))
    assert sum(shares[f"tenth_{k}_rows"] for k in range(10)) == 1
    assert shares["tenth_9_rows"] == 0.75 and shares["tenth_0_rows"] == 0.25
    assert shares["tenth_9_foretold"] == pytest.approx((0.95 + 0.91 + 1) / 4)
    assert shares["tenth_9_happened"] == 0.5 and shares["tenth_0_happened"] == 0
    assert shares["tenth_5_rows"] == shares["tenth_5_foretold"] == 0


def test_reliability_of_a_family_is_that_of_its_cells_together():
    figures = importlib.import_module("figures")
    summary = importlib.import_module("summary")
    tasks = {}
    for name, wrong in (("some", [True, True]), ("others", [False, False])):
        shares = scores.reliability(np.array(wrong), np.array([0.5, 0.05]))
        own = {f"issue_{part}": summary.statistics([share]) for part, share in shares.items()}
        tasks[name] = {"group": "tables", "methods": {"lra": own}}
    foretold, wrong, rows = figures.reliability_curves({"tasks": tasks})["tables"]
    assert foretold == pytest.approx([0.05, 0.5])
    assert wrong == pytest.approx([0.5, 0.5])
    assert rows == pytest.approx([0.5, 0.5])


def test_clean_labels_have_no_ranking_to_score():
    y = np.array([0, 1, 1])
    own = judgement(suspicion=np.zeros(3), is_issue=np.zeros(3, dtype=bool), clean_labels=y)
    assert scores.score_verdicts(y, y, own) == {
        "n_flagged": 0,
        "labels_right_given": 1,
        "labels_right_mended": 1,
        "recall_of_rarest": 1,
    }


@pytest.fixture
def in_process(monkeypatch):
    """Let the parent do what children do."""

    def run(function, *arguments, time_limit=None):
        return {"status": "ok", **function(*arguments)}

    monkeypatch.setattr(runner, "run_in_child", run)
    monkeypatch.setattr(fits, "warm_up", lambda method: None)


def test_ours_sees_all_annotators_and_the_others_their_majority(
    data_dir, tmp_path, monkeypatch, in_process
):
    quick = grid_methods.CleanerClassifier(grid_methods.lra(0, max_iter=2))
    ours = grid_methods.GRID_METHODS["lra"]
    monkeypatch.setitem(grid_methods.GRID_METHODS, "lra", replace(ours, make=lambda seed: quick))
    task, runs_file = cell("music_annotators", data_dir), tmp_path / "runs.jsonl"
    runner.run_tasks(
        runner.GRID, [task], ["lra", "cleanlab_logistic"], [0], runs_file, log=lambda line: None
    )
    assert quick.annotations_ is not None and quick.classes_.tolist() == [0, 1, 2, 3]
    runs = {run["method"]: run for run in store.read_runs(runs_file)}
    assert runs["lra"]["status"] == runs["cleanlab_logistic"]["status"] == "ok"
    for run in runs.values():
        assert {"accuracy", "labels_right_mended", "recall_of_rarest"} <= set(run["scores"])
    assert "issue_auroc" in runs["cleanlab_logistic"]["scores"]  # ours may leave nothing to rank
    assert runs["lra"]["scores"]["labels_right_given"] == pytest.approx(0.71, abs=0.1)


def test_runs_that_are_too_slow_or_skipped_are_not_tried_again(data_dir, tmp_path, monkeypatch):
    limits, log = [], []

    def run_in_child(*arguments, time_limit):
        limits.append(time_limit)
        return {"status": "failed", "error": "took longer", "time_limit": time_limit}

    monkeypatch.setattr(runner, "run_in_child", run_in_child)
    task = cell("wine_sym_20", data_dir)
    for limit in (10, 10, 20):
        runner.run_tasks(
            runner.GRID,
            [task],
            ["knn_vote_10", "mlp"],
            [0],
            tmp_path / "runs.jsonl",
            time_limit=limit,
            skipped=[("catboost mlp", "vowel* wine*", "slow")],
            log=log.append,
        )
    assert limits == [10, 20]
    assert [line.split(", ")[2] for line in log] == ["knn_vote_10"] * 2


# Regret


def made_run(method, seed=0, task="a", data="same", group="tables", **own):
    return {
        "status": "ok",
        "task": task,
        "group": group,
        "method": method,
        "seed": seed,
        "data": data,
        "scores": own,
    }


def test_regret_is_the_best_peer_less_ours_after_the_mean_over_seeds():
    runs = [
        made_run("lra", 0, accuracy=0.8, log_loss=0.5),
        made_run("lra", 1, accuracy=0.9, log_loss=0.7),
        made_run("mlp", 0, accuracy=0.95, log_loss=0.8),
        made_run("mlp", 1, accuracy=0.7, log_loss=0.6),
        made_run("knn_vote_10", accuracy=0.9, log_loss=0.4),  # once, as it has no randomness
        made_run("lra", task="b", group="clean", accuracy=0.5),
        made_run("mlp", task="b", group="clean", data="other", accuracy=0.1),
    ]
    (own,) = (cells := regret.regrets(runs))["accuracy"]
    assert own["peer"] == "knn_vote_10" and own["n_peers"] == 2
    assert own["ours"] == pytest.approx(0.85) and own["best"] == pytest.approx(0.9)
    assert own["regret"] == pytest.approx(0.05)
    assert own["by_seed"] == {"0": pytest.approx(0.1), "1": pytest.approx(0)}
    (own,) = cells["log_loss"]
    assert own["peer"] == "knn_vote_10" and own["regret"] == pytest.approx(0.2)
    assert cells["issue_auroc"] == []


def test_regrets_are_summed_up_with_errors_over_seeds():
    cells = [
        {"task": "a", "peer": "mlp", "regret": 0.003, "by_seed": {"0": 0.002, "1": 0.004}},
        {"task": "b", "peer": "mlp", "regret": -0.02, "by_seed": {"0": -0.02, "1": -0.02}},
    ]
    own = regret.sum_up(cells)
    assert own["n_cells"] == 2 and own["share_first"] == 1
    assert own["mean"] == pytest.approx(-0.0085)
    assert own["standard_error"] == pytest.approx(0.0005)
    assert own["worst"]["task"] == "a"
    single = [{**cell, "by_seed": {"0": cell["regret"]}} for cell in cells]
    assert regret.sum_up(single)["standard_error"] is None


def test_the_page_shows_losses_as_wins():
    command = importlib.util.spec_from_file_location("grid_command", BENCHMARKS / "__main__.py")
    module = importlib.util.module_from_spec(command)
    command.loader.exec_module(module)
    facts = {
        "kind": "grid",
        "package": None,
        "n_train": 100,
        "n_test": 50,
        "n_features": 4,
        "n_classes": 3,
        "noise_rate": 0.2,
        "description": "rows",
        "fit_seconds": 1.0,
        "n_threads": 1,
        "warnings": [],
        "versions": {"python": "3"},
        "machine": {"platform": "Linux", "n_cpus": 2},
        "finished": "2026-01-01",
    }
    verdicts = {"n_flagged": 3, "labels_right_given": 0.8, "recall_of_rarest": 0.9}
    runs = [
        made_run("lra", accuracy=0.8, labels_right_mended=0.95, **verdicts),
        made_run("cleanlab_logistic", accuracy=0.9, labels_right_mended=0.7, **verdicts),
        made_run("cleanlab_forest", accuracy=0.7, labels_right_mended=0.6, **verdicts),
        made_run("lra", task="b", group="clean", accuracy=0.9),
        made_run("mlp", task="b", group="clean", accuracy=0.6),
        {**made_run("catboost", task="b", group="clean"), "status": "failed"},
    ]
    runs[-1] |= {"error": "took longer than 600 s", "time_limit": 600}
    own = module.make_report(tables.TABLES["grid"], [{**facts, **run} for run in runs], "python")
    text = report.to_markdown(own)
    assert "| all | 2 | -0.1000 | 50% | +0.100 | a, cleanlab_logistic |" in text
    assert "| tables | a | 0.800 | 0.900 | cleanlab_logistic | +0.100 | 2 |" in text
    assert "| clean | b | 0.900 | 0.600 | mlp | -0.300 | 1 |" in text
    assert "| tables | 0.800 | 0.950 | 0.700 | 0.600 | 0.900 |" in text
    assert "catboost failed on b: took longer than 600 s" in text
    assert "catboost on cifar10*: 1,024 features" in text
    assert "AUROC of label issues |" not in text.split("## Methods beside ours")[0]

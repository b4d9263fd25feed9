"""Tests of the scripts in examples/."""

import re
import runpy
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_digits_demo_shows_our_classifier_on_top(tmp_path, monkeypatch, capsys):
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
    ours = accuracy.pop("LRADiffusionClassifier")
    assert loss.pop("LRADiffusionClassifier") < 0.5 * min(loss.values())
    assert ours > max(accuracy.values()) - 0.005
    n_found = re.findall(r"(\d+) of 20", output)
    assert len(n_found) == 2 and min(map(int, n_found)) >= 17


def test_clip_pipeline_stands_wrong_labels_and_says_whose_embeddings_it_has(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["plot_clip_pipeline.py", str(tmp_path / "figures")])
    monkeypatch.syspath_prepend(str(EXAMPLES))  # as when the script is run
    # No weights on this machine, no host to be reached.
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    monkeypatch.setattr("socket.create_connection", Mock(side_effect=OSError))

    namespace = runpy.run_path(str(EXAMPLES / "plot_clip_pipeline.py"), run_name="__main__")

    figure = tmp_path / "figures" / "plot_clip_pipeline.png"
    assert figure.read_bytes().startswith(b"\x89PNG")
    output = capsys.readouterr().out
    assert "CLIP's weights cannot be had here" in output
    accuracy = namespace["accuracy"]
    assert accuracy["LRADiffusionClassifier"] > accuracy["LogisticRegression"] + 0.05
    assert namespace["share_right"] > 0.85

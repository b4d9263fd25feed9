"""Tests of the scripts in examples/."""

import re
import runpy
import sys
from pathlib import Path

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

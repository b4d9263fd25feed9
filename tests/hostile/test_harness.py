"""The random cases of examples/benchmarks/hostile.py, a few of each area, and what counts them."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
hostile = importlib.import_module("hostile")


@pytest.fixture(scope="module")
def child():
    child = hostile.Child()
    yield child
    child.stop()


@pytest.mark.parametrize("area", ["inputs", "labels", "settings", "interruptions", "pickles"])
def test_random_cases_survive(area, child):
    for seed in range(2):
        description, outcome, told = child.run(area, [7, seed])
        assert outcome in hostile.SURVIVED, (description, outcome, told)


def test_a_case_that_hangs_is_ended_and_the_next_one_runs(child):
    assert child.run("settings", 0, limit=0)[1] == "hang"
    assert child.run("labels", 1)[1] in hostile.SURVIVED


def test_counts_are_kept_by_seed(tmp_path, capsys):
    counts = {"labels": {"right result": 3, "refused": 1, "crash": 1}}
    hostile.show(counts)
    assert capsys.readouterr().out.split()[-3:] == ["labels", "5", "4"]
    path = tmp_path / "hostile.json"
    for seed in (2, 1, 2):
        hostile.add_run(path, seed, 60, counts)
    assert [run["seed"] for run in json.loads(path.read_text())["runs"]] == [1, 2]

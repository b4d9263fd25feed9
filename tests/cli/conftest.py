"""Plants whose species are given wrongly, as files."""

import contextlib
import io
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from skdiffusion_label._cli import main


@pytest.fixture
def run(capsysbinary):
    """Return a function that runs a command in this process: exit code, stdout, stderr."""

    def run(*words):
        capsysbinary.readouterr()
        code = main([str(word) for word in words])
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


@pytest.fixture(scope="session")
def plants():
    """Return 120 plants as texts: names, measures of which some are missing, colors, species."""
    iris = load_iris()
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(150)[:120])
    table = pd.DataFrame(iris.data[rows].astype(str), columns=["sepal", "sepal 2", "petal", "wide"])
    table["color"] = np.array(["blue", "red", "=red+1"])[iris.target[rows]]
    table.loc[rng.random(120) < 0.5, "color"] = "green"
    table.loc[rng.random(120) < 0.1, "sepal"] = ""
    table.insert(0, "name", [f"plant {row}" for row in rows])
    table["species"] = iris.target_names[iris.target[rows]]
    table["true_species"] = table["species"]
    wrong = rng.permutation(120)[:30]
    shifted = iris.target_names[(iris.target[rows] + rng.integers(1, 3, 120)) % 3]
    table.loc[wrong, "species"] = shifted[wrong]
    return table.astype(object)


@pytest.fixture(scope="session")
def data(plants, tmp_path_factory):
    """Return the plants as a CSV file."""
    path = tmp_path_factory.mktemp("plants") / "plants.csv"
    plants.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def found(data, tmp_path_factory):
    """Return the issues of the plants as a CSV file, and the summary."""
    path = tmp_path_factory.mktemp("found") / "issues.csv"
    words = ["find", data, "--label", "species", "--id", "name", "--ignore", "true_species"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main([str(word) for word in [*words, "--out", path, "--format", "json"]]) == 0
    return SimpleNamespace(path=path, summary=json.loads(out.getvalue()))


@pytest.fixture(scope="session")
def decide():
    """Return a function that decides on the 17 most suspicious rows as a reviewer would.

    Ten get the suggested label, five keep theirs, two are excluded; one more is a planted row.
    """

    def decide(issues, fingerprint, path):
        issues = pd.read_csv(issues, dtype=str, keep_default_na=False)
        issues = issues.sort_values("p_label_error", key=lambda p: -p.astype(float)).head(18)
        decisions = pd.DataFrame(
            {
                "row": issues["row"],
                "id": issues["id"],
                "decision": ["relabel"] * 10 + ["keep"] * 5 + ["exclude"] * 2 + ["relabel"],
                "label": [*issues["suggested_label"][:10], *issues["given_label"][10:15], *" " * 3],
                "given": issues["given_label"],
                "suggested": issues["suggested_label"],
                "reviewer": "Ada",
                "time": "2026-01-31T12:00:00Z",
                "fingerprint": fingerprint,
                "control": [0] * 17 + [1],
            }
        )
        decisions["label"] = decisions["label"].str.strip()
        decisions.loc[decisions.index[17], "label"] = "setosa"
        decisions.to_csv(path, index=False)
        return decisions

    return decide

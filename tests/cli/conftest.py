"""Plants whose species are given wrongly, as files."""

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


@pytest.fixture(scope="session")
def found(data, tmp_path_factory):
    """Return the issues of the plants as a CSV file."""
    path = tmp_path_factory.mktemp("found") / "issues.csv"
    words = ["find", data, "--label", "species", "--id", "name", "--ignore", "true_species"]
    assert main([str(word) for word in [*words, "--out", path]]) == 0
    return path

"""The oldest versions that pyproject.toml allows are those that ``make test-oldest`` runs with."""

import sys
import tomllib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.version import Version

from skdiffusion_label import LRADiffusionClassifier

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
NUMERICAL = "joblib", "numpy", "pandas", "scikit-learn", "scipy", "threadpoolctl"


@pytest.mark.skipif(Path(sys.prefix).name != ".venv-oldest", reason="for make test-oldest")
def test_the_oldest_environment_has_the_oldest_versions():
    dependencies = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    oldest = dict(line.split(">=") for line in dependencies)
    for name in NUMERICAL:
        assert Version(version(name)) == Version(oldest[name]), name


def test_callbacks_can_be_set_where_scikit_learn_has_them():
    has_callbacks = find_spec("sklearn.callback") is not None
    assert hasattr(LRADiffusionClassifier, "set_callbacks") == has_callbacks

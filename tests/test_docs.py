"""The documentation states what the code does."""

import contextlib
import inspect
import io
import json
import re
from pathlib import Path

import pytest

import skdiffusion_label
from skdiffusion_label import (
    LRADiffusionClassifier,
    cleaning,
    datasets,
    diffusion,
    embedding,
    label_noise,
    retrieval,
    review,
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTED = [
    *(LRADiffusionClassifier, LRADiffusionClassifier.fit),
    *(embedding.CLIPEmbedder, embedding.CLIPZeroShotClassifier, embedding.TorchEmbedder),
    *(
        value
        for room in (datasets, retrieval, label_noise, review)
        for name in room.__all__
        if callable(value := getattr(room, name)) and not inspect.isclass(value)
    ),
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


README_TABLE = re.search(r"^\| training labels .*?\n\n", README, re.MULTILINE | re.DOTALL).group()


@pytest.mark.parametrize("task", re.findall(r"^\| `(\w+)`", README_TABLE, re.MULTILINE))
def test_readme_table_shows_what_the_benchmark_wrote(task):
    report = json.loads((ROOT / "docs" / "results" / "classification.json").read_text())
    results = report["tasks"][task]
    shown = {}
    for method, metrics in results["methods"].items():
        accuracy, loss = metrics["accuracy"]["mean"], metrics["log_loss"]["mean"]
        shown[method] = accuracy, f"{accuracy:.3f} / {loss:.2f}"
    peers = [name for name in shown if not name.startswith("lra")]
    best = max(peers, key=shown.get)
    (row,) = re.findall(rf"^\| `{task}`.*$", README_TABLE, re.MULTILINE)
    cells = [f"{results['noise_rate']:.0%}", shown["lra"][1], f"{shown[best][1]} (`{best}`)"]
    assert row.endswith("| " + " | ".join(cells) + " |")


CLEANING_TABLE = re.search(r"^\| given labels .*?\n\n", README, re.MULTILINE | re.DOTALL).group()


@pytest.mark.parametrize("task", re.findall(r"^\| `(\w+)`", CLEANING_TABLE, re.MULTILINE))
def test_readme_shows_how_labels_were_mended(task):
    report = json.loads((ROOT / "docs" / "results" / "label_issues.json").read_text())
    results = report["tasks"][task]
    (row,) = re.findall(rf"^\| `{task}`.*$", CLEANING_TABLE, re.MULTILINE)
    cells = [f"{results['noise_rate']:.0%}"]
    for method in ("label_cleaner", "cleanlab_self_confidence"):
        scores = results["methods"][method]
        shown = (scores[name]["mean"] for name in ("auroc", "f1", "clean_label_accuracy"))
        cells.append(" / ".join(f"{value:.3f}" for value in shown))
    assert row.endswith("| " + " | ".join(cells) + " |")


def test_readme_shows_how_fast_images_are():
    report = json.loads((ROOT / "docs" / "results" / "images_cpu.json").read_text())
    embedding, training = (
        report["results"][task][method]["ratio"]
        for task, method in (
            ("embed with ViT-B-32", "CLIPEmbedder"),
            ("train resnet18", "LRADiffusionClassifier"),
        )
    )
    assert f"`CLIPEmbedder` embeds {embedding:.2f} times as many images" in README
    assert f"({training:.2f}; medians" in README


def test_guide_shows_what_was_measured_of_the_page():
    results = json.loads((ROOT / "docs" / "results" / "review.json").read_text())["results"]
    guide = " ".join((ROOT / "docs" / "guides" / "review.rst").read_text().split())
    assert (
        f"{results['megabytes']:.1f} MB, first row after {results['first_row_ms']['median']} ms, "
        f"{results['key_ms']['median']} ms from a key to the picture (medians)"
    ) in guide


def test_readme_names_the_two_commands():
    assert "make demo" in README
    assert "make test" in README


def test_changes_name_what_is_public():
    changes = (ROOT / "docs" / "changes.rst").read_text()
    examples = {path.stem for path in (ROOT / "examples").glob("plot_*.py")}
    rooms = skdiffusion_label, cleaning, datasets, embedding, review
    names = {name for room in rooms for name in room.__all__} | examples
    for name in names - {"__version__"}:
        assert name in changes, name
    assert skdiffusion_label.__version__.split(".dev")[0] in changes


def test_reference_lists_what_is_public():
    reference = (ROOT / "docs" / "api.rst").read_text()
    for room in (cleaning, datasets, embedding, retrieval, label_noise, review, skdiffusion_label):
        for name in set(room.__all__) - {"__version__", "RETRIEVAL_SPACES", "Retrieval"}:
            assert re.search(rf"\b{name}\b", reference), name


def test_every_public_function_has_a_docstring():
    rooms = (
        *(cleaning, datasets, diffusion, embedding, label_noise, retrieval, review),
        skdiffusion_label,
    )
    for room in rooms:
        for name in room.__all__:
            value = getattr(room, name)
            if inspect.isroutine(value) or inspect.isclass(value):
                assert inspect.getdoc(value), name

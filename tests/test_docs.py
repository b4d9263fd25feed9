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
    dask,
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


@pytest.fixture(scope="module", autouse=True)
def few_trees():
    """Leave forests as users have them."""


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


def test_readme_says_how_the_grid_went():
    report = json.loads((ROOT / "docs" / "results" / "grid.json").read_text())
    regrets = [cell["regret"] for cell in report["regrets"]["accuracy"]]
    text = " ".join(README.split())
    assert f"Over {len(regrets)} data sets of a wide grid" in text
    assert (
        f"ours is first in {sum(regret <= 0.003 for regret in regrets) / len(regrets):.0%}" in text
    )
    assert f"ours is {-sum(regrets) / len(regrets):.3f} more accurate on average" in text
    assert f"at most {max(regrets):.3f} behind" in text


def test_readme_is_short():
    assert len(README.splitlines()) < 100


def test_guide_shows_what_was_measured_of_the_page():
    results = json.loads((ROOT / "docs" / "results" / "review.json").read_text())["results"]
    guide = " ".join((ROOT / "docs" / "guides" / "review.rst").read_text().split())
    assert (
        f"{results['megabytes']:.1f} MB, first row after {results['first_row_ms']['median']} ms, "
        f"{results['key_ms']['median']} ms from a key to the picture (medians)"
    ) in guide


def test_guide_shows_what_was_measured_of_reviews():
    results = json.loads((ROOT / "docs" / "results" / "review_loop.json").read_text())["results"]
    guide = " ".join((ROOT / "docs" / "guides" / "review.rst").read_text().split())
    for name, metric, digits in (
        ("digits suspicious", "right", 4),
        ("digits at_random", "right", 4),
        ("defects releases", "auroc", 3),
    ):
        for when in ("before", "after"):
            assert f" {results[name][f'{when}_{metric}']:.{digits}f} ".replace(" 0", " ") in guide
        assert results[name].get("flagged_again", 0) == 0


def test_guide_says_how_far_probabilities_of_rare_classes_are_behind():
    regrets = json.loads((ROOT / "docs" / "results" / "grid.json").read_text())["regrets"]
    (rare,) = (one for one in regrets["log_loss"] if one["task"] == "digits_1to100_sym_20")
    guide = " ".join((ROOT / "docs" / "guides" / "rare_classes.rst").read_text().split())
    assert f"log loss is {rare['regret']:.2f} behind the best".replace(" 0", " ") in guide


def test_readme_names_the_two_commands():
    assert "make demo" in README
    assert "make test" in README


def test_changes_name_what_is_public():
    changes = (ROOT / "docs" / "changes.rst").read_text()
    examples = {path.stem for path in (ROOT / "examples").glob("plot_*.py")}
    rooms = skdiffusion_label, cleaning, dask, datasets, embedding, review
    names = {name for room in rooms for name in room.__all__} | examples
    for name in names - {"__version__"}:
        assert name in changes, name
    assert skdiffusion_label.__version__.split(".dev")[0] in changes


def test_reference_has_a_page_for_everything_public():
    index = (ROOT / "docs" / "api" / "index.rst").read_text()
    constants = (ROOT / "docs" / "api" / "constants.rst").read_text()
    listed = re.findall(r"py:data:: ([\w.]+)$", constants, re.MULTILINE)
    for block in index.split("Constants\n")[0].split(".. currentmodule:: ")[1:]:
        room = block.split()[0]
        listed += [f"{room}.{name}" for name in re.findall(r"^   (\w+)$", block, re.MULTILINE)]
    public = {
        f"{room.__name__}.{name}"
        for room in (
            *(cleaning, dask, datasets, diffusion, embedding, label_noise, retrieval, review),
            skdiffusion_label,
        )
        for name in room.__all__
    }
    # What rooms hand to the package as well has its page there or here.
    twice = {"skdiffusion_label.LabelCleaner", "skdiffusion_label.CLIPEmbedder"}
    assert sorted(listed) == sorted(public - twice - {"skdiffusion_label.__version__"})


def test_every_public_function_has_a_docstring():
    rooms = (
        *(cleaning, dask, datasets, diffusion, embedding, label_noise, retrieval, review),
        skdiffusion_label,
    )
    for room in rooms:
        for name in room.__all__:
            value = getattr(room, name)
            if inspect.isroutine(value) or inspect.isclass(value):
                assert inspect.getdoc(value), name

"""What type checkers see of the public names."""

import re

import pytest

import skdiffusion_label

CONFIG = """\
[mypy]
ignore_missing_imports = true
follow_untyped_imports = false
[mypy-torch.*,sklearn.*,scipy.*,numpy.*,pandas.*,PIL.*,joblib.*]
follow_imports = skip
"""
CLIENT = """\
from skdiffusion_label import CLIPEmbedder, LabelCleaner, LRADiffusionClassifier, __version__
from skdiffusion_label.cleaning import find_label_issues
from skdiffusion_label.label_noise import flip_labels, uniform_transition
from skdiffusion_label.review import write_review

version: str = __version__
cleaner = LabelCleaner(LRADiffusionClassifier(random_state=0), target_precision=0.98)
y_given = flip_labels([0, 1], uniform_transition(2, 0.2), random_state=0)
cleaner.fit([[0.0], [1.0]], y_given, groups=[0, 1]).judge([[0.0]], [1])
write_review("page.html", cleaner, [[0.0], [1.0]], n_controls=1)
"""


@pytest.fixture
def errors(tmp_path):
    """Return a function that lists mypy's errors in a client of the package."""
    api = pytest.importorskip("mypy.api")

    def errors(text):
        (tmp_path / "mypy.ini").write_text(CONFIG)
        (tmp_path / "client.py").write_text(text)
        words = ["--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(tmp_path)]
        out, err, _ = api.run([*words, str(tmp_path / "client.py")])
        assert not err
        return re.findall(r"client\.py:\d+: error: (.*)$", out, re.MULTILINE)

    return errors


def test_client_has_no_errors(errors):
    assert errors(CLIENT) == []


def test_misspelled_names_and_keywords_are_errors(errors):
    slips = CLIENT.replace("target_precision", "target_prec").replace("n_controls", "controls")
    slips += "from skdiffusion_label import LabelCleanr\n"
    found = " ".join(errors(slips))
    for name in ("target_prec", "controls", "LabelCleanr"):
        assert name in found


def test_stub_names_what_is_public():
    stub = (skdiffusion_label.__file__ or "").replace("__init__.py", "__init__.pyi")
    with open(stub, encoding="utf-8") as file:
        names = set(re.findall(r" as (\w+)$|^(__version__):", file.read(), re.MULTILINE))
    assert {one or other for one, other in names} == set(skdiffusion_label.__all__)

"""A newcomer's way through docs/guides/clean_csv.rst: every step runs, in its order."""

import re
import shlex
from pathlib import Path

import pandas as pd

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
PAGE = (GUIDES / "clean_csv.rst").read_text(encoding="utf-8")
BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n\n((?:   .*\n|\n)+)", re.MULTILINE)


def test_newcomer_cleans_a_file(run, decide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = [(kind, re.sub(r"^   ", "", text, flags=re.M)) for kind, text in BLOCK.findall(PAGE)]
    assert [kind for kind, _ in steps] == ["python", *["console"] * 2, "python", *["console"] * 2]
    fingerprint = None
    for kind, text in steps:
        if kind == "python":
            exec(text, {})
            continue
        words = shlex.split(text.removeprefix("$ skdiffusion-label "))
        if words[0] == "apply":
            issues = pd.read_csv("issues.csv")
            issues.assign(id=issues["row"]).to_csv("seen.csv", index=False)
            decide("seen.csv", fingerprint, "decisions.csv")
        code, _, err = run(*words)
        assert code == 0, err
        fingerprint = (re.findall(r"fingerprint: (\w+)$", err, re.MULTILINE) or [fingerprint])[0]

    noisy, cleaned = pd.read_csv("noisy.csv"), pd.read_csv("cleaned.csv")
    is_right = [(table["species"] == table["true_species"]).mean() for table in (noisy, cleaned)]
    assert is_right[0] < 0.8 and is_right[1] > is_right[0] + 0.03
    assert Path("page.html").stat().st_size > 10_000

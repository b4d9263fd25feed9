"""The page on the command line shows commands that work, and all options."""

import argparse
import io
import re
import shlex
import sys
from pathlib import Path

import pandas as pd

from skdiffusion_label._cli._arguments import make_parser

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "command_line.rst").read_text(
    encoding="utf-8"
)
COMMANDS = re.findall(r"^    \$ skdiffusion-label (.+)$", PAGE, re.MULTILINE)
# Options that explain themselves in --help.
PLAIN = {"--help", "--version", "--rate", "--true-column"}


def options():
    commands = dict.fromkeys(["find", "apply", "judge", "simulate"])
    parsers = [make_parser(commands)]
    while parsers:
        for action in parsers.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            yield from (name for name in action.option_strings if name.startswith("--"))


def test_page_names_the_options_and_no_others():
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    assert shown - set(options()) == set()
    assert set(options()) - shown - PLAIN == set()


def test_commands_of_the_page_run_one_after_the_other(plants, decide, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plants[::2].drop(columns="true_species").to_csv("plants.csv", index=False)
    plants[1::2].drop(columns="true_species").to_csv("new.csv", index=False)
    assert len(COMMANDS) == 7
    fingerprint = None
    for command in COMMANDS:
        words, _, source = command.partition(" < ")
        if words.startswith("apply"):
            decide("issues.csv", fingerprint, "decisions.csv")
        if source:
            stdin = io.TextIOWrapper(io.BytesIO(Path(source).read_bytes()))
            monkeypatch.setattr(sys, "stdin", stdin)
        code, _, err = run(*shlex.split(words))
        assert code == 0, err
        if words.startswith("find plants.csv"):
            (fingerprint,) = re.findall(r"fingerprint: (\w+)$", err, re.MULTILINE)
    written = {path.name for path in tmp_path.iterdir()} - {"plants.csv", "new.csv"}
    files = ("issues.csv", "page.html", "decisions.csv", "cleaned.csv", "more.csv")
    assert written == {*files, "new_issues.csv", "noisy.csv"}
    more = pd.read_csv("more.csv")
    checked = pd.read_csv("cleaned.csv")["checked"].notna()
    assert checked.any()
    assert not more.loc[checked, "is_label_issue"].any()

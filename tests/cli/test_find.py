"""The command that finds wrong labels."""

import gzip
import io
import json
import sys

import numpy as np
import pandas as pd
import pytest

from skdiffusion_label._cli import main

COLUMNS = ["row", "id", "is_label_issue", "label_quality", "given_label", "predicted_label"]
COLUMNS += ["suggested_label", "suggested_proba", "p_label_error", "action", "neighbors"]
PLANTS = "--label", "species", "--ignore", "true_species"


def test_table_of_issues_names_the_rows(found, plants):
    issues = pd.read_csv(found.path)
    assert list(issues.columns) == COLUMNS
    assert issues["id"].tolist() == plants["name"].tolist()
    assert issues["row"].tolist() == list(range(len(plants)))
    assert issues["given_label"].tolist() == plants["species"].tolist()
    is_wrong = plants["species"] != plants["true_species"]
    assert np.mean(issues["is_label_issue"] == is_wrong) > 0.9
    assert issues["neighbors"].map(json.loads).map(len).max() > 0


def test_same_seed_same_file(found, data, tmp_path, run):
    again = tmp_path / "again.csv.gz"
    assert run("find", data, *PLANTS, "--id", "name", "--out", again)[0] == 0
    assert gzip.decompress(again.read_bytes()) == found.path.read_bytes()


def test_stdin_stdout_and_a_summary_on_stderr(found, data, run, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(data.read_bytes())))
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, err = run("find", "-", *PLANTS, "--id", "name", "--only-issues", "--to", "jsonl")
    issues = pd.read_csv(found.path).query("is_label_issue")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["id"] for line in lines] == issues["id"].tolist()
    assert list(lines[0]) == COLUMNS
    assert f"skdiffusion-label: issues: {len(issues)}\n" in err


def test_summary_for_programs_and_exit_code_of_issues(data, run, tmp_path):
    words = "find", data, "--label", "species", "--id", "name", "--truth", "true_species"
    out = tmp_path / "issues.parquet"
    code, summary, err = run(*words, "--out", out, "--format", "json", "--fail-on-issues", "-q")
    summary = json.loads(summary)
    issues = pd.read_parquet(out)
    assert code == 1
    assert summary["rows"] == len(issues) == sum(summary["actions"].values())
    assert summary["issues"] == issues["is_label_issue"].sum()
    assert summary["wrong_labels"] == 30
    assert 20 < summary["wrong_labels_among_issues"] <= summary["issues"]
    assert summary["classes"] == ["setosa", "versicolor", "virginica"]
    assert summary["out"] == str(out)
    assert "warning" in err or err == ""


def test_file_that_is_there_is_not_overwritten_before_any_work(data, run, tmp_path):
    out = tmp_path / "issues.csv"
    out.write_text("mine")
    code, _, err = run("find", "no file", "--label", "species", "--out", out)
    assert (code, out.read_text()) == (2, "mine")
    assert err == f"skdiffusion-label: error: {out} exists already: --force overwrites it.\n"


def test_what_is_read_is_not_written_over(data, run, tmp_path):
    table = tmp_path / "plants.csv"
    table.write_bytes(data.read_bytes())
    for name in ("--out", "--review"):
        code, _, err = run("find", table, *PLANTS, name, tmp_path / "." / table.name, "--force")
        assert code == 2 and err.endswith("plants.csv is read: name another output.\n")
    code, _, err = run("judge", data, table, *PLANTS, "--out", table, "--force")
    assert code == 2 and "is read" in err
    assert table.read_bytes() == data.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.csv", "--label", "species"], "no.csv: No such file or directory"),
        (["DATA", "--label", "kind"], "there is no column 'kind' among 'name', 'sepal',"),
        (["DATA", *PLANTS, "--id", "color"], "the column 'color' must tell the rows apart"),
        (["DATA", *PLANTS, "--text", "petal"], "'petal' holds numbers, neither texts nor paths"),
        (["DATA", *PLANTS, "--out", "x.xls"], "x.xls: the kind of the file is known by its name"),
        (["DATA", *PLANTS, *PLANTS], "--label names a column more than once"),
    ],
)
def test_error_is_one_line_without_traceback(data, run, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [data if word == "DATA" else word for word in words]
    code, out, err = run("find", *words, "-q")
    assert (code, out) == (2, "")
    assert err.startswith("skdiffusion-label: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    code, _, err = run("find", *words, "-v")
    assert (code, "Traceback" in err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [[], ["find"], ["find", "a.csv"], ["seek", "a.csv"], ["find", "a.csv", "--lable", "y"]],
)
def test_words_that_make_no_sense_exit_with_two(words, capsys):
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2
    assert "usage: skdiffusion-label" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--target-precision", "1", "between 0 and 1"),
        ("--target-precision", "high", "between 0 and 1"),
        ("--review-rows", "0", "a positive number of rows"),
        ("--controls", "-1", "a number of rows"),
        ("--jobs", "0", "an integer other than 0"),
        ("--random-state", "-1", "an integer from 0 to 2**32 - 1"),
    ],
)
def test_numbers_are_checked_before_anything_is_read(option, value, rule, capsys):
    with pytest.raises(SystemExit) as error:
        main(["find", "no file", "--label", "species", f"{option}={value}"])
    assert error.value.code == 2
    assert f"argument {option}: {value} is not {rule}\n" in capsys.readouterr().err


def test_table_and_json_cannot_both_be_on_stdout(data, run):
    code, out, err = run("find", data, *PLANTS, "--out", "-", "--format", "json")
    assert (code, out) == (2, "")
    assert "the table and the summary cannot both be on standard output" in err


def test_progress_is_not_on_stdout(data, run, found):
    code, out, err = run("find", data, *PLANTS, "--id", "name", "-v")
    assert code == 0
    assert out == found.path.read_text()
    assert "loss" in err

"""What people know of labels: verified ones, groups, several annotators, none; and the page."""

import json

import numpy as np
import pandas as pd
import pytest

PLANTS = "--label", "species", "--ignore", "true_species", "--id", "name"


@pytest.fixture
def issues_of(run, tmp_path):
    """Return a function that writes a table, finds its issues, and returns them."""

    def issues_of(table, *words):
        table.to_csv(tmp_path / "table.csv", index=False)
        code, out, err = run("find", tmp_path / "table.csv", *words, "--to", "jsonl")
        assert code == 0, err
        return pd.DataFrame([json.loads(line) for line in out.splitlines()])

    return issues_of


def test_verified_labels_are_no_issues(plants, issues_of):
    is_wrong = (plants["species"] != plants["true_species"]).to_numpy()
    table = plants.assign(seen=np.where(is_wrong, "yes", ""))
    issues = issues_of(table, *PLANTS, "--verified", "seen")
    assert issues["verified"].tolist() == is_wrong.tolist()
    assert not issues.loc[is_wrong, "is_label_issue"].any()
    assert (issues.loc[is_wrong, "p_label_error"] == 0).all()


def test_rows_of_a_group_do_not_vouch_for_each_other(plants, issues_of):
    twins = pd.concat([plants, plants], ignore_index=True)
    twins["name"] = [f"{name} {row // 120}" for row, name in enumerate(twins["name"])]
    twins["site"] = [row % 120 for row in range(240)]
    issues = issues_of(twins, *PLANTS, "--group", "site")
    for row, neighbors in enumerate(issues["neighbors"]):
        twin = issues["id"][(row + 120) % 240]
        assert twin not in neighbors


def test_rows_without_a_label_get_a_suggestion(plants, issues_of):
    table = plants.copy()
    table.loc[:9, "species"] = ["", "NA"] * 5
    issues = issues_of(table, *PLANTS, "--unlabeled", "NA")
    assert (issues["action"][:10] == "label").all()
    assert issues["given_label"][:10].isna().all()
    assert (issues["suggested_label"][:10] == plants["true_species"][:10]).mean() > 0.7
    assert not issues["is_label_issue"][:10].any()


def test_labels_of_several_annotators(plants, issues_of, decide, run, tmp_path):
    truth, given = plants["true_species"], plants["species"]
    table = plants.assign(second=truth.where(np.arange(120) % 2 == 0, ""))
    labels = "--label", "species", "--label", "second"
    issues = issues_of(table, *labels, "--ignore", "true_species", "--id", "name")
    assert len(issues) == 120
    assert (issues["suggested_label"] == truth).mean() >= (given == truth).mean()
    issues.to_csv(tmp_path / "issues.csv", index=False)
    summary = run(
        "find", tmp_path / "table.csv", *labels, "--ignore", "true_species", "--format", "json"
    )
    fingerprint = json.loads(summary[1])["fingerprint"]
    decisions = decide(tmp_path / "issues.csv", fingerprint, tmp_path / "decisions.csv")
    words = (
        "apply",
        tmp_path / "table.csv",
        tmp_path / "decisions.csv",
        *labels,
        "--into",
        "decided",
    )
    code, out, err = run(*words, "--to", "jsonl")
    assert code == 0, err
    decided = {line["name"]: line["decided"] for line in map(json.loads, out.splitlines())}
    expected = decisions[:15].set_index("id")["label"].to_dict()
    assert {name: label for name, label in decided.items() if label} == expected


def test_page_shows_the_issues(data, run, tmp_path):
    page = tmp_path / "page.html"
    words = "find", data, *PLANTS, "--review", page, "--review-rows", "7", "--controls", "2"
    code, out, err = run(*words, "--format", "json", "--blind")
    assert code == 0, err
    text = page.read_text(encoding="utf-8")
    assert json.loads(out)["fingerprint"] in text
    assert "species of " in text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    code, _, err = run(*words)
    assert (code, "page.html exists already" in err) == (2, True)

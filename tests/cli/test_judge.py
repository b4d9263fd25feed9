"""The command that judges new rows by those before."""

import json

import pandas as pd
import pytest

WORDS = "--label", "species", "--id", "name"


@pytest.fixture(scope="module")
def halves(plants, tmp_path_factory):
    """Return files of two thirds of the plants and of the rest, which has other columns too."""
    folder = tmp_path_factory.mktemp("halves")
    is_new = pd.Series(range(len(plants))) % 3 == 2
    known = plants.loc[~is_new].assign(checked="")
    new = plants.loc[is_new].assign(site="north")
    known.to_csv(folder / "known.csv", index=False)
    new[new.columns[::-1]].to_json(folder / "new.jsonl", orient="records", lines=True)
    return folder / "known.csv", folder / "new.jsonl", new


def test_new_rows_are_judged_by_what_was_learned(halves, run, tmp_path):
    known, new_path, new = halves
    out = tmp_path / "new_issues.csv"
    words = "judge", known, new_path, *WORDS, "--truth", "true_species", "--ignore", "checked"
    code, summary, err = run(*words, "--out", out, "--format", "json", "--fail-on-issues", "-q")
    assert code == 1, err
    issues, summary = pd.read_csv(out), json.loads(summary)
    assert issues["id"].tolist() == new["name"].tolist()
    is_wrong = new["species"].to_numpy() != new["true_species"].to_numpy()
    assert (issues["is_label_issue"] == is_wrong).mean() > 0.85
    assert summary["rows"] == len(new)
    assert summary["wrong_labels"] == is_wrong.sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"petal": "wide"}, "the column 'petal' must hold numbers, row 0 has 'wide'"),
        ({"petal": None}, "has no column 'petal', unlike"),
        ({"species": "tulip"}, "has the label 'tulip', which"),
        ({"species": None}, "there is no column 'species'"),
    ],
)
def test_new_rows_that_are_of_another_kind_are_refused(halves, run, tmp_path, change, message):
    known, _, new = halves
    ((name, value),) = change.items()
    new = new.drop(columns=name) if value is None else new.assign(**change)
    new.to_csv(tmp_path / "other.csv", index=False)
    code, out, err = run("judge", known, tmp_path / "other.csv", *WORDS)
    assert (code, out) == (2, "")
    assert message in err

"""The command that puts decided labels into a table."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from skdiffusion_label._cli._apply import with_decisions
from skdiffusion_label._cli._formats import Style, decode_table, encode_table

PLANTS = "--label", "species", "--ignore", "true_species", "--id", "name"
DECISIONS = pd.DataFrame(
    {"row": [1, 3, 0], "decision": ["relabel", "exclude", "keep"], "label": ["2", "", "1"]}
)


def asked(**named):
    return SimpleNamespace(**{"label": ["y"], "into": None, "mark": None, "new_class": [], **named})


@pytest.fixture
def decisions(found, decide, tmp_path):
    """Return decisions about the plants, which are in a file too."""
    return decide(found.path, found.summary["fingerprint"], tmp_path / "decisions.csv")


def test_from_a_table_to_a_clean_table(data, plants, decisions, run, tmp_path):
    out, issues = tmp_path / "cleaned.csv", tmp_path / "more.csv"
    words = "apply", data, tmp_path / "decisions.csv", *PLANTS
    code, _, err = run(*words, "--out", out, "--mark", "checked", "--issues", issues)
    assert code == 0, err
    assert "decisions: 10 relabel, 5 keep, 2 exclude" in err
    cleaned = pd.read_csv(out, dtype=str, keep_default_na=False)
    decisions = decisions[:17].set_index(decisions["row"][:17].astype(int))
    expected = plants.drop(decisions.index[15:])
    expected.loc[decisions.index[:15], "species"] = decisions["label"][:15]
    expected["checked"] = decisions["decision"].reindex(expected.index).fillna("")
    assert cleaned.to_numpy().tolist() == expected.to_numpy().tolist()
    assert out.read_bytes().splitlines()[0] == data.read_bytes().splitlines()[0] + b",checked"
    again = pd.read_csv(issues, index_col="row")
    assert len(again) == len(plants)
    assert not again.loc[decisions.index[:15], "is_label_issue"].any()
    assert (again.loc[decisions.index[15:], "action"] == "drop").all()


def test_json_counts_as_csv_and_the_last_decision_counts(data, found, decisions, run, tmp_path):
    records = decisions.to_dict("records")
    content = {"version": 1, "fingerprint": found.summary["fingerprint"], "reviewer": "Ada"}
    path = tmp_path / "decisions.json"
    path.write_text(json.dumps({**content, "decisions": records}))
    by_csv = run("apply", data, tmp_path / "decisions.csv", *PLANTS, "--out", "-")[1]
    assert run("apply", data, path, *PLANTS, "--out", "-")[1] == by_csv
    changes = next(record for record in records if record["label"] != record["given"])
    flipped = {**changes, "label": changes["given"], "decision": "keep"}
    path.write_text(json.dumps({**content, "decisions": [flipped]}))
    both = tmp_path / "decisions.csv", path
    by_both = run("apply", data, *both, *PLANTS, "--out", "-")[1]
    changed = [
        (one, two)
        for one, two in zip(by_csv.splitlines(), by_both.splitlines(), strict=True)
        if one != two
    ]
    assert len(changed) == 1
    assert changes["id"] in changed[0][0]


def test_decisions_about_rows_that_are_not_there_are_refused(data, decisions, run, tmp_path):
    far = decisions.head(1).assign(row=900)
    far.to_csv(tmp_path / "far.csv", index=False)
    code, _, err = run("apply", data, tmp_path / "far.csv", *PLANTS, "--out", tmp_path / "out.csv")
    assert code == 2 and "far.csv must be about one of" in err and "got row 900" in err


def test_decisions_about_other_labels_are_refused(data, plants, decisions, run, tmp_path):
    path, out = tmp_path / "decisions.csv", tmp_path / "cleaned.csv"
    assert run("apply", data, path, *PLANTS, "--out", out)[0] == 0
    for other in (out, tmp_path / "other.csv"):
        table = plants.copy()
        table.loc[3, "wide"] = "0.25"
        table.to_csv(tmp_path / "other.csv", index=False)
        code, text, err = run("apply", other, path, *PLANTS, "--out", "-")
        assert (code, text) == (2, "")
        assert f"{path} holds decisions about other rows or labels than those of {other}" in err


def test_label_that_is_no_class_is_a_slip_or_new_on_purpose(data, decisions, run, tmp_path):
    path = tmp_path / "decisions.csv"
    decisions.assign(label=["tulip", *decisions["label"][1:]]).to_csv(path, index=False)
    code, _, err = run("apply", data, path, *PLANTS, "--out", "-")
    assert (code, "is decided to be 'tulip', which no label is" in err) == (2, True)
    code, out, _ = run("apply", data, path, *PLANTS, "--out", "-", "--new-class", "tulip")
    assert (code, out.count(",tulip,")) == (0, 1)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("given", [["1", "1", "2", "2"], [1, 1, 2, None]])
def test_labels_keep_their_kind(kind, given):
    table = pd.DataFrame({"x": ["a", "b", "c", "d"], "y": pd.Series(given, dtype=object)})
    table, style = decode_table(encode_table(table, Style(kind)), "data", kind)
    cleaned = with_decisions(table, DECISIONS, asked(mark="m"))
    again, _ = decode_table(encode_table(cleaned, style), "data", kind)
    labels = again["y"].astype(object).tolist()
    expected = [given[0], given[2], given[2]]
    assert labels == (list(map(str, expected)) if kind in ("csv", "tsv") else expected)
    assert again["m"].astype(object).fillna("").tolist() == ["keep", "relabel", ""]
    assert again.dtypes["y"] == table.dtypes["y"]


def test_categories_of_parquet_take_decided_labels():
    table = pd.DataFrame({"y": pd.Series(["1", "1", "2", "2"], dtype="category")})
    table, _ = decode_table(encode_table(table, Style("parquet")), "data", "parquet")
    cleaned = with_decisions(table, DECISIONS, asked())
    assert cleaned["y"].tolist() == ["1", "2", "2"]
    assert cleaned.dtypes["y"] == table.dtypes["y"]


def test_several_annotators_get_a_column_for_what_is_decided():
    table = pd.DataFrame({"a": ["1", "2", "1", "1"], "b": ["1", "1", "", "2"]}, dtype=object)
    with pytest.raises(ValueError, match="labels of several annotators need a column.*--into"):
        with_decisions(table, DECISIONS, asked(label=["a", "b"]))
    cleaned = with_decisions(table, DECISIONS, asked(label=["a", "b"], into="y"))
    assert cleaned.fillna("").to_numpy().tolist() == [
        ["1", "1", "1"],
        ["2", "1", "2"],
        ["1", "", ""],
    ]


@pytest.mark.parametrize("option", ["into", "mark"])
def test_column_that_is_there_is_not_overwritten(option):
    table = pd.DataFrame({"x": ["a"] * 4, "y": ["1", "1", "2", "2"]}, dtype=object)
    with pytest.raises(ValueError, match="there is a column 'x' already"):
        with_decisions(table, DECISIONS, asked(**{option: "x"}))
    assert np.array_equal(table["y"], ["1", "1", "2", "2"])

"""The command that makes labels wrong."""

import json
import sys

import numpy as np
import pytest

from skdiffusion_label._cli._formats import decode_table

TRUE = "--label", "true_species", "--ignore", "species", "--ignore", "name"


@pytest.mark.parametrize("noise", ["symmetric", "pair", "instance", "margin"])
def test_labels_are_wrong_at_the_rate_asked_for_and_true_ones_are_kept(
    data, plants, run, tmp_path, noise
):
    out = tmp_path / "noisy.tsv"
    words = "simulate", data, *TRUE, "--noise", noise, "--rate", ".3", "--true-column", "right"
    code, summary, _ = run(*words, "--out", out, "--format", "json")
    table, _ = decode_table(out.read_bytes(), "noisy", "tsv")
    is_wrong = table["right"] != table["true_species"]
    assert code == 0
    assert json.loads(summary)["wrong_labels"] == is_wrong.sum()
    assert 0.2 < is_wrong.mean() < 0.4
    assert table["right"].tolist() == plants["true_species"].tolist()
    others = [name for name in plants.columns if name != "true_species"]
    assert table[others].to_numpy().tolist() == plants[others].to_numpy().tolist()
    if noise == "pair":
        next_one = dict(zip(*[np.unique(table["right"]), [*"123"]], strict=True))
        pairs = {
            (next_one[a], next_one[b])
            for a, b in table.loc[is_wrong, ["right", "true_species"]].to_numpy()
        }
        assert pairs == {("1", "2"), ("2", "3"), ("3", "1")}


def test_same_seed_same_labels_and_the_dialect_is_kept(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"x;y\r\n" + b"1;a\r\n2;b\r\n" * 20)
    outputs = [run("simulate", path, "--label", "y", "--random-state", seed)[1] for seed in "112"]
    assert outputs[0] == outputs[1] != outputs[2]
    assert outputs[0].startswith("x;y;true_y\r\n1;")


def test_labels_of_json_keep_their_kind(run, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": 1, "y": 1}\n{"x": 2, "y": 2}\n' * 20)
    lines = [
        json.loads(line)
        for line in run("simulate", path, "--label", "y", "--to", "jsonl")[1].splitlines()
    ]
    assert {type(line["y"]) for line in lines} == {int}
    assert any(line["y"] != line["true_y"] for line in lines)


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("x,y\n1,a\n2,\n", [], "the column 'y' must have a label in each row"),
        ("x,y,true_y\n1,a,a\n2,b,b\n", [], "there is a column 'true_y' already"),
        ("x,y\n1,a\n2,a\n", [], "n_classes must be an integer of at least 2"),
        ("x,y\n1,a\n2,b\n", ["--label", "x"], "simulate takes one --label"),
    ],
)
def test_table_that_cannot_be_made_noisy_is_an_error(run, tmp_path, text, words, message):
    (tmp_path / "a.csv").write_text(text)
    code, out, err = run("simulate", tmp_path / "a.csv", "--label", "y", *words)
    assert (code, out) == (2, "")
    assert message in err


def test_columns_that_are_no_numbers_are_categories_without_skrub(data, run, monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "skrub" else object()
    )
    monkeypatch.setitem(sys.modules, "skrub", None)
    code, out, err = run("simulate", data, *TRUE, "--noise", "instance", "--true-column", "right")
    assert code == 0
    assert "pip install 'skdiffusion_label[table]'" in err
    assert len(out.splitlines()) == 121

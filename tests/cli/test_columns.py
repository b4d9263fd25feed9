"""What the columns of a table are taken for."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from skdiffusion_label._cli._columns import (
    feature_names,
    groups_of,
    ids_of,
    labels_of,
    rows_of,
    verified_of,
)
from skdiffusion_label._cli._delimited import Dialect
from skdiffusion_label._cli._formats import Style

CSV = Style("csv", dialect=Dialect())


def asked(**named):
    nothing = dict.fromkeys(["id", "verified", "group", "truth", "text", "image"])
    return SimpleNamespace(**{"label": ["y"], "ignore": [], "unlabeled": [], **nothing, **named})


def table_of(**columns):
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1", " 2.5 ", "-1e3"], [1, 2.5, -1000]),
        (["1", "", "NA"], [1, np.nan, np.nan]),
        (["1", "?", "null"], [1, np.nan, np.nan]),
        ([1, True, None], [1, 1, np.nan]),
        ([1.5, float("nan"), 2], [1.5, np.nan, 2]),
    ],
)
def test_column_is_numbers_if_all_cells_are(cells, numbers):
    column = rows_of(table_of(a=cells), asked(), CSV)["a"]
    np.testing.assert_array_equal(column.to_numpy(), np.array(numbers, dtype=float))


@pytest.mark.parametrize(
    "cells", [["1", "x", ""], ["1_0", "2", ""], ["1,5", "2", ""], ["", "", ""], ["NA", "NA", ""]]
)
def test_column_of_anything_else_is_texts(cells):
    column = rows_of(table_of(a=cells), asked(), CSV)["a"]
    assert column.tolist() == [cell or None for cell in cells]


def test_lists_of_json_are_texts():
    column = rows_of(table_of(a=[[1, "é"], {"b": None}, None, np.arange(2)]), asked(), CSV)["a"]
    assert column.tolist() == ['[1, "é"]', '{"b": null}', None, "[0, 1]"]


def test_comma_is_a_decimal_one_where_it_is_no_delimiter():
    style = Style("csv", dialect=Dialect(";"))
    assert rows_of(table_of(a=["1,5", "-2"]), asked(), style)["a"].tolist() == [1.5, -2]


@pytest.mark.parametrize("cell", ["x", "1_0", [1]])
def test_new_cell_that_is_no_number_where_numbers_were_learned_is_an_error(cell):
    table = table_of(a=["1", cell], b=["2", "3"])
    with pytest.raises(ValueError, match="the column 'a' must hold numbers, row 1 has"):
        rows_of(table, asked(), CSV, ["a"])
    assert rows_of(table_of(b=["2", "3"]), asked(), CSV, [])["b"].tolist() == ["2", "3"]


def test_infinite_number_is_an_error():
    with pytest.raises(ValueError, match="'a' must hold finite numbers, row 1 does not"):
        rows_of(table_of(a=["1", "inf"]), asked(), CSV)


def test_columns_that_give_labels_away_are_left_out():
    table = table_of(
        n=["7", "8", "9"], true_y=["a", "b", "a"], empty=["", "", ""], x=["1", "1", "3"], z="abc"
    )
    rows = rows_of(table, asked(), CSV)
    assert feature_names(rows, asked()) == (["x", "z"], ["n", "true_y", "empty"])
    assert feature_names(rows, asked(ignore=["n", "z"], id="empty")) == (["x"], ["true_y"])
    with pytest.raises(ValueError, match="no column is left to learn from"):
        feature_names(rows, asked(ignore=["x", "z"]))


@pytest.mark.parametrize("role", ["id", "verified", "group", "truth", "text", "image"])
def test_column_that_is_not_there_is_an_error(role):
    rows = rows_of(table_of(x=["1", "1"]), asked(), CSV)
    with pytest.raises(ValueError, match="there is no column 'no' among 'x', 'y'"):
        feature_names(rows, asked(**{role: "no"}))
    with pytest.raises(ValueError, match=r"'c19', \.\.\.\.$"):
        labels_of(table_of(**{f"c{column}": ["1"] for column in range(30)}), asked())


def test_labels_are_as_they_stand_there():
    table = table_of(y=["007", "", "NA", " a"], z=[1, None, 2, 1])
    assert labels_of(table, asked()).fillna("none").tolist() == ["007", "none", "NA", " a"]
    labels = labels_of(table, asked(unlabeled=["NA", "007"]))
    assert labels.isna().tolist() == [True, True, True, False]
    assert labels_of(table.drop(1), asked(label=["z"])).dtype == np.int64
    assert labels_of(table, asked(label=["z"], unlabeled=["2"])).isna().tolist() == [
        *(False, True, True, False)
    ]
    both = labels_of(table, asked(label=["y", "z"]))
    assert both.to_numpy().tolist() == [["007", 1], [None, None], ["NA", 2], [" a", 1]]
    with pytest.raises(ValueError, match="there is no column 'x' among 'y', 'z'"):
        labels_of(table, asked(label=["x"]))
    with pytest.raises(ValueError, match="the column 'y' has no labels"):
        labels_of(table_of(y=["", None]), asked())


def test_ids_must_be_different():
    assert ids_of(table_of(a=["x", 1]), "a").tolist() == ["x", "1"]
    assert ids_of(table_of(a=["x", 1]), None).tolist() == [0, 1]
    with pytest.raises(ValueError, match="'a' must tell the rows apart, 'x' is in two"):
        ids_of(table_of(a=["x", "y", "x"]), "a")


def test_verified_is_yes_or_no():
    table = table_of(v=["1", "0", "", "yes", "No", "keep", "relabel", True, False, None])
    expected = [True, False, False, True, False, True, True, True, False, False]
    assert verified_of(table, "v").tolist() == expected
    assert verified_of(table, None) is None
    with pytest.raises(ValueError, match="'v' must say yes or no.* row 1 says 'perhaps'"):
        verified_of(table_of(v=["1", "Perhaps"]), "v")


def test_row_without_a_group_is_one_of_its_own():
    groups = groups_of(table_of(g=["a", "", "b", "a", None]), "g")
    assert groups[0] == groups[3]
    assert len(set(groups)) == 4
    assert groups_of(table_of(g=["a"]), None) is None

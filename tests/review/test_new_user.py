"""What a new user does, from a table with wrong labels to a cleaned one."""

import re

import pandas as pd

from skdiffusion_label._cli import main

KINDS = ["ant", "bee", "cat"]


def test_from_a_csv_file_by_way_of_the_page_to_a_cleaned_one(open_file, blobs, tmp_path):
    X, y, y_given = blobs
    table = pd.DataFrame(X.round(3), columns=["length", "width", "height", "weight"])
    table.insert(0, "name", [f"animal {i}" for i in range(len(y))])
    table["kind"] = [KINDS[code] for code in y_given]
    data, issues, cleaned = (tmp_path / f"{name}.csv" for name in ("data", "issues", "cleaned"))
    table.to_csv(data, index=False)
    words = ["--label", "kind", "--id", "name", "--quiet"]

    page = tmp_path / "page.html"
    assert main(["find", str(data), *words, "--out", str(issues), "--review", str(page)]) == 0
    page = open_file(page)
    for _ in range(19):
        row = int(re.search(r"Row (\d+)", page.in_focus()).group(1))
        page.press(str(y[row] + 1))
    page.press("x")
    decisions = pd.read_csv(page.download("csv"))
    (path,) = page.downloads.glob("*.csv")
    assert main(["apply", str(data), str(path), *words, "--out", str(cleaned)]) == 0

    assert decisions["id"].tolist() == [f"animal {row}" for row in decisions["row"]]
    expected = table.copy()
    expected.loc[decisions["row"], "kind"] = [KINDS[y[row]] for row in decisions["row"]]
    (excluded,) = decisions["row"][decisions["decision"] == "exclude"]
    pd.testing.assert_frame_equal(
        pd.read_csv(cleaned), expected.drop(excluded).reset_index(drop=True)
    )
    assert (expected["kind"] != table["kind"]).sum() > 10

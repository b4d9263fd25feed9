"""What write_review takes, refuses and writes, without a browser."""

import base64
import io
import json
import os
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image
from scipy.sparse import csr_matrix
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.embedding import UnreadableImageError
from skdiffusion_label.review import write_review


def data_of(path):
    """Return what the page's script is given."""
    text = path.read_text(encoding="utf-8")
    payload = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL
    )
    return json.loads(payload.group(1))


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a page and returns what its script is given."""

    def write_and_read(cleaner, X, **options):
        return data_of(write_review(tmp_path / "page.html", cleaner, X, **options))

    return write_and_read


@pytest.fixture
def cleaner(make_cleaner):
    """Three rows, all of them doubted."""
    return make_cleaner(["a", "b", "a"], ["b", "a", "b"])


NUMBERS = np.arange(6.0).reshape(3, 2)
FILES = ["x.png", "y.JPG", "z.jpeg"]


@pytest.mark.parametrize(
    ("X", "kind"),
    [
        (NUMBERS, "table"),
        (NUMBERS.tolist(), "table"),
        (pd.DataFrame(NUMBERS), "table"),
        (pd.DataFrame({"text": ["x", "y", "z"], "n": [1, 2, 3]}), "table"),
        (pl.DataFrame({"text": ["x", "y", None], "n": [1, 2, None]}), "table"),
        (pd.DataFrame({"n": [1, 2, 3]}), "table"),
        (pd.Series([1, 2, 3], name="n"), "table"),
        (["x", "y", None], "text"),
        (pd.Series(["x", "y", "z"], dtype="string"), "text"),
        (pl.Series(["x", "y", "z"]), "text"),
        (pd.DataFrame({"text": ["x", "y", "z"]}), "text"),
        (np.array([["x"], ["y"], ["z"]]), "text"),
        (["x.png", "y.png", "see z.txt"], "text"),
        (np.zeros((3, 8, 8), np.uint8), "image"),
        (np.zeros((3, 8, 8, 3), np.uint8), "image"),
        ([Image.new("L", (9, 9))] * 3, "image"),
    ],
)
def test_what_rows_are_is_told_from_their_values(write, cleaner, X, kind):
    assert write(cleaner, X)["kind"] == kind


@pytest.mark.parametrize("container", [list, np.array, pd.Series, lambda p: pd.DataFrame({"p": p})])
def test_names_of_image_files_are_images(write, cleaner, container, tmp_path):
    paths = [str(tmp_path / name) for name in FILES]
    for path in paths:
        Image.new("RGB", (200, 100), "blue").save(path)

    data = write(cleaner, container(paths))

    assert data["kind"] == "image"
    assert [seen["name"] for seen in data["seen"].values()] == paths


def test_image_that_cannot_be_read_says_so_on_its_row(write, cleaner, tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no image")
    paths = [str(tmp_path / name) for name in ("good.png", "bad.png", "missing.png")]

    seen = write(cleaner, paths)["seen"]

    assert "problem" not in seen["0"]
    assert seen["1"]["problem"] == "not an image"
    assert seen["2"]["problem"] == "No such file or directory"


def test_images_of_which_none_can_be_read_are_an_error(write, cleaner):
    with pytest.raises(UnreadableImageError, match=r"Row 2 of X cannot be read.*z\.jpeg"):
        write(cleaner, FILES)


def test_names_of_files_may_hold_anything(write, make_cleaner, tmp_path):
    names = [
        "<img src=x onerror=alert(1)>",
        "\"'&",
        "two\nlines",
        "=cmd",
        "\u202egnp",
        "\U0001f4a9",
    ]
    paths = [str(tmp_path / f"{name}.png") for name in names] + [os.fsdecode(b"\xff.png")]
    for path in paths[:-1]:
        Image.new("RGB", (20, 20)).save(path)
    n = len(paths)

    seen = write(make_cleaner(["a"] * n, ["b"] * n), paths)["seen"]

    assert [seen[str(row)]["name"] for row in range(n)] == [*paths[:-1], "?.png"]


def test_images_of_any_mode_are_shown(write, cleaner):
    modes = ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "YCbCr"]
    suggested = ["b"] * len(modes)
    cleaner.label_issues_ = cleaner.label_issues_.iloc[[0] * len(modes)].reset_index(drop=True)
    cleaner.label_issues_["suggested_label"] = suggested

    seen = write(cleaner, [Image.new(mode, (90, 70)) for mode in modes])["seen"]

    assert len(seen) == len(modes) and not any("problem" in value for value in seen.values())


def test_photographs_are_shown_upright(tmp_path, cleaner):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.new("RGB", (200, 100)).save(tmp_path / "a.jpg", exif=exif)

    page = write_review(tmp_path / "page.html", cleaner, [tmp_path / "a.jpg"] * 3).read_text()

    encoded = re.search(r'src="data:image/webp;base64,([^"]+)"', page).group(1)
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (100, 200)


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (NUMBERS[:2], {}, ValueError, "X must have the 3 rows that cleaner was fitted on, got 2"),
        (NUMBERS, {"show": "video"}, ValueError, "show must be .* got 'video'"),
        (NUMBERS, {"max_rows": 0}, ValueError, "max_rows == 0, must be >= 1"),
        (NUMBERS, {"max_rows": 1.5}, TypeError, "max_rows must be an instance of int"),
        (NUMBERS, {"n_controls": -1}, ValueError, "n_controls == -1, must be >= 0"),
        (NUMBERS, {"n_controls": 4}, ValueError, "n_controls == 4.*certainly right.*: 0"),
        (NUMBERS, {"max_megabytes": 0}, ValueError, "max_megabytes == 0, must be > 0"),
        (NUMBERS, {"features": NUMBERS[:2]}, ValueError, "features must have a row for each"),
        (NUMBERS, {"show": "image"}, TypeError, "pixels as uint8"),
        ("abc", {}, TypeError, "a text for each row, got a single str"),
        (pd.DataFrame(NUMBERS), {"show": "text"}, ValueError, "must have one column, got 2"),
        (pd.DataFrame(NUMBERS, columns=["a", "a"]), {}, ValueError, "columns of different names"),
    ],
)
def test_bad_input_is_refused(write, cleaner, X, options, error, message):
    with pytest.raises(error, match=message):
        write(cleaner, X, **options)


def test_sparse_matrix_is_refused(write, cleaner):
    with pytest.raises(TypeError, match="Pass what it was made of"):
        write(cleaner, csr_matrix(NUMBERS))


def test_cleaner_must_be_fitted(write):
    with pytest.raises(NotFittedError):
        write(LabelCleaner(), NUMBERS)


def test_page_that_is_too_large_names_its_size_and_leaves_no_file(tmp_path, cleaner):
    path = tmp_path / "page.html"
    texts = ["word " * 40000] * 3

    with pytest.raises(ValueError, match=r"would have 1\.\d MB, more than max_megabytes == 1\."):
        write_review(path, cleaner, texts, max_megabytes=1)

    assert list(tmp_path.iterdir()) == []
    assert write_review(path, cleaner, texts, max_megabytes=2).stat().st_size > 1e6


def test_images_are_made_as_small_as_it_takes(tmp_path, make_cleaner):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 100, 100, 3), dtype=np.uint8)
    cleaner = make_cleaner(["a", "b"] * 20, ["b", "a"] * 20)

    sizes = [
        write_review(tmp_path / "page.html", cleaner, images, max_megabytes=size).stat().st_size
        for size in (0.15, 0.3, 10)
    ]

    assert sizes[0] < 1.5e5 < sizes[1] < 3e5 < sizes[2]


def test_rows_beyond_the_most_suspicious_are_counted(write, cleaner):
    data = write(cleaner, NUMBERS, max_rows=2)

    assert [row["row"] for row in data["rows"]] == [0, 1]
    assert data["n_doubted"] == 3


def test_same_input_gives_the_same_page(tmp_path, make_cleaner):
    cleaner = make_cleaner(list("abababab"), list("babaabab"))
    pages = [
        write_review(tmp_path / name, cleaner, np.eye(8), n_controls=2).read_bytes()
        for name in ("one.html", "two.html")
    ]

    assert pages[0] == pages[1]


def test_controls_suggest_what_was_suggested_for_rows_alike(write, make_cleaner):
    given = ["a", "b", "c"] * 30
    suggested = ["b", "c", "a"] * 5 + ["a", "b", "c"] * 25
    data = write(make_cleaner(given, suggested), [""] * 90, n_controls=30)

    codes = {(row["given"], row["suggested"]) for row in data["rows"]}
    assert codes == {(0, 1), (1, 2), (2, 0)}
    controls = [place for place, row in enumerate(data["rows"]) if row["control"]]
    assert len(controls) == 30
    for place in controls:
        model = next(row for row in data["rows"][place::-1] if not row["control"])
        assert data["rows"][place]["pGiven"] == model["pGiven"]


def test_controls_under_abstention_suggest_their_own_label(write, make_cleaner):
    cleaner = make_cleaner(list("aabb"), list("aabb"), action=["review", "keep"] * 2)

    rows = write(cleaner, [""] * 4, n_controls=2)["rows"]

    assert [row["given"] == row["suggested"] for row in rows] == [True] * 4


def test_verified_rows_are_the_first_controls(write, make_cleaner):
    cleaner = make_cleaner(list("ab" * 20), list("ba" * 5) + list("ab" * 15))
    cleaner.label_issues_["verified"] = np.arange(40) >= 35

    rows = write(cleaner, [""] * 40, n_controls=5)["rows"]

    assert sorted(row["row"] for row in rows if row["control"]) == [35, 36, 37, 38, 39]


def test_neighbors_are_those_of_the_classifier(write, fast, blobs):
    X, _, y_given = blobs
    cleaner = LabelCleaner(make_pipeline(StandardScaler(), LRADiffusionClassifier(**fast)))
    cleaner.fit(X, y_given)
    expected = cleaner.estimator_[-1].neighbors_

    rows = write(cleaner, X)["rows"]

    assert rows
    for row in rows:
        assert [j for j, _, _ in row["neighbors"]] == expected[row["row"]][:6].tolist()
        assert [code for _, code, _ in row["neighbors"]] == y_given[
            expected[row["row"]][:6]
        ].tolist()


def test_neighbors_of_other_classifiers_are_the_nearest_rows(write, blobs):
    X, _, y_given = blobs
    cleaner = LabelCleaner(LogisticRegression(), random_state=0).fit(X, y_given)
    unit = np.subtract(*np.quantile(X, [0.75, 0.25], axis=0)) / 1.349

    row = write(cleaner, X)["rows"][0]

    far = np.sqrt((((X - X[row["row"]]) / unit) ** 2).mean(axis=1))
    far[row["row"]] = np.inf
    assert [j for j, _, _ in row["neighbors"]] == np.argsort(far)[:6].tolist()
    np.testing.assert_allclose([d for _, _, d in row["neighbors"]], np.sort(far)[:6], atol=0.006)


def test_columns_that_differ_most_come_first(write, make_cleaner):
    rng = np.random.default_rng(0)
    n = 101
    table = pd.DataFrame({f"noise {j}": rng.normal(size=n) for j in range(60)})
    table["width"] = rng.normal(size=n)
    table["shape"] = ["round"] * (n - 1) + ["square"]
    table["name"] = [f"row {i}" for i in range(n)]
    table["same"], table["nothing"] = 7.0, np.nan
    table.loc[n - 1, "width"] = 9.0
    cleaner = make_cleaner(["a"] * n, ["a"] * (n - 1) + ["b"])

    (row,) = write(cleaner, table)["rows"]

    assert len(row["cells"]) == 40
    assert [cell[0] for cell in row["cells"][:2]] == ["width", "shape"]
    assert row["cells"][0][1] == "9" and row["cells"][0][4] > 6
    assert row["cells"][1][1:3] == ["square", "1% have it"]
    assert not {"name", "same", "nothing"} & {cell[0] for cell in row["cells"][:10]}


def test_infinite_and_missing_numbers_are_shown(write, cleaner):
    table = pd.DataFrame({"a": [np.inf, -np.inf, 1.0], "b": [np.nan, 1.0, 2.0]})

    rows = write(cleaner, table)["rows"]

    assert {cell[1] for row in rows for cell in row["cells"]} == {"inf", "-inf", "1", "", "2"}

"""The page in a browser: keys, downloads, blind mode, controls, screens, hostile data."""

import csv
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from skdiffusion_label.cleaning import LabelCleaner, read_decisions
from skdiffusion_label.review import write_review

FIELDS = (
    "row",
    "id",
    "decision",
    "label",
    "given",
    "suggested",
    "reviewer",
    "time",
    "fingerprint",
    "control",
)
HOSTILE = (
    "</script><script>window.harmed = 1</script>",
    "<img src=x onerror='window.harmed = 1'>",
    "<!-- <script>",
    "{{ 7 * 7 }} ${7 * 7} %s",
    "\"quoted\", 'twice' & <b>bold</b> &amp;",
    "two\nlines",
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "\N{PILE OF POO}\N{ZERO WIDTH JOINER}\N{LINE SEPARATOR}",
    "=cmd|'/C calc'!A1",
    "'=1+1",
    "@SUM(A1)",
    "-1",
    " ",
    "W" * 300,
    "__proto__",
)


def rows_of_csv(path):
    text = path.read_bytes().decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def assert_reads_back(page):
    """Both files, as the cleaner reads them, hold the same."""
    from_csv, from_json = (read_decisions(page.download(kind)) for kind in ("csv", "json"))
    pd.testing.assert_frame_equal(from_csv, from_json)
    return from_csv


def test_keys_decide_move_and_take_back(open_page, pets):
    page = open_page(*pets)

    assert page.in_focus() == "Row 0"
    assert page.text("#progress-text") == "0 of 8 decided"
    page.press("n", "n", "p")
    assert page.in_focus() == "Row 1"
    page.press("\ue014", "\ue012", "p")  # the arrows right and left
    assert page.in_focus() == "Row 0"
    page.press("k", "a", "x")  # rows 0, 1, 2
    assert page.in_focus() == "Row 5"
    page.press("1", "t", "do", "\ue007")  # row 5: bee; row 6: type-ahead
    assert page.text("#progress-text") == "5 of 8 decided"
    page.press("u", "u")
    assert page.in_focus() == "Row 5"
    page.press("k")

    decided = page.decisions()
    assert {row: (d["decision"], d["label"]) for row, d in decided.items()} == {
        0: ("keep", "cat"),
        1: ("relabel", "dog"),
        2: ("exclude", ""),
        5: ("keep", "cat"),
    }


def test_undo_brings_back_the_earlier_decision_of_a_row(open_page, pets):
    page = open_page(*pets)

    page.press("k", "p", "x", "u")

    assert page.in_focus() == "Row 0"
    assert page.decisions()[0]["decision"] == "keep"


def test_deciding_all_rows_opens_the_summary(open_page, pets):
    page = open_page(*pets)

    page.press(*"akxakxak")

    assert page.is_seen("#summary")
    assert page.text("#figures") == "decided8 of 8kept3relabeled3, 3 as suggestedexcluded2"


def test_type_ahead_finds_any_class_by_its_beginning_or_a_part(open_page, make_cleaner):
    names = [f"species {i:03d}" for i in range(150)]
    page = open_page(make_cleaner(names, names[1:] + names[:1]), [""] * 150)

    page.press("t", "149")
    assert page.text("#matches") == "species 149"
    page.press("\ue007", "t", "species 01", "\ue015", "\ue015", "\ue013", "\ue007")

    decided = page.decisions()
    assert [decided[row]["label"] for row in (0, 1)] == ["species 149", "species 011"]


def test_escape_leaves_the_type_ahead_without_a_decision(open_page, pets):
    page = open_page(*pets)

    page.press("t", "be", "\ue00c")

    assert page.text("#progress-text") == "0 of 8 decided"
    assert not page.is_seen("#type-dialog")


def test_key_that_is_held_down_decides_one_row(open_page, pets):
    page = open_page(*pets)

    page.run(
        "for (let i = 0; i < 5; i += 1) document.body.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'a', bubbles: true, repeat: i > 0}))"
    )

    assert page.text("#progress-text") == "1 of 8 decided"


def test_digits_are_the_classes_that_are_digits(open_page, make_cleaner):
    page = open_page(make_cleaner(np.array([3, 5, 0]), np.array([5, 3, 5])), ["a", "b", "c"])

    page.press("0", "5", "3")

    assert [decision["label"] for decision in page.decisions().values()] == ["0", "5", "3"]


def test_of_many_classes_digits_are_those_in_question(open_page, make_cleaner):
    names = [f"class {i}" for i in range(30)]
    page = open_page(make_cleaner(names, names[::-1]), [""] * 30)

    assert page.text("#choices") == "1 class 292 class 0"
    page.press("1", "2")

    labels = [(d["decision"], d["label"]) for d in page.decisions().values()]
    assert labels == [("relabel", "class 29"), ("keep", "class 1")]


def test_keys_are_letters_where_text_is_typed_and_can_be_switched_off(open_page, pets):
    page = open_page(*pets)

    page.press("/", "number 9")
    assert page.text("#n-visible") == "(1 of 8)"
    assert page.in_focus() == "Row 9"
    page.press("\ue00c")
    page.run("document.getElementById('use-keys').click()")
    page.press("k", "a", "x")

    assert page.text("#progress-text") == "0 of 8 decided"


def test_everything_works_with_the_tabulator_alone(open_page, pets):
    page = open_page(*pets)

    for _ in range(30):
        page.press("\ue004")
        if page.run("return document.activeElement.id") == "accept":
            break
    page.press(" ")

    assert page.text("#progress-text") == "1 of 8 decided"
    unnamed = page.run(
        "return [...document.querySelectorAll('button, input, select')].filter("
        "(e) => !e.textContent.trim() && !e.ariaLabel && !e.labels?.length).map((e) => e.id)"
    )
    assert unnamed == []


def test_every_step_is_announced(open_page, pets):
    page = open_page(*pets)

    page.press("a")

    assert page.text("#live") == "Row 1: given cat, suggested dog. 1 of 8 decided."


def test_class_search_and_status_filter_the_rows(open_page, pets):
    page = open_page(*pets)

    options = page.driver.find_elements("css selector", "#class-filter option")
    assert [option.text for option in options] == ["all", "bee", "cat", "dog"]
    options[1].click()
    assert page.text("#n-visible") == "(2 of 8)"
    assert page.in_focus() == "Row 2"
    page.press("\ue00c", "x")
    options[0].click()
    page.driver.find_element("css selector", "#status option[value=open]").click()
    assert page.text("#n-visible") == "(7 of 8)"
    page.press("\ue00c")
    page.press("k")
    assert page.text("#n-visible") == "(6 of 8)"


def test_rows_come_by_suspicion_or_at_random(open_page, pets):
    page = open_page(*pets)
    shown = "return [...document.querySelectorAll('#list .snippet')].map((e) => e.textContent)"

    by_suspicion = page.run(shown)
    page.driver.find_element("css selector", "#order option[value=random]").click()
    at_random = page.run(shown)

    assert by_suspicion == [f"This is text number {row}." for row in (0, 1, 2, 5, 6, 7, 8, 9)]
    assert at_random != by_suspicion and sorted(at_random) == sorted(by_suspicion)


def test_csv_and_json_hold_the_same_decisions(open_page, pets):
    cleaner, texts = pets
    cleaner.label_issues_.index = [f"id {i}" for i in range(12)]
    page = open_page(cleaner, texts)

    page.press("k", "a", "x", "d")
    page.fill("#reviewer", "Ann O'Tator")
    from_csv = rows_of_csv(page.download("csv"))
    from_json = json.loads(page.download("json").read_text(encoding="utf-8"))

    assert tuple(from_csv[0]) == FIELDS
    assert from_json["version"] == 1
    assert from_json["fingerprint"] == cleaner.fingerprint_
    assert from_json["reviewer"] == "Ann O'Tator"
    as_text = [{k: str(v) for k, v in row.items()} for row in from_json["decisions"]]
    assert as_text == from_csv
    row = from_json["decisions"][1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", row.pop("time"))
    assert row == {
        "row": 1,
        "id": "id 1",
        "decision": "relabel",
        "label": "dog",
        "given": "cat",
        "suggested": "dog",
        "reviewer": "Ann O'Tator",
        "fingerprint": cleaner.fingerprint_,
        "control": 0,
    }


def test_decisions_come_back_and_are_not_asked_again(open_page, blobs):
    X, y, y_given = blobs
    names = np.array(["ant", "bee", "cat"])
    y_given = pd.Series(names[y_given], index=[f"id {i}" for i in range(len(y))])
    cleaner = LabelCleaner(LogisticRegression(), random_state=0).fit(X, y_given)
    page = open_page(cleaner, X, n_controls=5)

    for _ in range(20):
        row = int(re.search(r"Row (\d+)", page.in_focus()).group(1))
        page.press(str(y[row] + 1))
    page.press("x")
    path = page.download("csv")
    decisions = read_decisions(path)
    table = cleaner.apply(X, y_given, path).label_issues_

    assert len(decisions) == 21 and set(decisions["fingerprint"]) == {cleaner.fingerprint_}
    assert decisions["id"].tolist() == [f"id {row}" for row in decisions["row"]]
    judged = decisions[decisions["control"] == 0]
    reviewed = table.iloc[judged["row"]]
    assert not reviewed["is_label_issue"].any()
    is_kept = (judged["decision"] != "exclude").to_numpy()
    assert (reviewed["given_label"] == names[y[judged["row"]]])[is_kept].all()
    assert reviewed["action"].tolist() == np.where(is_kept, "keep", "drop").tolist()
    page = open_page(cleaner, X)
    assert page.text("#progress-text").startswith("0 of")
    with pytest.raises(ValueError, match="fingerprint"):
        LabelCleaner(LogisticRegression()).apply(X, y_given[::-1], path)


def test_decisions_survive_a_reload(open_page, pets):
    page = open_page(*pets)

    page.press("k", "x")
    page.open()

    assert page.text("#progress-text") == "2 of 8 decided"
    assert page.in_focus() == "Row 2"
    assert {row: d["decision"] for row, d in page.decisions().items()} == {0: "keep", 1: "exclude"}


def test_page_of_other_data_begins_anew(open_page, pets):
    open_page(*pets).press("k", "x")

    cleaner, texts = pets
    cleaner.fingerprint_ = "0b" * 16
    page = open_page(cleaner, texts)

    assert page.text("#progress-text") == "0 of 8 decided"


def test_page_works_where_the_browser_keeps_nothing(open_page, pets, driver):
    script = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})"
    refused = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    page = open_page(*pets)

    page.press("k", "x")
    decided = page.decisions()
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", refused)

    assert len(decided) == 2


def test_page_warns_before_undownloaded_decisions_are_left(open_page, pets):
    page = open_page(*pets)
    warns = (
        "const event = new Event('beforeunload', {cancelable: true});"
        "dispatchEvent(event); return event.defaultPrevented"
    )

    assert not page.run(warns)
    page.press("k")
    assert page.run(warns)
    page.decisions()
    assert not page.run(warns)
    page.press("u")
    assert not page.run(warns)


def test_blind_mode_hides_the_suggestion_until_a_row_is_decided(open_page, make_cleaner):
    given, suggested = ["cat", "cat", "dog"], ["wolf", "wolf", "cat"]
    features = np.arange(3.0)[:, None]
    page = open_page(make_cleaner(given, suggested), list("abc"), features=features, blind=True)
    seen = "return document.getElementById(arguments[0]).innerText"

    assert "wolf" not in page.run(seen, "card") + page.run(seen, "list")
    assert page.driver.find_element("id", "accept").get_property("disabled")
    page.press("a")
    assert page.text("#progress-text") == "0 of 3 decided"
    page.press("k")
    assert page.in_focus() == "Row 0"
    assert "wolf" in page.text(".verdict")
    page.press("n")
    assert "hidden until you decide" in page.text(".verdict")
    page.press("b")
    assert "wolf" in page.text(".verdict")


def test_controls_look_like_other_rows_and_measure_the_reviewer(open_page, make_cleaner):
    given = ["cat", "dog"] * 20
    suggested = ["dog", "cat"] * 5 + ["cat", "dog"] * 15
    page = open_page(make_cleaner(given, suggested), [""] * 40, n_controls=10)

    assert page.text("#progress-text") == "0 of 20 decided"
    assert "control" not in page.run("return document.querySelector('main').innerText").lower()
    page.press(*"a" * 20)
    assert page.is_seen("#summary")
    assert "Of 10 planted controls, 10 were decided wrongly" in page.text("#controls-result")
    assert "(95 % interval 72 % to 100 %)" in page.text("#controls-result")

    decided = page.decisions()
    assert {row for row, d in decided.items() if d["control"]} <= set(range(10, 40))
    assert sum(d["control"] for d in decided.values()) == 10
    assert all(d["given"] != d["suggested"] for d in decided.values())


@pytest.fixture
def hostile_cleaner(make_cleaner):
    names = list(HOSTILE)
    return make_cleaner(names, names[1:] + names[:1], index=names)


@pytest.mark.parametrize("kind", ["text", "table", "image"])
def test_data_are_never_code(open_page, hostile_cleaner, kind, tmp_path):
    X = {
        "text": list(HOSTILE),
        "table": pd.DataFrame({name: list(HOSTILE) for name in HOSTILE}),
        "image": [_with_name(text) for text in HOSTILE],
    }[kind]
    page = open_page(hostile_cleaner, X, show=kind, title=HOSTILE[0])
    before = page.run("return document.querySelectorAll('script').length")

    for place, text in enumerate(HOSTILE):
        assert page.in_focus().endswith(text)
        if text.strip():
            assert text in page.text(".verdict")
        if kind == "text" and text.strip():
            assert page.text(".content") == text
        page.press("n" if place % 2 else "?", "\ue00c", *("n" * (1 - place % 2)))

    assert before == 2
    assert page.run("return window.harmed") is None
    assert page.run("return document.querySelectorAll('img[src=x], b:not(p b)').length") == 0
    assert page.driver.title == HOSTILE[0]


def _with_name(text):
    image = Image.new("RGB", (8, 8), "red")
    image.filename = text
    return image


def test_hostile_labels_come_back_and_spreadsheets_see_no_formula(open_page, hostile_cleaner):
    page = open_page(hostile_cleaner, list(HOSTILE))

    page.press(*"k" * len(HOSTILE))
    page.fill("#reviewer", "=HYPERLINK(0)")
    from_csv = rows_of_csv(page.download("csv"))
    from_json = json.loads(page.download("json").read_text(encoding="utf-8"))["decisions"]

    assert [row["label"] for row in from_json] == list(HOSTILE)
    assert {row["reviewer"] for row in from_json} == {"=HYPERLINK(0)"}
    cells = [row[field] for row in from_csv for field in ("id", "label", "given", "reviewer")]
    assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-\D", cell)]
    assert assert_reads_back(page)["label"].tolist() == list(HOSTILE)


@pytest.mark.parametrize("kind", ["text", "table", "image"])
def test_page_fits_into_400_pixels(open_page, hostile_cleaner, kind, set_width):
    n = len(HOSTILE)
    X = {
        "text": list(HOSTILE),
        "table": pd.DataFrame({"W" * 90: list(HOSTILE), "b": 1e9 * np.arange(n)}),
        "image": np.zeros((n, 300, 900), np.uint8),
    }[kind]
    set_width(400)
    page = open_page(hostile_cleaner, X, features=np.arange(n)[:, None])

    for _ in HOSTILE:
        assert page.run("return document.documentElement.scrollWidth") <= 400
        outside = page.run(
            "return [...document.querySelectorAll('#card *, #bar button')].filter((e) => "
            "!e.closest('#choices') && e.getBoundingClientRect().right > 401).map("
            "(e) => e.outerHTML.slice(0, 99))"
        )
        assert outside == []
        page.press("n")
    assert page.is_seen("#accept")


def test_page_is_a_table_without_scripts(open_page, driver, make_cleaner, set_width):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        images = np.zeros((4, 8, 8), np.uint8)
        cleaner = make_cleaner(["cat", "dog", "cat", None], ["dog", "cat", "cat", "dog"])
        page = open_page(cleaner, images, features=np.arange(4)[:, None])
        set_width(400)
        rows = [row.text for row in driver.find_elements("css selector", "tbody tr")]
        heading = driver.find_element("css selector", "noscript h1").text
        images = driver.find_elements("css selector", "tbody img")
        widths = [image.size["width"] for image in images]
        is_desk_seen = page.is_seen("main")
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    assert heading == "Review of labels"
    assert len(rows) == len(widths) == 3 and min(widths) > 0
    assert all(label in rows[0] for label in ("cat", "dog", "1 %", "90 %"))
    assert "none" in rows[2]
    assert not is_desk_seen


def test_page_loads_nothing_and_runs_no_foreign_script(open_page, pets):
    page = open_page(*pets)

    loaded = page.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    page.run(
        "const s = document.createElement('script'); s.textContent = 'window.harmed = 1';"
        "document.body.append(s)"
    )

    assert [name for name in loaded if not name.startswith("data:")] == []
    assert page.run("return window.harmed") is None
    complaints = page.driver.get_log("browser")
    assert len(complaints) == 1 and "Content Security Policy" in complaints[0]["message"]


def test_page_with_nothing_to_review_says_so(open_page, make_cleaner):
    page = open_page(make_cleaner(["cat", "dog"], ["cat", "dog"]), ["a", "b"])

    page.press("k", "a", "x", "1", "n", "p", "u", "t")

    assert "nothing to review" in page.text("#card")


def test_row_without_a_label_can_be_given_one(open_page, make_cleaner):
    cleaner = make_cleaner([None, "dog"], ["cat", "dog"], action=["label", "keep"])
    page = open_page(cleaner, ["a", "b"])

    page.press("k")
    assert page.text("#progress-text") == "0 of 1 decided"
    page.press("a")

    (decision,) = page.decisions().values()
    assert decision["decision"] == "relabel"
    assert (decision["label"], decision["given"]) == ("cat", "")


def test_neighbors_and_columns_say_why(open_page, make_cleaner):
    table = pd.DataFrame(
        {"size": [1.0, 1.1, 0.9, 9.0, 9.1, 8.9, 9.05], "color": ["red"] * 3 + ["blue"] * 4}
    )
    cleaner = make_cleaner(list("aaabbba"), list("aaabbbb"))
    page = open_page(cleaner, table)

    cells = [row.text for row in page.driver.find_elements("css selector", ".cells tbody tr")]
    assert page.in_focus() == "Row 6"
    assert cells[0].startswith("size 9.05 1 ") and cells[0].split()[5] == "9"
    assert "color blue" in cells[1]
    assert page.text(".why").startswith("Most like it3 of 6 are labeled b, 3 a.")
    distances = re.findall(r"([\d.]+) away", page.text(".neighbors"))
    assert len(distances) == 6 and distances == sorted(distances, key=float)


def test_300_rows_of_images_are_less_than_ten_megabytes(open_page, tmp_path, make_cleaner):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 96, 128, 3), dtype=np.uint8)  # noise: the worst there is
    given = np.arange(400) % 7
    cleaner = make_cleaner(given, np.where(np.arange(400) < 350, (given + 1) % 7, given))
    page = open_page(cleaner, images, features=rng.normal(size=(400, 3)))

    assert page.path.stat().st_size < 10e6
    assert page.text("#n-visible") == "(300 of 300)"
    assert page.run("return document.querySelectorAll('.neighbors img').length") == 6
    is_loaded = "return [...document.querySelectorAll('#card img')].every((e) => e.naturalWidth)"
    assert page.run(is_loaded)
    page.press("a", "k")
    assert page.text("#progress-text") == "2 of 300 decided"


def test_contrast_is_enough_in_light_and_dark(open_page, pets, driver):
    page = open_page(*pets, features=np.arange(12)[:, None])
    script = """
        const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map(
            (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
        ).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = (e) => {
            for (; e; e = e.parentElement) {
                const color = rgb(getComputedStyle(e).backgroundColor);
                if (color.length === 3 || color[3] === 1) return color;
            }
        };
        return [...document.querySelectorAll('header *, main *')].filter(
            (e) => e.offsetParent && !e.closest(':disabled, option, kbd') && [...e.childNodes].some(
                (n) => n.nodeType === 3 && n.textContent.trim())
        ).map((e) => {
            const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
            return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 99)];
        }).filter(([ratio]) => ratio < 4.5)"""
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        assert page.run(script) == [], scheme
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_replaced_page_is_whole(open_page, pets, tmp_path):
    open_page(*pets)
    open_page(*pets)

    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["page.html"]
    assert write_review(tmp_path / "page.html", *pets).read_bytes().endswith(b"</html>")

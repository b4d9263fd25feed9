"""Wrong labels of texts and images are found, and of rows with several labels or none."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
WORDS = {"food": "bread soup cheese apple butter", "sport": "goal team match ball referee"}


@pytest.fixture(scope="module")
def texts():
    """Return 120 texts about food or sport as a table, every tenth with the other label."""
    rng = np.random.default_rng(0)
    truth = np.array([*WORDS])[rng.integers(2, size=120)]
    table = pd.DataFrame({"text": [" ".join(rng.choice(WORDS[t].split(), 4)) for t in truth]})
    is_right = np.arange(120) % 10 != 0
    table["topic"] = np.where(is_right, truth, [*map(_other, truth)])
    table["truth"] = truth
    table["group"] = np.arange(120) // 2
    return table.astype(object)


def _other(topic):
    return "sport" if topic == "food" else "food"


def precision_and_recall(summary):
    summary = json.loads(summary)
    found = summary["wrong_labels_among_issues"]
    return found / summary["issues"], found / summary["wrong_labels"]


def test_texts(texts, run, tmp_path):
    path = tmp_path / "texts.jsonl.gz"
    texts.to_json(path, orient="records", lines=True)
    words = "--label", "topic", "--text", "text", "--truth", "truth", "--text-model", "tfidf"
    page = tmp_path / "page.html"
    code, summary, err = run("find", path, *words, "--review", page, "--format", "json", "-q")
    assert code == 0, err
    assert min(precision_and_recall(summary)) > 0.7
    assert texts["text"][0] in page.read_text(encoding="utf-8")


def test_images(run, tmp_path):
    runpy.run_path(str(EXAMPLES / "tiny_clip.py"))["make_clip"](tmp_path / "clip", random_state=0)
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    lines = ["path,light,truth"]
    for row in range(80):
        truth = ["dark", "bright"][row % 2]
        pixels = rng.integers(0, 100, size=(20, 20, 3)) + 150 * (row % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / f"{row}.png")
        given = truth if row % 9 else ["bright", "dark"][row % 2]
        lines.append(f"images/{row}.png,{given},{truth}")
    (tmp_path / "images.csv").write_text("\n".join(lines))
    words = "--label", "light", "--image", "path", "--truth", "truth"
    model = f"local-dir:{tmp_path / 'clip'}"
    command = "find", tmp_path / "images.csv", *words, "--image-model", model
    page = tmp_path / "page.html"
    code, summary, err = run(*command, "--review", page, "--format", "json", "-q")
    assert code == 0, err
    assert min(precision_and_recall(summary)) > 0.8
    assert "data:image/" in page.read_text(encoding="utf-8")
    (tmp_path / "images" / "7.png").write_bytes(b"no image")
    code, _, err = run(*command)
    assert (code, "7.png" in err) == (2, True)

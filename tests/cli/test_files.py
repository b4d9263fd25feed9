"""Files are written whole or not at all, and nothing is overwritten unasked."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from skdiffusion_label._cli._files import check_outputs, whole_file


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "out.html"
    with whole_file(path, force=False) as temporary:
        temporary.write_text("page")
        assert temporary.suffix == ".html"
        assert not path.exists()
    assert names_in(tmp_path) == ["out.html"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_file_that_fails(tmp_path, error):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(error), whole_file(path, force=True) as temporary:
        temporary.write_text("new")
        raise error
    assert names_in(tmp_path) == ["out.csv"]
    assert path.read_text() == "old"


def test_file_that_has_come_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "out.csv"
    with (
        pytest.raises(FileExistsError, match="exists already"),
        whole_file(path, force=False) as temporary,
    ):
        temporary.write_text("new")
        path.write_text("other")
    assert names_in(tmp_path) == ["out.csv"]
    assert path.read_text() == "other"


def test_link_stays_a_link_and_a_device_a_device(tmp_path):
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    with whole_file(link, force=True) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    os.mkfifo(pipe)
    with whole_file(pipe, force=False) as temporary:
        assert temporary == pipe
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["old.csv"], "old.csv exists already: --force overwrites it"),
        (["folder.csv"], "folder.csv is a folder"),
        (["nowhere/new.csv"], "there is no folder"),
        (["new.csv", "new.csv"], "new.csv is asked for as two different outputs"),
        (["-", "-"], "- is asked for as two different outputs"),
    ],
)
def test_output_that_cannot_be_is_refused_beforehand(tmp_path, monkeypatch, paths, message):
    monkeypatch.chdir(tmp_path)
    Path("old.csv").touch()
    Path("folder.csv").mkdir()
    asked = {"format": "text", "kind_of_output": None, "command": "find", "data": "-"}
    with pytest.raises((OSError, ValueError), match=message):
        check_outputs(paths, SimpleNamespace(force=False, **asked))
    check_outputs(["old.csv", None], SimpleNamespace(force=True, **asked), page="new.html")
    with pytest.raises(ValueError, match="two different outputs"):
        check_outputs(["new.csv"], SimpleNamespace(force=True, **asked), page="new.csv")
    with pytest.raises(ValueError, match="the page cannot be on standard output"):
        check_outputs([], SimpleNamespace(force=True, **asked), page="-")

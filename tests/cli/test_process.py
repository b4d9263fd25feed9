"""The command line as a process: entry points, pipes, signals."""

import importlib
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import skdiffusion_label
from skdiffusion_label import _cli

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "skdiffusion_label"]
# Seconds after which a process that hangs is a failure: a fit takes less on a busy machine.
TIMEOUT = 300


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a process, which is killed if the test leaves it running."""
    started = []

    def start(*words, **options):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path, **options}
        process = subprocess.Popen([*PROGRAM, *map(str, words)], env=environment, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_script_is_the_function():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, name = scripts["skdiffusion-label"].split(":")
    assert getattr(importlib.import_module(module), name) is _cli.main


def test_version_and_help(start):
    out, err = start("--version").communicate(timeout=TIMEOUT)
    assert out.decode().strip() == f"skdiffusion-label {skdiffusion_label.__version__}"
    for command in ([], ["find"], ["apply"], ["judge"], ["simulate"]):
        process = start(*command, "--help")
        out, err = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, err) == (0, b"")
        assert out.startswith(b"usage: skdiffusion-label")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_closed_pipe_ends_silently(start, tmp_path, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    path = tmp_path / "a.csv"
    # More than a pipe holds.
    path.write_text("x,y\n" + "1,a\n2,b\n" * 20_000)
    process = start("simulate", path, "--label", "y", "-q")
    assert process.stdout.read(4) == b"x,y,"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(TIMEOUT) == 141


def test_interrupted_while_waiting_for_input(start):
    process = start("find", "-", "--label", "y", stdin=subprocess.PIPE)
    process.stdin.write(b"x" * 1_000_000)  # more than a pipe holds: who writes it is being read
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (130, b"")
    assert err == b"skdiffusion-label: interrupted\n"


def test_interrupted_while_it_learns(start, data, tmp_path):
    process = start("find", data, "--label", "species", "--out", "issues.csv")
    lines = iter(process.stderr.readline, b"")
    assert any(b"judging" in line for line in lines)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (130, b"")
    assert err.endswith(b"skdiffusion-label: interrupted\n")
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_commands_make_a_pipe(start, data):
    one = start("simulate", data, "--label", "true_species", "--true-column", "right", "-q")
    words = "--label", "true_species", "--truth", "right", "--ignore", "species", "--id", "name"
    two = start("find", "-", *words, "--to", "tsv", "-q", stdin=one.stdout)
    one.stdout.close()
    out, _ = two.communicate(timeout=TIMEOUT)
    assert two.returncode == 0
    lines = out.decode().splitlines()
    assert len(lines) == 121
    assert lines[0].startswith("row\tid\tis_label_issue\t")

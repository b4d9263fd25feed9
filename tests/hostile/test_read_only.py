"""Directories that cannot be written to: errors that say which, why and what to do."""

import os
import subprocess
import sys
import tempfile

import pytest

# Root may write anywhere: all is tried as nobody, whom the folders do not belong to.
AS_NOBODY = """
import os, sys
import numpy as np
import torch
from PIL import Image
from skdiffusion_label import LRADiffusionImageClassifier
from skdiffusion_label.embedding import TorchEmbedder

def embed(folder, n_images=3):
    images = [Image.fromarray(np.full((8, 8, 3), n, dtype=np.uint8)) for n in range(n_images)]
    embedder = TorchEmbedder(torch.nn.Flatten(), lambda image: torch.ones(1, 2, 2), cache=folder)
    embedder.fit_transform(images)

def train(folder):
    X = np.arange(40.0).reshape(20, 2)
    clf = LRADiffusionImageClassifier(max_iter=2, random_state=0, checkpoint_dir=folder)
    clf.fit(X, np.arange(20) % 2)

folder = sys.argv[1]
empty, known, new = (os.path.join(folder, name) for name in ("empty", "known", "new"))
os.mkdir(empty)
embed(known, n_images=2)
for path, _, files in os.walk(folder):
    for file in files:
        os.chmod(os.path.join(path, file), 0o444)
    os.chmod(path, 0o555)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for function in (embed, train):
    for path in (empty, known, new):
        try:
            function(path)
        except Exception as error:
            print(function.__name__, os.path.basename(path), type(error).__name__, error, sep="|")
"""


@pytest.fixture(scope="module")
def told():
    """Return a folder that cannot be written to, and what is said of what lies in it."""
    # Above pytest's own folders there are some that others may not even look into.
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, folder],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        for path, *_ in os.walk(folder):
            os.chmod(path, 0o755)
        assert result.returncode == 0, result.stderr[-2000:]
        lines = (line.split("|", 2) for line in result.stdout.splitlines())
        yield folder, {(function, name): message for function, name, message in lines}


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("empty", "unable to open database file"),
        ("known", "attempt to write a readonly database"),
        ("new", "Permission denied"),
    ],
)
def test_a_cache_that_cannot_be_written_to_says_so(name, cause, told):
    folder, messages = told
    message = messages["embed", name]
    assert message.startswith(f"RuntimeError|The embedding cache {os.path.join(folder, name)}")
    assert cause in message
    assert "can be written to" in message


@pytest.mark.parametrize("name", ["empty", "known", "new"])
def test_checkpoints_that_cannot_be_written_are_refused_at_once(name, told):
    folder, messages = told
    message = messages["train", name]
    assert message.startswith(
        "ValueError|checkpoint_dir must be a directory that can be written to, got "
        f"'{os.path.join(folder, name)}': "
    )
    assert "Permission denied" in message

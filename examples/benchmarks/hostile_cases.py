"""Hostile cases by area: what is called, and what has to hold of its result.

A case ends in a right result, or in a ValueError or TypeError that names what is wrong.
"""

import copy
import importlib.util
import io
import os
import pickle
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import sklearn
import torch
from PIL import Image
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from skdiffusion_label import LabelCleaner, LRADiffusionClassifier, LRADiffusionImageClassifier
from skdiffusion_label.cleaning import (
    aggregate_annotations,
    estimate_transition_matrix,
    find_label_issues,
    label_quality_scores,
)
from skdiffusion_label.datasets import load_cifar, load_clothing1m, load_food101n
from skdiffusion_label.embedding import TorchEmbedder

FAST = {"max_iter": 2, "hidden_size": 16, "random_state": 0}
ROWS = ("X", "Complex", "feature", "sample", "array", "row", "dimension", "sparse", "neighbors")
LABELS = ("y", "label", "class", "annotations", "proba", "target", "row", "samples", "Complex")


@dataclass(frozen=True)
class Case:
    """A call, the check of its result, and words of which a clear error has at least one."""

    description: str
    call: Callable
    check: Callable
    words: tuple = ROWS


class Interruption(BaseException):
    """Stands in for whatever stops a fit."""


def run_case(area, seed):
    """Return the description of a case, its outcome and what there is to say of it."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        case = AREAS[area](rng, Path(folder))
        try:
            result = case.call()
        except (ValueError, TypeError) as error:
            is_clear = any(word in str(error) for word in case.words)
            outcome = "refused" if is_clear else "unclear error"
            return case.description, outcome, f"{type(error).__name__}: {error}"
        except Exception as error:
            return case.description, "unclear error", f"{type(error).__name__}: {error}"
        try:
            case.check(result)
        except AssertionError as error:
            return case.description, "wrong result", str(error)
    return case.description, "right result", ""


def blobs(rng, n_samples=None):
    """Return rows and labels of three classes."""
    n_samples = n_samples or int(rng.integers(20, 80))
    X, y = make_blobs(n_samples, 4, centers=3, random_state=int(rng.integers(1000)))
    return X, y


def check_proba(proba):
    """Assert that these are probabilities."""
    assert np.isfinite(proba).all(), "not finite"
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-5), "does not sum to one"


def random_parameters(rng):
    """Return parameters of a classifier."""
    return FAST | {
        "prediction_type": str(rng.choice(["logits", "sample", "epsilon"])),
        "n_sampling_steps": int(rng.choice([1, 3])),
        "metric": str(rng.choice(["cosine", "euclidean"])),
        "retrieval_space": str(rng.choice(["auto", "features", "standardized", "supervised"])),
        "label_aggregation": str(rng.choice(["judges", "vote"])),
        "encoder": str(rng.choice(["linear", "mlp"])),
    }


# Inputs


def _extreme(rng, X):
    """Return rows of which some are extreme, and what was done."""
    X, kind = X.copy(), str(rng.choice(["cell", "column", "all", "constant", "offset"]))
    value = float(rng.choice([-1, 1])) * 10 ** rng.uniform(-320, 308.2)
    if rng.random() < 0.4:
        special = [np.nan, np.inf, -np.inf, 9.96921e36, -3.4028235e38, 1e20, 5e-324, -0.0, 1e308]
        value = float(rng.choice(special))
    row, column = rng.integers(len(X)), rng.integers(X.shape[1])
    with np.errstate(all="ignore"):
        if kind == "cell":
            X[row, column] = value
        elif kind == "column":
            X[:, column] *= value
        elif kind == "all":
            X *= value
        elif kind == "constant":
            X[:, column] = value
        else:
            X[:, column] += value
    return X, f"{kind} {value:g}"


def _other_dtype(rng, X):
    dtypes = ["f2", "f4", "g", "i1", "i8", "u8", "?", "O", "U", "F"]
    dtype = np.dtype(str(rng.choice(dtypes)))
    with np.errstate(all="ignore"):
        return np.abs(X).astype(dtype), f"dtype {dtype}"


def _other_shape(rng, X):
    ways = {
        "one row": lambda: X[:1],
        "no rows": lambda: X[:0],
        "no columns": lambda: X[:, :0],
        "one column": lambda: X[:, :1],
        "flat": lambda: X[:, 0],
        "deep": lambda: X[:, :, None],
        "by columns": lambda: np.asfortranarray(X),
        "backwards": lambda: X[::-1, ::-1],
        "list": X.tolist,
        "frame": lambda: pd.DataFrame(X, columns=list("abcd")),
        "mixed names": lambda: pd.DataFrame(X, columns=["a", 1, "b", 2]),
        "sparse": lambda: sparse.csr_matrix(X),
        "tensor": lambda: torch.tensor(X),
        "read only": lambda: np.frombuffer(X.tobytes()).reshape(X.shape),
        "ragged": lambda: [[1.0], *X[1:].tolist()],
        "None": lambda: None,
    }
    way = str(rng.choice(sorted(ways)))
    return ways[way](), way


def _n_rows(X):
    return X.shape[0] if hasattr(X, "shape") else len(X or ())


def inputs(rng, folder):
    """Rows, and weights, of any size, shape and dtype, in fit or in prediction."""
    X, y = blobs(rng)
    changes = [_extreme, _extreme, _extreme, _other_dtype, _other_shape]
    strange, description = changes[rng.integers(len(changes))](rng, X)
    clf = LRADiffusionClassifier(**random_parameters(rng))
    method = str(rng.choice(["predict_proba", "purify_proba"]))
    if rng.random() < 0.2:
        weight = np.ones(len(y))
        weight[rng.integers(len(y))] = 10 ** rng.uniform(-320, 308)
        weight *= 10 ** rng.uniform(-300, 0) if rng.random() < 0.5 else 1
        return Case(
            f"weights {weight.min():g} to {weight.max():g}",
            lambda: clf.fit(X, y, sample_weight=weight).predict_proba(X),
            check_proba,
            ("weight",),
        )
    given = (y,) if method == "purify_proba" else ()
    where = str(rng.choice(["fit", "prediction"]))

    def call():
        clf.fit(strange if where == "fit" else X, y)
        proba = getattr(clf, method)(strange, *(codes[: _n_rows(strange)] for codes in given))
        assert len(proba) == _n_rows(strange), "another number of rows"
        return proba

    return Case(f"{description} in {where}, {method}", call, check_proba)


# Labels


def _strange_labels(rng, y):
    names = np.array(["a", "b\0", "é" * 50])
    ways = {
        "strings": lambda: names[y],
        "objects": lambda: names[y].astype(object),
        "one of another kind": lambda: [*map(int, y[1:]), "1"],
        "None": lambda: [*map(int, y[1:]), None],
        "NaN": lambda: np.where(np.arange(len(y)) == 1, np.nan, y),
        "infinite": lambda: np.where(np.arange(len(y)) == 1, np.inf, y),
        "fractions": lambda: y + 0.5,
        "large": lambda: y.astype(np.int64) + 2**53,
        "unsigned": lambda: y.astype(np.uint64) + np.uint64(2**63),
        "huge": lambda: [2**70 + int(code) for code in y],
        "bool": lambda: y > 0,
        "bytes": lambda: np.strings.encode(names[y]),
        "one class": lambda: np.zeros_like(y),
        "all different": lambda: np.arange(len(y)),
        "one row of a class": lambda: np.where(np.arange(len(y)) == 0, 7, y % 2),
        "two columns": lambda: np.stack([y, y], axis=1),
        "short": lambda: y[:-1],
        "empty": lambda: y[:0],
        "categorical": lambda: pd.Series(pd.Categorical(names[y])),
        "nullable": lambda: pd.Series(y).astype("Int64"),
        "missing": lambda: pd.Series(y).astype("Int64").where(y > 0),
        "dates": lambda: y.astype("datetime64[D]"),
        "complex": lambda: y.astype(complex),
    }
    way = str(rng.choice(sorted(ways)))
    return ways[way](), way


def _text(label):
    """Return a label as text: as an integer where it is one."""
    is_whole = isinstance(label, Real) and np.isfinite(float(label)) and label == int(label)
    return str(int(label)) if is_whole else str(label)


def labels(rng, folder):
    """Labels of any kind, and probabilities that are none, for all that takes labels."""
    X, y = blobs(rng, 60)
    strange, description = _strange_labels(rng, y)
    proba = LogisticRegression(max_iter=500).fit(X, y).predict_proba(X)
    if rng.random() < 0.3:
        description += ", strange probabilities"
        factor = [np.nan, 5.0, 0.0, -1.0, np.inf][rng.integers(5)]
        proba[rng.integers(60)] *= factor
    calls = {
        "fit": lambda: LRADiffusionClassifier(**FAST).fit(X, strange).predict(X),
        "cleaner": lambda: LabelCleaner(LogisticRegression()).fit(X, strange).label_issues_,
        "issues": lambda: find_label_issues(strange, estimator=LogisticRegression(), X=X),
        "issues of proba": lambda: find_label_issues(strange, proba),
        "scores": lambda: label_quality_scores(strange, proba),
        "transition": lambda: estimate_transition_matrix(strange, proba),
        "annotators": lambda: aggregate_annotations(
            [[label, label, other] for label, other in zip(strange, strange[::-1], strict=True)]
        ),
    }
    name = str(rng.choice(sorted(calls)))

    def check(result):
        if name in ("fit", "annotators"):
            found = result if name == "fit" else result["labels"]
            given = {_text(label) for label in np.asarray(strange, dtype=object).ravel()}
            assert {_text(label) for label in found.tolist()} <= given, "labels that were not given"
        elif hasattr(result, "columns"):
            p_error = result.loc[result["given_label"].notna(), "p_label_error"]
            assert p_error.between(0, 1).all(), "no probabilities"
            assert len(result) == len(strange), "another number of rows"
        else:
            assert np.isfinite(result).all(), "not finite"

    return Case(f"{description}, {name}", calls[name], check, LABELS)


# Settings


def settings(rng, folder):
    """Fit and predict under settings, threads and forks: the result is the same."""
    X, y = blobs(rng)
    clf = LRADiffusionClassifier(**random_parameters(rng)).fit(X, y)
    expected = clf.predict_proba(X)
    name = str(rng.choice(["pandas", "polars", "float64", "threads", "n_jobs", "place", "fork"]))
    again = clone(clf)

    def call():
        if name in ("pandas", "polars"):
            with sklearn.config_context(transform_output=name):
                return again.fit(X, y).predict_proba(X)
        if name == "float64":
            torch.set_default_dtype(torch.float64)
            try:
                return again.fit(X, y).predict_proba(X)
            finally:
                torch.set_default_dtype(torch.float32)
        if name == "n_jobs":
            return again.set_params(n_jobs=int(rng.choice([2, 5, -1]))).fit(X, y).predict_proba(X)
        if name == "place":
            order = rng.permutation(len(X))
            return clf.predict_proba(X[order])[np.argsort(order)]
        return _in_threads(clf, X) if name == "threads" else _in_a_fork(clf, X, folder)

    def check(proba):
        tolerance = {"n_jobs": 1e-3, "place": 1e-7, "fork": 1e-6}.get(name, 0)
        difference = np.abs(proba - expected).max()
        assert difference <= tolerance, f"differs by {difference:g}"

    return Case(name, call, check, ())


def _in_threads(clf, X):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(clf.predict_proba(X))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    return max(results, key=lambda proba: np.abs(proba - results[0]).max())


def _in_a_fork(clf, X, folder):
    child = os.fork()
    if not child:
        try:
            np.save(folder / "proba.npy", clf.predict_proba(X))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return np.load(folder / "proba.npy")


# Interruptions


def interruptions(rng, folder):
    """Interrupt a fit, anew or warm, or kept on disk and gone on with."""
    X, y = blobs(rng, 60)
    seconds = rng.uniform(0.001, 0.6)
    name = str(rng.choice(["fit", "warm start", "checkpoint"]))
    parameters = FAST | {"max_iter": 30}
    if name == "checkpoint":
        clf = LRADiffusionImageClassifier(**parameters, checkpoint_dir=folder)
        expected = LRADiffusionImageClassifier(**parameters).fit(X, y).predict_proba(X)
    else:
        clf = LRADiffusionClassifier(**parameters, warm_start=name == "warm start").fit(X, y)
        expected = clf.predict_proba(X)
    before = dict(vars(clf))

    def call():
        if not interrupted(lambda: clf.fit(X, y), seconds) and name != "checkpoint":
            return None
        if vars(clf) != before and name != "checkpoint":
            return np.zeros((1, 1))
        return (clf.fit(X, y) if name == "checkpoint" else clf).predict_proba(X)

    def check(proba):
        assert proba is None or np.array_equal(proba, expected), "another state than before"

    return Case(f"{name} after {seconds:.3f} s", call, check, ())


def interrupted(function, seconds):
    """Call ``function`` and interrupt it after some seconds; return whether it was."""

    def stop(number, frame):
        raise Interruption

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        function()
    except Interruption:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return False


# Files


def _miniatures():
    path = Path(__file__).parents[1] / "paper" / "miniatures.py"
    spec = importlib.util.spec_from_file_location("miniatures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def damaged(rng, content):
    """Return bytes with some of them changed, and what was done."""
    ways = {
        "flip": lambda: _flipped(rng, content),
        "cut": lambda: content[: rng.integers(len(content) + 1)],
        "empty": lambda: b"",
        "BOM": lambda: b"\xef\xbb\xbf" + content,
        "NUL": lambda: content.replace(b"\n", b"\0\n", 1),
        "noise": lambda: rng.bytes(200),
        "long line": lambda: content + b"x" * 100_000,
        "twice": lambda: content + content,
    }
    way = str(rng.choice(sorted(ways)))
    return ways[way](), way


def _flipped(rng, content):
    array = np.frombuffer(content, dtype=np.uint8).copy()
    if len(array):
        array[rng.integers(len(array), size=3)] ^= np.uint8(1 << rng.integers(8))
    return array.tobytes()


def files(rng, folder):
    """Damaged lists, images, checkpoints and caches: named, or harmless, and never waited for."""
    kinds = {"list": _list_case, "image": _image_case, "state": _state_case}
    name = str(rng.choice(sorted(kinds)))
    return kinds[name](rng, folder)


def _list_case(rng, folder):
    miniatures = _miniatures()
    make, load = (
        (miniatures.make_clothing1m, load_clothing1m)
        if rng.random() < 0.5
        else (miniatures.make_food101n, load_food101n)
    )
    make(folder)
    whole = load(folder)
    lists = [path for path in sorted(folder.rglob("*")) if path.suffix in (".txt", ".tsv")]
    path = lists[rng.integers(len(lists))]
    content, way = damaged(rng, path.read_bytes())
    path.write_bytes(content)

    def check(result):
        assert result.keys() == whole.keys(), "other keys"
        if way == "BOM":
            same = all(np.array_equal(result[name], whole[name]) for name in whole)
            assert same, "a byte order mark is taken for data"
        names = [name for name in result if name.endswith("paths")]
        assert not any("\0" in path for name in names for path in result[name]), "NUL in a path"

    return Case(f"{load.__name__}, {path.name}, {way}", lambda: load(folder), check, (str(folder),))


def _to_tensor(image):
    return torch.tensor(np.asarray(image.convert("RGB").resize((4, 4)))).permute(2, 0, 1) / 255


def _embedder(**parameters):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    return TorchEmbedder(model, _to_tensor, **parameters)


def _image_case(rng, folder):
    pixels = rng.integers(256, size=(9, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, str(rng.choice(["PNG", "JPEG", "BMP", "GIF"])))
    path = folder / "image"
    way = str(rng.choice(["damaged", "fifo", "zero", "folder", "socket", "missing"]))
    server = socket.socket(socket.AF_UNIX)
    if way == "damaged":
        content, way = damaged(rng, buffer.getvalue())
        path.write_bytes(content)
    elif way == "fifo":
        os.mkfifo(path)
    elif way == "zero":
        path.symlink_to("/dev/zero")
    elif way == "folder":
        path.mkdir()
    elif way == "socket":
        server.bind(os.fspath(path))

    def check(result):
        assert np.isfinite(result).all() and result.shape == (1, 3), "no embedding"

    return Case(
        f"image, {way}", lambda: _embedder().transform([os.fspath(path)]), check, ("image",)
    )


def _state_case(rng, folder):
    """Damage a checkpoint or a cache, and use it again."""
    if rng.random() < 0.5:
        X, y = blobs(rng, 60)
        clf = LRADiffusionImageClassifier(**FAST, checkpoint_dir=folder)
        expected = clf.fit(X, y).predict_proba(X)
        name, use = "checkpoint", lambda: clf.fit(X, y).predict_proba(X)
    else:
        images = rng.integers(256, size=(5, 6, 6, 3), dtype=np.uint8)
        expected = _embedder(cache=folder).transform(images)
        name, use = "cache", lambda: _embedder(cache=folder).transform(images)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    path = paths[rng.integers(len(paths))]
    content, way = damaged(rng, path.read_bytes())
    path.write_bytes(content)

    def call():
        try:
            return use()
        except RuntimeError as error:  # what the embedders promise of a damaged cache
            raise ValueError(str(error)) from error

    def check(result):
        assert np.array_equal(result, expected), "another result"

    return Case(f"{name}, {way}", call, check, (os.fspath(folder), path.name))


# Pickles


def pickles(rng, folder):
    """Fitted classifiers through pickles, and published pickles that are damaged."""
    if rng.random() < 0.5:
        X, y = blobs(rng)
        clf = LRADiffusionClassifier(**random_parameters(rng)).fit(X, y)
        expected = clf.predict_proba(X)
        ways = {
            "pickle": lambda: pickle.loads(pickle.dumps(clf, int(rng.integers(2, 6)))),
            "joblib": lambda: joblib.load(joblib.dump(clf, folder / "clf")[0]),
            "mapped": lambda: joblib.load(joblib.dump(clf, folder / "clf")[0], mmap_mode="r"),
            "copy": lambda: copy.deepcopy(clf),
        }
        way = str(rng.choice(sorted(ways)))

        def check(proba):
            assert np.array_equal(proba, expected), "another result"

        return Case(way, lambda: ways[way]().predict_proba(X), check, ())
    _miniatures().make_cifar10(folder, n_per_batch=20)
    whole = load_cifar(folder)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    path = paths[rng.integers(len(paths))]
    content, way = damaged(rng, path.read_bytes())
    path.write_bytes(content)

    def check_arrays(result):
        for name, values in whole.items():
            assert np.shape(result[name]) == np.shape(values), f"another shape of {name}"

    return Case(f"CIFAR, {way}", lambda: load_cifar(folder), check_arrays, (path.name,))


AREAS = {
    "inputs": inputs,
    "labels": labels,
    "settings": settings,
    "interruptions": interruptions,
    "files": files,
    "pickles": pickles,
}

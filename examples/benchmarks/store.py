"""The file of finished runs, one line of JSON each, found again later; files of results."""

import datetime
import hashlib
import json
import os
import platform
import shlex
from pathlib import Path

import numpy as np
import sklearn
import torch

import skdiffusion_label

IDENTITY = ("kind", "task", "method", "seed", "model", "data", "package")


def read_runs(path):
    """Return the runs in ``path``, the last of each kind, task, method and seed."""
    if not Path(path).exists():
        return []
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    runs = [json.loads(line) for line in lines if line.strip()]
    return list({tuple(run[name] for name in IDENTITY[:4]): run for run in runs}.values())


def append_run(path, run):
    """Write ``run`` as a line at the end of ``path``."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def find_run(runs, identity, time_limit=None):
    """Return the run of ``identity`` that is finished or took longer than this, or None."""
    for run in runs:
        is_over = run["status"] == "ok" or run.get("time_limit", 0) >= (time_limit or np.inf)
        if is_over and all(run[name] == identity[name] for name in IDENTITY):
            return run
    return None


def package_hash(kind):
    """Return a checksum of the package's source, of what a ``kind`` of run depends on.

    The checksum of the data stands for the noise in them, only label issues are cleaned, and no
    images are read.
    """
    unused = {"datasets", "embedding", "label_noise"}
    if kind != "label_issues":
        unused.add("cleaning")
    folder = Path(skdiffusion_label.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if parts[0] not in unused:
            digest.update("/".join(parts).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def describe_model(model):
    """Return the parameters that differ from their defaults, in one line."""
    return " ".join(repr(model).split())


def circumstances():
    """Return what the numbers of a run depend on besides its identity."""
    return {
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "sklearn": sklearn.__version__,
            "torch": torch.__version__,
            "skdiffusion_label": skdiffusion_label.__version__,
        },
        "machine": {
            "platform": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "n_cpus": os.cpu_count(),
        },
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def write_results(path, script, argv, results, **facts):
    """Write ``results``, the command that led to them, and what else they depend on."""
    command = shlex.join(["python", f"examples/benchmarks/{Path(script).name}", *argv])
    report = {"command": command, **facts, "results": results, **circumstances()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

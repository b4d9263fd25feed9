"""What there is to learn: rows, given labels of which many are wrong, and right ones to score by.

A task keeps apart what a method may see (``Given``) and what only the scores see (``Truth``).
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Given:
    """What a method sees: training rows, their given labels as codes of the classes, test rows.

    ``annotations`` are those of several annotators, a column each, with NaN where there is none.
    """

    X_train: np.ndarray
    y_given: np.ndarray
    X_test: np.ndarray
    annotations: np.ndarray | None = None

    def arrays(self):
        """Return the arrays that there are, by name."""
        return {name: array for name, array in vars(self).items() if array is not None}

    def fingerprint(self):
        """Return a checksum that tells these data from others."""
        checksum = 0
        for array in self.arrays().values():
            checksum = zlib.crc32(np.ascontiguousarray(array).tobytes(), checksum)
        return f"{checksum:08x}"


@dataclass(frozen=True)
class Truth:
    """What only the scores see: right labels as codes of the classes."""

    y_clean: np.ndarray
    y_test: np.ndarray
    n_classes: int


@dataclass(frozen=True)
class Task:
    """One column of a table: where rows and labels come from.

    ``draw(seed)`` returns ``Given`` and ``Truth``. ``is_redrawn`` says whether the seed changes
    them; otherwise it changes the method alone.
    """

    name: str
    group: str
    description: str
    noise_rate: float
    draw: Callable[[int], tuple[Given, Truth]]
    is_redrawn: bool = True


ARCHIVES = {
    "cifar10": (
        "cifar10_mobilenet.npz",
        "CIFAR-10, embeddings of a MobileNet",
        {
            "human_worse": (0.40, "the worst of three human annotators (CIFAR-10N)"),
            "pmd1_35": (0.35, "poly-margin-diminishing type I, published file"),
            "pmd1_70": (0.70, "poly-margin-diminishing type I, published file"),
        },
    ),
    "banking77": (
        "banking77_minilm.npz",
        "banking77 queries, MiniLM sentence embeddings",
        {
            "sym_40": (0.40, "symmetric noise"),
            "pair_40": (0.40, "each class to the next"),
            "instance_30": (0.30, "smallest margins to the runner-up"),
        },
    ),
}


def archive_tasks(data_dir):
    """Return the tasks of the archives that are in ``data_dir``."""
    tasks = []
    for prefix, (file_name, rows, labels) in ARCHIVES.items():
        path = Path(data_dir) / file_name
        if not path.exists():
            continue
        for name, (rate, noise) in labels.items():
            task = Task(
                f"{prefix}_{name}",
                "embeddings",
                f"{rows}; {noise}",
                rate,
                lambda seed, path=path, name=name: read_archive(path, name),
                is_redrawn=False,
            )
            tasks.append(task)
    return tasks


def read_archive(path, labels):
    """Read an archive of features: what methods see, and the truth.

    It holds ``X_train``, ``X_test``, ``y_test``, ``y_train_clean`` and, for each set of given
    labels, ``y_train_<name>``.
    """
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if not name.startswith("text")}
    prefix = "y_train_"
    needed = ("X_train", "X_test", "y_test", "y_train_clean")
    if not set(needed) <= set(arrays):
        raise ValueError(f"{path} must hold {', '.join(needed)}, got {', '.join(arrays)}.")
    if prefix + labels not in arrays:
        names = [name.removeprefix(prefix) for name in arrays if name.startswith(prefix)]
        raise ValueError(f"{path} has no labels {labels!r}; available: {', '.join(sorted(names))}.")

    y_given, y_clean, y_test = (
        arrays[name] for name in (prefix + labels, "y_train_clean", "y_test")
    )
    classes = np.unique(np.concatenate([y_given, y_clean, y_test]))
    given = Given(
        arrays["X_train"].astype(np.float32),
        np.searchsorted(classes, y_given),
        arrays["X_test"].astype(np.float32),
    )
    truth = Truth(np.searchsorted(classes, y_clean), np.searchsorted(classes, y_test), len(classes))
    return given, truth


def check_noise(task, given, truth):
    """Return the share of wrong labels; raise if it is not about what the task states.

    So clean labels in the place of given ones are found out before any fit.
    """
    rate = float(np.mean(given.y_given != truth.y_clean))
    deviation = np.sqrt(task.noise_rate * (1 - task.noise_rate) / len(given.y_given))
    tolerance = min(max(4 * deviation, 0.01), task.noise_rate / 2)
    if abs(rate - task.noise_rate) > tolerance:
        raise ValueError(
            f"{task.name} states {task.noise_rate:.0%} wrong labels, got {rate:.1%} of them."
        )
    return rate

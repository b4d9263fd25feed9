"""Tasks with rare, missing, unequal and one-sidedly mislabeled classes."""

import numpy as np
from simulated import as_task_data, digits, split, synthetic
from tasks import Task

from skdiffusion_label.label_noise import flip_labels, uniform_transition

GROUP = "hard classes"


def hard_class_tasks():
    """Return one task for each kind of trouble; test rows have all classes in equal shares."""
    return [
        Task(
            "digits_one_class_60",
            GROUP,
            "digits; 60 % of the eights are called threes, all other labels are right",
            0.06,
            draw_one_class,
        ),
        Task(
            "digits_rare_class",
            GROUP,
            "digits with three training rows of class 9; symmetric noise",
            0.2,
            draw_rare_class,
        ),
        Task(
            "digits_missing_class",
            GROUP,
            "digits without training rows of class 9, but with test rows; symmetric noise",
            0.2,
            draw_missing_class,
        ),
        Task(
            "synthetic_imbalance_100",
            GROUP,
            "synthetic, class sizes falling from 1,400 to 14; symmetric noise",
            0.2,
            draw_imbalance,
        ),
    ]


def draw_one_class(seed):
    """Draw digits whose label noise is that of one class."""
    transition_matrix = np.eye(10)
    transition_matrix[8, [3, 8]] = 0.6, 0.4
    return _draw(seed, digits, lambda y: np.full(10, len(y)), transition_matrix)


def draw_rare_class(seed):
    """Draw digits with three training rows of the last class."""
    return _draw(seed, digits, lambda y: np.array([len(y)] * 9 + [3]))


def draw_missing_class(seed):
    """Draw digits without training rows of the last class, whose label nobody is given."""
    return _draw(seed, digits, lambda y: np.array([len(y)] * 9 + [0]))


def draw_imbalance(seed):
    """Draw the synthetic set with class sizes in a geometric series, the last 1:100."""
    return _draw(seed, synthetic, lambda y: np.geomspace(1, 0.01, 10) * np.bincount(y).min())


def _draw(seed, rows, sizes, transition_matrix=None):
    """Split rows, keep ``sizes(y)`` training rows of each class, and corrupt their labels."""
    X_train, X_test, y_clean, y_test = split(seed, rows)
    order = np.random.default_rng(seed).permutation(len(y_clean))
    kept = np.concatenate(
        [
            order[y_clean[order] == code][: int(round(size))]
            for code, size in enumerate(sizes(y_clean))
        ]
    )
    kept.sort()
    X_train, y_clean = X_train[kept], y_clean[kept]
    if transition_matrix is None:
        transition_matrix = uniform_transition(len(np.unique(y_clean)), 0.2)
    y_given = flip_labels(y_clean, transition_matrix, random_state=seed)
    return as_task_data(X_train, y_given, X_test, y_clean, y_test, is_scaled=rows is digits)

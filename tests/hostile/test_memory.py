"""Memory: tables of rows by classes are what a fit needs most of."""

import importlib
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdiffusion_label import LabelCleaner, LRADiffusionClassifier
from skdiffusion_label.classifier import _tables
from skdiffusion_label.diffusion import _training
from skdiffusion_label.noise_model import _blocks, _pool
from skdiffusion_label.retrieval import _bank, _discriminant

# Rows or entries at a time, whatever the size of the table.
CONSTANT = (
    (_blocks, "_ENTRIES_AT_ONCE"),
    (_training, "_ENTRIES_AT_ONCE"),
    (_pool, "_MIN_ROWS"),
    (_bank, "_ROWS_AT_ONCE"),
    (_discriminant, "_ROWS_AT_ONCE"),
    (_discriminant, "_MAX_ROWS"),
)


sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "benchmarks"))
memory = importlib.import_module("memory")


def all_is_large(monkeypatch):
    """Let a small table be handled as one of a hundred thousand rows and a thousand classes is."""
    monkeypatch.setattr(_tables, "_MANY_ENTRIES", 1)
    monkeypatch.setattr(_bank, "_MANY_ENTRIES", 1)


def test_a_cleaner_of_many_classes_needs_few_tables_of_labels(monkeypatch):
    all_is_large(monkeypatch)
    # What does not grow with the rows is to be as small a part of it as there.
    for module, name in CONSTANT:
        monkeypatch.setattr(module, name, getattr(module, name) // 8)
    n_samples, n_classes = 5_000, 210
    y = np.arange(n_samples) % n_classes
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_classes, 4))[y] + 0.1 * rng.normal(size=(n_samples, 4))
    clf = LRADiffusionClassifier(n_neighbors=5, max_iter=1, hidden_size=16, random_state=0)
    cleaner = LabelCleaner(clf)
    with pytest.warns(UserWarning, match="tell"):
        cleaner.fit(X[:40], y[:40] % 2)  # what is imported then counts no more
    tracemalloc.start()
    try:
        with pytest.warns(UserWarning, match="tell"):
            cleaner.fit(X.astype(np.float32), y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    table = 4 * n_samples * n_classes
    # Four before networks were trained on half of the rows with what is known of these alone.
    assert peak < 5 * table, f"{peak / table:.1f} tables"


def test_tables_that_are_large_are_judged_as_small_ones_are(fast, blobs, monkeypatch):
    X, _, y = blobs
    expected = LRADiffusionClassifier(**fast).fit(X, y)
    all_is_large(monkeypatch)
    monkeypatch.setattr(_blocks, "_ENTRIES_AT_ONCE", 100)
    clf = LRADiffusionClassifier(**fast).fit(X, y)
    for name in ("label_distributions_", "out_of_sample_proba_", "transition_matrix_"):
        assert_allclose(getattr(clf, name), getattr(expected, name), atol=1e-5, err_msg=name)
    assert_allclose(clf.predict_proba(X), expected.predict_proba(X), atol=1e-4)


def test_the_benchmark_measures_a_fit():
    result = memory.fit_many_classes(300, 4, 5)
    assert result["table_mb"] == 300 * 5 * 4 / 2**20
    assert result["tables"] == result["peak_memory_mb"] / result["table_mb"]
    assert result["fit_seconds"] > 0

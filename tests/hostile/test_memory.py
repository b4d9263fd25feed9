"""Memory: tables of rows by classes are what a fit needs most of."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.classifier import _forests, _tables
from skdiffusion_label.diffusion import _training
from skdiffusion_label.noise_model import _blocks


@pytest.mark.usefixtures("few_trees")
def test_a_fit_with_many_classes_needs_few_tables_of_labels(monkeypatch):
    # As if this were a large table, whose fit would take half a minute.
    monkeypatch.setattr(_tables, "_MANY_ENTRIES", 2**18)
    monkeypatch.setattr(_blocks, "_ENTRIES_AT_ONCE", 2**13)
    monkeypatch.setattr(_forests, "_ENTRIES_OF_TREES", 2**15)
    monkeypatch.setattr(_training, "_ENTRIES_AT_ONCE", 2**15)
    n_samples, n_classes = 5_000, 210
    y = np.arange(n_samples) % n_classes
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_classes, 4))[y] + 0.1 * rng.normal(size=(n_samples, 4))
    clf = LRADiffusionClassifier(max_iter=1, hidden_size=16, random_state=0)
    clf.fit(X[:40], y[:40] % 2)  # what is imported then counts no more
    tracemalloc.start()
    try:
        clf.fit(X.astype(np.float32), y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    table = clf.label_distributions_.nbytes
    print("TABLES", peak / table)
    assert peak < 20 * table, f"{peak / table:.1f} tables"


def test_tables_that_are_large_are_judged_as_small_ones_are(fast, blobs, monkeypatch):
    X, _, y = blobs
    expected = LRADiffusionClassifier(**fast).fit(X, y)
    monkeypatch.setattr(_tables, "_MANY_ENTRIES", 100)
    monkeypatch.setattr(_blocks, "_ENTRIES_AT_ONCE", 100)
    monkeypatch.setattr(_forests, "_ENTRIES_OF_TREES", 1)
    clf = LRADiffusionClassifier(**fast).fit(X, y)
    for name in ("label_distributions_", "out_of_sample_proba_", "transition_matrix_"):
        assert_allclose(getattr(clf, name), getattr(expected, name), atol=1e-5, err_msg=name)
    assert_allclose(clf.predict_proba(X), expected.predict_proba(X), atol=1e-4)

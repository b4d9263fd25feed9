"""Forests of very few rows."""

import numpy as np

from skdiffusion_label import LRADiffusionClassifier


def test_trees_that_have_seen_all_rows_have_no_row_to_judge():
    # Of two hundred bootstrap samples of four rows one in eleven holds all four.
    X = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.1, 5.0]])
    clf = LRADiffusionClassifier(max_iter=1, random_state=0).fit(X, [0, 0, 1, 1])
    np.testing.assert_allclose(clf.out_of_sample_proba_.sum(axis=1), 1, rtol=1e-5)

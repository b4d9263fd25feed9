"""Forests whose leaves keep the classes that they have seen, and no others."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.base import clone

# Entries of a forest, nodes times classes, that scikit-learn may hold in float64 at a time.
_ENTRIES_OF_TREES = 2**24


@dataclass(frozen=True)
class Forest:
    """A forest of classification trees.

    scikit-learn's trees hold each class's share in each node: with many classes more than all
    rows' labels. A leaf has no more classes than rows.

    Attributes
    ----------
    trees : tuple of sklearn.tree._tree.Tree
        The way to the leaves.
    first_nodes : ndarray of shape (n_trees,)
        Where each tree begins among the nodes of all.
    shares : csr_array of shape (n_nodes, n_classes)
        Shares of the classes in each leaf.
    """

    trees: tuple
    first_nodes: np.ndarray
    shares: sparse.csr_array

    def leaves(self, rows):
        """Return where rows (n, n_features) end in each tree, (n, n_trees)."""
        leaves = np.empty((len(rows), len(self.trees)), dtype=np.int32)
        for number, (tree, first) in enumerate(zip(self.trees, self.first_nodes, strict=True)):
            leaves[:, number] = tree.apply(rows) + first
        return leaves

    def mean(self, leaves, is_counted):
        """Return the mean (n, n_classes) of the trees ``is_counted`` (n, n_trees); or zeros."""
        n_rows, n_trees = leaves.shape
        weights = is_counted / np.maximum(is_counted.sum(axis=1, keepdims=True), 1)
        starts = np.arange(0, n_rows * n_trees + 1, n_trees)
        shape = n_rows, self.shares.shape[0]
        counted = sparse.csr_array((weights.ravel(), leaves.ravel(), starts), shape=shape)
        return (counted @ self.shares).toarray()


def fit_forest(forest, rows, y_codes, sample_weight, n_classes):
    """Fit a forest of scikit-learn's, a few trees at a time if there are many classes.

    Returns
    -------
    forest : Forest
    seen : list of ndarray
        Indices of the rows that each tree has been fitted to.
    """
    n_trees = forest.n_estimators
    n_nodes = 2 * (forest.max_samples or len(rows))
    n_at_once = max(_ENTRIES_OF_TREES // (n_nodes * n_classes), 1)
    forest.set_params(warm_start=True)
    trees, shares = [], []
    while len(trees) < n_trees:
        n_grown = min(len(trees) + n_at_once, n_trees)
        forest.set_params(n_estimators=n_grown).fit(rows, y_codes, sample_weight)
        for number in range(len(trees), n_grown):
            tree = forest.estimators_[number].tree_
            shares.append(_shares_in_leaves(tree, forest.classes_, n_classes))
            trees.append(_without_shares(tree))
            forest.estimators_[number] = clone(forest.estimators_[number])  # without its tree
    first_nodes = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    return Forest(tuple(trees), first_nodes, sparse.vstack(shares)), forest.estimators_samples_


def _shares_in_leaves(tree, codes, n_classes):
    """Return the shares of all classes (n_nodes, n_classes), of which the tree knows ``codes``."""
    shares = tree.value[:, 0]
    shares[tree.children_left >= 0] = 0
    found = sparse.csr_array(shares)
    parts = found.data, codes[found.indices], found.indptr
    return sparse.csr_array(parts, shape=(len(shares), n_classes))


def _without_shares(tree):
    """Return the tree as one that knows a single class."""
    way = type(tree)(tree.n_features, np.ones(1, dtype=np.intp), 1)
    way.__setstate__(tree.__getstate__() | {"values": np.zeros((tree.node_count, 1, 1))})
    return way

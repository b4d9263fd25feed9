"""Forests whose leaves keep the classes that they have seen, and no others."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from joblib import effective_n_jobs
from scipy import sparse

# A split is sought at the price of all classes: of more, a tree tells groups of them apart that are
# drawn for it. Its leaves keep the classes themselves.
_MAX_CLASSES_OF_SPLIT = 100


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


def grow_forest(make_tree, given, n_classes, n_trees, n_drawn, seed, n_jobs):
    """Grow scikit-learn's trees, each on rows that are drawn with replacement.

    Its own forests hold all classes in all nodes until they are done, and take twice as long where
    rows are few.

    Parameters
    ----------
    make_tree : callable
        Returns a tree for a ``random_state``.
    given : tuple of ndarray
        Rows, codes of their classes, and weights.
    n_classes, n_trees, n_drawn : int
        Classes, trees, and rows drawn for each tree.
    seed : int
    n_jobs : int or None
        Threads; None takes as many as torch does. Trees are the same on any number.

    Returns
    -------
    forest : Forest
    drawn : list of ndarray of shape (n_drawn,)
        Indices of the rows that each tree has been fitted to.
    """
    rows, y_codes, sample_weight = given
    n_rows = len(rows)

    def grow(seeds):
        return [grow_tree(seed) for seed in seeds]

    def grow_tree(seed):
        rng = np.random.default_rng(seed)
        drawn = rng.integers(n_rows, size=n_drawn)
        weight = sample_weight * np.bincount(drawn, minlength=n_rows)
        told_apart = y_codes
        if n_classes > _MAX_CLASSES_OF_SPLIT:
            told_apart = rng.permutation(n_classes)[y_codes] % _MAX_CLASSES_OF_SPLIT
        fitted = make_tree(random_state=int(seed)).fit(rows, told_apart, weight, check_input=False)
        way = _without_shares(fitted.tree_)
        return way, _shares_in_leaves(way, rows, y_codes, n_classes, weight), drawn

    n_threads = torch.get_num_threads() if n_jobs is None else effective_n_jobs(n_jobs)
    seeds = np.random.SeedSequence(seed).generate_state(n_trees)
    # scikit-learn's threads set warnings filters anew, which all threads share.
    with ThreadPoolExecutor(n_threads) as threads:
        parts = threads.map(grow, np.array_split(seeds, min(n_threads, n_trees)))
        grown = itertools.chain.from_iterable(parts)
    trees, shares, drawn = zip(*grown, strict=True)
    first_nodes = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    return Forest(trees, first_nodes, sparse.vstack(shares)), drawn


def _shares_in_leaves(tree, rows, y_codes, n_classes, weight):
    """Return the shares of all classes (n_nodes, n_classes) by ``weight`` of rows."""
    seen = np.flatnonzero(weight)
    leaves, weight = tree.apply(rows[seen]), weight[seen].astype(np.float64)
    in_leaf = np.bincount(leaves, weight, minlength=tree.node_count)
    entries = weight / in_leaf[leaves], (leaves, y_codes[seen])
    return sparse.csr_array(entries, shape=(tree.node_count, n_classes))


def _without_shares(tree):
    """Return the tree as one that knows a single class."""
    way = type(tree)(tree.n_features, np.ones(1, dtype=np.intp), 1)
    way.__setstate__(tree.__getstate__() | {"values": np.zeros((tree.node_count, 1, 1))})
    return way

"""The classifier of Dask's collections."""

import copy
import uuid

import dask.array as da
import numpy as np
from dask import delayed

from skdiffusion_label.classifier import LRADiffusionClassifier as LocalClassifier
from skdiffusion_label.dask._rows import (
    PartitionedRows,
    as_array,
    at_hand,
    is_collection,
    partitions_of,
)

# What prediction has no use for, and is as large as the data.
_OF_TRAINING_ROWS = ("neighbors_", "label_distributions_", "out_of_sample_proba_", "_fingerprints")


class LRADiffusionClassifier(LocalClassifier):
    """:class:`skdiffusion_label.LRADiffusionClassifier` of Dask's arrays and data frames.

    Parameters and fitted attributes are the same, and so is the fit. Labels, weights and what is
    said of rows are at hand; features stay in their partitions. The judges are taught in this
    process by a bounded sample, and sent to the workers, each of which judges its partitions. The
    network is trained in this process, which fetches a few blocks of rows at a time. Up to 100,000
    rows are fetched as a whole. Without a cluster, Dask's threads do the same.

    See Also
    --------
    skdiffusion_label.LRADiffusionClassifier : Parameters and attributes.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import make_blobs
    >>> from skdiffusion_label.dask import LRADiffusionClassifier
    >>> X, y = make_blobs(500, random_state=0)
    >>> X, y = da.from_array(X, chunks=(100, 2)), da.from_array(y, chunks=100)
    >>> clf = LRADiffusionClassifier(random_state=0).fit(X, y)
    >>> clf.predict_proba(X).chunks
    ((100, 100, 100, 100, 100), (3,))
    """

    def fit(self, X, y, sample_weight=None, *, verified=None, given=None, groups=None):
        """Retrieve labels and train the denoiser on them.

        Parameters
        ----------
        X : dask array or data frame of shape (n_samples, n_features)
            Training rows, of chunks of known or unknown sizes. Or an array.
        y : dask or other array-like of shape (n_samples,)
            Given labels.
        sample_weight : dask or other array-like of shape (n_samples,), default=None
            Weights of the rows.
        verified, given, groups : dask or other array-like of shape (n_samples,), default=None
            See :meth:`skdiffusion_label.LRADiffusionClassifier.fit`.

        Returns
        -------
        self : LRADiffusionClassifier

        Raises
        ------
        ValueError
            If there is a ``feature_extractor``: map it over the partitions.
        RuntimeError
            If the scheduler is lost.
        """
        if is_collection(X):
            if self.feature_extractor is not None:
                raise ValueError(
                    "feature_extractor must be None for Dask's collections, got "
                    f"{self.feature_extractor!r}: map it over the partitions of X."
                )
            X = PartitionedRows(X)
        told = {"sample_weight": sample_weight, "verified": verified, "given": given}
        told = {name: at_hand(values) for name, values in {**told, "groups": groups}.items()}
        return super().fit(X, at_hand(y), **told)

    def predict(self, X):
        """Predict the most probable class of each row.

        Parameters
        ----------
        X : dask or other array or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        dask array of shape (n_samples,), or ndarray if X is at hand
            Labels as they were given to ``fit``.
        """
        if not is_collection(X):
            return super().predict(X)
        return self._mapped("predict", X)

    def predict_proba(self, X, out=None):
        """Predict the probability of each class.

        Parameters
        ----------
        X : dask or other array or data frame of shape (n_samples, n_features)
            Rows.
        out : array of shape (n_samples, n_classes), default=None
            Where to write the probabilities of an ``X`` at hand; ``store`` a dask array.

        Returns
        -------
        dask array of shape (n_samples, n_classes), or ndarray if X is at hand
            Rows sum to one; columns in the order of ``classes_``.
        """
        if not is_collection(X):
            return super().predict_proba(X, out=out)
        return self._mapped("predict_proba", X)

    def predict_log_proba(self, X):
        """Predict the logarithm of each class's probability, minus infinity of none.

        Parameters
        ----------
        X : dask or other array or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        dask array of shape (n_samples, n_classes), or ndarray if X is at hand
        """
        if not is_collection(X):
            return super().predict_log_proba(X)
        return self._mapped("predict_log_proba", X)

    def _mapped(self, method, X):
        """Return what a method says of the partitions of ``X``, when it is asked for."""
        model = copy.copy(self)
        for name in _OF_TRAINING_ROWS:
            vars(model).pop(name, None)
        nothing = _of_no_rows(model, method)
        model = delayed(model, name=f"model-{uuid.uuid4().hex}", traverse=False)
        sizes = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * X.npartitions
        parts = [
            da.from_delayed(
                delayed(_predicted)(model, method, part), (size, *nothing.shape[1:]), nothing.dtype
            )
            for part, size in zip(partitions_of(X), sizes, strict=True)
        ]
        return da.concatenate(parts, allow_unknown_chunksizes=True)


def _predicted(model, method, partition):
    rows = as_array(partition)
    return getattr(model, method)(rows) if len(rows) else _of_no_rows(model, method)


def _of_no_rows(model, method):
    """Return what a method says of no rows, which it refuses: its shape and dtype."""
    if method == "predict":
        return model.classes_[:0]
    return np.empty((0, len(model.classes_)))

"""The cleaner of Dask's collections."""

from skdiffusion_label.cleaning import LabelCleaner as LocalCleaner
from skdiffusion_label.dask._classifier import LRADiffusionClassifier
from skdiffusion_label.dask._rows import PartitionedRows, at_hand, is_collection


class LabelCleaner(LocalCleaner):
    """:class:`skdiffusion_label.LabelCleaner` of Dask's arrays and data frames.

    Parameters and fitted attributes are the same; the table of issues is at hand. The classifier is
    :class:`skdiffusion_label.dask.LRADiffusionClassifier` by default.

    See Also
    --------
    skdiffusion_label.LabelCleaner : Parameters and attributes.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from skdiffusion_label.dask import LabelCleaner
    >>> X, y = make_blobs(500, random_state=0)
    >>> rng = np.random.default_rng(0)
    >>> y_noisy = np.where(rng.random(500) < 0.3, rng.integers(3, size=500), y)
    >>> cleaner = LabelCleaner(random_state=0).fit(da.from_array(X, chunks=(100, 2)), y_noisy)
    >>> bool((cleaner.clean_labels_ == y).mean() > 0.9)
    True
    """

    def fit(self, X, y, **fit_params):
        """Judge all labels.

        Parameters
        ----------
        X : dask array or data frame of shape (n_samples, n_features)
            Rows.
        y : dask or other array-like of shape (n_samples,) or (n_samples, n_annotators)
            Given labels.
        **fit_params : dict
            See :meth:`skdiffusion_label.LabelCleaner.fit`.

        Returns
        -------
        self : LabelCleaner
        """
        rows = PartitionedRows(X) if is_collection(X) else X
        told = {name: at_hand(values) for name, values in fit_params.items()}
        return super().fit(rows, at_hand(y), **told)

    def _estimator(self):
        if self.estimator is not None:
            return self.estimator
        return LRADiffusionClassifier(random_state=self.random_state)

"""KeptFeatures: a step that still knows the features of the rows that it was fitted on."""

from sklearn.base import BaseEstimator, TransformerMixin, clone


class KeptFeatures(TransformerMixin, BaseEstimator):
    """Fit a clone of ``transformer`` and keep what it makes of the rows.

    The review page measures distances in it; images would be embedded twice otherwise.
    """

    def __init__(self, transformer):
        self.transformer = transformer

    def fit(self, X, y=None):
        """Transform the rows and set ``transformer_`` and ``features_``."""
        self.transformer_ = clone(self.transformer)
        self.features_ = self.transformer_.fit_transform(X, y)
        return self

    def fit_transform(self, X, y=None):
        """Return the features of the rows."""
        return self.fit(X, y).features_

    def transform(self, X):
        """Return the features of other rows."""
        return self.transformer_.transform(X)

"""LabelErrorReliabilityDisplay: whether probabilities of wrong labels are right."""

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skdiffusion_label.review._axes import axes_of


class LabelErrorReliabilityDisplay:
    """Share of labels that are wrong, against the probability that they are.

    Parameters
    ----------
    prob_true : ndarray of shape (n_bins,)
        Share of wrong labels in each bin.
    prob_pred : ndarray of shape (n_bins,)
        Mean of ``p_label_error`` in each bin.
    n_rows : int
        Rows whose true labels are known.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve.
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdiffusion_label.cleaning import LabelCleaner
    >>> from skdiffusion_label.review import LabelErrorReliabilityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> y_given = y.copy()
    >>> y_given[::5] = (y[::5] + 1) % 3
    >>> cleaner = LabelCleaner(LogisticRegression(max_iter=1000), random_state=0).fit(X, y_given)
    >>> display = LabelErrorReliabilityDisplay.from_cleaner(cleaner, y, n_bins=5)
    >>> display.n_rows
    150
    """

    def __init__(self, prob_true, prob_pred, n_rows):
        self.prob_true = prob_true
        self.prob_pred = prob_pred
        self.n_rows = n_rows

    @classmethod
    def from_cleaner(cls, cleaner, y_true, *, n_bins=10, strategy="quantile", ax=None):
        """Compare a cleaner's probabilities with what is known of the labels.

        Parameters
        ----------
        cleaner : LabelCleaner
            Fitted.
        y_true : array-like of shape (n_samples,)
            True labels, None or NaN where they are not known. Rows that the cleaner was told to
            be verified do not count: it has not judged them.
        n_bins : int, default=10
            Bins of rows.
        strategy : {"quantile", "uniform"}, default="quantile"
            Bins of equally many rows, or of equal width.
        ax : matplotlib Axes, default=None
            Where to draw, see :meth:`plot`.

        Returns
        -------
        LabelErrorReliabilityDisplay
        """
        import pandas as pd

        check_is_fitted(cleaner)
        table = cleaner.label_issues_
        check_consistent_length(table, y_true)
        y_true = pd.Series(np.asarray(y_true, dtype=object), index=table.index)
        is_known = y_true.notna() & table["given_label"].notna()
        if "verified" in table:
            is_known &= ~table["verified"]
        if not is_known.any():
            raise ValueError("y_true must hold the label of a row at least that was judged.")
        is_wrong = y_true[is_known].to_numpy() != table["given_label"][is_known].to_numpy()
        p_error = table["p_label_error"][is_known].to_numpy(dtype=np.float64).clip(0, 1)
        curve = calibration_curve(
            is_wrong, p_error, pos_label=True, n_bins=n_bins, strategy=strategy
        )
        return cls(*curve, int(is_known.sum())).plot(ax)

    def plot(self, ax=None):
        """Draw the curve beside the diagonal, on which probabilities are right.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        self : LabelErrorReliabilityDisplay
        """
        self.ax_, self.figure_ = axes_of(ax)
        self.ax_.plot([0, 1], [0, 1], linestyle=":", color="gray", label="right probabilities")
        (self.line_,) = self.ax_.plot(
            self.prob_pred, self.prob_true, marker="o", label=f"labels of {self.n_rows} rows"
        )
        self.ax_.set(xlabel="Probability that the label is wrong", ylabel="Share that is wrong")
        self.ax_.legend()
        return self

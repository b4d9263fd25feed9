"""LossCurveDisplay: the loss of each epoch of training."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdiffusion_label.review._axes import axes_of


class LossCurveDisplay:
    """Loss of the network by epoch.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Mean loss of each epoch.

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
    >>> from skdiffusion_label.review import LossCurveDisplay
    >>> LossCurveDisplay([0.9, 0.4, 0.3]).plot().ax_.get_xlabel()
    'Epoch'
    """

    def __init__(self, loss_curve):
        self.loss_curve = loss_curve

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the losses of a fitted classifier.

        Parameters
        ----------
        estimator : LRADiffusionClassifier or Pipeline
            Fitted; of a pipeline, the last step.
        ax : matplotlib Axes, default=None
            Where to draw, see :meth:`plot`.

        Returns
        -------
        LossCurveDisplay
        """
        final = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        check_is_fitted(final)
        if not hasattr(final, "loss_curve_"):
            raise ValueError(
                f"{type(final).__name__} has no loss_curve_: it is not trained in epochs."
            )
        return cls(final.loss_curve_).plot(ax)

    @classmethod
    def from_cleaner(cls, cleaner, *, ax=None):
        """Draw the losses of a fitted LabelCleaner's classifier, see :meth:`from_estimator`."""
        check_is_fitted(cleaner)
        return cls.from_estimator(cleaner.estimator_, ax=ax)

    def plot(self, ax=None):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        self : LossCurveDisplay
        """
        self.ax_, self.figure_ = axes_of(ax)
        epochs = np.arange(1, len(self.loss_curve) + 1)
        (self.line_,) = self.ax_.plot(epochs, self.loss_curve)
        self.ax_.set(xlabel="Epoch", ylabel="Loss")
        return self

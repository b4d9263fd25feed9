"""TransitionMatrixDisplay: which classes are taken for which."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdiffusion_label.review._axes import axes_of

# Classes up to which numbers can be read in the cells of a figure of usual size.
_MAX_CLASSES_WITH_VALUES = 20


class TransitionMatrixDisplay:
    """Picture of P(given label = column | true label = row).

    Parameters
    ----------
    transition_matrix : ndarray of shape (n_classes, n_classes)
        Rows sum to one.
    display_labels : array-like of shape (n_classes,), default=None
        Names of the classes, 0 to n_classes - 1 by default.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        The matrix.
    text_ : ndarray of shape (n_classes, n_classes) or None
        The numbers in the cells.
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from skdiffusion_label.review import TransitionMatrixDisplay
    >>> display = TransitionMatrixDisplay([[0.9, 0.1], [0.2, 0.8]], display_labels=["cat", "dog"])
    >>> display.plot().ax_.get_xlabel()
    'Given label'
    """

    def __init__(self, transition_matrix, *, display_labels=None):
        self.transition_matrix = transition_matrix
        self.display_labels = display_labels

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, cmap="viridis", include_values="auto"):
        """Draw the matrix that a fitted classifier or cleaner has estimated.

        Parameters
        ----------
        estimator : LRADiffusionClassifier or LabelCleaner
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw, see :meth:`plot`.
        cmap : str or matplotlib Colormap, default="viridis"
            Colors.
        include_values : bool or "auto", default="auto"
            Whether numbers stand in the cells; "auto" is up to 20 classes.

        Returns
        -------
        TransitionMatrixDisplay
        """
        check_is_fitted(estimator, "transition_matrix_")
        display = cls(estimator.transition_matrix_, display_labels=estimator.classes_)
        return display.plot(ax, cmap=cmap, include_values=include_values)

    @classmethod
    def from_cleaner(cls, cleaner, *, ax=None, cmap="viridis", include_values="auto"):
        """Draw the matrix of a fitted LabelCleaner, see :meth:`from_estimator`."""
        return cls.from_estimator(cleaner, ax=ax, cmap=cmap, include_values=include_values)

    def plot(self, ax=None, *, cmap="viridis", include_values="auto"):
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        cmap : str or matplotlib Colormap, default="viridis"
            Colors.
        include_values : bool or "auto", default="auto"
            Whether numbers stand in the cells; "auto" is up to 20 classes.

        Returns
        -------
        self : TransitionMatrixDisplay
        """
        matrix = np.asarray(self.transition_matrix)
        n_classes = len(matrix)
        labels = np.arange(n_classes) if self.display_labels is None else self.display_labels
        self.ax_, self.figure_ = axes_of(ax)
        self.im_ = self.ax_.imshow(matrix, cmap=cmap, vmin=0, vmax=1)
        self.text_ = None
        if include_values == "auto":
            include_values = n_classes <= _MAX_CLASSES_WITH_VALUES
        if include_values:
            self.text_ = self._write_values(matrix)
        self.figure_.colorbar(self.im_, ax=self.ax_)
        ticks = {"ticks": range(n_classes), "labels": [str(label) for label in labels]}
        self.ax_.set_xticks(**ticks, rotation=90 if n_classes > 5 else 0)
        self.ax_.set_yticks(**ticks)
        self.ax_.set(xlabel="Given label", ylabel="True label")
        return self

    def _write_values(self, matrix):
        darkest, lightest = self.im_.cmap(0.0), self.im_.cmap(1.0)
        texts = np.empty(matrix.shape, dtype=object)
        for row, column in np.ndindex(matrix.shape):
            value = matrix[row, column]
            color = lightest if value < 0.5 else darkest
            texts[row, column] = self.ax_.text(
                column, row, f"{value:.2f}", ha="center", va="center", color=color
            )
        return texts

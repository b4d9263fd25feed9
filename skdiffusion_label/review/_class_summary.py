"""ClassSummaryDisplay: how many labels each class has, should have, and how many are doubted."""

import numpy as np
from scipy.optimize import nnls
from sklearn.utils.validation import check_is_fitted

from skdiffusion_label.review._axes import axes_of
from skdiffusion_label.review._rows import codes_of

_BAR_HEIGHT = 0.27  # of the distance of two classes: three bars, and a gap


class ClassSummaryDisplay:
    """Rows by class: with this given label, expected to be of this class, and flagged.

    Parameters
    ----------
    given : ndarray of shape (n_classes,)
        Rows that were given the label.
    expected : ndarray of shape (n_classes,)
        Rows that are expected to be of the class: the numbers that lead to ``given`` under the
        estimated label noise.
    flagged : ndarray of shape (n_classes,)
        Rows that were given the label and are label issues.
    display_labels : array-like of shape (n_classes,), default=None
        Names of the classes, 0 to n_classes - 1 by default.

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        Bars of given, expected and flagged rows.
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from skdiffusion_label.review import ClassSummaryDisplay
    >>> display = ClassSummaryDisplay([40, 60], [50, 50], [2, 12], display_labels=["cat", "dog"])
    >>> len(display.plot().bars_)
    3
    """

    def __init__(self, given, expected, flagged, *, display_labels=None):
        self.given = given
        self.expected = expected
        self.flagged = flagged
        self.display_labels = display_labels

    @classmethod
    def from_cleaner(cls, cleaner, *, ax=None):
        """Count the labels of a fitted cleaner.

        Parameters
        ----------
        cleaner : LabelCleaner
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw, see :meth:`plot`.

        Returns
        -------
        ClassSummaryDisplay
        """
        check_is_fitted(cleaner)
        table, n_classes = cleaner.label_issues_, len(cleaner.classes_)
        codes = codes_of(table["given_label"], cleaner.classes_)
        is_issue = table["is_label_issue"].to_numpy(dtype=bool)
        given = np.bincount(codes[codes >= 0], minlength=n_classes)
        flagged = np.bincount(codes[is_issue], minlength=n_classes)
        expected, _ = nnls(cleaner.transition_matrix_.T, given.astype(np.float64))
        expected *= given.sum() / expected.sum()
        return cls(given, expected, flagged, display_labels=cleaner.classes_).plot(ax)

    def plot(self, ax=None):
        """Draw three bars for each class.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        self : ClassSummaryDisplay
        """
        self.ax_, self.figure_ = axes_of(ax)
        places = np.arange(len(self.given))
        labels = places if self.display_labels is None else self.display_labels
        self.bars_ = [
            self.ax_.barh(places + shift * _BAR_HEIGHT, counts, _BAR_HEIGHT, label=name)
            for shift, name, counts in (
                (-1, "given", self.given),
                (0, "expected", self.expected),
                (1, "flagged", self.flagged),
            )
        ]
        self.ax_.set_yticks(places, [str(label) for label in labels])
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel="Rows", ylabel="Class")
        self.ax_.legend()
        return self

"""LabelIssuesDisplay: the most suspicious labels beside each other."""

import numbers
import textwrap
from dataclasses import dataclass

import numpy as np
from PIL import Image
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skdiffusion_label.review._axes import axes_of
from skdiffusion_label.review._content import content_of
from skdiffusion_label.review._evidence import UsualValues, as_text, features_of, nearest_rows
from skdiffusion_label.review._rows import codes_of, rows_to_review
from skdiffusion_label.review._seen import as_pil

_SIDE = 96  # pixels of an image, and a quarter of it for each of its neighbors beneath
_N_BESIDE = 4
_N_COLUMNS_OF_TABLE = 4
_MAX_TEXT = 160  # characters that fit into a cell of the grid
_LINE = 30  # characters of a line of it


@dataclass(frozen=True)
class Issue:
    """A cell of the grid: an image (height, width, 3) or a text, its title, and its evidence."""

    content: object
    title: str
    evidence: str


class LabelIssuesDisplay:
    """Rows whose labels are most suspicious, with what speaks for another one.

    Images have their four nearest neighbors beneath.

    Parameters
    ----------
    issues : list
        What :meth:`from_cleaner` has found.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The cells of the grid.
    ax_ : matplotlib Axes
        Axes that the grid is in.
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdiffusion_label.cleaning import LabelCleaner
    >>> from skdiffusion_label.review import LabelIssuesDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> y[::5] = (y[::5] + 1) % 3
    >>> cleaner = LabelCleaner(LogisticRegression(max_iter=1000), random_state=0).fit(X, y)
    >>> display = LabelIssuesDisplay.from_cleaner(cleaner, X, n_issues=4)
    >>> len(display.axes_)
    4
    """

    def __init__(self, issues):
        self.issues = issues

    @classmethod
    def from_cleaner(cls, cleaner, X, *, n_issues=12, show="auto", features=None, ax=None):
        """Draw the most suspicious rows of a fitted cleaner.

        Parameters
        ----------
        cleaner : LabelCleaner
            Fitted.
        X : DataFrame, array, Series or list of n_samples rows
            The rows as people want to see them, see :func:`write_review`.
        n_issues : int, default=12
            Rows to draw, fewer where fewer are doubted.
        show : {"auto", "table", "text", "image"}, default="auto"
            What ``X`` is.
        features : array-like of shape (n_samples, n_features), default=None
            Numbers by which rows are far or near, see :func:`write_review`.
        ax : matplotlib Axes, default=None
            Where to draw, see :meth:`plot`.

        Returns
        -------
        LabelIssuesDisplay
        """
        check_is_fitted(cleaner)
        check_scalar(n_issues, "n_issues", numbers.Integral, min_val=1)
        table, content = cleaner.label_issues_, content_of(X, show)
        if len(content) != len(table):
            raise ValueError(f"X must have {len(table)} rows, got {len(content)}.")
        items, _ = rows_to_review(table, cleaner.classes_, n_issues)
        neighbors = nearest_rows(
            cleaner, features_of(content, features), [item.row for item in items]
        )
        issues = [
            _issue(cleaner, content, item, [j for j, _ in found])
            for item, found in zip(items, neighbors, strict=True)
        ]
        return cls(issues).plot(ax)

    def plot(self, ax=None):
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes whose place the grid takes; a new figure by default.

        Returns
        -------
        self : LabelIssuesDisplay
        """
        self.ax_, self.figure_ = axes_of(ax)
        self.ax_.set_axis_off()
        n_columns = max(1, int(np.ceil(np.sqrt(len(self.issues)))))
        n_rows = max(1, -(-len(self.issues) // n_columns))
        grid = self.ax_.get_subplotspec().subgridspec(n_rows, n_columns)
        self.axes_ = np.array(
            [self.figure_.add_subplot(cell) for cell in list(grid)[: len(self.issues)]]
        )
        for cell, issue in zip(self.axes_, self.issues, strict=True):
            cell.set_title(issue.title, fontsize="small", parse_math=False)
            cell.set_xlabel(issue.evidence, fontsize="x-small", parse_math=False)
            cell.set(xticks=[], yticks=[])
            if isinstance(issue.content, str):
                cell.text(
                    *(0.03, 0.97, issue.content),
                    va="top", fontsize="x-small", transform=cell.transAxes, parse_math=False,
                )  # fmt: skip
            else:
                cell.imshow(issue.content)
        return self


def _issue(cleaner, content, item, neighbors):
    names = [*(str(label) for label in cleaner.classes_.tolist()), "none"]  # -1 is the last one
    given = codes_of(cleaner.label_issues_["given_label"], cleaner.classes_)
    row = cleaner.label_issues_.index[item.row]
    title = f"row {row}: {names[item.given]} -> {names[item.suggested]}"
    evidence = f"{item.p_suggested:.0%}"
    if neighbors:
        n_alike = int(np.sum(given[neighbors] == item.suggested))
        evidence += f", {n_alike} of {len(neighbors)} neighbors"
    if content.kind == "image":
        return Issue(_with_neighbors(content, item.row, neighbors), title, evidence)
    if content.kind == "text":
        text = textwrap.shorten(content.texts[item.row], _MAX_TEXT, placeholder=" ...")
        return Issue(textwrap.fill(text, _LINE), title, evidence)
    is_trusted = cleaner.label_issues_["action"].to_numpy() == "keep"
    far, usual = UsualValues(content, given, is_trusted).differences(item.row, item.given)
    lines = [
        textwrap.shorten(f"{content.names[j]} {as_text(content.columns[j][item.row])}", _LINE)
        + f"\n  usual {usual[j]}"
        for j in np.argsort(-far, kind="stable")[:_N_COLUMNS_OF_TABLE]
    ]
    return Issue("\n".join(lines), title, evidence)


def _with_neighbors(content, row, neighbors):
    """Return an image, with small ones of its neighbors beneath, as an array."""
    small = _SIDE // _N_BESIDE
    canvas = Image.new("RGB", (_SIDE, _SIDE + small * bool(neighbors)), "white")
    canvas.paste(_fitted(content, row, _SIDE), (0, 0))
    for place, neighbor in enumerate(neighbors[:_N_BESIDE]):
        canvas.paste(_fitted(content, neighbor, small), (place * small, _SIDE))
    return np.asarray(canvas)


def _fitted(content, row, side):
    image = as_pil(content.images[row]).convert("RGB")
    scale = side / max(image.size)
    size = [max(1, round(scale * length)) for length in image.size]
    return image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)

"""write_review: the page on which people decide."""

import numbers
import os
import zlib
from pathlib import Path

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skdiffusion_label.review._content import content_of
from skdiffusion_label.review._evidence import features_of, nearest_rows
from skdiffusion_label.review._page import render
from skdiffusion_label.review._payload import payload_of
from skdiffusion_label.review._rows import rows_to_review, with_controls

_MEGABYTE = 10**6  # bytes


def write_review(
    path,
    cleaner,
    X,
    *,
    show="auto",
    features=None,
    max_rows=300,
    max_megabytes=10,
    n_controls=0,
    blind=False,
    title="Review of labels",
):
    """Write a page on which the labels that a cleaner doubts are decided.

    The page is one HTML file that needs no network, no server and no installation: it is opened in
    any browser, sent by mail or put on a shared disk. It shows the label issues, the most
    suspicious first, and rows without a label, each with what was given and what is suggested, and
    with what speaks for it.
    Decisions are made by keys or by touch, and are downloaded as CSV or JSON, for
    ``LabelCleaner.apply``. Without JavaScript the page is a table to read.

    Parameters
    ----------
    path : str or path
        File to write; one that is there is replaced.
    cleaner : LabelCleaner
        Fitted.
    X : DataFrame, array, Series or list of n_samples rows
        The rows that the cleaner was fitted on, as people want to see them: a table, texts, or
        images (paths, bytes, PIL images, uint8 arrays).
    show : {"auto", "table", "text", "image"}, default="auto"
        What ``X`` is. "auto" takes strings that all end like names of images for paths.
    features : array-like of shape (n_samples, n_features), default=None
        Numbers by which rows are far or near, as embeddings, where ``X`` is not a table of numbers
        itself. Distances to neighbors are measured in them, and neighbors are looked up in them
        where the cleaner's classifier has none.
    max_rows : int, default=300
        Rows on the page; the page says how many are left.
    max_megabytes : float, default=10
        Size of the file. Images are made as small as it takes.
    n_controls : int, default=0
        Rows to be planted whose label is certainly right, with a suggestion that was made for
        another row. How often the reviewer is wrong about them estimates how often he or she errs.
    blind : bool, default=False
        Whether the page hides suggestions until a row is decided; it can be switched there.
    title : str, default="Review of labels"
        Title of the page.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    NotFittedError
        If ``cleaner`` is not fitted.
    ValueError, TypeError
        If ``X`` does not have a row for each label, if ``X`` is nothing that can be shown, if there
        are not as many certain rows as ``n_controls``, if no image can be read, or if the page
        would be larger than ``max_megabytes``.

    See Also
    --------
    skdiffusion_label.cleaning.LabelCleaner : Finds the rows, and takes the decisions.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdiffusion_label.cleaning import LabelCleaner
    >>> from skdiffusion_label.review import write_review
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> y[::5] = (y[::5] + 1) % 3
    >>> cleaner = LabelCleaner(LogisticRegression(max_iter=1000), random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_review(Path(folder) / "review.html", cleaner, X)
    ...     page.stat().st_size < 1e6
    True
    """
    check_is_fitted(cleaner)
    check_scalar(max_rows, "max_rows", numbers.Integral, min_val=1)
    check_scalar(n_controls, "n_controls", numbers.Integral, min_val=0)
    check_scalar(
        max_megabytes, "max_megabytes", numbers.Real, min_val=0, include_boundaries="neither"
    )
    table, content = cleaner.label_issues_, content_of(X, show)
    if len(content) != len(table):
        raise ValueError(
            f"X must have the {len(table)} rows that cleaner was fitted on, got {len(content)}."
        )
    rng = np.random.default_rng(zlib.crc32(cleaner.fingerprint_.encode()))
    reviewed, n_doubted = rows_to_review(table, cleaner.classes_, max_rows)
    reviewed = with_controls(reviewed, table, cleaner.classes_, n_controls, rng)
    neighbors = nearest_rows(
        cleaner, features_of(content, features), [item.row for item in reviewed]
    )
    max_bytes = int(max_megabytes * _MEGABYTE)
    data, rows = payload_of(cleaner, content, reviewed, neighbors, max_bytes, rng)
    data.update(title=str(title), blind=bool(blind), n_doubted=n_doubted)
    page = render(data, rows)
    if len(page) > max_bytes:
        raise ValueError(
            f"The page would have {len(page) / _MEGABYTE:.1f} MB, more than max_megabytes == "
            f"{max_megabytes}. Pass fewer max_rows than {max_rows}, or more max_megabytes."
        )
    return _written_whole(Path(path), page)


def _written_whole(path, content):
    """Write a file that is there whole or not at all, whatever interrupts."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path

"""Mended labels, in the kind of container that the given ones came in."""


def resampled_labels(y, table, rows, classes):
    """Return the mended labels of ``rows``, as ``y`` came: array, or pandas' or polars' series.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_annotators)
        Given labels.
    table : DataFrame
        As ``label_issues_``.
    rows : ndarray of shape (n_resampled,)
        Rows to keep.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray or Series of shape (n_resampled,)
    """
    is_mended = table["action"].isin(["relabel", "label"])
    labels = table["given_label"].where(~is_mended, table["suggested_label"]).iloc[rows]
    if getattr(y, "ndim", 1) == 1 and hasattr(y, "to_arrow"):  # a series of polars
        return type(y)(y.name, labels.tolist(), dtype=y.dtype)
    if not hasattr(y, "iloc"):
        return labels.to_numpy(dtype=classes.dtype)
    if y.ndim > 1:
        return labels
    return labels.rename(y.name).astype(_with_categories(y.dtype, labels))


def _with_categories(dtype, labels):
    """Return a dtype of pandas that has a category for each label, if it has categories."""
    if not hasattr(dtype, "categories"):
        return dtype
    new = [label for label in labels.unique() if label not in dtype.categories]
    return type(dtype)([*dtype.categories, *new], dtype.ordered) if new else dtype

"""Where pictures are drawn."""


def axes_of(ax=None):
    """Return ``ax``, or the axes of a new figure, and its figure; say what to install for it."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib. Install it by pip install matplotlib."
        ) from error
    if ax is None:
        _, ax = pyplot.subplots(layout="constrained")
    return ax, ax.figure

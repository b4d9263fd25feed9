"""Dask's arrays and data frames in the place of rows: the same fit, mapped over partitions.

Needs the extra ``dask``: ``pip install 'skdiffusion_label[dask]'``.
"""

from skdiffusion_label.dask._classifier import LRADiffusionClassifier
from skdiffusion_label.dask._cleaner import LabelCleaner

__all__ = ["LRADiffusionClassifier", "LabelCleaner"]

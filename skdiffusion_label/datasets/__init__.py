"""Readers of published data sets with wrong labels, in the formats in which they are published.

Nothing is downloaded. Images of the large data sets stay on disk: their readers return paths, for
an embedder of image files. Every file is checked before a reader returns, and an error names the
file, the line and what was expected. Pickled files are read without running anything in them.
"""

from skdiffusion_label.datasets._cifar import load_cifar
from skdiffusion_label.datasets._cifar_labels import load_cifar_n_labels, load_pmd_labels
from skdiffusion_label.datasets._clothing1m import load_clothing1m
from skdiffusion_label.datasets._food101n import load_food101n
from skdiffusion_label.datasets._webvision import load_mini_webvision

__all__ = [
    "load_cifar",
    "load_cifar_n_labels",
    "load_clothing1m",
    "load_food101n",
    "load_mini_webvision",
    "load_pmd_labels",
]

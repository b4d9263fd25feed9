"""Sphinx configuration."""

import skdiffusion_label

project = "skdiffusion_label"
copyright = "2026, The skdiffusion_label developers"
version = release = skdiffusion_label.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
numpydoc_show_class_members = False

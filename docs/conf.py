"""Sphinx configuration."""

import os
import sys
from pathlib import Path

import skdiffusion_label

sys.path.insert(0, str(Path(__file__).parent))
# Examples must not wait for the network nor for one another's threads.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "skdiffusion_label"
copyright = "2026, The skdiffusion_label developers"
version = release = skdiffusion_label.__version__
extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

autosummary_generate = True
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]+\.py$",
    "within_subsection_order": "example_order.ByUse",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skdiffusion_label",),
    "reference_url": {"skdiffusion_label": None},
    "parallel": 2,
    "show_memory": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = project
html_baseurl = os.environ.get("DOCS_URL", "")
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {"index": [], "changes": [], "results": []}
html_context = {
    "default_mode": "auto",
    "sentence": "Finds wrong labels, says what they should be, and learns in spite of them.",
}
html_theme_options = {
    "logo": {"text": project, "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "show_prev_next": False,
    "show_toc_level": 3,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def skip_inherited(app, what, name, obj, skip, options):
    """Leave out what scikit-learn and torch document themselves."""
    function = getattr(obj, "fget", None) or getattr(obj, "__func__", obj)
    module = getattr(function, "__module__", None) or ""
    return skip or (callable(function) and not module.startswith(project)) or None


def setup(app):
    """Connect what is above."""
    app.connect("autodoc-skip-member", skip_inherited)

"""The order of the gallery: what most people look for comes first."""

from pathlib import Path

from sphinx_gallery.sorting import FileNameSortKey

ORDER = [
    "plot_find_label_issues",
    "plot_noisy_digits",
    "plot_clean_table",
    "plot_clean_text_labels",
    "plot_clip_pipeline",
    "plot_review_loop",
    "plot_annotators",
    "plot_rare_classes",
    "plot_reliability",
    "plot_groups",
    "plot_displays",
    "plot_tuning",
    "plot_production",
    "plot_against_cleanlab",
    "plot_noise_types",
]


class ByUse(FileNameSortKey):
    """Sort examples as listed above."""

    def __call__(self, filename):
        """Return the place of a file."""
        return ORDER.index(Path(filename).stem)

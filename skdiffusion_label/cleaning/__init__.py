"""Find wrong labels, and mend them, with any scikit-learn classifier."""

from skdiffusion_label.cleaning._annotators import aggregate_annotations
from skdiffusion_label.cleaning._cleaner import LabelCleaner
from skdiffusion_label.cleaning._decisions import read_decisions
from skdiffusion_label.cleaning._issues import find_label_issues
from skdiffusion_label.cleaning._reading import data_fingerprint
from skdiffusion_label.cleaning._scores import label_quality_scores
from skdiffusion_label.cleaning._transition import estimate_transition_matrix

__all__ = [
    "LabelCleaner",
    "aggregate_annotations",
    "data_fingerprint",
    "estimate_transition_matrix",
    "find_label_issues",
    "label_quality_scores",
    "read_decisions",
]

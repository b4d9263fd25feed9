"""What people look at: a page on which labels are reviewed, and pictures of a cleaning."""

from skdiffusion_label.review._class_summary import ClassSummaryDisplay
from skdiffusion_label.review._issues_grid import LabelIssuesDisplay
from skdiffusion_label.review._loss_curve import LossCurveDisplay
from skdiffusion_label.review._reliability import LabelErrorReliabilityDisplay
from skdiffusion_label.review._review import write_review
from skdiffusion_label.review._transition_matrix import TransitionMatrixDisplay

__all__ = [
    "ClassSummaryDisplay",
    "LabelErrorReliabilityDisplay",
    "LabelIssuesDisplay",
    "LossCurveDisplay",
    "TransitionMatrixDisplay",
    "write_review",
]

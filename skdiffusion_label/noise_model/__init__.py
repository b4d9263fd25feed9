"""How labels got wrong: P(given | true), and what a given label says; numpy in, numpy out."""

from skdiffusion_label.noise_model._annotators import annotator_distributions, vote_distributions
from skdiffusion_label.noise_model._evidence import given_label_evidence

__all__ = ["annotator_distributions", "given_label_evidence", "vote_distributions"]

"""How labels got wrong: P(given | true), and what a given label says; numpy in, numpy out."""

from skdiffusion_label.noise_model._confusion import confident_transition
from skdiffusion_label.noise_model._dawid_skene import dawid_skene
from skdiffusion_label.noise_model._neighbors import (
    annotator_distributions,
    held_out_losses,
    vote_distributions,
)
from skdiffusion_label.noise_model._purification import (
    deconvolved,
    given_label_evidence,
    given_label_trust,
    labels_of_evidence,
    posterior_of_given,
)

__all__ = [
    "annotator_distributions",
    "confident_transition",
    "dawid_skene",
    "deconvolved",
    "given_label_evidence",
    "given_label_trust",
    "held_out_losses",
    "labels_of_evidence",
    "posterior_of_given",
    "vote_distributions",
]

"""Label noise: true labels in, given labels out, some of them wrong; numpy in, numpy out.

Noise depends on the class alone (:func:`flip_labels` with a transition matrix), on class
probabilities (:func:`margin_noise`, :func:`poly_margin_noise`) or on the features
(:func:`instance_noise`, :func:`cluster_noise`); :func:`hybrid_noise` puts one on top of another.
``noise_rate`` is the share of labels that become wrong.
"""

from skdiffusion_label.label_noise._features import cluster_noise, instance_noise
from skdiffusion_label.label_noise._hybrid import hybrid_noise
from skdiffusion_label.label_noise._margin import margin_noise, poly_margin_noise
from skdiffusion_label.label_noise._noisy_labels_classifier import NoisyLabelsClassifier
from skdiffusion_label.label_noise._transition import (
    CIFAR10_FLIPS,
    CIFAR100_FLIPS,
    asymmetric_transition,
    flip_labels,
    pair_transition,
    uniform_transition,
)

__all__ = [
    "CIFAR100_FLIPS",
    "CIFAR10_FLIPS",
    "NoisyLabelsClassifier",
    "asymmetric_transition",
    "cluster_noise",
    "flip_labels",
    "hybrid_noise",
    "instance_noise",
    "margin_noise",
    "pair_transition",
    "poly_margin_noise",
    "uniform_transition",
]

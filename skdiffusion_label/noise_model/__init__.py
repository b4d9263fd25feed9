"""How labels got wrong: P(given | true), and what a given label says; numpy in, numpy out."""

from skdiffusion_label.noise_model._blocks import row_blocks
from skdiffusion_label.noise_model._confusion import normalized
from skdiffusion_label.noise_model._dawid_skene import dawid_skene
from skdiffusion_label.noise_model._labels import (
    check_verified,
    codes_of_given,
    filled_labels,
    labels_of,
    with_verified,
)
from skdiffusion_label.noise_model._pool import (
    LocalNoise,
    Pool,
    fit_local_noise,
    fit_pool,
    join_judge,
)
from skdiffusion_label.noise_model._purification import (
    deconvolved,
    posterior,
    posterior_of_given,
)
from skdiffusion_label.noise_model._vote import vote_distributions

__all__ = [
    "LocalNoise",
    "Pool",
    "check_verified",
    "codes_of_given",
    "dawid_skene",
    "deconvolved",
    "filled_labels",
    "fit_local_noise",
    "fit_pool",
    "join_judge",
    "labels_of",
    "normalized",
    "posterior",
    "posterior_of_given",
    "row_blocks",
    "vote_distributions",
    "with_verified",
]

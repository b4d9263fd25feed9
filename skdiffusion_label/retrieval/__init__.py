"""Label retrieval: who the neighbors are, and what their labels say; numpy in, numpy out."""

from skdiffusion_label.retrieval._bank import (
    VoteBank,
    choose_space,
    draw_candidates,
    numbers_of_neighbors,
)
from skdiffusion_label.retrieval._discriminant import (
    Discriminant,
    bhattacharyya_space,
    draw_folds,
    fit_discriminant,
)
from skdiffusion_label.retrieval._retrieve import (
    RETRIEVAL_SPACES,
    Retrieval,
    check_neighbors,
    neighbors_graph,
    retrieve,
)
from skdiffusion_label.retrieval._search import find_neighbors
from skdiffusion_label.retrieval._votes import count_votes, vote_proba

__all__ = [
    "RETRIEVAL_SPACES",
    "Discriminant",
    "Retrieval",
    "VoteBank",
    "bhattacharyya_space",
    "check_neighbors",
    "choose_space",
    "count_votes",
    "draw_candidates",
    "draw_folds",
    "find_neighbors",
    "fit_discriminant",
    "neighbors_graph",
    "numbers_of_neighbors",
    "retrieve",
    "vote_proba",
]

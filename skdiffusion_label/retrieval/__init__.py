"""Label retrieval: who the neighbors are, and what their labels say; numpy in, numpy out."""

from skdiffusion_label.retrieval._choice import choose_space
from skdiffusion_label.retrieval._retrieve import (
    RETRIEVAL_SPACES,
    Retrieval,
    check_neighbors,
    neighbors_graph,
    retrieve,
)
from skdiffusion_label.retrieval._search import find_neighbors
from skdiffusion_label.retrieval._space import supervised_spaces
from skdiffusion_label.retrieval._votes import count_votes

__all__ = [
    "RETRIEVAL_SPACES",
    "Retrieval",
    "check_neighbors",
    "choose_space",
    "count_votes",
    "find_neighbors",
    "neighbors_graph",
    "retrieve",
    "supervised_spaces",
]

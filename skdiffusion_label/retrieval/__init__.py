"""Label retrieval: from features and given labels to label distributions; numpy in, numpy out."""

from skdiffusion_label.retrieval._choice import choose_space
from skdiffusion_label.retrieval._evidence import given_label_evidence
from skdiffusion_label.retrieval._labels import (
    annotator_distributions,
    count_votes,
    vote_distributions,
)
from skdiffusion_label.retrieval._retrieve import (
    RETRIEVAL_SPACES,
    Retrieval,
    check_neighbors,
    neighbors_graph,
    retrieve_labels,
)
from skdiffusion_label.retrieval._search import find_neighbors
from skdiffusion_label.retrieval._space import supervised_spaces

__all__ = [
    "RETRIEVAL_SPACES",
    "Retrieval",
    "annotator_distributions",
    "check_neighbors",
    "choose_space",
    "count_votes",
    "find_neighbors",
    "given_label_evidence",
    "neighbors_graph",
    "retrieve_labels",
    "supervised_spaces",
    "vote_distributions",
]

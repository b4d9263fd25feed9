"""Turn images into embeddings, as scikit-learn transformers."""

from skdiffusion_label.embedding._clip import CLIPEmbedder
from skdiffusion_label.embedding._images import UnreadableImageError
from skdiffusion_label.embedding._torch_embedder import TorchEmbedder
from skdiffusion_label.embedding._zero_shot import CLIPZeroShotClassifier

__all__ = ["CLIPEmbedder", "CLIPZeroShotClassifier", "TorchEmbedder", "UnreadableImageError"]

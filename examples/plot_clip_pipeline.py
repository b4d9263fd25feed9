"""
Images with wrong labels: CLIP and label diffusion in a pipeline
================================================================

Scans of handwritten digits in a folder, three in ten filed one digit too high. A pipeline of
:class:`~skdiffusion_label.embedding.CLIPEmbedder` and
:class:`~skdiffusion_label.LRADiffusionClassifier` learns from paths and wrong labels.

CLIP's weights, 600 MB, are used if they are on this machine or can be downloaded. Else a tiny CLIP
takes their place, which has never been trained; the script says so.
"""

# %%
# Images in a folder
# ------------------

import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from huggingface_hub import constants, try_to_load_from_cache
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.embedding import CLIPEmbedder
from skdiffusion_label.label_noise import flip_labels, pair_transition

folder = TemporaryDirectory()
digits = load_digits()
paths = np.array([str(Path(folder.name) / f"{i:04}.png") for i in range(len(digits.images))])
for path, pixels in zip(paths, digits.images, strict=True):
    scan = Image.fromarray((pixels * 15).astype(np.uint8))
    scan.resize((64, 64), Image.Resampling.BICUBIC).save(path)
y = digits.target

# %%
# An embedder
# -----------
# With ``cache``, no image is embedded twice, in whatever fold, process or run.

MODEL, WEIGHTS, HUB = "ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"


def can_have_weights():
    """Tell whether CLIP's weights are on this machine, or their host can be reached."""
    files = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
    if any(isinstance(try_to_load_from_cache(HUB, file), str) for file in files):
        return True
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        socket.create_connection(("huggingface.co", 443), timeout=3).close()
    except OSError:
        return False
    return True


cache = Path(folder.name) / "embeddings"
if can_have_weights():
    embedder = CLIPEmbedder(MODEL, WEIGHTS, cache=cache)
    print(f"Embeddings of {MODEL}, {WEIGHTS}.")
else:
    from tiny_clip import make_clip  # beside this script

    embedder = CLIPEmbedder(make_clip(Path(folder.name) / "clip"), None, cache=cache)
    print("CLIP's weights cannot be had here: embeddings of a tiny, untrained stand-in.")

# %%
# Wrong labels
# ------------
# Three in ten training labels are one digit too high, as if scans had slipped into the next drawer.

X_train, X_test, y_train, y_test = train_test_split(paths, y, test_size=0.3, random_state=0)
y_given = flip_labels(y_train, pair_transition(10, 0.3), random_state=0)
is_wrong = y_given != y_train
print(f"{len(y_train)} training images, {is_wrong.mean():.0%} of them with a wrong label")

heads = {
    "LogisticRegression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "LRADiffusionClassifier": LRADiffusionClassifier(random_state=0),
}
accuracy = {}
for name, head in heads.items():
    pipeline = make_pipeline(embedder, head).fit(X_train, y_given)
    accuracy[name] = pipeline.score(X_test, y_test)
    print(f"  {name:<24}{accuracy[name]:.3f} of test images right")

# %%
# The labels, mended
# ------------------

cleaner = LabelCleaner(random_state=0).fit(embedder.transform(X_train), y_given)
issues = cleaner.label_issues_
found = issues["is_label_issue"].to_numpy()
share_right = np.mean(cleaner.clean_labels_ == y_train)
print(f"{found.sum()} label issues, {is_wrong[found].mean():.0%} of them wrong labels")
print(f"{1 - is_wrong.mean():.0%} of the given labels are right, {share_right:.0%} of the mended")

most_suspicious = issues["p_label_error"].to_numpy().argsort(kind="stable")[::-1][:12]
figure = plt.figure(figsize=(8, 3.4), layout="constrained")
figure.suptitle("Most suspicious: given label, and suggested")
for ax, row in zip(figure.subplots(2, 6).flat, most_suspicious, strict=True):
    ax.imshow(Image.open(X_train[row]), cmap="gray_r")
    ax.set_title(f"{y_given[row]} → {issues['suggested_label'][row]}", fontsize=10)
    ax.set_axis_off()
plt.show()
folder.cleanup()

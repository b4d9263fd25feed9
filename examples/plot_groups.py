"""
Groups: rows that must not vouch for each other
===============================================

Ten pictures of one patient, ten frames of one video, ten sentences of one document: they look
alike, and they got their label together. If it is wrong, it is wrong ten times, and each row finds
nine neighbors that confirm it. ``groups`` keeps rows of one group from judging one another.
"""

# %%
# Videos of digits
# ----------------
# 120 videos of eight frames each: a digit, and seven noisy copies. A person has labeled videos, not
# frames, and got a quarter of them wrong.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, uniform_transition

digits = load_digits()
n_videos, n_frames = 120, 8
rng = np.random.default_rng(0)
X = np.repeat(digits.data[:n_videos], n_frames, axis=0)
X += rng.normal(scale=1.5, size=X.shape)
y = np.repeat(digits.target[:n_videos], n_frames)
groups = np.repeat(np.arange(n_videos), n_frames)
y_video = flip_labels(digits.target[:n_videos], uniform_transition(10, 0.25), random_state=0)
y_given = np.repeat(y_video, n_frames)
is_wrong = y_given != y
print(f"{is_wrong[::n_frames].sum()} of {n_videos} videos have a wrong label")

# %%
# With and without groups
# -----------------------

p_label_error = {
    "without groups": LabelCleaner(random_state=0).fit(X, y_given),
    "with groups": LabelCleaner(random_state=0).fit(X, y_given, groups=groups),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for ax, (name, cleaner) in zip(axes, p_label_error.items(), strict=True):
    p = cleaner.label_issues_["p_label_error"].to_numpy()
    auroc = roc_auc_score(is_wrong, p)
    print(
        f"{name}: AUROC {auroc:.3f}, {np.mean(p[is_wrong] > 0.5):.0%} of the wrong labels doubted"
    )
    ax.hist(
        [p[~is_wrong], p[is_wrong]], bins=10, range=(0, 1), stacked=True, label=["right", "wrong"]
    )
    ax.set(xlabel="p_label_error", title=f"{name}: AUROC {auroc:.2f}")
axes[0].set_ylabel("frames")
axes[0].legend(title="given label is")
plt.show()

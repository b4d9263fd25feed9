"""
Rare classes: mended, or mended away?
=====================================

A class of few rows is in danger twice: its wrong labels are hard to see, and its right ones look
like mistakes among so many others. We make one digit rare, and count what cleaning does to it.
"""

# %%
# One class with 25 rows among 1,600
# ----------------------------------

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, uniform_transition
from skdiffusion_label.review import ClassSummaryDisplay

X, y = load_digits(return_X_y=True)
rare = 4
kept = np.sort(np.append(np.flatnonzero(y != rare), np.flatnonzero(y == rare)[:25]))
X, y = X[kept], y[kept]
y_given = flip_labels(y, uniform_transition(10, 0.2), random_state=0)
is_rare = y == rare
print(f"{is_rare.sum()} rows of the rare class, {np.sum(y_given[is_rare] == rare)} labeled so")

# %%
# What becomes of them
# --------------------
# *Kept*: rightly labeled rows of the rare class that keep their label. *Found*: rows of it that had
# another label and get the right one. *Taken in*: rows of other classes that end in it.
# ``class_weight="balanced"`` lets each class count alike.

linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
balanced = LRADiffusionClassifier(class_weight="balanced", random_state=0)
cleaners = {
    "LabelCleaner()": LabelCleaner(random_state=0),
    "with class_weight": LabelCleaner(balanced, random_state=0),
    "with LogisticRegression": LabelCleaner(linear, random_state=0),
}
for name, cleaner in cleaners.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # most labels of the rare class are replaced
        labels = cleaner.fit(X, y_given).clean_labels_
    was_right = is_rare & (y_given == rare)
    was_wrong = is_rare & (y_given != rare)
    print(
        f"{name:<25} kept {np.sum(labels[was_right] == rare)} of {was_right.sum()}, "
        f"found {np.sum(labels[was_wrong] == rare)} of {was_wrong.sum()}, "
        f"taken in {np.sum(labels[~is_rare] == rare)}; all labels right: {np.mean(labels == y):.1%}"
    )

# %%
# How many rows should each class have?
# -------------------------------------
# Under uniform noise a rare class is given more often than it is true: its wrong labels come from
# all the others. *Expected* undoes that.

display = ClassSummaryDisplay.from_cleaner(cleaners["LabelCleaner()"])
counts = np.bincount(y, minlength=10)
display.ax_.plot(counts, np.arange(10), "k|", markersize=14, label="true")
display.ax_.legend()
plt.show()

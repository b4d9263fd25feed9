"""
Pictures of what was found
==========================

Five displays in scikit-learn's way: each is one line after a fit. They show a suspicious row, how
labels get confused, whether probabilities hold, what becomes of each class, and the training.
"""

# %%
# A fitted cleaner
# ----------------
# Digits, three in ten of them labeled as the next one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, pair_transition
from skdiffusion_label.review import (
    ClassSummaryDisplay,
    LabelErrorReliabilityDisplay,
    LabelIssuesDisplay,
    LossCurveDisplay,
    TransitionMatrixDisplay,
)

digits = load_digits()
X, y = digits.data[:1000], digits.target[:1000]
y_given = flip_labels(y, pair_transition(10, 0.3), random_state=0)
cleaner = LabelCleaner(random_state=0).fit(X, y_given)

# %%
# The most suspicious rows
# ------------------------
# Images with their nearest neighbors beneath. Tables and texts work as well: ``X`` is what people
# want to see.

images = (255 - 15 * digits.images[:1000]).astype(np.uint8)
display = LabelIssuesDisplay.from_cleaner(cleaner, images, n_issues=12)
display.figure_.set_size_inches(9, 7)
plt.show()

# %%
# How labels get confused
# -----------------------
# Rows are true labels, columns are given ones, as the cleaner estimates them from given labels
# alone.

display = TransitionMatrixDisplay.from_cleaner(cleaner)
display.figure_.set_size_inches(6, 5.4)
plt.show()
found = cleaner.transition_matrix_
to_the_next = found[np.arange(10), (np.arange(10) + 1) % 10]
print(f"Given as the next digit: {to_the_next.mean():.2f} on average, 0.30 in truth")

# %%
# What becomes of each class
# --------------------------

ClassSummaryDisplay.from_cleaner(cleaner)
plt.show()

# %%
# Whether ``p_label_error`` holds
# -------------------------------
# This one needs true labels, of some rows at least.

LabelErrorReliabilityDisplay.from_cleaner(cleaner, y, n_bins=5)
plt.show()

# %%
# The training
# ------------

LossCurveDisplay.from_cleaner(cleaner)
plt.show()

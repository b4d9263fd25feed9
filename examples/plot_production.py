"""
Put it in production: keep the cleaner, judge what comes in
===========================================================

A cleaner that was fitted once is written to a file, read elsewhere, and judges batch after batch of
new labels. A batch that was labeled badly stands out before anybody trains on it.
"""

# %%
# Fit once
# --------

import io

import matplotlib.pyplot as plt
import numpy as np
import skops.io
from sklearn.datasets import load_digits

from skdiffusion_label import TRUSTED_TYPES
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, uniform_transition

X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
rows = rng.permutation(len(y))
X, y = X[rows], y[rows]
y_given = flip_labels(y, uniform_transition(10, 0.1), random_state=0)
cleaner = LabelCleaner(random_state=0).fit(X[:900], y_given[:900])

# %%
# To a file and back
# ------------------
# Pickles are programs; files of skops run no code. ``TRUSTED_TYPES`` names the types that they
# hold.

file = io.BytesIO(skops.io.dumps(cleaner))
loaded = skops.io.load(file, trusted=list(TRUSTED_TYPES))
print(f"{len(file.getvalue()) / 1e6:.1f} MB")
same = loaded.judge(X[900:950], y_given[900:950]).equals(
    cleaner.judge(X[900:950], y_given[900:950])
)
print(f"The loaded cleaner says the same: {same}")

# %%
# Eight batches, one of them bad
# ------------------------------
# A tenth of all labels is wrong, and in batch 5 another half, as if a column had slipped.

batches = np.array_split(np.arange(900, len(y)), 8)
y_new = y_given.copy()
slipped = rng.permutation(batches[4])[: len(batches[4]) // 2]
y_new[slipped] = (y_new[slipped] + 1) % 10
expected = [loaded.judge(X[rows], y_new[rows])["p_label_error"].mean() for rows in batches]
actual = [np.mean(y_new[rows] != y[rows]) for rows in batches]
for number, (guess, truth) in enumerate(zip(expected, actual, strict=True), start=1):
    print(f"batch {number}: {guess:.0%} expected to be wrong, {truth:.0%} are")

figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
places = np.arange(1, 9)
ax.bar(places - 0.2, actual, 0.38, color="0.6", label="wrong labels")
ax.bar(places + 0.2, expected, 0.38, color="tab:blue", label="mean of p_label_error")
ax.axhline(cleaner.noise_rate_, color="black", linestyle=":", label="expected at fit")
ax.set(xlabel="batch", ylabel="share of labels")
ax.legend()
plt.show()

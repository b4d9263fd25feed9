"""
Find wrong labels and mend them: handwritten digits
===================================================

Two in ten labels are wrong. :class:`~skdiffusion_label.cleaning.LabelCleaner` says which, suggests
a label for each, and names the images that speak for its suggestion.

It sees the given labels alone. The right ones serve only to count its mistakes.
"""

# %%
# Digits with wrong labels
# ------------------------
# 1,797 images of 8 x 8 pixels. A label turns, with probability 0.2, into any of the other digits.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, precision_score, recall_score

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, uniform_transition

X, y = load_digits(return_X_y=True)
y_given = flip_labels(y, uniform_transition(10, 0.2), random_state=0)
is_wrong = y_given != y

# %%
# Judge all labels
# ----------------
# One fit, and there is a row for each label. ``is_label_issue`` marks those that are more likely
# wrong than right.

start = time.perf_counter()
cleaner = LabelCleaner(random_state=0).fit(X, y_given)
seconds = time.perf_counter() - start
issues = cleaner.label_issues_
columns = ["is_label_issue", "given_label", "suggested_label", "p_label_error", "action"]
print(issues[columns].iloc[24:32].round(3).to_string())

# %%
# How good is that?
# -----------------
# Precision: which share of the issues is really wrong. Recall: which share of the wrong labels is
# among the issues.

found = issues["is_label_issue"].to_numpy()
precision = precision_score(is_wrong, found)
recall = recall_score(is_wrong, found)
given_accuracy = accuracy_score(y, y_given)
mended_accuracy = accuracy_score(y, cleaner.clean_labels_)
print(f"\nWrong labels: {is_wrong.sum()} of {len(y):,} ({is_wrong.mean():.1%})")
print(f"Estimated:    {cleaner.noise_rate_:.1%}")
print(f"Label issues: {found.sum()}, precision {precision:.3f}, recall {recall:.3f}")
print(f"Right labels: {given_accuracy:.1%} of the given, {mended_accuracy:.1%} of clean_labels_")
print(f"Fit:          {seconds:.1f} seconds")

# %%
# Mending is no free lunch: some labels were right before.

n_mended = np.sum(is_wrong & (cleaner.clean_labels_ == y))
n_spoiled = np.sum(~is_wrong & (cleaner.clean_labels_ != y))
print(f"Wrong labels made right: {n_mended}, right labels made wrong: {n_spoiled}")

# %%
# The most suspicious images
# --------------------------
# Titled *given → suggested*, in red where the suggestion is not the right label.

suspects = issues["p_label_error"].to_numpy().argsort(kind="stable")[::-1][:24]
suggestions = cleaner.clean_labels_[suspects]
n_wrong = np.sum(is_wrong[suspects])
n_right = np.sum(suggestions == y[suspects])
print(f"\nAmong the 24 most suspicious, {n_wrong} are wrong, {n_right} suggestions are right")

figure, axes = plt.subplots(4, 6, figsize=(6, 5), layout="constrained")
for ax, row, suggestion in zip(axes.flat, suspects, suggestions, strict=True):
    ax.imshow(X[row].reshape(8, 8), cmap="gray_r")
    color = "black" if suggestion == y[row] else "tab:red"
    ax.set_title(f"{y_given[row]} → {suggestion}", color=color)
    ax.set_axis_off()
plt.show()

# %%
# What speaks for a suggestion
# ----------------------------
# The first of them, and the ``neighbors`` that were given the suggested label: positions of rows.

suspect = suspects[0]
neighbors = issues["neighbors"].iloc[suspect]
figure, axes = plt.subplots(1, 6, figsize=(9, 2.2), layout="constrained")
for ax in axes:
    ax.set_axis_off()
for ax, row in zip(axes, [suspect, *neighbors], strict=False):
    ax.imshow(X[row].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"row {row}\ngiven {y_given[row]}", color="tab:red" if row == suspect else "black")
plt.show()

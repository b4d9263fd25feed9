"""
Verified labels: review, put in, look again
===========================================

A person looks at the most suspicious labels, and
:meth:`~skdiffusion_label.cleaning.LabelCleaner.apply` puts in what was decided. Here the reviewer
is played by the right labels.
"""

# %%
# Where labels alone do not tell
# ------------------------------
# 150 flowers, three in ten labels wrong. So few rows hardly tell wrong labels from classes that
# overlap: the cleaner replaces nothing by itself, says so, and ranks what a person should look at.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_iris

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, uniform_transition

X, y = load_iris(return_X_y=True)
y_given = flip_labels(y, uniform_transition(3, 0.3), random_state=0)
print(f"{np.sum(y_given != y)} of {len(y)} labels are wrong")

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    cleaner = LabelCleaner(random_state=0).fit(X, y_given)
print(*(str(warning.message) for warning in caught), sep="\n")

# %%
# Fifteen labels at a time
# ------------------------
# In real life :func:`~skdiffusion_label.review.write_review` writes the page, and the browser
# downloads the file of decisions. Here it is a table with the same columns. Earlier decisions are
# given again.


def decide(rows):
    """Return what a reviewer who makes no mistakes says of these rows."""
    decision = np.where(y[rows] == y_given[rows], "keep", "relabel")
    columns = {"row": rows, "decision": decision, "label": y[rows].astype(str)}
    return pd.DataFrame({**columns, "fingerprint": cleaner.fingerprint_})


def mended(cleaner):
    """Return the share of right labels."""
    return np.mean(cleaner.clean_labels_ == y)


decided = np.array([], dtype=int)
shares, found = [mended(cleaner)], []
for _ in range(4):
    suspicion = cleaner.label_issues_["p_label_error"].to_numpy().copy()
    suspicion[decided] = -1
    rows = np.argsort(-suspicion, kind="stable")[:15]
    found.append(np.sum(y_given[rows] != y[rows]))
    decided = np.append(decided, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it may abstain again
        cleaner.apply(X, y_given, decide(decided))
    shares.append(mended(cleaner))
    print(f"{len(decided)} reviewed: {found[-1]} of the last 15 were wrong, {shares[-1]:.1%} right")

# %%
# What the same work gives without a ranking
# ------------------------------------------
# Rows looked at in any order are wrong as often as all are. In the other order a few checked labels
# also tell the cleaner that labels are wrong indeed: it stops abstaining, and replaces others, too.

looked_at = np.arange(5) * 15
at_random = np.mean(y_given == y) + looked_at / len(y) * np.mean(y_given != y)
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
ax.plot(looked_at, shares, marker="o", label="most suspicious first")
ax.plot(looked_at, at_random, marker="o", color="0.6", label="in any order, nothing else replaced")
ax.set(xlabel="labels that a person has looked at", ylabel="share of right labels")
ax.set_xticks(looked_at)
ax.legend()
plt.show()

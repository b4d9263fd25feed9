"""
How much to trust ``p_label_error``
===================================

``p_label_error`` is the probability that a given label is wrong. If it is honest, three in ten
labels with 0.3 are wrong. That depends on how labels got wrong, and nothing in given labels tells
it for sure.
"""

# %%
# Three kinds of wrong labels, a quarter each
# -------------------------------------------
# *Uniform* and *pair* noise go by the class alone. *Margin* noise sits where classes meet: there,
# wrong labels look like right ones of a class with other borders.

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import (
    flip_labels,
    margin_noise,
    pair_transition,
    uniform_transition,
)
from skdiffusion_label.review import LabelErrorReliabilityDisplay

X, y = load_digits(return_X_y=True)
X, y = X[:1000], y[:1000]
linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
proba = cross_val_predict(linear, X, y, method="predict_proba")
labels = {
    "uniform": flip_labels(y, uniform_transition(10, 0.25), random_state=0),
    "pair": flip_labels(y, pair_transition(10, 0.25), random_state=0),
    "margin": margin_noise(y, proba, 0.25),
}

# %%
# Curves
# ------
# On the diagonal, probabilities are honest. Below it, labels are suspected that are right; above
# it, labels are wrong more often than they are suspected.

figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), sharey=True, layout="constrained")
for ax, (noise, y_given) in zip(axes, labels.items(), strict=True):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # where it cannot tell, it says so
        cleaner = LabelCleaner(random_state=0).fit(X, y_given)
    p_label_error = cleaner.label_issues_["p_label_error"]
    is_wrong = y_given != y
    LabelErrorReliabilityDisplay.from_cleaner(cleaner, y, n_bins=5, ax=ax)
    ax.set_title(f"{noise}: {is_wrong.mean():.0%} wrong")
    ranking = roc_auc_score(is_wrong, p_label_error)
    abstained = "abstains" if cleaner.abstention_ else "replaces labels"
    print(
        f"{noise:<9} expected {p_label_error.mean():.0%} wrong, are {is_wrong.mean():.0%}; "
        f"AUROC {ranking:.3f}; the cleaner {abstained}"
    )
plt.show()

# %%
# What to do about it
# -------------------
# The order can be trusted further than the numbers: start a review with the most suspicious label,
# stop when nothing is found any more. A few dozen labels, drawn at random and looked at, make a
# curve like these on your own data: :class:`~skdiffusion_label.review.LabelErrorReliabilityDisplay`
# takes missing true labels.

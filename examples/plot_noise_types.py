"""
What wrong labels look like: five kinds of label noise
======================================================

The functions of :mod:`skdiffusion_label.label_noise` make labels wrong for studies. Here they are
on points in the plane, three in ten labels wrong each time, and
:class:`~skdiffusion_label.LRADiffusionClassifier` estimates afterwards how they came to be wrong.
"""

# %%
# Four classes that overlap
# -------------------------

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.metrics import confusion_matrix
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.label_noise import (
    flip_labels,
    instance_noise,
    pair_transition,
    poly_margin_noise,
    uniform_transition,
)

centers = [(-2, -2), (2, -2), (2, 2), (-2, 2)]
X, y = make_blobs(1000, centers=centers, cluster_std=1.3, random_state=0)
noise_rate = 0.3

# %%
# Five kinds of label noise
# -------------------------
# The first three depend on the true class alone. *Uniform*: all wrong classes are as likely.
# *Pair*: a class is taken for the next. *Class-dependent*: a matrix of one's own, whose rows are
# true classes; its rates, 0.5, 0.4, 0.2 and 0.1, have the mean 0.3.

matrix = [
    [0.5, 0.3, 0.1, 0.1],
    [0.2, 0.6, 0.1, 0.1],
    [0.0, 0.1, 0.8, 0.1],
    [0.1, 0.0, 0.0, 0.9],
]

# %%
# The other two look at the points. *Margin-based* (poly-margin-diminishing, Zhang et al., ICLR
# 2021): the less sure a classifier is of its first choice, the more often its second is the label.
# *Instance-dependent* (Xia et al., NeurIPS 2020): random linear functions of the features say which
# class a point is taken for.

proba = GaussianNB().fit(X, y).predict_proba(X)
scaled = StandardScaler().fit_transform(X)
noises = {
    "uniform": partial(flip_labels, y, uniform_transition(4, noise_rate)),
    "pair": partial(flip_labels, y, pair_transition(4, noise_rate)),
    "class-dependent": partial(flip_labels, y, matrix),
    "margin-based": partial(poly_margin_noise, y, proba, noise_rate, noise_type=2),
    "instance-dependent": partial(instance_noise, y, scaled, noise_rate),
}
labels = {name: noise(random_state=0) for name, noise in noises.items()}

# %%
# Asked, drawn, estimated
# -----------------------
# Where are the wrong labels? *Near borders* is the share of them in that half of the points of
# which naive Bayes, fitted on true labels, is less sure; 0.50 is what chance would put there.
#
# *Estimated* is the noise rate by ``transition_matrix_``, from points and given labels alone. It is
# estimated before training, so one epoch will do.
# *Matrix error* is the mean distance of its entries from the confusion matrix of true and given
# labels; *no noise* is that of the identity matrix, the guess that all labels are right.

top, second = np.sort(proba, axis=1)[:, :-3:-1].T
is_unsure = top - second < np.median(top - second)
prior = np.bincount(y) / len(y)

print(f"{'label noise':<20}{'asked':>7}{'drawn':>7}{'near borders':>14}", end="")
print(f"{'estimated':>11}{'matrix error':>14}{'no noise':>10}")
errors = {}
for name, y_given in labels.items():
    is_wrong = y_given != y
    classifier = LRADiffusionClassifier(max_iter=1, random_state=0)
    estimate = classifier.fit(X, y_given).transition_matrix_
    drawn = confusion_matrix(y, y_given, normalize="true")
    errors[name] = np.abs(estimate - drawn).mean()
    print(f"{name:<20}{noise_rate:>7.2f}{is_wrong.mean():>7.2f}", end="")
    print(f"{is_unsure[is_wrong].mean():>14.2f}{1 - prior @ estimate.diagonal():>11.2f}", end="")
    print(f"{errors[name]:>14.3f}{np.abs(np.eye(4) - drawn).mean():>10.3f}")

# %%
# A matrix describes noise that depends on the class. Margin-based noise moves the borders between
# classes instead, and from given labels that is hard to tell from classes with other borders: the
# estimate finds less noise than there is.
#
# The points
# ----------
# Colored by the given label; wrong ones have a black ring.

figure = plt.figure(figsize=(11, 7.5), layout="constrained")
axes = figure.subplots(2, 3, sharex=True, sharey=True).flat
for ax, (name, y_given) in zip(axes, {"true labels": y, **labels}.items(), strict=True):
    is_wrong = y_given != y
    ax.scatter(*X.T, c=y_given, cmap="tab10", vmin=0, vmax=9, s=9, linewidths=0)
    ax.scatter(*X[is_wrong].T, facecolors="none", edgecolors="black", s=20, linewidths=0.6)
    ax.set_title(name if name == "true labels" else f"{name}: {is_wrong.mean():.0%} wrong")
    ax.set(xticks=[], yticks=[])
plt.show()

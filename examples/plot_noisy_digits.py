"""
Learn from wrong labels: handwritten digits
===========================================

Four in ten labels of the training images are wrong. We compare
:class:`~skdiffusion_label.LRADiffusionClassifier` with classifiers of scikit-learn, then let it
point out the training images whose labels it trusts least.

Everything is fitted on the wrong labels alone. The right ones serve only to count mistakes.
"""

# %%
# The data
# --------
# 1,797 images of 8 x 8 pixels. The test images keep their right labels: 30 % of the data.

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax
from scipy.stats import truncnorm
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label import LRADiffusionClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
n_train, n_features = X_train.shape
n_classes = 10

# %%
# Two kinds of wrong labels
# -------------------------
# *Symmetric* label noise: 40 % of the training images, picked at random, get another digit at
# random. A slip of the mouse does not look at the image.

rng = np.random.default_rng(0)
noise_rate = 0.4

is_wrong = rng.permutation(n_train) < noise_rate * n_train
random_digit = (y_train + rng.integers(1, n_classes, n_train)) % n_classes
y_symmetric = np.where(is_wrong, random_digit, y_train)

# %%
# *Instance-dependent* label noise (Xia et al., NeurIPS 2020): the look of an image decides which
# wrong digit it is taken for, as with people who mistake a crooked 7 for a 1. Each image has its
# own chance to be mislabeled, around 40 %. Each true class has random scores for the other
# classes, linear in the pixels; a softmax turns them into the probabilities of the wrong digits.
# The features are scaled so that the scores have about unit variance: with large scores, each
# image could be taken for one wrong digit only.

mean, std = noise_rate, 0.1
chance = truncnorm.rvs(-mean / std, (1 - mean) / std, mean, std, size=n_train, random_state=rng)
is_wrong = rng.permutation(n_train) < chance * n_train

scaled = StandardScaler().fit_transform(X_train) / np.sqrt(n_features)
projection = rng.normal(size=(n_classes, n_features, n_classes))
scores = np.einsum("nd,ndc->nc", scaled, projection[y_train])
scores[np.arange(n_train), y_train] = -np.inf
look_alike = [rng.choice(n_classes, p=proba) for proba in softmax(scores, axis=1)]
y_instance = np.where(is_wrong, look_alike, y_train)

noisy_labels = {"symmetric": y_symmetric, "instance-dependent": y_instance}

# %%
# The classifiers
# ---------------
# All with their defaults, except that logistic regression gets scaled features and time to
# converge. One more competitor is fair: a vote of 25 instead of 5 neighbors, since a large vote is
# the simplest remedy for wrong labels.

methods = {
    "LRADiffusionClassifier": LRADiffusionClassifier(random_state=0),
    "LogisticRegression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    "KNeighborsClassifier": KNeighborsClassifier(),
    "KNeighborsClassifier(25)": KNeighborsClassifier(25),
    "RandomForestClassifier": RandomForestClassifier(random_state=0),
}

results = {}
most_suspicious = {}
for noise, y_given in noisy_labels.items():
    for method, classifier in methods.items():
        start = time.perf_counter()
        proba = classifier.fit(X_train, y_given).predict_proba(X_test)
        seconds = time.perf_counter() - start
        accuracy = accuracy_score(y_test, classifier.classes_[proba.argmax(axis=1)])
        results[noise, method] = np.array([accuracy, log_loss(y_test, proba), seconds])

    # What it has found of each given label before training: the belief in it, from the image, its
    # neighbors and the label together. The lowest beliefs are the most suspicious labels.
    classifier = methods["LRADiffusionClassifier"]
    belief = classifier.label_distributions_[np.arange(n_train), y_given]
    rows = np.argsort(belief, kind="stable")[:20]
    most_suspicious[noise] = rows, classifier.predict(X_train[rows])

for method in methods:
    results["mean", method] = np.mean([results[noise, method] for noise in noisy_labels], axis=0)

# %%
# Accuracy and log loss on the right test labels
# ----------------------------------------------
# Log loss (lower is better) judges the probabilities: those of a vote repeat the wrong labels
# around an image, so a vote can be right and still be far from sure. Seconds are for fit and
# prediction together. This is one split, and a percentage point is five images: a smaller
# difference in accuracy is a tie.

for noise in [*noisy_labels, "mean"]:
    if noise == "mean":
        print("Mean of both")
    else:
        share = np.mean(noisy_labels[noise] != y_train)
        print(f"Label noise: {noise}, {share:.1%} of {n_train:,} training labels are wrong")
    print(f"  {'method':<26}{'accuracy':>8}{'log loss':>10}{'seconds':>9}")
    for method in sorted(methods, key=lambda name: -results[noise, name][0]):
        accuracy, loss, seconds = results[noise, method]
        print(f"  {method:<26}{accuracy:>8.3f}{loss:>10.3f}{seconds:>9.2f}")
    print()

# %%
# Which training labels are wrong?
# --------------------------------
# Of the 20 labels that our classifier believes least, how many are really wrong? A random pick
# would find about 8. ``label_distributions_`` holds these beliefs: the probability of each class
# given both the image and the label that came with it.

print("Wrong labels among the 20 most suspicious training images")
for noise, (rows, _) in most_suspicious.items():
    n_wrong = np.sum(noisy_labels[noise][rows] != y_train[rows])
    print(f"  {noise:<26}{n_wrong:>3} of 20 ({n_wrong / 20:.0%})")

# %%
# A picture of both
# -----------------
# Left: test accuracy. Right: the most suspicious images under instance-dependent label noise,
# titled *given -> predicted*, in red where the given label is really wrong.

figure = plt.figure(figsize=(13, 6.5), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 1.1])

ax = left.subplots()
by_accuracy = sorted(methods, key=lambda name: results["mean", name][0])
for offset, noise in [(0.2, "symmetric"), (-0.2, "instance-dependent")]:
    heights = [results[noise, method][0] for method in by_accuracy]
    bars = ax.barh(np.arange(len(methods)) + offset, heights, height=0.38, label=noise)
    ax.bar_label(bars, fmt="%.3f", padding=3)
ax.set_yticks(np.arange(len(methods)), by_accuracy)
ax.set(xlim=(0, 1.12), xlabel="accuracy on right test labels")
ax.set_title("Trained on labels of which 40 % are wrong")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(title="label noise", loc="upper center", bbox_to_anchor=(0.4, -0.1), ncols=2)

rows, predicted = most_suspicious["instance-dependent"]
right.suptitle("Most suspicious training labels: given -> predicted")
for ax, row, digit in zip(right.subplots(4, 5).flat, rows, predicted, strict=True):
    ax.imshow(X_train[row].reshape(8, 8), cmap="gray_r")
    color = "tab:red" if y_instance[row] != y_train[row] else "black"
    ax.set_title(f"{y_instance[row]} -> {digit}", color=color)
    ax.set_axis_off()
plt.show()

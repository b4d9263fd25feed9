"""
Choose a model without clean labels
===================================

Labels at hand may be wrong, those of the test set too. Can they still tell which of two models
is better? Under noise by class they mostly can: a wrong label costs every model about the same.
Accuracies that are measured on them are wrong, their order is useful.
"""

# %%
# Candidates
# ----------
# Twelve models, from careless to careful, on 1,000 digits with a third of the labels wrong.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.label_noise import flip_labels, pair_transition, uniform_transition

X, y = load_digits(return_X_y=True)
X, y = X[:1000], y[:1000]
labels = {
    "uniform": flip_labels(y, uniform_transition(10, 0.33), random_state=0),
    "pair": flip_labels(y, pair_transition(10, 0.33), random_state=0),
}
candidates = {
    **{
        f"logistic, C={C}": make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000))
        for C in (0.0001, 0.001, 0.01, 1)
    },
    **{f"{k} neighbors": KNeighborsClassifier(k) for k in (3, 10, 30, 100)},
    **{
        f"forest, leaf {n}": RandomForestClassifier(100, min_samples_leaf=n, random_state=0)
        for n in (1, 5, 20)
    },
    "LRADiffusionClassifier": LRADiffusionClassifier(random_state=0),
}

# %%
# Judged by given labels, and by right ones
# -----------------------------------------
# Out-of-fold predictions of models that were fitted on given labels. The right labels are only
# there to check what the given ones say.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, (noise, y_given) in zip(axes, labels.items(), strict=True):
    by_given, by_loss, by_right = [], [], []
    for model in candidates.values():
        proba = cross_val_predict(model, X, y_given, cv=3, method="predict_proba")
        by_given.append(accuracy_score(y_given, proba.argmax(axis=1)))
        by_loss.append(log_loss(y_given, proba))
        by_right.append(accuracy_score(y, proba.argmax(axis=1)))
    order = spearmanr(by_given, by_right).statistic
    print(f"{noise} noise, right of its predictions:")
    choices = {
        "accuracy on given labels": by_given,
        "log loss on given labels": np.negative(by_loss),
    }
    for score, values in {**choices, "best of all": by_right}.items():
        chosen = int(np.argmax(values))
        print(f"  {score:<26}{list(candidates)[chosen]:<24}{by_right[chosen]:.3f}")
    ax.scatter(by_given, by_right, color=["0.5"] * (len(by_given) - 1) + ["tab:blue"])
    ax.set(xlabel="accuracy on given labels", ylabel="accuracy on right labels")
    ax.set_title(f"{noise} noise: rank correlation {order:.2f}")
plt.show()

# %%
# Blue: ours. Accuracy is the score to choose by. Log loss on given labels rewards what foretells
# the wrong labels as well: a model that is sure of the right one pays for each label that is not.
# Noise that repeats a model's own mistakes misleads both: look at a few labels yourself.

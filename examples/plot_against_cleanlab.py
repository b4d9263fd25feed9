"""
Against cleanlab, on three kinds of noise
=========================================

cleanlab asks any classifier for out-of-fold probabilities and filters by them. Here it is given a
logistic regression and a random forest; :class:`~skdiffusion_label.cleaning.LabelCleaner` runs as
it is. Same rows, same labels, one data set: a look, not a verdict. The wide comparison is on the
page of results.
"""

# %%
# The same digits, three times
# ----------------------------

import warnings

import matplotlib.pyplot as plt
import numpy as np
from cleanlab.rank import get_self_confidence_for_each_label
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve
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

X, y = load_digits(return_X_y=True)
X, y = X[:1000], y[:1000]
linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
forest = RandomForestClassifier(200, random_state=0)
proba = cross_val_predict(linear, X, y, method="predict_proba")
labels = {
    "uniform": flip_labels(y, uniform_transition(10, 0.3), random_state=0),
    "pair": flip_labels(y, pair_transition(10, 0.3), random_state=0),
    "margin": margin_noise(y, proba, 0.3),
}

# %%
# Suspicion of each
# -----------------
# A precision-recall curve needs an order alone: the most suspicious label first. Its area is
# printed.

figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), sharey=True, layout="constrained")
for ax, (noise, y_given) in zip(axes, labels.items(), strict=True):
    is_wrong = y_given != y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        cleaner = LabelCleaner(random_state=0).fit(X, y_given)
    suspicion = {"LabelCleaner": cleaner.label_issues_["p_label_error"].to_numpy()}
    for name, model in [("cleanlab, logistic", linear), ("cleanlab, forest", forest)]:
        pred_probs = cross_val_predict(model, X, y_given, cv=5, method="predict_proba")
        suspicion[name] = -get_self_confidence_for_each_label(y_given, pred_probs)
    print(f"{noise}:")
    for name, values in suspicion.items():
        precision, recall, _ = precision_recall_curve(is_wrong, values)
        area = average_precision_score(is_wrong, values)
        print(f"  {name:<20}{area:.3f}")
        ax.plot(recall, precision, label=f"{name} ({area:.2f})")
    ax.set(
        xlabel="wrong labels found", title=f"{noise}: {np.mean(is_wrong):.0%} wrong", ylim=(0, 1.03)
    )
    ax.legend(title="average precision", loc="lower left")
axes[0].set_ylabel("share of wrong labels among them")
plt.show()

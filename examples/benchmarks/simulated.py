"""Tasks whose rows come from scikit-learn and whose label noise is made by the library."""

from functools import partial

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import (
    fetch_openml,
    load_breast_cancer,
    load_digits,
    load_wine,
    make_classification,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler
from tasks import Given, Task, Truth

from skdiffusion_label.label_noise import (
    flip_labels,
    margin_noise,
    pair_transition,
    poly_margin_noise,
    uniform_transition,
)

TEST_SHARE = 0.3
NOISES = {
    "sym": "symmetric noise",
    "pair": "each class to the next",
    "instance": "smallest margins to the runner-up",
    "pmd1": "poly-margin-diminishing type I",
    "pmd2": "poly-margin-diminishing type II",
    "pmd3": "poly-margin-diminishing type III",
}


def digits(seed):
    """Return the rows of scikit-learn's digits, scaled to [0, 1], and their labels."""
    del seed
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def breast_cancer(seed):
    """Return the rows of scikit-learn's breast cancer set and their labels."""
    del seed
    return load_breast_cancer(return_X_y=True)


def wine(seed):
    """Return the rows of scikit-learn's wine set and their labels."""
    del seed
    return load_wine(return_X_y=True)


def synthetic(seed, n_samples=20_000):
    """Return rows of ten classes with three clusters each, in 64 features of which 32 tell."""
    return make_classification(
        n_samples,
        64,
        n_informative=16,
        n_redundant=16,
        n_classes=10,
        n_clusters_per_class=3,
        class_sep=2.0,
        flip_y=0,
        random_state=seed,
    )


def cluster_rows(seed, n_samples, n_features=128, n_classes=10):
    """Return rows around three centers for each class, of any number at little cost."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(3 * n_classes, n_features)).astype(np.float32)
    cluster = rng.integers(len(centers), size=n_samples)
    X = 2 * rng.standard_normal((n_samples, n_features), dtype=np.float32)
    X += centers[cluster]
    return X, cluster % n_classes


SMALL_TABLES = {"digits": digits, "breast_cancer": breast_cancer, "wine": wine}


def corrupt(noise, rate, X, y, seed):
    """Return given labels for true labels ``y``, codes of the classes."""
    n_classes = y.max() + 1
    if noise == "sym":
        return flip_labels(y, uniform_transition(n_classes, rate), random_state=seed)
    if noise == "pair":
        return flip_labels(y, pair_transition(n_classes, rate), random_state=seed)
    if noise == "instance":
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        proba = cross_val_predict(model, X, y, method="predict_proba")
        return margin_noise(y, proba, rate, random_state=seed)
    network = MLPClassifier(early_stopping=True, random_state=seed)
    proba = make_pipeline(StandardScaler(), network).fit(X, y).predict_proba(X)
    return poly_margin_noise(y, proba, rate, noise_type=int(noise[-1]), random_state=seed)


def split(seed, rows):
    """Split what ``rows(seed)`` returns at random, with equal shares of classes in both parts."""
    X, y = rows(seed)
    return train_test_split(X, y, test_size=TEST_SHARE, stratify=y, random_state=seed)


def draw_split(seed, rows, noise, rate):
    """Split rows at random, standardize them by the training rows and corrupt these's labels."""
    X_train, X_test, y_clean, y_test = split(seed, rows)
    y_given = corrupt(noise, rate, X_train, y_clean, seed)
    return as_task_data(X_train, y_given, X_test, y_clean, y_test, is_scaled=rows is digits)


def draw_all(seed, rows, noise, rate):
    """Corrupt the labels of all rows and keep none for a test: to rank the labels."""
    X, y = rows(seed)
    y_given = corrupt(noise, rate, X, y, seed)
    return as_task_data(X, y_given, X[:0], y, y[:0], is_scaled=rows is digits)


def as_task_data(X_train, y_given, X_test, y_clean, y_test, is_scaled=False):
    """Return what methods see and the truth, the rows standardized by the training rows."""
    if not is_scaled:
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = (scaler.transform(X) if len(X) else X for X in (X_train, X_test))
    given = Given(X_train.astype(np.float32), y_given, X_test.astype(np.float32))
    n_classes = int(max(y_clean.max(), y_test.max(initial=0))) + 1
    return given, Truth(y_clean, y_test, n_classes)


def _simulated(name, group, rows, noise, percent, draw=draw_split):
    return Task(
        f"{name}_{noise}_{percent}",
        group,
        f"{name}; {NOISES[noise]}",
        percent / 100,
        partial(draw, rows=rows, noise=noise, rate=percent / 100),
    )


def small_tasks():
    """Return digits, breast cancer and wine; with two classes, pair noise is symmetric noise."""
    return _table_tasks((("sym", 40), ("pair", 40), ("instance", 30)), draw_split)


def ranking_tasks():
    """Return the small tables with 30 % of the labels wrong and no test rows."""
    return _table_tasks((("sym", 30), ("pair", 30), ("instance", 30)), draw_all)


def _table_tasks(noises, draw):
    return [
        _simulated(name, "small tables", rows, noise, percent, draw)
        for name, rows in SMALL_TABLES.items()
        for noise, percent in noises
        if (name, noise) != ("breast_cancer", "pair")
    ]


def synthetic_tasks():
    """Return the larger synthetic set with noise that does or does not depend on the rows."""
    noises = [("sym", 20), ("sym", 60), ("pmd1", 35), ("pmd2", 35), ("pmd3", 35)]
    return [_simulated("synthetic", "synthetic", synthetic, *noise) for noise in noises]


def openml_task(name, percent=40):
    """Return a data set of OpenML with symmetric noise; it is downloaded when it is drawn."""
    return _simulated(name, "OpenML", partial(openml_rows, name=name), "sym", percent)


def openml_rows(seed, name):
    """Download a data set, fill missing values and encode categories."""
    del seed
    try:
        frame, y = fetch_openml(name, version=1, as_frame=True, return_X_y=True, parser="auto")
    except OSError as error:
        raise OSError(
            f"{name!r} could not be fetched from OpenML, which needs the network: {error}"
        ) from error
    is_number = make_column_selector(dtype_include="number")
    is_category = make_column_selector(dtype_exclude="number")
    encoder = make_column_transformer(
        (SimpleImputer(), is_number),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), is_category),
    )
    return encoder.fit_transform(frame), LabelEncoder().fit_transform(y)

"""Checks of what is given to ``LRADiffusionClassifier.fit``, before any long work."""

from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse
from sklearn.base import clone
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, validate_data

from skdiffusion_label.classifier._checkpoint import check_checkpoint_dir
from skdiffusion_label.embedding._images import ImageRows
from skdiffusion_label.classifier._inputs import columns_of, encoder_inputs, initial_encoder
from skdiffusion_label.classifier._network import network_settings
from skdiffusion_label._torch import printed_form
from skdiffusion_label.retrieval import check_neighbors

_DTYPES = [np.float64, np.float32]


def check_training_data(estimator, X, y, sample_weight, neighbors):
    """Validate the arguments of ``fit``; set ``classes_`` and ``feature_extractor_``.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    sample_weight : ndarray of shape (n_samples,), dtype=float32
        The mean of the positive ones is one.
    neighbors : ndarray of shape (n_samples, n_neighbors) or None
    """
    _check_random_state(estimator)
    check_checkpoint_dir(estimator.checkpoint_dir)
    continues = estimator.warm_start and hasattr(estimator, "weights_")
    checks = {"dtype": _DTYPES, "ensure_min_samples": 2, "reset": not continues}
    if estimator.feature_extractor is None:
        X, y = validate_data(estimator, X, y, **checks)
    else:
        check_consistent_length(X, y)
    check_classification_targets(y)
    sample_weight = _check_sample_weight(
        sample_weight, np.asarray(y), dtype=np.float32, ensure_non_negative=True
    )
    _check_number_of_rows(estimator, np.count_nonzero(sample_weight))
    sample_weight = sample_weight / sample_weight[sample_weight > 0].mean()
    if neighbors is not None:
        neighbors = check_neighbors(neighbors, len(sample_weight))
    classes = np.unique(y)
    check_class_weight(estimator.class_weight, classes, y)
    if continues and not np.array_equal(estimator.classes_, classes):
        raise ValueError(
            "warm_start=True needs y to have the classes of the previous fit, "
            f"{estimator.classes_}, got {classes}."
        )
    if estimator.feature_extractor is None:
        features, extractor = X, None
    elif continues:
        extractor = estimator.feature_extractor_
        features = extractor.transform(X)
    else:
        extractor = clone(estimator.feature_extractor)
        if hasattr(extractor, "fit_transform"):
            features = extractor.fit_transform(X, y)
        else:
            features = extractor.fit(X, y).transform(X)
    if extractor is not None:
        if sparse.issparse(features):
            raise TypeError(
                "feature_extractor must return a dense array, got a sparse matrix; append "
                "TruncatedSVD to it, for example."
            )
        features, y = validate_data(estimator, features, y, **checks)
    network = network_settings(estimator, features.shape[1], len(classes))
    if continues and network != estimator._network:
        raise ValueError(
            f"warm_start=True needs the network of the previous fit, {estimator._network}, "
            f"got {network}."
        )
    # From here on the estimator is no longer what it was fitted to before.
    if not continues:
        vars(estimator).pop("weights_", None)
    estimator.feature_extractor_ = extractor
    estimator.classes_ = classes
    estimator._network = network
    return features, y, sample_weight, neighbors


def _check_random_state(estimator):
    reasons = {
        "device='accelerate'": estimator.device == "accelerate",
        "checkpoint_dir": estimator.checkpoint_dir is not None,
    }
    for name, needs_it in reasons.items():
        if needs_it and not isinstance(estimator.random_state, Integral):
            raise ValueError(
                f"{name} needs an int random_state, so that all that is to be the same is drawn "
                f"alike, got {estimator.random_state!r}."
            )


def check_encoder(estimator, X, random_state):
    """Return the inputs of an encoder of its own inputs, and the module to train; or two Nones."""
    transform = estimator.encoder_transform
    if isinstance(estimator.encoder, str):
        if transform is not None:
            raise ValueError(
                "encoder_transform is for a torch module as encoder, "
                f"got encoder={estimator.encoder!r}."
            )
        return None, None
    if isinstance(transform, tuple) and not (len(transform) == 2 and all(map(callable, transform))):
        raise ValueError(
            "encoder_transform must be a function or a pair of functions, for training and for "
            f"prediction, got {transform!r}."
        )
    inputs = encoder_inputs(X, transform, effective_n_jobs(estimator.n_jobs))
    if estimator.feature_extractor is None and isinstance(inputs.rows, ImageRows):
        raise ValueError(
            "X of images needs a feature_extractor, such as CLIPEmbedder, beside the encoder: "
            "neighbors are looked up among its features."
        )
    encoder = initial_encoder(estimator.encoder, inputs, estimator.hidden_size, random_state)
    if estimator.warm_start and hasattr(estimator, "weights_"):
        if printed_form(encoder) != printed_form(estimator.encoder_):
            raise ValueError(
                f"warm_start=True needs the encoder of the previous fit, {estimator.encoder_}, "
                f"got {encoder}."
            )
        encoder = estimator.encoder_
    else:
        is_table = not isinstance(inputs.rows, ImageRows)
        estimator._input_columns = columns_of(X) if is_table else None
    return inputs, encoder


def check_class_weight(class_weight, classes, y):
    """Return the weight of each class (n_classes,)."""
    weights = compute_class_weight(class_weight, classes=classes, y=np.asarray(y))
    if weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            f"class_weight must not be negative, nor zero for all classes, got {class_weight}."
        )
    return weights


def _check_number_of_rows(estimator, n_rows):
    n_held_out = _n_held_out(estimator, n_rows)
    if n_rows - n_held_out < 2:
        raise ValueError(
            "At least two rows of positive weight must be left to train on, got "
            f"{n_rows} of which validation_fraction={estimator.validation_fraction} holds out "
            f"{n_held_out}."
        )


def _n_held_out(estimator, n_rows):
    return int(np.ceil(estimator.validation_fraction * n_rows)) if estimator.early_stopping else 0


def hold_out(estimator, sample_weight, random_state):
    """Return the weights (n_samples,) of rows held out for early stopping, zero for the others."""
    held_out = np.zeros_like(sample_weight)
    if estimator.early_stopping:
        rows = random_state.permutation(np.flatnonzero(sample_weight > 0))
        rows = rows[: _n_held_out(estimator, len(rows))]
        held_out[rows] = sample_weight[rows]
    return held_out

"""Training of the denoiser inside ``LRADiffusionClassifier.fit``."""

import math

import numpy as np
import torch

from skdiffusion_label._prediction import build_model, starting_noise
from skdiffusion_label._torch import arrays_to_module, make_generator, module_to_arrays, to_tensor
from skdiffusion_label._validation import check_class_weight
from skdiffusion_label.diffusion import (
    TrainingData,
    TrainingSettings,
    fit_temperature,
    train_denoiser,
)
from skdiffusion_label.retrieval import given_label_evidence

_AUTO_N_UPDATES = 500
_AUTO_N_EPOCHS = (3, 200)
_MAX_TEMPERATURE_ENTRIES = 200_000
_MAX_TRUST_ROWS = 10_000


def train(estimator, inputs, X, y, weight, held_out, random_state, device):
    """Train on ``inputs`` (condition, prior means or None) and set what ``predict_proba`` needs.

    Rows of zero ``weight`` are left out; those with weight in ``held_out`` decide about early
    stopping. ``X`` is what ``fit`` was given, for callbacks.
    """
    n_classes = len(estimator.classes_)
    rows = np.flatnonzero(weight > 0)
    settings = _settings(estimator, len(rows))
    generator = make_generator(random_state)
    model = _initial_model(estimator, generator).to(device)
    estimator.initial_noise_ = starting_noise(estimator.n_draws, n_classes, generator).numpy()
    estimator._sampling_seed = int(random_state.randint(np.iinfo(np.int32).max))
    estimator.temperature_ = (
        1.0 if estimator.temperature == "auto" else float(estimator.temperature)
    )

    class_weight = check_class_weight(estimator.class_weight, estimator.classes_, y)
    shares = np.average(estimator.label_distributions_, axis=0, weights=weight)
    class_weight = class_weight / (class_weight @ shares)  # so that the mean weight is one

    condition, means = _rows_of(inputs, rows)
    distributions = estimator.label_distributions_[rows]
    arrays = condition, distributions, weight[rows], means, class_weight
    data = TrainingData(
        *(None if array is None else to_tensor(array, torch.float32, device) for array in arrays)
    )
    epochs = train_denoiser(model, data, settings, generator)
    _run_epochs(
        estimator,
        epochs,
        settings,
        (inputs, y, held_out * class_weight[np.searchsorted(estimator.classes_, y)]),
        X,
    )
    # Logits under cross-entropy are probabilities already.
    if estimator.temperature == "auto" and estimator.prediction_type != "logits":
        n_rows = max(_MAX_TEMPERATURE_ENTRIES // estimator.initial_noise_.size, 1)
        some_rows = np.sort(random_state.permutation(rows)[:n_rows])
        estimator.temperature_ = _best_temperature(estimator, inputs, some_rows, class_weight)
    some_rows = np.sort(random_state.permutation(rows)[:_MAX_TRUST_ROWS])
    y_codes = np.searchsorted(estimator.classes_, y[some_rows])
    start = torch.zeros(1, n_classes)
    proba = estimator._denoise(_rows_of(inputs, some_rows), start=start)
    estimator.label_trust_, estimator._evidence = given_label_evidence(proba, y_codes)


def _rows_of(inputs, rows):
    """Return ``rows`` of the condition and of the prior means or None, all of them as they are."""
    if len(rows) == len(inputs[0]):
        return inputs
    return tuple(None if array is None else array[rows] for array in inputs)


def _settings(estimator, n_rows):
    n_epochs = estimator.max_iter
    if n_epochs == "auto":
        n_epochs = math.ceil(_AUTO_N_UPDATES / math.ceil(n_rows / estimator.batch_size))
        n_epochs = min(max(n_epochs, _AUTO_N_EPOCHS[0]), _AUTO_N_EPOCHS[1])
    return TrainingSettings(
        n_epochs=n_epochs,
        batch_size=estimator.batch_size,
        learning_rate=estimator.learning_rate,
        weight_decay=estimator.weight_decay,
        warmup_fraction=estimator.warmup_fraction,
        ema_decay=estimator.ema_decay,
        dropout=estimator.dropout,
        label_weighting=estimator.label_weighting,
    )


def _initial_model(estimator, generator):
    model = build_model(estimator._network)
    if hasattr(estimator, "weights_"):  # only a warm start has kept them
        arrays_to_module(estimator.weights_, model.denoiser)
    else:
        model.denoiser.initialize(generator)
        estimator.loss_curve_ = []
        estimator.validation_scores_ = None
    if not estimator.early_stopping:
        estimator.validation_scores_ = None
    elif estimator.validation_scores_ is None:
        estimator.validation_scores_ = []
    return model


def _run_epochs(estimator, epochs, settings, validation, X):
    """Watch the epochs: callbacks, printed progress, early stopping, the best epoch's weights."""
    context = estimator._init_callback_context(max_subtasks=settings.n_epochs)
    data = {"estimator": estimator, "X": X, "y": validation[1]}
    context.call_on_fit_task_begin(**data)
    n_warmup = settings.warmup_fraction * settings.n_epochs
    best_score, best_weights, n_without_gain = -1.0, None, 0
    for epoch, (loss, averaged) in enumerate(epochs, start=1):
        task = context.subcontext(task_name="epoch")
        task.call_on_fit_task_begin(**data)
        estimator.loss_curve_.append(loss)
        estimator.n_iter_ = len(estimator.loss_curve_)
        message = f"Epoch {epoch}/{settings.n_epochs}, loss {loss:.4f}"
        if estimator.early_stopping:
            estimator.weights_ = module_to_arrays(averaged.denoiser)
            score = _accuracy_on_given_labels(estimator, *validation)
            estimator.validation_scores_.append(score)
            message += f", accuracy on held-out given labels {score:.4f}"
            n_without_gain += epoch > n_warmup
            if score > best_score:
                best_score, best_weights, n_without_gain = score, estimator.weights_, 0
        if estimator.verbose:
            print(message)
        stop = task.call_on_fit_task_end(
            **data,
            reconstruction_attributes=lambda: {"weights_": module_to_arrays(averaged.denoiser)},  # noqa: B023
        )
        if stop or n_without_gain >= estimator.n_iter_no_change:
            break
    estimator.weights_ = best_weights or module_to_arrays(averaged.denoiser)
    context.call_on_fit_task_end(**data)


def _accuracy_on_given_labels(estimator, inputs, y, weight):
    rows = np.flatnonzero(weight > 0)
    proba = estimator._denoise(_rows_of(inputs, rows))
    hits = estimator.classes_[proba.argmax(axis=1)] == y[rows]
    return float(np.average(hits, weights=weight[rows]))


def _best_temperature(estimator, inputs, rows, class_weight):
    labels = estimator._sample(_rows_of(inputs, rows))
    distributions = estimator.label_distributions_[rows]
    target = distributions * class_weight
    if estimator.label_weighting == "agreement":  # as training weighs the labels that it draws
        target *= distributions
    return fit_temperature(labels, estimator.prediction_type, torch.from_numpy(target))

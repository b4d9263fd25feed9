"""Training of the denoiser inside ``LRADiffusionClassifier.fit``."""

import copy
import dataclasses
import math

import numpy as np
import torch

from skdiffusion_label.classifier._checkpoint import Checkpoint
from skdiffusion_label.classifier._network import build_model, fitted_model, fitted_weights
from skdiffusion_label.classifier._prediction import starting_noise
from skdiffusion_label._torch import (
    from_first_process,
    launched_process,
    make_generator,
    printed_form,
    sum_over_processes,
    to_tensor,
)
from skdiffusion_label.classifier._validation import check_class_weight
from skdiffusion_label.diffusion import (
    Processes,
    TrainingData,
    TrainingSettings,
    TrainingState,
    fit_temperature,
    train_denoiser,
)
from skdiffusion_label.noise_model import given_label_evidence, given_label_trust

_AUTO_N_UPDATES = 500
_AUTO_N_EPOCHS = (3, 200)
_MAX_TEMPERATURE_ENTRIES = 200_000
_MAX_TRUST_ROWS = 10_000
# Besides the weights, what early stopping's judgement depends on.
_JUDGED_BY = "sampler", "n_sampling_steps", "n_draws", "temperature"


def train(estimator, inputs, encoder, X, y, weight, held_out, random_state, device):
    """Train on ``inputs`` and set what ``predict_proba`` needs.

    Rows of zero ``weight`` are left out; those with weight in ``held_out`` decide about early
    stopping. ``encoder`` is the module to train along or None. ``X`` is what ``fit`` was given, for
    callbacks.
    """
    n_classes = len(estimator.classes_)
    rows = np.flatnonzero(weight > 0)
    settings = _settings(estimator, len(rows))
    generator = make_generator(random_state)
    model = _initial_model(estimator, encoder, generator).to(device)
    estimator.initial_noise_ = starting_noise(estimator.n_draws, n_classes, generator).numpy()
    estimator._sampling_seed = int(random_state.randint(np.iinfo(np.int32).max))
    estimator.temperature_ = (
        1.0 if estimator.temperature == "auto" else float(estimator.temperature)
    )

    class_weight = check_class_weight(estimator.class_weight, estimator.classes_, y)
    shares = np.average(estimator.label_distributions_, axis=0, weights=weight)
    class_weight = class_weight / (class_weight @ shares)  # so that the mean weight is one

    trained = inputs if len(rows) == len(inputs) else inputs.take(rows)
    arrays = (
        trained.condition,
        estimator.label_distributions_[rows],
        weight[rows],
        trained.prior_means,
        class_weight,
    )
    data = TrainingData(
        *(None if array is None else to_tensor(array, torch.float32, device) for array in arrays),
        load_inputs=None if trained.raw is None else _loader(trained.raw, device),
    )
    training = _Training(estimator, TrainingState(model, settings, generator), encoder)
    validation = inputs, y, held_out * class_weight[np.searchsorted(estimator.classes_, y)]
    if estimator.checkpoint_dir is not None:
        distributions = estimator.label_distributions_
        training.resume((inputs.identity(), distributions, weight, class_weight, *validation[1:]))
    training.run(data, validation, X)
    # Logits under cross-entropy are probabilities already.
    if estimator.temperature == "auto" and estimator.prediction_type != "logits":
        n_rows = max(_MAX_TEMPERATURE_ENTRIES // estimator.initial_noise_.size, 1)
        some_rows = np.sort(random_state.permutation(rows)[:n_rows])
        estimator.temperature_ = _best_temperature(estimator, inputs, some_rows, class_weight)
    some_rows = np.sort(random_state.permutation(rows)[:_MAX_TRUST_ROWS])
    y_codes = np.searchsorted(estimator.classes_, y[some_rows])
    proba = estimator._denoise(inputs.take(some_rows), start=torch.zeros(1, n_classes))
    estimator._evidence = given_label_evidence(proba, y_codes)
    # What the network has learned by heart agrees with its sureness no more: then it is enough.
    estimator.training_label_trust_ = min(estimator.label_trust_, given_label_trust(proba, y_codes))


def _loader(raw, device):
    def load(batches, seed):
        return (batch.to(device, non_blocking=True) for batch in raw.batches(batches, seed))

    return load


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


def _initial_model(estimator, encoder, generator):
    if hasattr(estimator, "weights_"):  # only a warm start has kept them
        model = fitted_model(estimator)
    else:
        model = build_model(estimator._network)
        if encoder is not None:
            model.denoiser.set_encoder(copy.deepcopy(encoder))
        model.denoiser.initialize(generator)
        estimator.loss_curve_ = []
        estimator.validation_scores_ = None
    if not estimator.early_stopping:
        estimator.validation_scores_ = None
    elif estimator.validation_scores_ is None:
        estimator.validation_scores_ = []
    return model


class _Training:
    """Epochs as ``fit`` sees them: callbacks, printed progress, early stopping, checkpoints."""

    def __init__(self, estimator, state, encoder):
        self.estimator, self.state, self.encoder = estimator, state, encoder
        self.processes = _processes(estimator)
        self.best_score, self.best_vector, self.n_without_gain = -1.0, None, 0
        self.stopped = False
        self.checkpoint = Checkpoint(None, None)

    def resume(self, data):
        """Go on from the checkpoint of a training that has begun with the same ``data``."""
        estimator, state = self.estimator, self.state
        names = "early_stopping", "n_iter_no_change", *_JUDGED_BY
        identity = [
            data,
            state.vector.cpu().numpy(),
            state.generator.get_state().numpy(),
            dataclasses.asdict(state.settings),
            estimator._network,
            printed_form(state.model.denoiser),
            [getattr(estimator, name) for name in names],
            self.processes.number,
        ]
        self.checkpoint = Checkpoint(estimator.checkpoint_dir, identity)
        saved = self.checkpoint.load()
        if self.processes.number > 1:  # whose disks may differ
            saved = from_first_process(saved)
        if saved is not None:
            state.load_state_dict(saved.pop("state"))
            estimator.loss_curve_ = saved.pop("loss_curve")
            estimator.validation_scores_ = saved.pop("validation_scores")
            vars(self).update(saved)
            self.report(f"Going on after epoch {state.n_epochs} by {self.checkpoint.path}")

    def save(self):
        """Write all that :meth:`resume` needs."""
        if self.processes.index or self.checkpoint.path is None:
            return
        names = "best_score", "best_vector", "n_without_gain", "stopped"
        self.checkpoint.save(
            {
                "state": self.state.state_dict(),
                "loss_curve": self.estimator.loss_curve_,
                "validation_scores": self.estimator.validation_scores_,
                **{name: getattr(self, name) for name in names},
            }
        )

    def run(self, data, validation, X):
        """Train for the epochs that are left, and keep the weights of the best."""
        estimator, state = self.estimator, self.state
        self.report(
            f"Retrieval: {estimator.n_neighbors_} neighbors, space {estimator.retrieval_space_!r}"
        )
        context = estimator._init_callback_context(max_subtasks=state.settings.n_epochs)
        given = {"estimator": estimator, "X": X, "y": validation[1]}
        context.call_on_fit_task_begin(**given)
        epochs = () if self.stopped else train_denoiser(data, state, self.processes)
        for loss in epochs:
            _check_loss(loss, state)
            task = context.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(**given)
            estimator.loss_curve_.append(loss)
            estimator.n_iter_ = len(estimator.loss_curve_)
            message = f"Epoch {state.n_epochs}/{state.settings.n_epochs}, loss {loss:.4f}"
            if estimator.early_stopping:
                self.judge(validation)
                score = estimator.validation_scores_[-1]
                message += f", accuracy on held-out given labels {score:.4f}"
            self.report(message)
            self.stopped = self.n_without_gain >= estimator.n_iter_no_change
            self.save()
            stop = task.call_on_fit_task_end(**given, reconstruction_attributes=self.weights)
            if stop and not self.stopped:
                self.stopped = True
                self.save()
            if self.stopped:
                break
        if self.best_vector is not None:
            state.averaged_vector.copy_(self.best_vector)
        estimator.n_iter_ = len(estimator.loss_curve_)
        vars(estimator).update(self.weights())
        context.call_on_fit_task_end(**given)

    def weights(self):
        """Return the attributes that keep the averaged model."""
        return fitted_weights(self.state.averaged.denoiser, self.encoder)

    def judge(self, validation):
        """Score this epoch's model on held-out given labels."""
        estimator, state = self.estimator, self.state
        judged = copy.copy(estimator)  # what fails later on leaves no half-trained estimator
        vars(judged).update(self.weights())
        score = _accuracy_on_given_labels(judged, *validation)
        if self.processes.number > 1:  # devices may round otherwise, and all must stop together
            total = self.processes.add(state.vector.new_tensor(score))
            score = total.item() / self.processes.number
        estimator.validation_scores_.append(score)
        settings = state.settings
        self.n_without_gain += state.n_epochs > settings.warmup_fraction * settings.n_epochs
        if score > self.best_score:
            self.best_score, self.n_without_gain = score, 0
            self.best_vector = state.averaged_vector.clone()

    def report(self, message):
        """Print ``message`` if asked to, in one process alone."""
        if self.estimator.verbose and not self.processes.index:
            print(message)


def _check_loss(loss, state):
    if not math.isfinite(loss):
        raise ValueError(
            f"Training has diverged: the loss of epoch {state.n_epochs} is {loss}. Choose a "
            f"learning_rate smaller than {state.settings.learning_rate}."
        )


def _processes(estimator):
    """Return the processes that train together."""
    if estimator.device != "accelerate":
        return Processes()
    process = launched_process()
    return Processes(process.process_index, process.num_processes, sum_over_processes)


def _accuracy_on_given_labels(estimator, inputs, y, weight):
    rows = np.flatnonzero(weight > 0)
    proba = estimator._denoise(inputs.take(rows))
    hits = estimator.classes_[proba.argmax(axis=1)] == y[rows]
    return float(np.average(hits, weights=weight[rows]))


def _best_temperature(estimator, inputs, rows, class_weight):
    labels = estimator._sample(inputs.take(rows))
    distributions = estimator.label_distributions_[rows]
    target = distributions * class_weight
    if estimator.label_weighting == "agreement":  # as training weighs the labels that it draws
        target *= distributions
    return fit_temperature(labels, estimator.prediction_type, torch.from_numpy(target))

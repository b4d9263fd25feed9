"""Training of the denoiser as ``fit`` sees it: data, epochs, early stopping, temperature."""

import copy
import math
from dataclasses import replace

import numpy as np
import torch
from scipy import sparse

from skdiffusion_label._torch import limited_threads, to_tensor
from skdiffusion_label.classifier._chains import Chains, starting_noise
from skdiffusion_label.classifier._inputs import StreamedInputs
from skdiffusion_label.classifier._network import initial_model
from skdiffusion_label.classifier._streams import read_at_once
from skdiffusion_label.classifier._tables import by_blocks
from skdiffusion_label.diffusion import (
    Processes,
    TrainingData,
    TrainingSettings,
    TrainingState,
    fit_temperature,
    train_denoiser,
)
from skdiffusion_label.noise_model import labels_of

# Updates after which a network's accuracy on the six archives no longer rises; and that of one that
# joins judges, with at most .002 of log loss.
_N_UPDATES_ALONE, _N_UPDATES_JOINING = 500, 250
_MIN_EPOCHS, _N_ROWS_SEEN = 3, 300_000  # many rows are seen more than once, very many once
# A few rows do not take minutes; a network that joins judges does not learn them by heart.
_MAX_EPOCHS_ALONE, _MAX_EPOCHS_JOINING = 200, 40
_MIN_ROWS_OF_CLASS_TO_HALVE = 4  # on average: a half of fewer hardly knows the classes
_MIN_GROUPS_TO_HALVE = 4  # rows of one group alone have no neighbors
_MAX_TEMPERATURE_ENTRIES = 200_000  # draws x classes x rows: a second, and one number to fit


def training_settings(estimator, n_rows, joins_judges=False):
    """Return the options of the training loop for ``n_rows``."""
    n_epochs = estimator.max_iter
    if n_epochs == "auto":
        n_epochs = _auto_n_epochs(n_rows, estimator.batch_size, joins_judges)
    return TrainingSettings(
        n_epochs=n_epochs,
        batch_size=estimator.batch_size,
        learning_rate=estimator.learning_rate,
        weight_decay=estimator.weight_decay,
        dropout=estimator.dropout,
        label_weighting=estimator.label_weighting,
    )


def _auto_n_epochs(n_rows, batch_size, joins_judges):
    n_updates, most = _N_UPDATES_ALONE, _MAX_EPOCHS_ALONE
    if joins_judges:
        n_updates, most = _N_UPDATES_JOINING, _MAX_EPOCHS_JOINING
    n_epochs = math.ceil(n_updates / math.ceil(n_rows / batch_size))
    least = min(_MIN_EPOCHS, math.ceil(_N_ROWS_SEEN / n_rows))
    return min(max(n_epochs, least), most)


def balanced_class_weight(class_weight, weight, label_distributions):
    """Return the weights of the classes, with a mean of one over the labels that are drawn."""
    shares = weight @ label_distributions / weight.sum()
    return class_weight / (class_weight @ shares)


def training_data(inputs, label_distributions, rows, device):
    """Return the rows to train on as tensors on ``device``, or read when a batch asks for them."""
    weight, some = rows.weight, rows.trained
    is_streamed = isinstance(inputs, StreamedInputs)
    trained, raw = inputs, inputs.raw
    if len(some) < len(inputs):
        weight, label_distributions = weight[some], label_distributions[some]
        raw = None if raw is None else raw.take(some)
        trained = inputs if is_streamed else inputs.take(some)
    class_weight = balanced_class_weight(rows.class_weight, weight, label_distributions)
    features, means = (None, None) if is_streamed else (trained.condition, trained.prior_means)
    if sparse.issparse(label_distributions):
        label_distributions = SparseDistributions(label_distributions, device)
    arrays = features, label_distributions, weight, means, class_weight
    return TrainingData(
        *(_on_device(array, device) for array in arrays),
        load_inputs=None if raw is None else _loader(raw, device),
        read=_reader(inputs, some, device) if is_streamed else None,
        **(read_at_once(inputs.features) if is_streamed else {}),
    )


class SparseDistributions:
    """Distributions (n, n_classes) of which batches are made dense, in place of a tensor."""

    def __init__(self, table, device):
        self.table, self.device, self.shape = table, device, table.shape

    def index_select(self, axis, rows):
        """Return those of ``rows`` as a tensor."""
        del axis  # the first
        return torch.from_numpy(self.table[rows.cpu().numpy()].toarray()).to(self.device)


def _on_device(array, device):
    if array is None or isinstance(array, SparseDistributions):
        return array
    return to_tensor(array, torch.float32, device)


def _reader(inputs, trained, device):
    def read(rows):
        positions, places = np.unique(trained[rows.cpu().numpy()], return_inverse=True)
        some = inputs.take(positions)
        parts = some.condition, some.prior_means
        return tuple(_on_device(part if part is None else part[places], device) for part in parts)

    return read


def _loader(raw, device):
    def load(batches, seed):
        return (batch.to(device, non_blocking=True) for batch in raw.batches(batches, seed))

    return load


class EarlyStopping:
    """Judges epochs by held-out given labels, and remembers the weights of the best.

    ``judge`` returns the accuracy of a model. Epochs of the warm-up count neither as the best nor
    as without gain.
    """

    def __init__(self, judge, n_iter_no_change, scores):
        self.judge, self.n_iter_no_change, self.scores = judge, n_iter_no_change, scores
        self.best_score, self.best_vector, self.n_without_gain = -1.0, None, 0

    def look(self, state, processes):
        """Score the model that the epochs so far have led to."""
        score = self.judge(copy.deepcopy(state.averaged))
        if processes.number > 1:  # devices may round otherwise, and all must stop together
            score = processes.add(state.vector.new_tensor(score)).item() / processes.number
        self.scores.append(score)
        settings = state.settings
        if state.n_epochs <= settings.warmup_fraction * settings.n_epochs:
            return
        self.n_without_gain += 1
        if score > self.best_score:
            self.best_score, self.n_without_gain = score, 0
            self.best_vector = state.averaged_vector.clone()

    @property
    def is_over(self):
        """Whether accuracy has stopped rising."""
        return self.n_without_gain >= self.n_iter_no_change

    def state_dict(self):
        """Return all that :meth:`load_state_dict` needs."""
        names = "scores", "best_score", "best_vector", "n_without_gain"
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state):
        """Go back to where :meth:`state_dict` was called."""
        vars(self).update(state)


class Training:
    """Epochs of ``state`` on ``data``, stopped early and kept on disk if asked for.

    Parameters
    ----------
    state : TrainingState
    data : TrainingData
    loss_curve : list of float
        Losses of earlier fits that this one goes on from.
    early_stopping : EarlyStopping or None
    processes : Processes
    """

    def __init__(self, state, data, loss_curve, early_stopping=None, processes=Processes()):  # noqa: B008
        self.state, self.data, self.processes = state, data, processes
        self.loss_curve, self.early_stopping = loss_curve, early_stopping
        self.checkpoint = None
        self.is_resumed = False

    @property
    def scores(self):
        """Accuracy after each epoch on held-out given labels, or None."""
        return None if self.early_stopping is None else self.early_stopping.scores

    def resume(self, checkpoint, saved):
        """Keep epochs in ``checkpoint``; go on from what it holds, or None."""
        self.checkpoint = checkpoint
        if saved is None:
            return
        self.is_resumed = True
        self.state.load_state_dict(saved["state"])
        self.loss_curve = saved["loss_curve"]
        if self.early_stopping is not None:
            self.early_stopping.load_state_dict(saved["early_stopping"])

    def epochs(self):
        """Train for the epochs that are left, yielding what to report of each.

        The last epoch before an interruption comes once more, untrained: who stopped then is asked
        again.
        """
        state, stopping = self.state, self.early_stopping
        if self.is_resumed:
            yield f"Going on after epoch {state.n_epochs} by {self.checkpoint.path}"
        is_over = stopping is not None and stopping.is_over
        epochs = () if is_over else train_denoiser(self.data, state, self.processes)
        for loss in epochs:
            _check_loss(loss, state)
            self.loss_curve.append(loss)
            message = f"Epoch {state.n_epochs}/{state.settings.n_epochs}, loss {loss:.4f}"
            if stopping is not None:
                stopping.look(state, self.processes)
                message += f", accuracy on held-out given labels {stopping.scores[-1]:.4f}"
            self._save()
            yield message
            if stopping is not None and stopping.is_over:
                break

    def finish(self):
        """Return the model to predict with: that of the last epoch, or of the best."""
        if self.early_stopping is not None and self.early_stopping.best_vector is not None:
            self.state.averaged_vector.copy_(self.early_stopping.best_vector)
        return self.state.averaged

    def _save(self):
        if self.checkpoint is None or self.processes.index:
            return
        stopping = self.early_stopping
        self.checkpoint.save(
            {
                "state": self.state.state_dict(),
                "loss_curve": self.loss_curve,
                "early_stopping": None if stopping is None else stopping.state_dict(),
            }
        )


def _check_loss(loss, state):
    if not math.isfinite(loss):
        raise ValueError(
            f"Training has diverged: the loss of epoch {state.n_epochs} is {loss}. Choose a "
            f"learning_rate smaller than {state.settings.learning_rate}."
        )


def judge_by_halves(estimator, network, inputs, judge, rows, generator, device, n_earlier_epochs):
    """Return P(true label | x), (n, n_classes), by a network trained on the half without the row.

    And the chains of one of these two networks, which new rows may be judged by. It learns what
    ``judge(positions, half)`` says of the labels of the other half without any label of this one: a
    label votes for its neighbors, and would come back from them. It does so for as long as the
    network of all rows and earlier fits that it goes on from. Where that one is to be stopped by
    held-out labels, which nothing else may see, it stops where it would by default. With too few
    rows or groups both are None.
    """
    if len(rows.trained) < _MIN_ROWS_OF_CLASS_TO_HALVE * len(rows.classes):
        return None, None
    if rows.groups is not None and len(_groups_of(rows)) < _MIN_GROUPS_TO_HALVE:
        return None, None
    settings = training_settings(estimator, len(rows.trained), joins_judges=True)
    n_epochs = settings.n_epochs + n_earlier_epochs
    if estimator.n_iter_no_change is not None:
        n_by_default = _auto_n_epochs(len(rows.trained), estimator.batch_size, joins_judges=True)
        n_epochs = min(n_epochs, n_by_default)
    settings = replace(settings, n_epochs=n_epochs)
    noise = starting_noise(estimator.n_draws, len(rows.classes), generator)
    is_first, judged = _first_half(rows, generator), []
    for half in (is_first, ~is_first):
        others = replace(rows, weight=np.where(half, 0, rows.weight))
        # Neighbors from outside are of all rows.
        some = others.trained if rows.neighbors is None else np.arange(len(inputs))
        others = others.take(some)
        model = initial_model(network, None, generator).to(device)
        data = training_data(inputs.take(some), judge(some, others), others, device)
        training = Training(TrainingState(model, settings, generator), data, [])
        with limited_threads(estimator.n_jobs):
            for _ in training.epochs():
                pass
        steps_and_threads = estimator.n_sampling_steps, 1.0, estimator.n_jobs
        chains = Chains(training.finish(), noise, *steps_and_threads)
        judged.append(_judge_some(chains, inputs, np.flatnonzero(half), len(rows.classes)))
    proba = np.empty((len(inputs), len(rows.classes)), dtype=np.float32)
    proba[is_first], proba[~is_first] = judged
    return proba, chains


def _judge_some(chains, inputs, some, n_classes):
    def judge(block):
        return chains.proba(inputs.take(some[block]))

    return by_blocks(judge, len(some), n_classes)


def _first_half(rows, generator):
    """Mark half of each class, of the rows trained on, or all rows of half of the groups.

    Classes are those of the labels before verification: a label that is verified changes what the
    networks learn, not which rows they learn from.
    """
    units = rows.trained if rows.groups is None else _groups_of(rows)
    units = units[torch.randperm(len(units), generator=generator).numpy()]
    if rows.groups is not None:
        return np.isin(rows.groups, units[::2])
    units = units[np.argsort(labels_of(**rows.labels).given[units], kind="stable")]
    return np.isin(np.arange(len(rows.y_codes)), units[::2])


def _groups_of(rows):
    """Return the groups of the rows trained on."""
    return np.unique(rows.groups[rows.trained])


def early_stopping(estimator, chains_of, inputs, rows, scores):
    """Return :class:`EarlyStopping` of models by their chains, or None if not asked for."""
    if estimator.n_iter_no_change is None:
        return None

    def judge(model):
        return accuracy_on_given_labels(chains_of(model), inputs, rows)

    return EarlyStopping(judge, estimator.n_iter_no_change, scores)


def accuracy_on_given_labels(chains, inputs, rows):
    """Return the accuracy on the given labels of rows held out, with the weights of training."""
    held_out = np.flatnonzero(rows.held_out > 0)
    y_codes = rows.y_codes[held_out]
    proba = _judge_some(chains, inputs, held_out, len(rows.classes))
    hits = proba.argmax(axis=1) == y_codes
    weights = rows.held_out[held_out] * rows.class_weight[y_codes]
    return float(weights @ hits / max(weights.sum(), np.finfo(weights.dtype).tiny))


def best_temperature(chains, inputs, label_distributions, rows, label_weighting, random_state):
    """Fit the read-off's temperature to what retrieval has found for some training rows."""
    n_rows = max(_MAX_TEMPERATURE_ENTRIES // chains.initial_noise.size, 1)
    some_rows = np.sort(random_state.permutation(rows.trained)[:n_rows])
    distributions = label_distributions[some_rows]
    if sparse.issparse(distributions):
        distributions = distributions.toarray()
    given = rows.class_weight, rows.weight, label_distributions
    target = distributions * balanced_class_weight(*given)
    if label_weighting == "agreement":  # as training weighs the labels that it draws
        target *= distributions
    labels = chains.labels(inputs.take(some_rows))
    return fit_temperature(labels, chains.model.prediction_type, torch.from_numpy(target))

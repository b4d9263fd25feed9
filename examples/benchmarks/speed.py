"""Tasks of many rows, and the training loop against its bare matrix products."""

import time
from pathlib import Path

import numpy as np
import torch
from child import measured, read_arrays, run_in_child, shared_folder
from simulated import cluster_rows
from store import append_run, circumstances, find_run, package_hash, read_runs
from tasks import Given, Task, Truth, read_archive

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label._torch import limited_threads
from skdiffusion_label.diffusion import (
    LabelDenoiser,
    LabelDiffusion,
    NoiseSchedule,
    TrainingData,
    TrainingSettings,
    TrainingState,
    train_denoiser,
)
from skdiffusion_label.label_noise import flip_labels, uniform_transition

SCALING_ROWS = (1_000, 10_000, 100_000, 300_000, 1_000_000)
N_EPOCHS = 3


def speed_task(data_dir, n_train=45_000, n_test=10_000, n_features=1_024):
    """Return 45,000 rows of 1,024 features: the archive's, or simulated ones without it."""
    path = Path(data_dir) / "cifar10_mobilenet.npz"
    if path.exists() and n_train == 45_000:
        return Task(
            "speed_cifar10_human_worse",
            "speed",
            "CIFAR-10, embeddings of a MobileNet; the worst of three human annotators",
            0.4,
            lambda seed: read_archive(path, "human_worse"),
            is_redrawn=False,
        )
    return _clusters(f"speed_clusters_{n_train}", n_train, n_test, n_features, 0.4)


def scaling_tasks(rows=SCALING_ROWS, n_features=128):
    """Return sets of ten classes that differ in their number of rows alone."""
    return [_clusters(f"scaling_{n}", n, 1_000, n_features, 0.2) for n in rows]


def _clusters(name, n_train, n_test, n_features, rate):
    def draw(seed):
        X, y = cluster_rows(seed, n_train + n_test, n_features)
        y_clean = y[:n_train]
        y_given = flip_labels(y_clean, uniform_transition(10, rate), random_state=seed)
        return Given(X[:n_train], y_given, X[n_train:]), Truth(y_clean, y[n_train:], 10)

    group = name.split("_")[0]
    return Task(name, group, "clusters; symmetric noise", rate, draw, is_redrawn=False)


def run_training_loop(task, repeats, runs_file, *, log=print):
    """Time the training loop on the task's shapes, and the matrix products that it cannot avoid."""
    identity = {
        "kind": "training_loop",
        "task": task.name,
        "method": "training_loop",
        "seed": 0,
        "model": f"{N_EPOCHS} epochs, {repeats} repeats",
        "data": "random",
        "package": package_hash("training_loop"),
    }
    if find_run(read_runs(runs_file), identity):
        return
    given, truth = task.draw(0)
    described = {
        "n_train": len(given.X_train),
        "n_features": given.X_train.shape[1],
        "n_classes": truth.n_classes,
    }
    with shared_folder(X_train=given.X_train) as folder:
        result = run_in_child(time_training_loop, folder, truth.n_classes, repeats)
    run = {**identity, "group": "speed", "description": task.description, **described}
    run = {**run, **result, **circumstances()}
    append_run(runs_file, run)
    log(f"training loop: {result}")


def time_training_loop(folder, n_classes, repeats):
    """Alternate between epochs of training and their matrix products; return medians."""
    X = read_arrays(folder)["X_train"]
    classifier = LRADiffusionClassifier()
    features = torch.from_numpy((X - X.mean(axis=0)) / (X.std(axis=0) + 1e-6))
    generator = torch.Generator().manual_seed(0)
    distributions = torch.rand(len(X), n_classes, generator=generator)
    distributions /= distributions.sum(dim=1, keepdim=True)
    data = TrainingData(features, distributions, torch.ones(len(X)))
    settings = TrainingSettings(N_EPOCHS, batch_size=classifier.batch_size)
    denoiser = LabelDenoiser(X.shape[1], n_classes, classifier.n_timesteps, classifier.hidden_size)
    schedule = NoiseSchedule(classifier.noise_schedule, classifier.n_timesteps)
    seconds = {"training_loop": [], "matrix_products": []}
    result = {}
    with measured(result), limited_threads(classifier.n_jobs):
        for _ in range(repeats):
            denoiser.initialize(generator)
            model = LabelDiffusion(denoiser, schedule, classifier.prediction_type)
            start = time.perf_counter()
            for _ in train_denoiser(data, TrainingState(model, settings, generator)):
                pass
            seconds["training_loop"].append(time.perf_counter() - start)
            seconds["matrix_products"].append(_time_products(denoiser, features, settings))
    scores = {f"{name}_seconds": float(np.median(own)) for name, own in seconds.items()}
    return {**result, "n_threads": 1, "scores": scores}


def _time_products(denoiser, features, settings):
    """Return the seconds of the products that training takes, forward and backward.

    Each linear layer multiplies once forward and once for the gradient of its weight; those that
    do not see the data directly once more for the gradient of their input.
    """
    n_batches = -(-len(features) // settings.batch_size)
    size = len(features) // n_batches
    products = []
    for name, layer in denoiser.named_modules():
        if not isinstance(layer, torch.nn.Linear):
            continue
        inputs, outputs = torch.rand(size, layer.in_features), torch.rand(size, layer.out_features)
        weight = layer.weight.detach()
        products += [(inputs, weight.T), (outputs.T, inputs)]
        if name not in ("encoder", "label_input", "feature_input"):
            products.append((outputs, weight))
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(n_batches * settings.n_epochs):
            for left, right in products:
                torch.mm(left, right)
    return time.perf_counter() - start

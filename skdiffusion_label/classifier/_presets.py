"""The settings of the paper's experiments."""

_COMMON = {
    "metric": "euclidean",
    "retrieval_space": "features",
    "label_aggregation": "vote",
    "dropout": 0.0,
    "n_timesteps": 1000,
    "noise_schedule": "cosine",
    "prediction_type": "epsilon",
    "prior": None,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "n_sampling_steps": 10,
    "n_draws": "mean",
}
_BY_DATASET = {
    "cifar": {
        "n_neighbors": 10,
        "hidden_size": 512,
        "batch_size": 200,
        "max_iter": 200,
        "label_weighting": "agreement",
    },
    "food101n": {
        "n_neighbors": 10,
        "hidden_size": 1024,
        "batch_size": 256,
        "max_iter": 200,
        "label_weighting": "agreement",
    },
    "webvision": {
        "n_neighbors": 50,
        "hidden_size": 1024,
        "batch_size": 256,
        "max_iter": 200,
        "label_weighting": "uniform",
    },
    "clothing1m": {
        "n_neighbors": 20,
        "hidden_size": 1024,
        "batch_size": 256,
        "max_iter": 200,
        "label_weighting": "uniform",
    },
}


def published_settings(dataset):
    """Return the parameters of one of the paper's experiments.

    They are what the published code does where the published text and code differ, except for its
    defects: the moving average is not kept rather than kept and unused, the step size falls over
    the epochs that are trained, no epoch is chosen by clean labels, and the row itself is not among
    its own neighbors. Sampling clamps the guessed label to [0, 1], takes evenly spaced timesteps
    down to 0 and ends at the guess. The read-off's temperature is fitted rather than 1, which makes
    probabilities of its scores and leaves the most probable class as it is. Features are
    scaled before they enter the network; retrieval sees them as they are. The paper's second
    image encoder is an encoder of the features here.

    They are meant for data of that size: predicted noise takes tens of thousands of updates to
    learn, which 200 epochs of a small table are far from.

    Parameters
    ----------
    dataset : {"cifar", "food101n", "webvision", "clothing1m"}
        Which experiment. "cifar" is for CIFAR-10 and CIFAR-100 alike.

    Returns
    -------
    dict
        Parameters of :class:`LRADiffusionClassifier`.

    Raises
    ------
    ValueError
        If there is no such experiment.

    References
    ----------
    J. Chen et al., "Label-Retrieval-Augmented Diffusion Models for Learning from Noisy Labels",
    NeurIPS 2023.

    Examples
    --------
    >>> from skdiffusion_label import LRADiffusionClassifier, published_settings
    >>> clf = LRADiffusionClassifier(**published_settings("cifar"), random_state=0)
    >>> clf.prediction_type
    'epsilon'
    """
    if dataset not in _BY_DATASET:
        raise ValueError(f"dataset must be one of {sorted(_BY_DATASET)}, got {dataset!r}.")
    return {**_COMMON, **_BY_DATASET[dataset]}

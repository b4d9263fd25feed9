"""The variant of the classifier that trains an encoder of images along."""

import warnings
from numbers import Integral
from os import PathLike

from joblib import effective_n_jobs
from sklearn.utils._param_validation import StrOptions

from skdiffusion_label._torch import (
    from_first_process,
    launched_process,
    printed_form,
    sum_over_processes,
)
from skdiffusion_label.classifier._checkpoint import Checkpoint, check_checkpoint_dir
from skdiffusion_label.classifier._classifier import LRADiffusionClassifier
from skdiffusion_label.classifier._encoder import JointEncoder, initial_encoder
from skdiffusion_label.classifier._encoder_inputs import columns_of, encoder_inputs
from skdiffusion_label.diffusion import Processes
from skdiffusion_label.embedding._identity import UnidentifiableError
from skdiffusion_label.embedding._images import ImageRows

# What, besides data, weights and the training loop's options, decides how a training ends.
_JUDGED_BY = "n_iter_no_change", "n_sampling_steps", "n_draws"


class LRADiffusionImageClassifier(LRADiffusionClassifier):
    """LRADiffusionClassifier that trains an encoder of images along.

    The paper's second image encoder: a network that sees the images themselves gates the denoiser's
    first layer, while neighbors are looked up among the features of ``feature_extractor``. Long
    trainings can be interrupted, and shared by several processes.

    Parameters
    ----------
    feature_extractor : transformer, default=None
        Turns images into the features among which neighbors are looked up, such as
        ``CLIPEmbedder``. Needed unless ``X`` is a table of numbers.
    encoder : torch.nn.Module, callable or {"linear", "mlp"}, default="linear"
        A module, or a function without arguments that makes one, embeds ``X`` itself. It is left as
        it is; a copy is trained, in bfloat16 on a GPU. Rows of ``X`` are images as for
        ``CLIPEmbedder``, read batch by batch by ``n_jobs`` processes, or vectors if ``X`` is a
        table of numbers. By name, a network of the features as in ``LRADiffusionClassifier``.
    encoder_transform : callable or pair of callables, default=None
        Turns a row, an image of PIL or a vector, into the tensor that a module takes: the first of
        a pair in training, which may draw from the global generators of torch, numpy and Python
        (these are seeded and restored), the second in prediction. None makes images tensors of
        shape (3, height, width) within [0, 1].
    checkpoint_dir : str or path-like, default=None
        Directory in which training leaves its state after each epoch, one file for each fit. A
        ``fit`` that has begun just like an interrupted one goes on from there, to the same result:
        same data, parameters and ``random_state``, which must be an int. The encoder and
        ``encoder_transform`` are known by all that they hold and call; with what cannot be known
        so, such as an open file, there is a warning and no checkpoint. A callback that has stopped
        training is asked again.
    distributed : bool, default=False
        Let the processes that ``accelerate launch`` or ``torchrun`` has started train one model
        together, each on the device that accelerate gives it and on its share of each batch; all of
        them keep it. ``random_state`` must be an int.
    n_neighbors, metric, retrieval_space, neighbors_algorithm, label_aggregation, hidden_size, \
            dropout, n_timesteps, noise_schedule, prediction_type, prior, max_iter, batch_size, \
            learning_rate, weight_decay, label_weighting, validation_fraction, n_iter_no_change, \
            class_weight, warm_start, n_sampling_steps, n_draws, device, random_state, n_jobs, \
            verbose
        As for :class:`LRADiffusionClassifier`; but the network predicts alone: the encoder is to
        learn what the features lack.

    Attributes
    ----------
    encoder_ : torch.nn.Module or None
        The trained encoder, on the CPU, if ``encoder`` is not a name. The other attributes are
        those of :class:`LRADiffusionClassifier`.

    See Also
    --------
    LRADiffusionClassifier : Learns from features alone.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from skdiffusion_label import LRADiffusionImageClassifier
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> module = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    >>> clf = LRADiffusionImageClassifier(encoder=module, max_iter=5, random_state=0).fit(X, y)
    >>> clf.encoder_[0]
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """

    _parameter_constraints = {
        **LRADiffusionClassifier._parameter_constraints,
        "encoder": [StrOptions({"linear", "mlp"}), callable],
        "encoder_transform": [callable, tuple, None],
        "checkpoint_dir": [str, PathLike, None],
        "distributed": ["boolean"],
    }

    def __init__(
        self,
        feature_extractor=None,
        *,
        encoder="linear",
        encoder_transform=None,
        checkpoint_dir=None,
        distributed=False,
        n_neighbors="auto",
        metric="cosine",
        retrieval_space="auto",
        neighbors_algorithm="auto",
        label_aggregation="judges",
        hidden_size=256,
        dropout=0.2,
        n_timesteps=20,
        noise_schedule="linear",
        prediction_type="logits",
        prior=None,
        max_iter="auto",
        batch_size=256,
        learning_rate=3e-3,
        weight_decay=0.5,
        label_weighting="uniform",
        validation_fraction=0.1,
        n_iter_no_change=None,
        class_weight=None,
        warm_start=False,
        n_sampling_steps=1,
        n_draws=8,
        device="auto",
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        super().__init__(
            feature_extractor,
            encoder=encoder,
            n_neighbors=n_neighbors,
            metric=metric,
            retrieval_space=retrieval_space,
            neighbors_algorithm=neighbors_algorithm,
            label_aggregation=label_aggregation,
            hidden_size=hidden_size,
            dropout=dropout,
            n_timesteps=n_timesteps,
            noise_schedule=noise_schedule,
            prediction_type=prediction_type,
            prior=prior,
            max_iter=max_iter,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            label_weighting=label_weighting,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            class_weight=class_weight,
            warm_start=warm_start,
            n_sampling_steps=n_sampling_steps,
            n_draws=n_draws,
            device=device,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.encoder_transform = encoder_transform
        self.checkpoint_dir = checkpoint_dir
        self.distributed = distributed

    _joins_judges = False

    @property
    def encoder_(self):
        """The trained encoder, on the CPU, or None."""
        return self._encoder

    def _training_devices(self):
        for name, needs_it in {
            "distributed=True": self.distributed,
            "checkpoint_dir": self.checkpoint_dir is not None,
        }.items():
            if needs_it and not isinstance(self.random_state, Integral):
                raise ValueError(
                    f"{name} needs an int random_state, so that all that is to be the same is "
                    f"drawn alike, got {self.random_state!r}."
                )
        check_checkpoint_dir(self.checkpoint_dir)
        if not self.distributed:
            return super()._training_devices()
        process = launched_process()
        own = Processes(process.process_index, process.num_processes, sum_over_processes)
        return process.device, own

    def _joint_encoder(self, X, continues, random_state):
        transform = self.encoder_transform
        if isinstance(self.encoder, str):
            if transform is not None:
                raise ValueError(
                    "encoder_transform is for a torch module as encoder, "
                    f"got encoder={self.encoder!r}."
                )
            return None
        if isinstance(transform, tuple) and not (
            len(transform) == 2 and all(map(callable, transform))
        ):
            raise ValueError(
                "encoder_transform must be a function or a pair of functions, for training and for "
                f"prediction, got {transform!r}."
            )
        inputs = encoder_inputs(X, transform, effective_n_jobs(self.n_jobs))
        is_table = not isinstance(inputs.rows, ImageRows)
        if self.feature_extractor is None and not is_table:
            raise ValueError(
                "X of images needs a feature_extractor, such as CLIPEmbedder, beside the encoder: "
                "neighbors are looked up among its features."
            )
        module = initial_encoder(self.encoder, inputs, self.hidden_size, random_state)
        columns = columns_of(X) if is_table else None
        if continues:
            columns = self._input_columns
            if printed_form(module) != printed_form(self._encoder):
                raise ValueError(
                    f"warm_start=True needs the encoder of the previous fit, {self._encoder}, "
                    f"got {module}."
                )
        return JointEncoder(module, inputs, columns)

    def _encoder_inputs(self, X):
        if self._encoder is None:
            return None
        n_workers = effective_n_jobs(self.n_jobs)
        return encoder_inputs(X, self.encoder_transform, n_workers, self._input_columns)

    def _keep_on_disk(self, training, inputs, rows):
        if self.checkpoint_dir is None:
            return
        state, processes = training.state, training.processes
        identity = [
            (inputs.identity(), self.label_distributions_, rows.identity()),
            state.vector,
            state.generator.get_state(),
            vars(state.settings),
            self._network,
            state.model.denoiser,
            [getattr(self, name) for name in _JUDGED_BY],
            processes.number,
        ]
        try:
            checkpoint = Checkpoint(self.checkpoint_dir, identity)
        except UnidentifiableError as error:
            warnings.warn(
                f"checkpoint_dir {str(self.checkpoint_dir)!r} is not used: encoder or "
                f"encoder_transform holds {error}, of which no other process can say whether it "
                "is the same.",
                UserWarning,
                stacklevel=7,
            )
            return
        saved = checkpoint.load()
        if processes.number > 1:  # whose disks may differ
            saved = from_first_process(saved)
        training.resume(checkpoint, saved)

"""Prediction with a fitted label diffusion model."""

import itertools
import math
from collections import deque
from numbers import Integral

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.utils import check_random_state, check_scalar, column_or_1d
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from skdiffusion_label._torch import (
    limited_threads,
    make_generator,
    prediction_device,
    to_tensor,
)
from skdiffusion_label.classifier._inputs import DenoiserInputs, encoder_inputs
from skdiffusion_label.classifier._network import fitted_model
from skdiffusion_label.classifier._prior import prior_mean
from skdiffusion_label.diffusion import (
    NoiseSchedule,
    add_noise,
    class_probabilities,
    draw_probabilities,
)
from skdiffusion_label.noise_model import labels_of_evidence
from skdiffusion_label.retrieval import neighbors_graph

# Rows are denoised in blocks of one shape, the last one filled up with zeros: a matrix product of
# another shape may sum in another order, and a row's result would depend on the number of rows.
_ROWS_PER_BLOCK = 512


def starting_noise(n_draws, n_classes, generator):
    """Draw starts (n_draws, n_classes) in mirrored pairs, or the mean itself for "mean"."""
    if n_draws == "mean":
        return torch.zeros(1, n_classes, dtype=torch.float64)
    half = torch.randn((n_draws + 1) // 2, n_classes, generator=generator, dtype=torch.float64)
    return torch.stack([half, -half], dim=1).flatten(0, 1)[:n_draws]


def last(steps):
    """Return the last label of a chain without keeping the others."""
    (y_0,) = deque(steps, maxlen=1)
    return y_0


class LabelDiffusionPredictor:
    """Methods that predict from the state that ``LRADiffusionClassifier.fit`` leaves."""

    def predict(self, X):
        """Predict the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels as they were given to ``fit``.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def predict_proba(self, X):
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype=float64
            Rows sum to one; columns in the order of ``classes_``. A row's probabilities do not
            depend on the other rows.
        """
        check_is_fitted(self)
        return self._denoise(self._transform(X))

    def predict_log_proba(self, X):
        """Predict the logarithm of each class's probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype=float64
        """
        proba = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(proba)

    def staged_predict_proba(self, X):
        """Predict the probability of each class as it stands after each denoising step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.

        Yields
        ------
        ndarray of shape (n_samples, n_classes), dtype=float64
            ``n_sampling_steps`` times, or once for each timestep if there are fewer; the last one
            is that of ``predict_proba``.
        """
        check_is_fitted(self)
        blocks = self._run_chains(
            self._transform(X), lambda steps: [self._probabilities(y_0) for y_0 in steps]
        )
        for stage in zip(*blocks, strict=True):
            yield torch.cat(stage).numpy()

    def sample_labels(self, X, n_samples=1, random_state=0):
        """Draw labels from the learned distribution of each row's label.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, or whatever ``feature_extractor`` takes.
        n_samples : int, default=1
            Number of labels to draw for each row.
        random_state : int, RandomState instance or None, default=0
            Source of the draws. All rows share the same random numbers, so that what is drawn for a
            row does not depend on the other rows.

        Returns
        -------
        ndarray of shape (n_rows, n_samples)
            Labels as they were given to ``fit``.

        Raises
        ------
        TypeError, ValueError
            If ``n_samples`` is not an integer of at least one.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        generator = make_generator(check_random_state(random_state))
        n_classes = len(self.classes_)
        shape = (n_samples, n_classes)
        start = torch.randn(shape, generator=generator, dtype=torch.float64)
        thresholds = torch.rand((n_samples, 1, 1), generator=generator, dtype=torch.float64)

        def draw_codes(steps):
            proba = draw_probabilities(
                last(steps), self._network["prediction_type"], self.temperature_
            )
            return (proba.cumsum(dim=2) <= thresholds).sum(dim=2).clamp(max=n_classes - 1)

        inputs = self._transform(X)
        codes = self._run_chains(inputs, draw_codes, start=start, noise_generator=generator)
        return self.classes_[torch.cat(codes, dim=1).T.numpy()]

    def purify_proba(self, X, y, timestep=None, *, trained_on=False):
        """Infer the true label from both the row and the label that it was given.

        The given label is diffused to an intermediate timestep and denoised in one step. What no
        classifier of x alone can do: the later the timestep, the less the given label is trusted;
        at the last one it is ignored.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.
        y : array-like of shape (n_samples,)
            Given labels, all of them among ``classes_``. With a ``prior`` that has been fitted on
            these very labels, as on the training rows, the labels vouch for themselves.
        timestep : int, default=None
            From 0 to ``n_timesteps - 1``: the label itself is diffused, and results are averaged
            over the same starts as in ``predict_proba``. By default ``fit`` has chosen the trust in
            given labels from these alone (``label_trust_``), and a label enters as the mean
            diffused label that carries just as much evidence for each class as the estimated noise
            has left in it, at the timestep at which a diffused label does.
        trained_on : bool, default=False
            Whether ``fit`` has learned from these very rows and labels. What they say is partly in
            the network then, and ``training_label_trust_`` takes the place of ``label_trust_``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype=float64
            Rows sum to one; columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        last_timestep = self._network["n_timesteps"] - 1
        if timestep is not None:
            check_scalar(timestep, "timestep", Integral, min_val=0, max_val=last_timestep)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y must hold labels seen in fit, got {unknown[:5]} besides.")
        start = None
        labels = np.eye(len(self.classes_))
        if timestep is None:
            trust = self.training_label_trust_ if trained_on else self.label_trust_
            log_odds = _log_odds_of_signal(self._network)
            timestep, labels = labels_of_evidence(trust * self._evidence, log_odds)
            start = torch.zeros(1, len(labels))
        labels = labels[np.searchsorted(self.classes_, y)]
        return self._denoise(self._transform(X), start=start, labels=labels, timestep=int(timestep))

    def purify_labels(self, X, y, timestep=None, *, trained_on=False):
        """Infer the true label of each row from the row and its given label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.
        y : array-like of shape (n_samples,)
            Given labels, all of them among ``classes_``.
        timestep : int, default=None
            See :meth:`purify_proba`.
        trained_on : bool, default=False
            See :meth:`purify_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            The most probable class of :meth:`purify_proba`.
        """
        proba = self.purify_proba(X, y, timestep, trained_on=trained_on)
        return self.classes_[proba.argmax(axis=1)]

    def kneighbors_graph(self, X):
        """Return the distances from the training rows to the neighbors that ``fit`` has found.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training rows as they were given to ``fit``, in the same order.

        Returns
        -------
        csr_matrix of shape (n_samples, n_samples), dtype=float64
            Distances between features by ``metric``, wherever the neighbors were looked up. In
            each row the smallest comes first.

        Raises
        ------
        ValueError
            If ``X`` has another number of rows than the training data.
        """
        check_is_fitted(self)
        features = self._extract_features(X)
        if len(features) != len(self.neighbors_):
            raise ValueError(
                f"X must be the {len(self.neighbors_)} training rows, got {len(features)} rows."
            )
        return neighbors_graph(features, self.neighbors_, metric=self.metric)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "weights_")

    def _extract_features(self, X):
        """Return validated features (n_samples, n_features) of ``X``."""
        if self.feature_extractor_ is not None:
            X = self.feature_extractor_.transform(X)
        return validate_data(self, X, reset=False, dtype=[np.float64, np.float32])

    def _transform(self, X):
        """Validate rows and return what the denoiser sees of them."""
        raw = None
        if self.encoder_ is not None:
            n_workers = effective_n_jobs(self.n_jobs)
            raw = encoder_inputs(X, self.encoder_transform, n_workers, self._input_columns)
        features = self._extract_features(X)
        condition = self._scaler.transform(features)
        if self.prior_ is None:
            return DenoiserInputs(condition, raw=raw)
        means = prior_mean(self.prior_, features, self.classes_)
        return DenoiserInputs(np.hstack([condition, means]), means, raw)

    def _denoise(self, inputs, **options):
        """Return the probabilities (n_samples, n_classes) at the end of the chains."""

        def read_off(steps):
            return self._probabilities(last(steps))

        return torch.cat(self._run_chains(inputs, read_off, **options)).numpy()

    def _probabilities(self, y_0):
        return class_probabilities(y_0, self._network["prediction_type"], self.temperature_)

    def _sample(self, inputs):
        """Return the labels (n_draws, n_samples, n_classes) at the end of the chains."""
        return torch.cat(self._run_chains(inputs, last), dim=1)

    def _run_chains(
        self, inputs, read_off, *, start=None, labels=None, timestep=None, noise_generator=None
    ):
        """Return for each block of rows what ``read_off`` makes of its chain.

        A chain is an iterator of the labels (n_draws, n, n_classes) guessed at each step. It starts
        from ``initial_noise_`` or from ``start``. With ``labels`` (n, n_classes) it has one step,
        and these are diffused to ``timestep`` with that start as noise.
        """
        start = (torch.tensor(self.initial_noise_) if start is None else start).float()
        device = prediction_device(self.device)
        n_draws = len(start)
        model = fitted_model(self).to(device).eval()
        timesteps = model.timesteps(self.n_sampling_steps if labels is None else 1, start=timestep)
        noise = None
        if self.sampler == "ddpm":
            noise = self._step_noise(len(timesteps), start, noise_generator).to(device)
        start = start.to(device).unsqueeze(1)
        results = []
        # A power of two, which vector instructions divide without a rest to be rounded otherwise.
        n_rows = 2 ** int(math.log2(max(1, _ROWS_PER_BLOCK // n_draws)))
        blocks = [slice(first, first + n_rows) for first in range(0, len(inputs), n_rows)]
        with limited_threads(self.n_jobs), torch.inference_mode():
            for rows, raw in zip(blocks, _raw_blocks(inputs, blocks), strict=False):
                condition = inputs.condition[rows]
                n_used = len(condition)
                if raw is not None:  # images to fill up with would cost too much
                    n_rows, raw = n_used, raw.to(device)
                features = _block(condition, n_rows, device)
                means = inputs.prior_means
                prior = None if means is None else _block(means[rows], n_rows, device)
                y_t = start.expand(-1, n_rows, -1)
                if labels is not None:
                    y_0 = _block(labels[rows], n_rows, device)
                    t = torch.tensor(timestep, device=device)
                    y_t = add_noise(y_0, y_t, t, model.schedule, prior)
                elif prior is not None:
                    y_t = y_t + prior
                steps = model.denoise(y_t, timesteps, features, prior, self.sampler, noise, raw)
                results.append(read_off(y_0[:, :n_used].cpu().double() for y_0 in steps))
        return results

    def _step_noise(self, n_steps, start, generator):
        """Draw the noise that "ddpm" adds between steps, the same for all rows and calls."""
        if generator is None:
            generator = torch.Generator().manual_seed(self._sampling_seed)
        return torch.randn(
            (max(n_steps - 1, 0), *start.shape), generator=generator, dtype=start.dtype
        )


def _log_odds_of_signal(network):
    """Return signal squared to noise squared of a diffused label for each timestep."""
    schedule = NoiseSchedule(network["noise_schedule"], network["n_timesteps"])
    return (schedule.alphas_cumprod / (1 - schedule.alphas_cumprod)).numpy()


def _raw_blocks(inputs, blocks):
    """Return the inputs of an encoder of its own inputs for each block of rows, or Nones."""
    if inputs.raw is None:
        return itertools.repeat(None)
    return inputs.raw.batches([range(*rows.indices(len(inputs))) for rows in blocks])


def _block(array, n_rows, device):
    """Return the rows of ``array`` and zeros up to ``n_rows`` as a tensor in float32."""
    block = torch.zeros((n_rows, array.shape[1]), device=device)
    block[: len(array)] = to_tensor(array, block.dtype, device)
    return block

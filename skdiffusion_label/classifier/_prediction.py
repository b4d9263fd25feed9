"""Prediction with a fitted label diffusion model."""

from dataclasses import replace
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_array, check_random_state, check_scalar, column_or_1d
from sklearn.utils.validation import (
    _check_n_features,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skdiffusion_label._torch import (
    limited_threads,
    make_generator,
    prediction_device,
    usable_threads,
)
from skdiffusion_label.classifier._chains import Chains, last
from skdiffusion_label.classifier._features import CHECKS
from skdiffusion_label.classifier._inputs import Sight
from skdiffusion_label.classifier._network import fitted_model
from skdiffusion_label.classifier._streams import ROWS_AT_ONCE, map_rows, numbers, release_pages
from skdiffusion_label.classifier._validation import check_numbers
from skdiffusion_label.classifier._versions import VersionedState
from skdiffusion_label.diffusion import draw_probabilities
from skdiffusion_label.noise_model import posterior
from skdiffusion_label.retrieval import neighbors_graph

# Share of a row's norm by which it may have moved: features in single precision, or of a network on
# another device, move by about 1e-7, and what moves by less than this has the same neighbors.
_SAME_ROW = 1e-5
_LEAST_PROBABILITY = 1e-4  # below which judges do not tell probabilities apart


def row_fingerprints(features):
    """Return each row's norm and a weighted sum of its entries, (n_samples, 2), as a tuple."""
    features = np.asarray(features, dtype=np.float64)
    weights = np.cos(np.arange(1, features.shape[1] + 1))
    return (np.stack([np.linalg.norm(features, axis=1), features @ weights], axis=1),)


class LabelDiffusionPredictor(VersionedState):
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
        check_is_fitted(self)
        with usable_threads():
            _, blocks = self._proba_of_blocks(X)
            codes = [proba.argmax(axis=1) for _, proba in blocks]
        return self.classes_[np.concatenate(codes)]

    @usable_threads()
    def predict_proba(self, X, out=None):
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes. They are read a block at a time.
        out : array of shape (n_samples, n_classes), default=None
            Where to write the probabilities, such as a ``numpy.memmap`` of numbers.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype=float64, or ``out``
            Rows sum to one; columns in the order of ``classes_``. A row's probabilities do not
            depend on the other rows.

        Raises
        ------
        ValueError
            If ``out`` has another shape.
        """
        check_is_fitted(self)
        features, blocks = self._proba_of_blocks(X)
        shape = len(features), len(self.classes_)
        out = np.empty(shape) if out is None else out
        if out.shape != shape:
            raise ValueError(f"out must have shape {shape}, got {out.shape}.")
        for rows, proba in blocks:
            out[rows] = proba
        return out

    def _proba_of_blocks(self, X):
        """Return features, and an iterator of slices of rows and their probabilities."""
        raw, features = self._encoder_inputs(X), self._extract_features(X)
        chains, judges = self._chains(), self._judges and self._judges.at_hand

        def blocks():
            for first in range(0, len(features), ROWS_AT_ONCE):
                rows = slice(first, min(first + ROWS_AT_ONCE, len(features)))
                some = numbers(features[rows])
                inputs = self._inputs(some, None if raw is None else raw.take(rows))
                (proba,) = self._joined(judges, some, inputs, chains.proba(inputs))
                release_pages(features)
                yield rows, proba

        return features, blocks()

    def predict_log_proba(self, X):
        """Predict the logarithm of each class's probability, minus infinity of none.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype=float64
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

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
        with usable_threads():
            features, inputs = self._read(X)
            stages = self._joined(
                self._judges, features, inputs, *self._chains().staged_proba(inputs)
            )
        yield from stages

    @usable_threads()
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

        features, inputs = self._read(X)
        chains = self._chains()
        of_judges = torch.from_numpy(self._of_judges(features, inputs))

        def draw_codes(steps, rows):
            proba = draw_probabilities(
                last(steps), self._network["prediction_type"], self.temperature_
            )
            proba = proba * of_judges[rows]
            proba /= proba.sum(dim=2, keepdim=True)
            return (proba.cumsum(dim=2) <= thresholds).sum(dim=2).clamp(max=n_classes - 1)

        codes = chains.run(inputs, draw_codes, start=start)
        return self.classes_[torch.cat(codes, dim=1).T.numpy()]

    @usable_threads()
    def purify_proba(self, X, y, timestep=None):
        """Infer the true label from both the row and the label that it was given.

        By Bayes' rule from what is predicted and the noise that ``fit`` has estimated
        (``transition_matrix_``, ``label_trust_``). Or, at a ``timestep``, the given label is
        diffused to there and denoised, in as many steps as in prediction: the later the timestep,
        the less the label is trusted; at the last one it is ignored. For rows of ``fit``, whose
        labels the network has learned from already, see ``label_distributions_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.
        y : array-like of shape (n_samples,)
            Given labels, all of them among ``classes_``. With a ``prior`` that has been fitted on
            these very labels, as on the training rows, the labels vouch for themselves.
        timestep : int, default=None
            From 0 to ``n_timesteps - 1``: where the label is diffused to. Results are averaged over
            the same starts as in ``predict_proba``. By default Bayes' rule decides.

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
        codes = np.searchsorted(self.classes_, y)
        features, inputs = self._read(X)
        chains = self._chains()
        if timestep is None:
            (proba,) = self._joined(self._judges, features, inputs, chains.proba(inputs))
            likelihood = self._local_noise.likelihood(proba, codes, self.transition_matrix_)
            return posterior(proba, likelihood)
        # What a later timestep leaves of a label is brought where a chain can start.
        log_odds = chains.model.schedule.log_odds.cpu().numpy()
        labels = np.eye(len(self.classes_))[codes]
        if timestep > chains.model.starting_timestep:
            labels *= log_odds[timestep] / log_odds[chains.model.starting_timestep]
            timestep = chains.model.starting_timestep
        proba = chains.proba(inputs, labels=labels, timestep=timestep)
        proba *= self._of_judges(features, inputs)
        return proba / proba.sum(axis=1, keepdims=True)

    def purify_labels(self, X, y, timestep=None):
        """Infer the true label of each row from the row and its given label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or whatever ``feature_extractor`` takes.
        y : array-like of shape (n_samples,)
            Given labels, all of them among ``classes_``.
        timestep : int, default=None
            See :meth:`purify_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            The most probable class of :meth:`purify_proba`.
        """
        proba = self.purify_proba(X, y, timestep)
        return self.classes_[proba.argmax(axis=1)]

    @usable_threads()
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
            If ``X`` has another number of rows than the training data, or other rows at some
            position, beyond what single precision rounds.
        """
        check_is_fitted(self)
        features = self._extract_features(X)
        n_rows = len(self.neighbors_)
        if len(features) != n_rows:
            raise ValueError(f"X must be the {n_rows} training rows, got {len(features)} rows.")
        (fingerprints,) = map_rows(row_fingerprints, features)
        moved = np.abs(fingerprints - self._fingerprints)
        is_other = (moved > _SAME_ROW * self._fingerprints[:, :1]).any(axis=1)
        if is_other.any():
            raise ValueError(
                f"X must be the {n_rows} training rows in the same order, got another row "
                f"{is_other.argmax()}."
            )
        return neighbors_graph(features, self.neighbors_, metric=self.metric)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "weights_")

    def _extract_features(self, X):
        """Return validated features (n_samples, n_features) of ``X``."""
        if self.feature_extractor_ is None:
            features = validate_data(self, X, reset=False, **CHECKS)
        else:  # whose output has names or not as it is set when it is called
            features = self.feature_extractor_.transform(X)
            features = check_array(features, **CHECKS)
            _check_n_features(self, features, reset=False)
        check_numbers(features, self)
        return features

    def _encoder_inputs(self, X):
        """Return the inputs of an encoder of its own inputs, if there is one."""
        del X

    def _read(self, X):
        """Validate rows and return their features, and what the denoiser sees of them."""
        raw = self._encoder_inputs(X)
        features = numbers(self._extract_features(X))
        return features, self._inputs(features, raw)

    def _inputs(self, features, raw):
        with limited_threads(self.n_jobs):
            return Sight(self._scaler, self.prior_, self.classes_).inputs(features, raw)

    def _joined(self, judges, features, inputs, *stages):
        """Join what the network says of rows, once or more, with the judges, if there are any."""
        if judges is None:
            return stages
        standardized = inputs.condition[:, : features.shape[1]]
        with limited_threads(self.n_jobs):
            return judges.truth(features, standardized, *stages)

    def _of_judges(self, features, inputs):
        """Return the factors by which the judges change what the network says of rows.

        Of one denoising step: after several, draws have settled and leave zeros.
        """
        if self._judges is None:
            return np.ones((len(features), len(self.classes_)))
        proba = replace(self._chains(), n_steps=1).proba(inputs)
        (joined,) = self._joined(self._judges, features, inputs, proba)
        return joined / proba.clip(min=_LEAST_PROBABILITY)

    def _chains(self):
        model = fitted_model(self._network, self.weights_, self._encoder)
        return Chains(
            model.to(prediction_device(self.device)),
            self.initial_noise_,
            self.n_sampling_steps,
            self.temperature_,
            self.n_jobs,
        )

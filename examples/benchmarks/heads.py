"""Our classifier with its diffusion, or what it retrieves, taken out: what does each add?"""

import copy
import math
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import dropout, log_softmax

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label._torch import limited_threads
from skdiffusion_label.cleaning import LabelCleaner
from skdiffusion_label.diffusion import LabelDenoiser, TrainingSettings
from skdiffusion_label.diffusion._training import learning_rate_factor, warmed_up_decay
from skdiffusion_label.noise_model import deconvolved
from skdiffusion_label.retrieval import bhattacharyya_space


class CleanedLogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression on labels that LabelCleaner has mended."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        """Mend the labels, then fit."""
        ours = LRADiffusionClassifier(random_state=self.random_state)
        X, y = LabelCleaner(ours).fit_resample(X, y)
        self.model_ = LogisticRegression(max_iter=200).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        """Return logistic regression's probabilities."""
        return self.model_.predict_proba(X)


class NetworkAlone(LRADiffusionClassifier):
    """The diffusion without the judges in prediction; they make the labels that it learns."""

    def fit(self, X, y):
        """Fit, and forget the judges."""
        super().fit(X, y)
        self._judges = None
        return self


class WithoutRetrieval(LRADiffusionClassifier):
    """Diffusion on the given labels; of what neighbors and models say it learns nothing."""

    def _judge(self, features, rows, *others):
        judged, *found = super()._judge(features, rows, *others)
        given = np.eye(len(rows.classes), dtype=np.float32)[rows.y_codes]
        return replace(judged, labels=(given,), judges=None), *found


class JudgesAlone(ClassifierMixin, BaseEstimator):
    """Neighbors, linear model and forests, pooled through the noise; no diffusion.

    Our classifier fits them; its network is trained for ``max_iter`` epochs and unused.
    """

    def __init__(self, random_state=0, max_iter=1):
        self.random_state = random_state
        self.max_iter = max_iter

    def fit(self, X, y):
        """Let our classifier fit its judges of the given labels."""
        self.chosen_ = LRADiffusionClassifier(
            max_iter=self.max_iter, random_state=self.random_state
        ).fit(X, y)
        self.classes_ = self.chosen_.classes_
        return self

    def predict_proba(self, X):
        """Return what the judges say, with the network's weight given to them."""
        judges = self.chosen_._judges
        weights = judges.pool.weights.copy()
        of_judges = weights[:, :-1].sum(axis=1, keepdims=True)
        weights[:, :-1] *= weights.sum(axis=1, keepdims=True) / np.maximum(of_judges, 1e-12)
        weights[:, -1] = 0
        alone = replace(judges, pool=replace(judges.pool, weights=weights))
        standardized = self.chosen_._scaler.transform(X)
        (proba,) = alone.truth(X, standardized, np.ones((len(X), len(self.classes_))))
        return proba


class RetrievalVote(JudgesAlone):
    """Retrieval alone: what the neighbors of a row say about its label.

    They are looked up in the class probabilities of the linear model, and their votes are traced
    back through the noise that our classifier has estimated.
    """

    def predict_proba(self, X):
        """Look up the rows' neighbors among the training rows."""
        judges = self.chosen_._judges
        log_proba = judges.models.discriminant.log_proba(self.chosen_._scaler.transform(X))
        bank = judges.banks["supervised"]
        *_, votes = bank.votes(bank.nearest(bhattacharyya_space(log_proba)))
        return deconvolved(votes.astype(np.float64), self.chosen_.transition_matrix_)


class SoftLabelNetwork(ClassifierMixin, BaseEstimator):
    """The denoiser, told no label and no timestep, under cross-entropy on the retrieved labels.

    Width, dropout, optimizer, schedule of the step size, number of updates and moving average are
    those of our classifier, whose judges have no part in its prediction either.
    """

    def __init__(self, random_state=0, max_iter="auto"):
        self.random_state = random_state
        self.max_iter = max_iter

    def fit(self, X, y):
        """Fit our classifier, and then the network on the label distributions that it retrieved."""
        lra = LRADiffusionClassifier(max_iter=self.max_iter, random_state=self.random_state)
        lra.fit(X, y)
        self.classes_, self._scaler = lra.classes_, lra._scaler
        features = torch.from_numpy(self._scaler.transform(X))
        targets = torch.from_numpy(np.array(lra.label_distributions_))
        with limited_threads(lra.n_jobs), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            self._network = train_network(lra, features, targets)
        return self

    @torch.inference_mode()
    def predict_proba(self, X):
        """Predict with the moving average of the weights."""
        features = torch.from_numpy(self._scaler.transform(X))
        return torch.softmax(network_logits(self._network, features).double(), dim=1).numpy()


def network_logits(network, features):
    """Return the denoiser's output for no label at timestep 0."""
    no_label = features.new_zeros(len(features), network.output.out_features)
    return network(no_label, torch.tensor(0), network.encode(features))


def train_network(options, features, targets):
    """Train under cross-entropy on ``targets`` (n, k); return the moving average.

    ``options`` is our fitted classifier.
    """
    network = LabelDenoiser(
        features.shape[1], targets.shape[1], 1, options.hidden_size, options.encoder
    )
    network.initialize(torch.default_generator)
    averaged = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    n_batches = max(1, min(math.ceil(len(features) / options.batch_size), len(features) // 2))
    n_updates = options.n_iter_ * n_batches
    for update in range(n_updates):
        if update % n_batches == 0:
            batches = torch.randperm(len(features)).tensor_split(n_batches)
        rows = batches[update % n_batches]
        factor = learning_rate_factor((update + 0.5) / n_updates, TrainingSettings.warmup_fraction)
        optimizer.param_groups[0]["lr"] = options.learning_rate * factor
        logits = network_logits(network, dropout(features[rows], options.dropout))
        losses = -(targets[rows] * log_softmax(logits, dim=1)).sum()
        optimizer.zero_grad()
        (losses / targets[rows].sum()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), TrainingSettings.max_grad_norm)
        optimizer.step()
        move_average(averaged, network, warmed_up_decay(TrainingSettings.ema_decay, update))
    return averaged


@torch.no_grad()
def move_average(averaged, network, decay):
    """Move weights and batch statistics of ``averaged`` towards those of ``network``."""
    pairs = zip(averaged.state_dict().values(), network.state_dict().values(), strict=True)
    for mean, value in pairs:
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)

"""The classifier: validates, then orders retrieval, training and read-off."""

from numbers import Integral, Real
from os import PathLike

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skdiffusion_label._torch import fitting_device, limited_threads
from skdiffusion_label.classifier._inputs import DenoiserInputs
from skdiffusion_label.classifier._prediction import LabelDiffusionPredictor
from skdiffusion_label.classifier._prior import fit_prior
from skdiffusion_label.classifier._training import train
from skdiffusion_label.classifier._validation import check_encoder, check_training_data, hold_out
from skdiffusion_label.diffusion import NOISE_SCHEDULES, PREDICTION_TYPES, SAMPLERS
from skdiffusion_label.noise_model import (
    annotator_distributions,
    given_label_trust,
    held_out_losses,
    vote_distributions,
)
from skdiffusion_label.retrieval import RETRIEVAL_SPACES, retrieve


class LRADiffusionClassifier(
    CallbackSupportMixin, LabelDiffusionPredictor, ClassifierMixin, BaseEstimator
):
    """Classifier for training labels of which many are wrong.

    Label-retrieval-augmented diffusion [1]_. Each training row gets, beside its given label, the
    labels of its nearest neighbors; from these a small conditional diffusion model learns to turn a
    random guess into a label, given the features. Neighbors are needed in ``fit`` alone.

    Parameters
    ----------
    feature_extractor : transformer, default=None
        Turns ``X`` into features. A clone is fitted on ``(X, y)``; a ``FrozenEstimator`` is used as
        it is. ``X`` may then be whatever it takes: texts, images, paths, data frames.
    n_neighbors : int or "auto", default="auto"
        Number of neighbors whose labels are retrieved. "auto" is a tenth of the mean class size,
        within 10 and 50.
    metric : {"cosine", "euclidean"}, default="cosine"
        Metric of retrieval.
    retrieval_space : {"auto", "features", "standardized", "supervised"}, default="auto"
        Where neighbors are looked up: in the features, in the features at unit variance, or in the
        class probabilities of a linear model of the given labels. "auto" takes the one whose
        neighbors foretell held-out given labels best.
    neighbors_algorithm : {"auto", "exact", "pynndescent"}, default="auto"
        Exact search, approximate search, or whichever should be faster.
    label_aggregation : {"annotators", "vote"}, default="annotators"
        How neighbors' labels are summed up: as those of annotators whose confusion matrix is
        estimated too, or at face value with the row's own label, as published.
    hidden_size : int, default=256
        Width of the denoiser's layers.
    encoder : {"linear", "mlp"}, torch.nn.Module or callable, default="linear"
        Network whose embedding gates the denoiser's first layer. By name it embeds the features. A
        module, or a function without arguments that makes one, embeds ``X`` itself, and is trained
        along: the paper's second image encoder. It is left as it is; a copy is trained, in
        bfloat16 on a GPU. Rows of ``X`` are images as for ``CLIPEmbedder``, read batch by batch by
        ``n_jobs`` processes, or vectors if ``X`` is a table of numbers.
    encoder_transform : callable or pair of callables, default=None
        Turns a row, an image of PIL or a vector, into the tensor that a module takes: the first of
        a pair in training, which may draw from the global generators of torch, numpy and Python
        (these are seeded and restored), the second in prediction. None makes images tensors of
        shape (3, height, width) within [0, 1].
    dropout : float, default=0.2
        Share of the features that are dropped while training, in [0, 1).
    n_timesteps : int, default=20
        Length of the diffusion process.
    noise_schedule : {"linear", "cosine", "const", "quad", "sigmoid", "jsd", "cosine_anneal"}, \
            default="linear"
        How fast noise replaces the label; "cosine" as published.
    prediction_type : {"logits", "sample", "epsilon"}, default="logits"
        What the denoiser predicts: the label's logits under cross-entropy, the one-hot label under
        squared error, or the added noise (as published).
    prior : classifier, default=None
        Its ``predict_proba`` is the mean of the forward process, the prior guess of the label. A
        clone is fitted on features and given labels, without sample weights; the diffusion learns
        from out-of-fold guesses.
    max_iter : int or "auto", default="auto"
        Number of epochs. "auto": enough for 500 updates, within 3 and 200.
    batch_size : int, default=256
        Rows in an update.
    learning_rate : float, default=3e-3
        Peak step size of AdamW.
    weight_decay : float, default=0.5
        Decoupled weight decay of AdamW.
    warmup_fraction : float, default=0.05
        Share of the training with rising step size; half a cosine down to zero follows.
    ema_decay : float, default=0.999
        Decay of the moving average of weights that is used to predict; shorter in early updates.
    label_weighting : {"agreement", "uniform"}, default="agreement"
        Weight of a label drawn in training: its probability, or the same for all.
    early_stopping : bool, default=False
        Hold out rows, stop when accuracy on their *given* labels stops rising, keep the best epoch.
    validation_fraction : float, default=0.1
        Share of rows held out under ``early_stopping``.
    n_iter_no_change : int, default=30
        Epochs without improvement before an early stop.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in training. They apply to the labels that training draws, and
        leave retrieval alone.
    warm_start : bool, default=False
        Continue from the weights of the previous ``fit``.
    sampler : {"ddim", "ddpm"}, default="ddim"
        Deterministic or stochastic denoising steps. This and the next may be set after ``fit``.
    n_sampling_steps : int, default=1
        Number of denoising steps in prediction. With more than one, draws settle on single labels,
        and it takes many draws for their mean to be a probability.
    n_draws : int or "mean", default=8
        Number of random starts over which probabilities are averaged. "mean" is the single most
        likely start, as published.
    temperature : float or "auto", default="auto"
        Divides the scores of the read-off. "auto" fits it to what retrieval found for training
        rows, and is 1.0 for "logits"; 1.0 as published.
    checkpoint_dir : str or path-like, default=None
        Directory in which training leaves its state after each epoch, one file for each fit. A
        ``fit`` that has begun just like an interrupted one goes on from there, to the same result:
        same data, parameters and ``random_state``, which must be an int. A function in
        ``encoder_transform`` is known by its name, a nameless one not at all.
    device : str, default="auto"
        Torch device; "auto" is a CUDA GPU if there is one. With "accelerate", the processes that
        ``accelerate launch`` or ``torchrun`` has started train one model together, each on its own
        device and its share of each batch; all of them keep it.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same result in each call.
    n_jobs : int, default=None
        Number of CPU threads that train and predict, 1 by default: small layers gain little from
        more. Linear algebra in retrieval takes as many as its library does elsewhere.
    verbose : int, default=0
        Print progress: the loss of each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features, after ``feature_extractor``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if they have names that are all strings.
    neighbors_ : ndarray of shape (n_samples, n_neighbors)
        Indices of the training rows' neighbors, the nearest first.
    n_neighbors_ : int
        Number of neighbors.
    retrieval_space_ : str
        Where they were looked up; "given" if they came with ``fit``.
    label_distributions_ : ndarray of shape (n_samples, n_classes), dtype=float32
        What retrieval found for each training row: probabilities of being its label.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        Estimate of P(given label = column | true label = row); None if
        ``label_aggregation="vote"``.
    label_trust_ : float
        How far given labels of new rows are believed beyond what the features say, from 0 to 1; as
        the neighbors of training rows judge, who have not seen the row's label.
    training_label_trust_ : float
        The same for the rows of ``fit``, whose labels the network has learned from already; never
        more. See :meth:`purify_proba`.
    loss_curve_ : list of float
        Training loss of each epoch.
    n_iter_ : int
        Number of epochs trained.
    validation_scores_ : list of float or None
        Accuracy on held-out given labels after each epoch; None without ``early_stopping``.
    initial_noise_ : ndarray of shape (n_draws, n_classes)
        Random starts shared by all rows.
    temperature_ : float
        Temperature of the read-off.
    weights_ : dict of str to ndarray
        Weights of the denoiser.
    encoder_ : torch.nn.Module or None
        The trained encoder, on the CPU, if ``encoder`` is not a name.
    feature_extractor_, prior_ : estimator or None
        Fitted clones.

    See Also
    --------
    published_settings : Parameters of the paper's experiments.

    References
    ----------
    .. [1] J. Chen, R. Zhang, T. Yu, R. Sharma, Z. Xu, T. Sun, C. Chen, "Label-Retrieval-Augmented
       Diffusion Models for Learning from Noisy Labels", NeurIPS 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from skdiffusion_label import LRADiffusionClassifier
    >>> X, y = make_blobs(500, random_state=0)
    >>> rng = np.random.default_rng(0)
    >>> y_noisy = np.where(rng.random(500) < 0.4, rng.integers(3, size=500), y)
    >>> clf = LRADiffusionClassifier(max_iter=50, random_state=0).fit(X, y_noisy)
    >>> bool(clf.score(X, y) > 0.9)
    True
    """

    _parameter_constraints = {
        "feature_extractor": [HasMethods(["fit", "transform"]), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "retrieval_space": [StrOptions({"auto", *RETRIEVAL_SPACES})],
        "neighbors_algorithm": [StrOptions({"auto", "exact", "pynndescent"})],
        "label_aggregation": [StrOptions({"annotators", "vote"})],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "encoder": [StrOptions({"linear", "mlp"}), callable],
        "encoder_transform": [callable, tuple, None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "n_timesteps": [Interval(Integral, 1, None, closed="left")],
        "noise_schedule": [StrOptions(set(NOISE_SCHEDULES))],
        "prediction_type": [StrOptions(set(PREDICTION_TYPES))],
        "prior": [HasMethods(["fit", "predict_proba"]), None],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
        "label_weighting": [StrOptions({"uniform", "agreement"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "sampler": [StrOptions(set(SAMPLERS))],
        "n_sampling_steps": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left"), StrOptions({"mean"})],
        "temperature": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "checkpoint_dir": [str, PathLike, None],
        "device": [str],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        feature_extractor=None,
        *,
        n_neighbors="auto",
        metric="cosine",
        retrieval_space="auto",
        neighbors_algorithm="auto",
        label_aggregation="annotators",
        hidden_size=256,
        encoder="linear",
        encoder_transform=None,
        dropout=0.2,
        n_timesteps=20,
        noise_schedule="linear",
        prediction_type="logits",
        prior=None,
        max_iter="auto",
        batch_size=256,
        learning_rate=3e-3,
        weight_decay=0.5,
        warmup_fraction=0.05,
        ema_decay=0.999,
        label_weighting="agreement",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=30,
        class_weight=None,
        warm_start=False,
        sampler="ddim",
        n_sampling_steps=1,
        n_draws=8,
        temperature="auto",
        checkpoint_dir=None,
        device="auto",
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.feature_extractor = feature_extractor
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.retrieval_space = retrieval_space
        self.neighbors_algorithm = neighbors_algorithm
        self.label_aggregation = label_aggregation
        self.hidden_size = hidden_size
        self.encoder = encoder
        self.encoder_transform = encoder_transform
        self.dropout = dropout
        self.n_timesteps = n_timesteps
        self.noise_schedule = noise_schedule
        self.prediction_type = prediction_type
        self.prior = prior
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_fraction = warmup_fraction
        self.ema_decay = ema_decay
        self.label_weighting = label_weighting
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.sampler = sampler
        self.n_sampling_steps = n_sampling_steps
        self.n_draws = n_draws
        self.temperature = temperature
        self.checkpoint_dir = checkpoint_dir
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)  # the extractor and the prior are the user's
    def fit(self, X, y, sample_weight=None, neighbors=None):
        """Retrieve labels and train the denoiser on them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, or whatever ``feature_extractor`` takes.
        y : array-like of shape (n_samples,)
            Given labels, right or wrong: strings, booleans or integers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in training and in the votes on their neighbors. A row of weight
            zero is nobody's neighbor and not trained on, though its own neighbors are looked up.
        neighbors : sparse matrix of shape (n_samples, n_samples) or array of shape \
                (n_samples, n_neighbors), default=None
            Neighbors found elsewhere: a graph of ``KNeighborsTransformer`` or indices of training
            rows. They take the place of the search.

        Returns
        -------
        self : LRADiffusionClassifier

        Raises
        ------
        ValueError
            If a parameter, ``X``, ``y``, ``sample_weight`` or ``neighbors`` breaks a rule above.
        """
        device = fitting_device(self.device)
        random_state = check_random_state(self.random_state)
        raw, encoder = check_encoder(self, X, random_state)
        features, y, sample_weight, neighbors = check_training_data(
            self, X, y, sample_weight, neighbors
        )
        held_out = hold_out(self, sample_weight, random_state)
        weight = sample_weight - held_out
        standardized = self._standardize(features, weight)
        self._retrieve(features, standardized, y, weight, neighbors, random_state)
        inputs = self._fit_condition(features, standardized, y, weight, raw, random_state)
        with limited_threads(self.n_jobs):
            train(self, inputs, encoder, X, y, weight, held_out, random_state, device)
        return self

    def _standardize(self, features, weight):
        if not hasattr(self, "weights_"):  # a warm start keeps the scale of its weights
            takes_part = weight > 0
            sample_weight = None if takes_part.all() else takes_part
            self._scaler = StandardScaler().fit(features, sample_weight=sample_weight)
        return self._scaler.transform(features).astype(np.float32)

    def _retrieve(self, features, standardized, y, weight, neighbors, random_state):
        y_codes = np.searchsorted(self.classes_, y)
        retrieval = retrieve(
            features,
            standardized,
            y_codes,
            len(self.classes_),
            foretell=held_out_losses,
            n_neighbors=self.n_neighbors,
            metric=self.metric,
            space=self.retrieval_space,
            algorithm=self.neighbors_algorithm,
            sample_weight=weight,
            neighbors=neighbors,
            random_state=int(random_state.randint(np.iinfo(np.int32).max)),
            n_jobs=effective_n_jobs(self.n_jobs),
        )
        self.neighbors_ = retrieval.neighbors
        self.n_neighbors_ = retrieval.neighbors.shape[1]
        self.retrieval_space_ = retrieval.space
        if self.label_aggregation == "vote":
            distributions = vote_distributions(retrieval.votes, y_codes, weight)
            self.label_distributions_, self.transition_matrix_ = distributions, None
            judgement = retrieval.votes / np.maximum(retrieval.votes.sum(axis=1, keepdims=True), 1)
        else:
            found = annotator_distributions(retrieval.votes, y_codes, weight)
            self.label_distributions_, self.transition_matrix_, judgement = found
        rows = np.flatnonzero(weight)
        self.label_trust_ = given_label_trust(judgement[rows], y_codes[rows])

    def _fit_condition(self, features, standardized, y, weight, raw, random_state):
        """Return what the denoiser sees of the training rows."""
        self.prior_ = None
        if self.prior is None:
            return DenoiserInputs(standardized, raw=raw)
        self.prior_, means = fit_prior(self.prior, features, y, weight, self.classes_, random_state)
        return DenoiserInputs(np.hstack([standardized, means]), means, raw)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.feature_extractor is not None:
            tags.input_tags = get_tags(self.feature_extractor).input_tags
        return tags

"""The classifier: fit orders checks, retrieval, training and read-off."""

from numbers import Integral, Real

from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skdiffusion_label._torch import (
    fitting_device,
    limited_threads,
    make_generator,
    usable_threads,
)
from skdiffusion_label.classifier._callbacks import CallbackSupport, run_epochs
from skdiffusion_label.classifier._chains import Chains, starting_noise
from skdiffusion_label.classifier._core import all_inputs, make_core
from skdiffusion_label.classifier._features import draw_seed, read_rows
from skdiffusion_label.classifier._judging import judge_core, judge_others
from skdiffusion_label.classifier._network import (
    fitted_model,
    fitted_weights,
    initial_model,
    network_settings,
)
from skdiffusion_label.classifier._prediction import LabelDiffusionPredictor, row_fingerprints
from skdiffusion_label.classifier._progress import Progress
from skdiffusion_label.classifier._restoring import unchanged_on_error
from skdiffusion_label.classifier._scaler import fit_scaler
from skdiffusion_label.classifier._streams import map_rows
from skdiffusion_label.classifier._training import (
    Training,
    best_temperature,
    early_stopping,
    training_data,
    training_settings,
)
from skdiffusion_label.classifier._validation import check_continuation
from skdiffusion_label.diffusion import (
    NOISE_SCHEDULES,
    PREDICTION_TYPES,
    Processes,
    TrainingState,
)
from skdiffusion_label.retrieval import RETRIEVAL_SPACES

_INDEX = ["fit", "transform", "set_params", "get_params"]  # methods of an index of neighbors


class LRADiffusionClassifier(
    CallbackSupport, LabelDiffusionPredictor, ClassifierMixin, BaseEstimator
):
    """Classifier for training labels of which many are wrong.

    Label-retrieval-augmented diffusion [1]_. Each training row gets, beside its given label, the
    labels of its nearest neighbors; from these a small conditional diffusion model learns to turn a
    random guess into a label, given the features. What it predicts is pooled with what neighbors,
    a linear model and forests say of a row.

    Parameters
    ----------
    feature_extractor : transformer, default=None
        Turns ``X`` into features. A clone is fitted on ``(X, y)``; a ``FrozenEstimator`` is used as
        it is. ``X`` may then be whatever it takes: texts, images, paths, data frames.
    n_neighbors : int or "auto", default="auto"
        Number of neighbors whose labels are retrieved. "auto" is ten, or the other rows of a class
        of mean size if these are fewer, and at least two; and besides, five times as many.
    metric : {"cosine", "euclidean"}, default="cosine"
        Metric of retrieval.
    retrieval_space : {"auto", "features", "standardized", "supervised"}, default="auto"
        Where neighbors are looked up: in the features, in the features on one scale, or in the
        class probabilities of a linear model of the given labels. "auto" takes the last, and the
        one of the others whose neighbors foretell given labels better.
    neighbors_algorithm : {"auto", "exact", "pynndescent"} or transformer, default="auto"
        Exact search, approximate search, or whichever should be faster; in the supervised space it
        is exact. Or an index of your own, with the protocol of scikit-learn's
        ``KNeighborsTransformer``, of Euclidean distances: it finds neighbors among all rows that
        judges learn from, in any space, and is not asked with ``groups``.
    label_aggregation : {"judges", "vote"}, default="judges"
        "judges": training labels are drawn from what neighbors, a linear model and forests say of
        the true label, weighed through the estimated noise, and the row's own label as far as the
        noise goes by class; where logits are predicted, the network then joins these judges, with
        a weight by what it says of rows that it was not trained on. "vote": from the neighbors' and
        the row's own labels at face value, and the network predicts alone, as published.
    hidden_size : int, default=256
        Width of the denoiser's layers.
    encoder : {"linear", "mlp"}, default="linear"
        Network of the features whose embedding gates the denoiser's first layer.
    dropout : float, default=0.2
        Share of the features that are dropped while training, in [0, 1).
    n_timesteps : int, default=20
        Length of the diffusion process.
    noise_schedule : {"linear", "cosine"}, default="linear"
        How fast noise replaces the label; "cosine" as published.
    prediction_type : {"logits", "sample", "epsilon"}, default="logits"
        What the denoiser predicts: the label's logits under cross-entropy, the one-hot label under
        squared error, or the added noise (as published).
    prior : classifier or None, default=None
        Prior guess of the label, the mean of the forward process; predicted logits are added to
        its logarithm. A clone is fitted on features and given labels, without sample weights. The
        diffusion learns from guesses for rows that the prior has not seen.
    max_iter : int or "auto", default="auto"
        Number of epochs. "auto": enough for 250 updates, within 3 and 40; for 500, within 3 and
        200, if the network predicts alone.
    batch_size : int, default=256
        Rows in an update.
    learning_rate : float, default=3e-3
        Peak step size of AdamW.
    weight_decay : float, default=0.5
        Decoupled weight decay of AdamW.
    label_weighting : {"uniform", "agreement"}, default="uniform"
        Weight of a label drawn in training: the same for all, or its probability, as published. By
        its probability, predictions become sharper than what neighbors and models say.
    validation_fraction : float, default=0.1
        Share of rows held out if ``n_iter_no_change`` is given.
    n_iter_no_change : int or None, default=None
        Hold out rows, stop when accuracy on their *given* labels has not risen for so many epochs,
        and keep the best epoch. None trains for all epochs, on all rows.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in prediction: of the labels that training draws, or of the
        probabilities that judges and network agree on. They leave retrieval alone.
    warm_start : bool, default=False
        Continue from the weights of the previous ``fit``.
    n_sampling_steps : int, default=1
        Number of denoising steps in prediction, which may be set after ``fit``. With more than one,
        draws settle on single labels, and it takes many draws for their mean to be a probability.
    n_draws : int or "mean", default=8
        Number of random starts over which probabilities are averaged. "mean" is the single most
        likely start, as published.
    device : str, default="auto"
        Torch device; "auto" is a CUDA GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same result in each call.
    n_jobs : int, default=None
        Number of CPU threads. None is one for the network, whose small layers gain little from
        more, and for pynndescent, whose graph depends on it; and as many as torch takes elsewhere
        for trees, which are the same on any number. Linear algebra in retrieval takes as many as
        its library does elsewhere, and a forked process takes one for all. Sums are rounded
        otherwise on more threads: probabilities move by about 1e-5.
    verbose : int, default=0
        Print progress: stages by name, with their time or the rest of it, and each epoch's loss.

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
    label_distributions_ : ndarray or csr_array of shape (n_samples, n_classes), dtype=float32
        What training draws each row's label from: what the judges say of it, joined with its own
        given label, or the vote. Where judges learn from a part of the rows, and of more than 50
        classes, a sparse array of the 20 classes that matter most to a row.
    out_of_sample_proba_ : ndarray or csr_array of shape (n_samples, n_classes), dtype=float32
        What the judges, and the network if it joins them, say of each training row's true label
        without its own given label. Sparse as the labels are.
    transition_matrix_ : ndarray of shape (n_classes, n_classes)
        Estimate of P(given label = column | true label = row).
    noise_evidence_ : float
        Logarithm of the odds of noise that goes by class against none; below 2.4 the given labels
        can hardly tell whether there is any.
    label_trust_ : float
        How far given labels are believed beyond what the features say, from 0 to 1: the share of
        the judges' disagreement with them that noise by class explains.
    loss_curve_ : list of float
        Training loss of each epoch.
    n_iter_ : int
        Number of epochs trained.
    validation_scores_ : list of float or None
        Accuracy on held-out given labels after each epoch; None without
        ``n_iter_no_change``.
    initial_noise_ : ndarray of shape (n_draws, n_classes)
        Random starts shared by all rows.
    temperature_ : float
        Temperature of the read-off: 1 for "logits", which are probabilities already; for the other
        types of prediction it is fitted to what retrieval has found for training rows.
    weights_ : dict of str to ndarray
        Weights of the denoiser.
    feature_extractor_, prior_ : estimator or None
        Fitted clones.

    See Also
    --------
    LRADiffusionImageClassifier : Trains an encoder of images along.
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
        "neighbors_algorithm": [StrOptions({"auto", "exact", "pynndescent"}), HasMethods(_INDEX)],
        "label_aggregation": [StrOptions({"judges", "vote"})],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "encoder": [StrOptions({"linear", "mlp"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "n_timesteps": [Interval(Integral, 1, None, closed="left")],
        "noise_schedule": [StrOptions(set(NOISE_SCHEDULES))],
        "prediction_type": [StrOptions(set(PREDICTION_TYPES))],
        "prior": [HasMethods(["fit", "predict_proba"]), None],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "label_weighting": [StrOptions({"uniform", "agreement"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "n_sampling_steps": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left"), StrOptions({"mean"})],
        "device": [str],
        "random_state": ["random_state"],
        "n_jobs": [
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
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
        label_aggregation="judges",
        hidden_size=256,
        encoder="linear",
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
        self.feature_extractor = feature_extractor
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.retrieval_space = retrieval_space
        self.neighbors_algorithm = neighbors_algorithm
        self.label_aggregation = label_aggregation
        self.hidden_size = hidden_size
        self.encoder = encoder
        self.dropout = dropout
        self.n_timesteps = n_timesteps
        self.noise_schedule = noise_schedule
        self.prediction_type = prediction_type
        self.prior = prior
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_weighting = label_weighting
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.n_sampling_steps = n_sampling_steps
        self.n_draws = n_draws
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @unchanged_on_error
    @usable_threads()
    @_fit_context(prefer_skip_nested_validation=False)  # the extractor and the prior are the user's
    def fit(
        self, X, y, sample_weight=None, neighbors=None, *, verified=None, given=None, groups=None
    ):
        """Retrieve labels and train the denoiser on them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, or whatever ``feature_extractor`` takes. Features are finite and lie
            between -1e18 and 1e18: a larger number mostly stands for a missing one. In half, single
            or double precision, or as bytes, they stay where they are, be it a ``numpy.memmap``. Of
            more than 100,000 rows, judges learn from 50,000, and all others are new to them; with
            more than 500 classes of fewer, down to 50,000 as rows times classes are 50 million.
        y : array-like of shape (n_samples,)
            Given labels, right or wrong: strings, booleans or integers; None, NaN or pandas.NA
            where there is none. Such a row is treated as one of weight zero.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in training and in the votes on their neighbors, at any scale. A
            row of weight zero is nobody's neighbor and not trained on, though its own neighbors are
            looked up.
        neighbors : sparse matrix of shape (n_samples, n_samples) or array of shape \
                (n_samples, n_neighbors), default=None
            Neighbors found elsewhere: a graph of ``KNeighborsTransformer`` or indices of training
            rows. They take the place of the search.
        verified : array-like of shape (n_samples,), dtype=bool, default=None
            Which labels are known to be right. They are certain: in the estimate of the noise,
            which is not counted among them, and in training, where they are drawn as they are.
        given : array-like of shape (n_samples,), default=None
            Labels before verification, right or wrong. From those of verified rows the noise is
            learned, whichever rows were chosen to be verified; those of other rows do not count.
        groups : array-like of shape (n_samples,), default=None
            Patient, video or document that a row belongs to. Rows of one group do not vouch for
            each other: they are not each other's neighbors, and what models and the network say of
            a training row comes from other groups alone. Not along with ``neighbors``.

        Returns
        -------
        self : LRADiffusionClassifier

        Raises
        ------
        ValueError
            If a parameter, ``X``, ``y`` or one of the others breaks a rule above.
        """
        device, processes = self._training_devices()
        random_state = check_random_state(self.random_state)
        continues = self.warm_start and hasattr(self, "weights_")
        joint = self._joint_encoder(X, continues, random_state)
        told = {"sample_weight": sample_weight, "neighbors": neighbors}
        told |= {"verified": verified, "given": given, "groups": groups}
        extractor, features, rows = read_rows(self, X, y, told, continues, random_state)
        network = network_settings(self, features.shape[1], len(rows.classes), joint)
        if continues:
            check_continuation(self, rows.classes, network)
        else:
            self._scaler = fit_scaler(features, rows)
        self.feature_extractor_, self.classes_, self._network = extractor, rows.classes, network
        self._input_columns = None if joint is None else joint.columns
        (self._fingerprints,) = map_rows(row_fingerprints, features)
        raw = None if joint is None else joint.inputs
        known = features, rows, raw, random_state, (device, processes)
        judged, self.prior_, inputs, generator = self._judge(*known)
        self._judges = None
        if self._joins_judges:
            self._judges, rows = judged.judges, rows.of_equal_classes
        vars(self).update(judged.attributes())
        del judged  # tables as large as that of the labels

        model = self._model_to_train(continues, joint, generator).to(device)
        self.initial_noise_ = starting_noise(self.n_draws, len(rows.classes), generator)
        self.temperature_ = 1.0
        with limited_threads(self.n_jobs):
            training = self._training(model, generator, inputs, rows, continues, processes)
            self.loss_curve_, self.validation_scores_ = training.loss_curve, training.scores
            run_epochs(self, training, joint, X, y)
            self.n_iter_ = len(training.loss_curve)
            chains = self._chains_of(training.finish())
            self.weights_, self._encoder = fitted_weights(chains.model.denoiser, joint)
            self.temperature_ = self._fit_temperature(chains, inputs, rows, random_state)
        return self

    def _training_devices(self):
        """Return the device of this process, and the processes that train together."""
        return fitting_device(self.device), Processes()

    def _joint_encoder(self, X, continues, random_state):
        """Return the :class:`JointEncoder` to train along, if there is one."""

    @property
    def _joins_judges(self):
        """Whether the network joins the judges, instead of predicting alone."""
        return self.label_aggregation == "judges" and self.prediction_type == "logits"

    def _judge(self, features, rows, raw, random_state, trained_by):
        """Let neighbors and models, and the network with them, judge the given labels.

        Returns :class:`Judged`, the fitted prior or None, the inputs to train on, and the generator
        to go on with.
        """
        core, sight = make_core(self, features, self._scaler, rows, raw, random_state)
        inputs = all_inputs(features, core, sight, raw)
        generator, (device, processes) = make_generator(random_state), trained_by
        randomness = draw_seed(random_state), generator
        n_earlier = len(self.loss_curve_) if self.warm_start and hasattr(self, "weights_") else 0
        progress = Progress(self.verbose and not processes.index)
        judged = judge_core(self, core, self._network, *randomness, device, n_earlier, progress)
        positions = core.positions
        if positions is not None:
            del core  # its features, while tables of all others are filled
            others = positions, features, sight, rows
            judged = judge_others(judged, *others, self.label_aggregation, progress)
        return judged, sight.prior, inputs, generator

    def _model_to_train(self, continues, joint, generator):
        if continues:
            return fitted_model(self._network, self.weights_, self._encoder)
        return initial_model(self._network, joint and joint.module, generator)

    def _training(self, model, generator, inputs, rows, continues, processes):
        """Return the training that is ahead, or what is left of an interrupted one."""
        settings = training_settings(self, len(rows.trained), self._judges is not None)
        state = TrainingState(model, settings, generator)
        scores = list(self.validation_scores_ or ()) if continues else []
        stopping = early_stopping(self, self._chains_of, inputs, rows, scores)
        data = training_data(inputs, self.label_distributions_, rows, state.vector.device)
        loss_curve = list(self.loss_curve_) if continues else []
        training = Training(state, data, loss_curve, stopping, processes)
        self._keep_on_disk(training, inputs, rows)
        return training

    def _keep_on_disk(self, training, inputs, rows):
        """Let ``training`` go on from a checkpoint, if there are to be any."""

    def _chains_of(self, model):
        return Chains(
            model, self.initial_noise_, self.n_sampling_steps, self.temperature_, self.n_jobs
        )

    def _fit_temperature(self, chains, inputs, rows, random_state):
        if self.prediction_type == "logits":  # probabilities already
            return 1.0
        distributions = self.label_distributions_
        return best_temperature(
            chains, inputs, distributions, rows, self.label_weighting, random_state
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.feature_extractor is not None:
            tags.input_tags = get_tags(self.feature_extractor).input_tags
        return tags

"""CLIPZeroShotClassifier: classes by their names."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils.extmath import softmax
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skdiffusion_label.embedding._base import normalize_rows
from skdiffusion_label.embedding._clip import CLIPEmbedder


class CLIPZeroShotClassifier(ClassifierMixin, BaseEstimator):
    """Classify CLIP embeddings of images by the names of the classes; no label is learned from.

    The probabilities are a softmax over cosines of an image's embedding and those of the names,
    times the factor that the model was trained with. Rows of ``X`` are embeddings, so it stands
    behind a :class:`CLIPEmbedder` in a pipeline, and serves as ``prior`` of
    :class:`~skdiffusion_label.LRADiffusionClassifier`; there,
    ``FrozenEstimator(CLIPZeroShotClassifier(...).fit(embeddings, y))`` embeds the names only once.
    ``y`` tells whether a list of names stands for labels that are strings or 0, 1, ...

    Parameters
    ----------
    class_names : dict, list or None, default=None
        Names of the labels: a dict of label to name, or a list. A list of names is for labels that
        are these names where ``y`` holds strings, else for the labels 0, 1, ... None: the labels
        in ``y``, which have to be strings, are the names.
    templates : sequence of str, default=("a photo of a {}.",)
        Sentences in which ``{}`` is replaced by a name. A class is the mean of their embeddings.
    embedder : CLIPEmbedder, default=None
        Embeds the sentences: the one that has embedded the images. None is ``CLIPEmbedder()``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        All labels that have a name, sorted; also those that ``y`` does not hold.
    class_embeddings_ : ndarray of shape (n_classes, n_features), dtype=float32
        Embeddings of the classes, of unit length.
    logit_scale_ : float
        The model's factor for cosines.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    CLIPEmbedder : Gives the embeddings to classify.

    References
    ----------
    A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
    ICML 2021.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdiffusion_label.embedding import CLIPEmbedder, CLIPZeroShotClassifier
    >>> embedder = CLIPEmbedder("ViT-L-14", "openai")
    >>> zero_shot = CLIPZeroShotClassifier({3: "cat", 5: "dog"}, embedder=embedder)
    >>> make_pipeline(embedder, zero_shot).steps[-1][0]
    'clipzeroshotclassifier'

    Its ``fit(paths)`` loads the model and embeds "a photo of a cat." and "a photo of a dog.".
    """

    _parameter_constraints = {
        "class_names": [dict, list, tuple, np.ndarray, None],
        "templates": ["array-like"],
        "embedder": [CLIPEmbedder, None],
    }

    def __init__(self, class_names=None, *, templates=("a photo of a {}.",), embedder=None):
        self.class_names = class_names
        self.templates = templates
        self.embedder = embedder

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Embed the names of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Embeddings of images. Only their number of features counts.
        y : array-like of shape (n_samples,), default=None
            Labels. Needed if ``class_names`` is None; else each of them must have a name.

        Returns
        -------
        self : CLIPZeroShotClassifier

        Raises
        ------
        ValueError
            If a label has no name, a name is empty, a template has no ``{}``, or the embedder's
            embeddings have another number of features than ``X``.
        """
        if y is None:
            X = validate_data(self, X, dtype=[np.float64, np.float32])
        else:
            X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
            check_classification_targets(y)
            y = column_or_1d(y)
        _check_templates(self.templates)
        names = _names_of_labels(self.class_names, y)
        self.classes_ = np.array(sorted(names))
        embedder = CLIPEmbedder() if self.embedder is None else self.embedder
        if embedder._n_features_out != X.shape[1]:
            raise ValueError(
                f"X must hold embeddings of the embedder's model, which have "
                f"{embedder._n_features_out} features, got {X.shape[1]}."
            )
        self.class_embeddings_ = self._embed_names([names[c] for c in sorted(names)], embedder)
        self.logit_scale_ = embedder._logit_scale()
        return self

    def _embed_names(self, names, embedder):
        sentences = [template.replace("{}", name) for name in names for template in self.templates]
        embeddings = normalize_rows(embedder.encode_text(sentences))
        means = embeddings.reshape(len(names), len(self.templates), -1).mean(axis=1)
        return normalize_rows(means)

    def predict_proba(self, X):
        """Return class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Embeddings of images, of any length.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], copy=True)
        cosines = normalize_rows(X) @ self.class_embeddings_.T
        return softmax(self.logit_scale_ * cosines, copy=False)

    def predict(self, X):
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Embeddings of images.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.class_names is None
        return tags


def _check_templates(templates):
    if isinstance(templates, str) or not len(templates):
        raise ValueError(f"templates must be a sequence of at least one str, got {templates!r}.")
    for template in templates:
        if not isinstance(template, str) or "{}" not in template:
            raise ValueError(
                f"templates must be str with '{{}}' in the place of the name, got {template!r}."
            )


def _names_of_labels(class_names, y):
    """Return a dict of label to name, for all labels that have a name."""
    labels = None if y is None else np.unique(y).tolist()
    are_strings = labels is not None and all(isinstance(label, str) for label in labels)
    if class_names is None:
        if not are_strings:
            got = "no y" if y is None else f"y of dtype {y.dtype}"
            raise ValueError(
                "class_names must be given unless the labels in y are strings, which then are the "
                f"names, got {got}."
            )
        names = {label: label for label in labels}
    elif isinstance(class_names, dict):
        names = class_names
    else:
        names = {name if are_strings else i: name for i, name in enumerate(class_names)}
    if not names:
        raise ValueError(f"class_names must hold at least one name, got {class_names!r}.")
    for label, name in names.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"class_names must be nonempty str, got {name!r} for label {label!r}.")
    unnamed = sorted(set(labels or ()) - set(names))
    if unnamed:
        raise ValueError(f"class_names must name each label in y, got none for {unnamed}.")
    return names

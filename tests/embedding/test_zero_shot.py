"""CLIPZeroShotClassifier against open_clip's formula, and as a prior."""

import pickle

import numpy as np
import open_clip
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skdiffusion_label import LRADiffusionClassifier
from skdiffusion_label.embedding import CLIPZeroShotClassifier

TEMPLATES = ("a photo of a {}.", "a drawing of a {}.")


@pytest.fixture
def embeddings(make_embedder, images):
    return make_embedder().transform(images)


@pytest.fixture
def zero_shot(make_embedder):
    return CLIPZeroShotClassifier(["bright", "dark"], embedder=make_embedder())


@pytest.mark.parametrize("normalize", [False, True])
def test_probabilities_are_those_of_open_clip(normalize, make_embedder, reference, images):
    names = ["cat", "dog", "horse"]
    classifier = open_clip.build_zero_shot_classifier(
        reference.model,
        open_clip.get_tokenizer("ViT-B-32", context_length=77),
        names,
        [lambda name, template=template: template.replace("{}", name) for template in TEMPLATES],
    )
    features = torch.nn.functional.normalize(torch.tensor(reference.embed(images)), dim=1)
    with torch.inference_mode():
        logits = reference.model.logit_scale.exp() * features @ classifier
    expected = logits.softmax(dim=1).numpy()
    embedder = make_embedder(normalize=normalize)
    zero_shot = CLIPZeroShotClassifier(
        dict(enumerate(names)), templates=TEMPLATES, embedder=embedder
    )
    proba = make_pipeline(embedder, zero_shot).fit(images).predict_proba(images)
    assert_allclose(proba, expected, atol=1e-6)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("class_names", "y", "classes", "names"),
    [
        ({5: "cat", 3: "dog"}, None, [3, 5], ["dog", "cat"]),
        ({5: "cat", 3: "dog"}, [3] * 20, [3, 5], ["dog", "cat"]),
        ({"b": "cat", "a": "dog"}, None, ["a", "b"], ["dog", "cat"]),
        (["dog", "cat"], None, [0, 1], ["dog", "cat"]),
        (("dog", "cat"), [1] * 20, [0, 1], ["dog", "cat"]),
        (np.array(["dog", "cat"]), [1] * 20, [0, 1], ["dog", "cat"]),
        (["dog", "cat"], ["dog"] * 20, ["cat", "dog"], ["cat", "dog"]),
        (None, ["dog", "cat"] * 10, ["cat", "dog"], ["cat", "dog"]),
        (None, np.array(["dog", "cat"] * 10, dtype=object), ["cat", "dog"], ["cat", "dog"]),
    ],
)
def test_labels_get_their_names(class_names, y, classes, names, make_embedder, embeddings):
    embedder = make_embedder()
    zero_shot = CLIPZeroShotClassifier(class_names, embedder=embedder).fit(embeddings, y)
    assert zero_shot.classes_.tolist() == classes
    expected = embedder.encode_text([f"a photo of a {name}." for name in names])
    assert_allclose(zero_shot.class_embeddings_, expected, atol=1e-6)
    assert zero_shot.n_features_in_ == 64
    assert set(zero_shot.predict(embeddings)) <= set(classes)


@pytest.mark.parametrize(
    ("parameters", "y", "message"),
    [
        ({"class_names": None}, None, "class_names must be given .*, got no y"),
        ({"class_names": None}, [0, 1] * 10, "class_names must be given .* y of dtype int64"),
        ({"class_names": []}, None, r"at least one name, got \[\]"),
        ({"class_names": {0: "cat", 1: " "}}, None, "nonempty str, got ' ' for label 1"),
        ({"class_names": [1, 2]}, None, "nonempty str, got 1 for label 0"),
        ({"class_names": {0: "cat"}}, [0, 7] * 10, r"name each label in y, got none for \[7\]"),
        ({"class_names": ["cat"]}, ["cat", "dog"] * 10, r"got none for \['dog'\]"),
        ({"templates": ["a photo."]}, None, "templates must be str with '{}' .* got 'a photo.'"),
        ({"templates": []}, None, "templates must be .* at least one"),
        ({"templates": "a {}."}, None, "'templates' parameter|templates must be a sequence"),
        ({"embedder": 3}, None, "'embedder' parameter"),
    ],
)
def test_what_is_missing_is_named_before_a_model_is_loaded(
    parameters, y, message, zero_shot, embeddings, loaded_names
):
    with pytest.raises(ValueError, match=message):
        zero_shot.set_params(**parameters).fit(embeddings, y)
    assert loaded_names == []


def test_embeddings_of_another_model_are_refused(zero_shot, embeddings, loaded_names):
    with pytest.raises(ValueError, match="which have 64 features, got 63"):
        zero_shot.fit(embeddings[:, 1:])
    assert loaded_names == []
    zero_shot.fit(embeddings)
    with pytest.raises(ValueError, match="X has 63 features, but .* is expecting 64"):
        zero_shot.predict_proba(embeddings[:, 1:])


def test_prediction_needs_no_model_and_no_order(zero_shot, embeddings, loaded_names):
    zero_shot.fit(embeddings)
    loaded_names.clear()
    content = pickle.dumps(zero_shot)
    assert len(content) < 3000
    proba = zero_shot.predict_proba(embeddings)
    before = embeddings.copy()
    assert_array_equal(pickle.loads(content).predict_proba(embeddings), proba)
    assert_allclose(zero_shot.predict_proba(3 * embeddings[::-1]), proba[::-1], rtol=1e-4)
    assert_array_equal(embeddings, before)
    assert loaded_names == []
    assert clone(zero_shot).get_params()["class_names"] == ["bright", "dark"]


@pytest.mark.parametrize("is_frozen", [False, True])
def test_it_is_a_prior_of_the_diffusion(is_frozen, make_embedder):
    rng = np.random.default_rng(0)
    y_codes = rng.integers(3, size=60)
    X = rng.normal(size=(60, 64)).astype(np.float32)
    names = np.array(["cat", "dog", "horse"])
    prior = CLIPZeroShotClassifier([*names, "zebra"], embedder=make_embedder())
    if is_frozen:
        prior = FrozenEstimator(prior.fit(X, names[y_codes]))
    classifier = LRADiffusionClassifier(prior=prior, max_iter=2, random_state=0)
    classifier.fit(X, names[y_codes])
    assert_array_equal(classifier.prior_.classes_, [*names, "zebra"])
    assert_allclose(classifier.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


def test_a_pipeline_from_images_to_classes_has_a_score(make_embedder, zero_shot, images, labels):
    pipeline = make_pipeline(make_embedder(), zero_shot).fit(images, labels)
    assert_array_equal(pipeline.classes_, ["bright", "dark"])
    assert pipeline.score(images, pipeline.predict(images)) == 1.0

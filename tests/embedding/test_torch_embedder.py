"""TorchEmbedder: any module, left as it is, and known in the cache by what it computes."""

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from torch import nn

from skdiffusion_label.embedding import TorchEmbedder
from skdiffusion_label.embedding._identity import identify


def to_tensor(image):
    pixels = np.asarray(image.convert("RGB").resize((8, 8)), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


class ToTensor:
    """A preprocessing with state."""

    def __init__(self, size):
        self.size = size

    def __call__(self, image):
        return to_tensor(image.resize((self.size, self.size)))


def make_backbone(seed=0, activation=nn.ReLU):
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.Dropout(0.5),
        activation(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def reference(module, images):
    module = copy.deepcopy(module).eval()
    with torch.inference_mode():
        return module(torch.stack([to_tensor(image) for image in images])).numpy()


def factory():
    with torch.random.fork_rng(devices=[]):
        return make_backbone()


@pytest.fixture
def backbone():
    return make_backbone().train()


def test_embeddings_are_those_of_the_module_in_evaluation_mode(backbone, images, pixels, paths):
    expected = reference(backbone, images)
    embedder = TorchEmbedder(backbone, to_tensor, batch_size=6, device="cpu")
    for X in (images, pixels, paths, torch.tensor(pixels).permute(0, 3, 1, 2)):
        embeddings = embedder.transform(X)
        assert embeddings.dtype == np.float32
        assert_allclose(embeddings, expected, atol=1e-6)
    normalized = TorchEmbedder(backbone, to_tensor, normalize=True).transform(images)
    assert_allclose(normalized, expected / np.linalg.norm(expected, axis=1)[:, None], rtol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "amp", "amp_bf16"])
def test_the_module_is_left_as_it_is(precision, backbone, images):
    before = copy.deepcopy(backbone.state_dict())
    embedder = TorchEmbedder(backbone, to_tensor, precision=precision, device="cpu").fit(images)
    embeddings = embedder.transform(images)
    assert_allclose(embeddings, reference(backbone, images), atol=0.05)
    assert embedder.module is backbone
    assert all(module.training for module in backbone.modules())
    for name, tensor in backbone.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_float_tensors_reach_the_preprocessing(backbone):
    tensors = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    embeddings = TorchEmbedder(backbone, torch.nn.Identity()).transform(tensors)
    with torch.inference_mode():
        expected = copy.deepcopy(backbone).eval()(tensors)
    assert_allclose(embeddings, expected, atol=1e-6)


CALLS = []


def counted_factory():
    CALLS.append(1)
    return factory()


def test_a_factory_is_called_once_and_pickled_instead_of_weights(images):
    embedder = TorchEmbedder(counted_factory, to_tensor)
    expected = reference(make_backbone(), images)
    for one in (embedder, clone(embedder), TorchEmbedder(counted_factory, to_tensor, batch_size=3)):
        assert_allclose(one.fit_transform(images), expected, atol=1e-6)
    assert CALLS == [1]
    assert len(pickle.dumps(embedder)) < 1000


def test_a_factory_that_draws_leaves_the_global_state_alone(images):
    state = torch.get_rng_state()
    TorchEmbedder(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), to_tensor).fit(images)
    assert torch.equal(torch.get_rng_state(), state)


@dataclass
class Factory:
    n_features: int = 4

    def __call__(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(192, self.n_features))


def test_a_factory_has_to_be_hashable(images):
    for method in ("fit", "transform"):
        with pytest.raises(TypeError, match=r"must be hashable, .* got Factory\(.*frozen=True"):
            getattr(TorchEmbedder(Factory(), to_tensor), method)(images)


def to_tensor_of_three(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_row_that_preprocess_fails_on_is_named(num_workers, images):
    X = [*images[:2], images[2].convert("L"), images[3]]
    embedder = TorchEmbedder(nn.Flatten(), to_tensor_of_three, num_workers=num_workers)
    message = (
        r"preprocess fails on row 2 of X, an image of mode L and size \(36, 40\): RuntimeError: "
    )
    with pytest.raises(ValueError, match=message) as caught:
        embedder.transform(X)
    assert num_workers or isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ValueError, match=message.replace("row 2", "row 0")):
        embedder.fit(X[2:])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_rows_of_other_shapes_are_named(num_workers, images):
    X = [*images[:2], images[2].resize((8, 9))]
    embedder = TorchEmbedder(nn.Flatten(), to_tensor_of_three, num_workers=num_workers)
    with pytest.raises(ValueError, match=r"\(3, 40, 36\) for row 0 and \(3, 9, 8\) for row 2"):
        embedder.transform(X)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_float_tensor_out_of_range_is_named(num_workers):
    embedder = TorchEmbedder(nn.Flatten(), nn.Identity(), num_workers=num_workers)
    with pytest.raises(ValueError, match="^Row 1 of X, a float tensor, must have values in"):
        embedder.transform([torch.zeros(3, 2, 2), torch.full((3, 2, 2), 2.0)])


def test_a_preprocess_in_place_leaves_the_images_alone():
    tensors = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    before = tensors.clone()
    TorchEmbedder(nn.Flatten(), torch.Tensor.neg_).fit(tensors).transform(tensors)
    assert torch.equal(tensors, before)
    image = Image.new("RGB", (4, 4))
    TorchEmbedder(nn.Flatten(), paint).fit([image]).transform([image])
    assert image.getpixel((0, 0)) == (0, 0, 0)


def paint(image):
    image.putpixel((0, 0), (9, 9, 9))
    return to_tensor(image)


def test_names_and_output_containers_follow_the_module(backbone, images, labels):
    embedder = TorchEmbedder(backbone, to_tensor).fit(images)
    names = [f"torchembedder{n}" for n in range(6)]
    assert list(embedder.get_feature_names_out()) == names
    frame = clone(embedder).set_output(transform="pandas").fit_transform(images)
    assert list(frame.columns) == names
    pipeline = make_pipeline(embedder, LogisticRegression(C=100))
    assert cross_val_score(pipeline, images, labels, cv=2).min() == 1.0


def test_the_first_readable_image_tells_the_number_of_features(backbone, images, truncated):
    embedder = TorchEmbedder(backbone, to_tensor, handle_unreadable="nan")
    embedder.fit([truncated, truncated, images[0]])
    with pytest.warns(UserWarning, match="1 of 1 images"):
        assert embedder.transform([truncated]).shape == (1, 6)
    for policy, X in (("raise", [truncated, images[0]]), ("nan", [truncated])):
        with pytest.raises(ValueError, match=f"of X cannot be read .*{truncated}"):
            clone(embedder).set_params(handle_unreadable=policy).fit(X)
    with pytest.raises(ValueError, match=f"Row 0 of X .*{truncated}"):
        clone(embedder).transform([truncated])  # how wide should a row of NaN be?


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (nn.Identity(), ValueError, r"shape \(n_images, n_features\), got \(\d+, 3, 8, 8\) for"),
        (nn.AdaptiveAvgPool2d(1), ValueError, r"got \(\d+, 3, 1, 1\)"),
        (nn.Flatten(0), ValueError, r"got \(\d+,\) for"),
        (lambda: 3, TypeError, "a function that returns int"),
        (3, ValueError, "'module' parameter of TorchEmbedder must be a callable"),
    ],
)
def test_a_module_that_gives_no_rows_of_features_is_refused(module, error, message, method, images):
    with pytest.raises(error, match=message):
        getattr(TorchEmbedder(module, to_tensor), method)(images)


class Pair(nn.Module):
    def forward(self, images):
        return images, images


def test_a_module_that_returns_no_tensor_is_refused(images):
    with pytest.raises(TypeError, match="must return a tensor .*, got tuple"):
        TorchEmbedder(Pair(), to_tensor).fit(images)


def test_the_cache_knows_the_same_module_again(backbone, images, n_embedded, tmp_path):
    expected = TorchEmbedder(backbone, to_tensor, cache=tmp_path).transform(images)
    for module in (copy.deepcopy(backbone).eval(), factory):
        embeddings = TorchEmbedder(module, to_tensor, cache=tmp_path).transform(images)
        assert_array_equal(embeddings, expected)
    assert sum(n_embedded) == len(images)


def to_gray_tensor(image):
    return to_tensor(image.convert("L"))


def test_the_cache_knows_another_module_or_preprocessing(backbone, images, n_embedded, tmp_path):
    trained = copy.deepcopy(backbone)
    with torch.no_grad():
        trained[0].bias[0] += 1e-3
    statistics = copy.deepcopy(backbone)
    statistics[1].running_mean += 1
    different = [
        (backbone, to_tensor, "fp32"),
        (trained, to_tensor, "fp32"),
        (statistics, to_tensor, "fp32"),
        (make_backbone(activation=nn.Tanh), to_tensor, "fp32"),
        (backbone, to_gray_tensor, "fp32"),
        (backbone, ToTensor(9), "fp32"),
        (backbone, ToTensor(10), "fp32"),
        (backbone, to_tensor, "bf16"),
    ]
    for count, (module, preprocess, precision) in enumerate(different, start=1):
        for _ in range(2):
            embedder = TorchEmbedder(module, preprocess, precision=precision, cache=tmp_path)
            embedder.transform(images)
        assert sum(n_embedded) == count * len(images)


class Scaled(nn.Module):
    """A module whose printed form and state do not say what it does."""

    def __init__(self, k, layer=None):
        super().__init__()
        self.k = k
        self.layer = layer or nn.Identity()

    def forward(self, images):
        return self.layer(images).flatten(1)[:, :4] * torch.as_tensor(self.k).flatten()[-1]


def test_the_cache_knows_another_attribute_at_any_depth(images, n_embedded, tmp_path):
    ones = torch.ones(2000)
    changed = ones.clone()
    changed[1000] += 1e-6  # which is not printed
    values = [1, 100, 1.0, ones, changed, ones.numpy(), changed.numpy()]
    modules = [Scaled(k) for k in values]
    modules += [nn.Sequential(Scaled(2)), Scaled(1, Scaled(2)), Scaled(2, Scaled(1))]
    for count, module in enumerate(modules, start=1):
        for _ in range(2):
            expected = TorchEmbedder(module, to_tensor).transform(images[:2])
            n_embedded[-1:] = []
            embeddings = TorchEmbedder(module, to_tensor, cache=tmp_path).transform(images[:2])
            assert_array_equal(embeddings, expected)
        assert sum(n_embedded) == count * 2


def random_factory():
    """Return a module of random weights, and of attributes that print otherwise elsewhere."""
    module = Scaled(3, nn.Sequential(nn.Flatten(), nn.Linear(192, 4)))
    module.callback, module.names = to_tensor, {"cat", "dog", "horse", "zebra"}
    module.layer.thing = object()
    return module


ELSEWHERE = f"""
import sys
from {__name__} import TorchEmbedder, identify, random_factory, to_tensor
embedder = TorchEmbedder(random_factory, to_tensor, device="cpu")
print(embedder.transform(sys.argv[1:]).tobytes().hex(), identify(embedder._model_identity()))
"""


def test_a_factory_that_draws_makes_the_same_module_everywhere(paths):
    embedder = TorchEmbedder(random_factory, to_tensor, device="cpu")
    expected = embedder.transform(paths[:3])
    identity = identify(embedder._model_identity())
    for other in (factory, lambda: make_backbone(1)):  # two modules are kept: it is made anew
        TorchEmbedder(other, to_tensor, device="cpu").transform(paths[:1])
    torch.rand(3)
    assert_array_equal(embedder.transform(paths[:3]), expected)
    assert identify(embedder._model_identity()) == identity
    result = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *paths[:3]],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.split() == [expected.tobytes().hex(), identity], result.stderr


def test_preprocessing_that_cannot_be_identified_has_no_cache(backbone, images, tmp_path):
    with open(__file__) as file:
        embedder = TorchEmbedder(
            backbone, lambda image: file and to_tensor(image), device="cpu", cache=tmp_path
        )
        with pytest.warns(UserWarning, match="cache .* is not used: .* holds a TextIOWrapper") as w:
            embeddings = embedder.transform(images)
    assert Path(w[0].filename) == Path(__file__)
    assert_allclose(embeddings, reference(backbone, images), atol=1e-6)
    assert list(tmp_path.iterdir()) == []


class Settings:
    """An object without a printed form of its own."""

    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensor: [tensor],
        lambda tensor: {"a": (1, tensor)},
        lambda tensor: [tensor.numpy()],
        lambda tensor: Settings([tensor]),
        lambda tensor: tensor.to_sparse(),
    ],
)
def test_weights_within_attributes_tell_modules_apart(wrap):
    def identity(value):
        module = nn.Flatten()
        module.kept = wrap(torch.full((2000,), value))
        return identify(module)

    assert identity(0.12341) == identity(0.12341) != identity(0.12342)


def test_attributes_that_hold_themselves_are_no_obstacle():
    module = nn.Flatten()
    module.settings = Settings(None)
    module.settings.value = module.settings
    assert identify(module)


def test_preprocess_may_return_a_tensor_that_requires_a_gradient(images):
    layer = nn.Linear(3, 2)

    def preprocess(image):
        return layer(torch.from_numpy(np.asarray(image.convert("RGB"), np.float32)))

    alone, by_workers = (
        TorchEmbedder(nn.Flatten(), preprocess, device="cpu", num_workers=n).transform(images[:3])
        for n in (0, 2)
    )
    assert_array_equal(by_workers, alone)

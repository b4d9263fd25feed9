"""Another network, transform or code is never taken for one that cache or checkpoint know."""

import functools
import importlib
import importlib.metadata
import sys

import numpy as np
import PIL
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.preprocessing import FunctionTransformer
from torch import nn
from torchvision.transforms import v2

from skdiffusion_label import LRADiffusionImageClassifier
from skdiffusion_label.embedding import TorchEmbedder

PIXELS = np.arange(3 * 64 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
SCALE = 1.0


def to_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


def n_caches(folder, *parameters):
    """Embed with each pair of a module and a preprocess; return how many caches that makes."""
    for module, preprocess in parameters:
        embedder = TorchEmbedder(module, preprocess, device="cpu", cache=folder)
        expected = embedder.set_params(cache=None).transform(PIXELS)
        assert_array_equal(embedder.set_params(cache=folder).transform(PIXELS), expected)
    return len(list(folder.glob("*.sqlite")))


class Scaled(nn.Module):
    """A module whose weights and printed form do not say what it does."""

    __slots__ = ("offset",)

    def __init__(self, scale=1.0, activation=torch.relu, is_kept=True, offset=0.0):
        super().__init__()
        self.scale, self.activation = scale, activation
        self.register_buffer("is_kept", torch.tensor([is_kept] * 8))
        self.offset = offset

    def __deepcopy__(self, memo):
        return Scaled(self.scale, self.activation, bool(self.is_kept[0]), self.offset)

    def forward(self, inputs):
        outputs = self.activation(inputs.flatten(1)[:, :8] - 0.3) + self.offset
        return self.scale * torch.where(self.is_kept, outputs, inputs.flatten(1)[:, -8:])


class Slotted:
    __slots__ = ("scale",)

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, image):
        return to_tensor(image) * self.scale


def with_forward(forward):
    """Return a module of a class that is called like any other such one."""
    return type("Module", (nn.Module,), {"forward": forward})()


def with_hook(factor):
    nn.Identity().register_forward_hook(print)  # hooks are numbered across modules
    module = nn.Flatten()
    module.register_forward_hook(lambda module, inputs, output: output * factor)
    return module


def traced(factor):
    return torch.fx.symbolic_trace(
        nn.Sequential(nn.Flatten(), with_forward(lambda self, inputs: inputs * factor))
    )


def enclosed(scale):
    return lambda image: to_tensor(image) * scale


def decorated(scale):
    def decorate(function):
        @functools.wraps(function)
        def scaled(image):
            return function(image) * scale

        return scaled

    return decorate(to_tensor)


def by_default(scale):
    def scaled(image, scale=scale, *, offset=scale):
        return to_tensor(image) * scale + offset

    return scaled


def in_class(scale):
    return type("Preprocess", (), {"scale": scale, "__call__": lambda s, x: to_tensor(x) * s.scale})


def in_another_function(scale):
    def called(tensor):
        return tensor * scale

    return functools.partial(lambda called, image: called(to_tensor(image)), called)


def scaled_by_a_global(image):
    return to_tensor(image) * SCALE


KINDS = {
    "attribute": lambda k: (Scaled(k), to_tensor),
    "activation": lambda k: (Scaled(activation=torch.relu if k == 1 else torch.tanh), to_tensor),
    "buffer of bool": lambda k: (Scaled(is_kept=k == 1), to_tensor),
    "slot": lambda k: (nn.Flatten(), Slotted(k)),
    "slot of a module": lambda k: (Scaled(offset=k), to_tensor),
    "forward": lambda k: (
        with_forward(
            (lambda self, x: x.flatten(1) * 1) if k == 1 else (lambda self, x: x.flatten(1) * 2)
        ),
        to_tensor,
    ),
    "hook": lambda k: (with_hook(k), to_tensor),
    "traced graph": lambda k: (traced(k), to_tensor),
    "closure": lambda k: (nn.Flatten(), enclosed(k)),
    "decorator": lambda k: (nn.Flatten(), decorated(k)),
    "default": lambda k: (nn.Flatten(), by_default(k)),
    "class attribute": lambda k: (nn.Flatten(), in_class(k)()),
    "another function": lambda k: (nn.Flatten(), in_another_function(k)),
    "transform": lambda k: (nn.Flatten(), v2.Compose([to_tensor, v2.Normalize([k] * 3, [k] * 3)])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_computes_otherwise_has_a_cache_of_its_own(kind, tmp_path):
    make = KINDS[kind]
    assert n_caches(tmp_path, make(1.0), make(50.0), make(1.0), make(50.0)) == 2


def test_a_global_that_code_names_is_part_of_it(tmp_path, monkeypatch):
    assert n_caches(tmp_path, (nn.Flatten(), scaled_by_a_global)) == 1
    monkeypatch.setitem(globals(), "SCALE", 50.0)
    assert n_caches(tmp_path, (nn.Flatten(), scaled_by_a_global)) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: v2.Compose([to_tensor, v2.RandomErasing(0.0)]),
        lambda: v2.Compose([to_tensor, v2.RandomResizedCrop(8, (1.0, 1.0), (1.0, 1.0))]),
        lambda: importlib.import_module("timm.data").create_transform((3, 8, 8), crop_pct=1.0),
        lambda: lambda image: to_tensor(image),
    ],
    ids=["RandomErasing", "RandomResizedCrop", "timm", "lambda"],
)
def test_equal_transforms_share_a_cache(make, tmp_path):
    assert n_caches(tmp_path, (nn.Flatten(), make()), (nn.Flatten(), make())) == 1


N_SEEN = 0


def counting(image):
    global N_SEEN
    N_SEEN += 1
    return to_tensor(image)


def test_what_code_counts_is_no_part_of_it(tmp_path):
    assert n_caches(tmp_path, (nn.Flatten(), counting), (nn.Flatten(), counting)) == 1
    assert N_SEEN == 9  # of twelve images, three are in the cache


CODE = """
import numpy as np, torch

def preprocess(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / {}
"""


def test_a_file_that_is_edited_while_its_code_runs_poisons_no_cache(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "edited_code.py"
    file.write_text(CODE.format(255))
    running = importlib.import_module("edited_code")
    file.write_text(CODE.format(2))
    assert n_caches(tmp_path, (nn.Flatten(), running.preprocess)) == 1
    monkeypatch.delitem(sys.modules, "edited_code")
    edited = importlib.import_module("edited_code")
    assert n_caches(tmp_path, (nn.Flatten(), edited.preprocess)) == 2
    monkeypatch.delitem(sys.modules, "edited_code")


@pytest.mark.parametrize("package", ["PIL", "torch"])
def test_another_version_has_another_cache(package, tmp_path, monkeypatch):
    assert n_caches(tmp_path, (nn.Flatten(), to_tensor)) == 1
    monkeypatch.setattr({"PIL": PIL, "torch": torch}[package], "__version__", "0.1")
    assert n_caches(tmp_path, (nn.Flatten(), to_tensor)) == 2


def open_file():
    file = open(__file__)  # noqa: SIM115
    return file, lambda image: file and to_tensor(image)


def test_what_cannot_be_known_is_said_and_not_cached(tmp_path):
    file, preprocess = open_file()
    with file, pytest.warns(UserWarning, match="is not used: .* holds a TextIOWrapper"):
        assert n_caches(tmp_path, (nn.Flatten(), preprocess)) == 0


class Program(nn.Module):
    def forward(self, inputs):
        return inputs.flatten(1) * 2


@pytest.mark.filterwarnings("ignore:.torch.jit")  # deprecated, and what people have
def test_programs_of_torchscript_are_embedded(tmp_path):
    program = torch.jit.trace(Program(), torch.zeros(1, 3, 8, 8))
    assert n_caches(tmp_path, (program, to_tensor), (program, to_tensor)) == 1
    embeddings = TorchEmbedder(program, to_tensor, device="cpu").transform(PIXELS)
    assert_array_equal(embeddings, TorchEmbedder(Program(), to_tensor).transform(PIXELS))


# Checkpoints
X = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def classifier(encoder, folder, **parameters):
    return LRADiffusionImageClassifier(
        encoder=encoder,
        checkpoint_dir=folder,
        label_aggregation="vote",
        hidden_size=8,
        max_iter=2,
        random_state=0,
        **parameters,
    )


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize("place", ["", " in '1'"])
def test_programs_of_torchscript_are_no_encoders_and_that_is_said(place):
    program = torch.jit.trace(nn.Linear(8, 8), torch.zeros(1, 8))
    encoder = nn.Sequential(nn.Identity(), program) if place else program
    with pytest.raises(
        TypeError, match=f"encoder must be .* a program of TorchScript{place}. Give"
    ):
        classifier(encoder, None).fit(X, Y)


ENCODERS = {
    "attribute": lambda k: Scaled(k),
    "activation": lambda k: Scaled(activation=torch.relu if k == 1 else torch.tanh),
    "buffer of bool": lambda k: Scaled(is_kept=k == 1),
    "forward": lambda k: KINDS["forward"](k)[0],
    "hook": with_hook,
}


@pytest.mark.parametrize("kind", ENCODERS)
def test_another_encoder_has_another_checkpoint(kind, tmp_path):
    for factor in (1.0, 50.0):
        classifier(ENCODERS[kind](factor), tmp_path).fit(X, Y)
    assert len(list(tmp_path.iterdir())) == 2


def test_no_checkpoint_gives_the_probabilities_of_another_encoder(tmp_path):
    classifier(Scaled(1.0), tmp_path).fit(X, Y)
    expected = classifier(Scaled(50.0), None).fit(X, Y).predict_proba(X)
    assert_array_equal(classifier(Scaled(50.0), tmp_path).fit(X, Y).predict_proba(X), expected)


@pytest.mark.parametrize("transform", [v2.RandomErasing, lambda: v2.RandomResizedCrop(8)])
def test_a_checkpoint_is_found_again_with_transforms_that_hold_tensors(transform, tmp_path, capsys):
    images = np.random.default_rng(0).integers(256, size=(40, 8, 8, 3), dtype=np.uint8)

    def fit():
        steps = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), transform()]
        clf = classifier(
            nn.Sequential(nn.Flatten(), nn.LazyLinear(8)),
            tmp_path,
            feature_extractor=FunctionTransformer(lambda images: images.mean(axis=(1, 2))),
            encoder_transform=v2.Compose(steps),
            verbose=1,
        )
        return clf.fit(images, Y)

    first = fit()
    assert "Going on" not in capsys.readouterr().out
    second = fit()
    assert "Going on after epoch 2" in capsys.readouterr().out
    assert second.loss_curve_ == first.loss_curve_


def test_without_an_identity_there_is_no_checkpoint(tmp_path):
    file, _ = open_file()

    def forward(self, inputs):
        return file and inputs

    with (
        file,
        pytest.warns(UserWarning, match="checkpoint_dir .* not used: .* a TextIOWrapper"),
    ):
        classifier(with_forward(forward), tmp_path).fit(X, Y)
    assert list(tmp_path.iterdir()) == []

"""Hashes of values: the same for the same, wherever; none of what nobody can know."""

import copy
import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from skdiffusion_label.embedding._identity import UnidentifiableError, identify


def nested(value):
    held = {"value": [value]}
    held["all"] = held
    return held


@dataclass(frozen=True)
class Settings:
    value: object


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __call__(self, image):
        return recursive(image) + self.value


def recursive(value):
    return recursive(value[0]) if isinstance(value, list) else value


def enclosed(factor):
    return lambda value: recursive(value) * factor


PAIRS = {
    "sign": (0.0, -0.0),
    "type": (1, 1.0),
    "bool": (True, 1),
    "text": ("1", b"1"),
    "places": (["a", "bc"], ["ab", "c"]),
    "order": (["a", "b"], ["b", "a"]),
    "tensor": (torch.zeros(2), torch.zeros(2, 1)),
    "precision": (torch.zeros(2), torch.zeros(2, dtype=torch.float16)),
    "gradient": (torch.zeros(2), torch.zeros(2, requires_grad=True)),
    "printed alike": (torch.ones(2000), torch.ones(2000).index_fill(0, torch.tensor(999), 2.0)),
    "array": (np.zeros(2), np.zeros(2).astype(">f8")),
    "objects": (np.array([None, {}]), np.array([None, []], dtype=object)),
    "mask": (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
    "partial": (functools.partial(max, 1), functools.partial(max, 2)),
    "method": ("a".join, "b".join),
    "dataclass": (Settings(1), Settings(2)),
    "slot": (Slotted(1), Slotted(2)),
    "closure": (enclosed(1), enclosed(2)),
    "code": (lambda value: value * 1, lambda value: value * 2),
    "within itself": (nested(1), nested(2)),
    "generator": (np.random.default_rng(0), np.random.default_rng(1)),
    "function of a package": (torch.relu, torch.tanh),
}


@pytest.mark.parametrize("name", PAIRS)
def test_values_that_differ_have_hashes_that_differ(name):
    one, other = PAIRS[name]
    assert identify(one) == identify(copy.deepcopy(one)) != identify(other)


def test_two_that_hold_each_other_are_told_from_two_that_hold_themselves():
    def pair(crossed):
        one, other = ["one"], ["other"]
        one.append(other if crossed else one)
        other.append(one if crossed else other)
        return [one, other]

    hashes = {identify(pair(crossed)) for crossed in (False, True)}
    inner = [["a"], ["b"]]
    for first, second in [(0, 1), (1, 0)]:
        part = []
        part += [inner, part] if first == 0 else [part, inner]
        hashes.add(identify([part, second]))
    assert len(hashes) == 4


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")  # it is deprecated
def test_quantized_tensors_of_other_scales_differ():
    def quantized(scale):
        return torch.quantize_per_tensor(torch.tensor([scale]), scale, 0, torch.qint8)

    assert identify(quantized(0.5)) == identify(quantized(0.5)) != identify(quantized(0.25))


def hashes_of_all():
    values = [*PAIRS.values(), {"cat", "dog", "horse"}, frozenset("xyz"), v2.RandomErasing()]
    return [identify(value) for value in values]


def test_hashes_are_the_same_in_another_process():
    result = subprocess.run(
        [sys.executable, "-c", "import test_identity as t; print(*t.hashes_of_all())"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.split() == hashes_of_all(), result.stderr
    assert len(set(hashes_of_all())) == len(hashes_of_all())


@pytest.mark.parametrize(
    "value",
    [(i for i in ()), torch.zeros(2, device="meta"), nn.LazyLinear(2), [[[sys.stdout]]]],
    ids=["generator", "meta", "lazy", "stream"],
)
def test_what_nobody_can_know_has_no_hash(value):
    with pytest.raises(UnidentifiableError, match="^a "):
        identify(value)


def test_nesting_without_an_end_has_no_hash():
    value = []
    for _ in range(10_000):
        value = [value]
    with pytest.raises(UnidentifiableError, match="too deeply"):
        identify(value)

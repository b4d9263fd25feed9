import random
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from skdiffusion_label._torch import (
    arrays_to_module,
    fitting_device,
    limited_threads,
    make_generator,
    module_to_arrays,
    prediction_device,
    seeded,
    to_tensor,
)

# Generators


def test_generator_is_seeded_by_the_random_state_alone():
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()
    first, same, other = (make_generator(np.random.RandomState(seed)) for seed in (0, 0, 1))
    assert first.device.type == "cpu"
    draws = [torch.rand(5, generator=generator) for generator in (first, same, other)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state[1])
    assert np.random.get_state()[2] == numpy_state[2]


def test_generators_of_one_random_state_differ():
    random_state = np.random.RandomState(0)
    first, second = make_generator(random_state), make_generator(random_state)
    assert first.initial_seed() != second.initial_seed()


# Devices


def test_automatic_device_is_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fitting_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert fitting_device("auto") == torch.device("cuda")


def test_named_device_is_taken_without_a_warning():
    assert fitting_device("cpu") == torch.device("cpu")
    assert prediction_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda:99", "no such device", "cpu:x", ""])
def test_missing_device_is_named_in_the_error(device):
    with pytest.raises(ValueError, match="device must be 'auto' or a device.*got '" + device):
        fitting_device(device)


@pytest.mark.parametrize("device", ["cuda:99", "no such device"])
def test_prediction_falls_back_to_the_cpu_with_a_warning(device):
    with pytest.warns(UserWarning, match=f"device '{device}' is not available here"):
        assert prediction_device(device) == torch.device("cpu")


# Threads


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    with threadpool_limits(2):
        torch.set_num_threads(2)
        yield
    torch.set_num_threads(before)


def thread_counts():
    return {library["filepath"]: library["num_threads"] for library in threadpool_info()}


@pytest.mark.parametrize(("n_jobs", "expected"), [(None, 1), (1, 1), (2, 2)])
def test_threads_are_limited_within_and_restored_after(n_jobs, expected, two_threads):
    before = thread_counts()
    assert torch.get_num_threads() == 2
    assert 2 in before.values()
    with limited_threads(n_jobs):
        assert torch.get_num_threads() == expected
        assert set(thread_counts().values()) == {expected}
    assert thread_counts() == before
    assert torch.get_num_threads() == 2


def test_threads_are_restored_after_an_error(two_threads):
    before = thread_counts()
    with pytest.raises(RuntimeError, match="stop"), limited_threads(1):
        raise RuntimeError("stop")
    assert thread_counts() == before
    assert torch.get_num_threads() == 2


def test_negative_number_of_jobs_counts_from_all_cores():
    with limited_threads(-1):
        assert torch.get_num_threads() == joblib.cpu_count()


# Arrays


def make_module(seed):
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(generator=generator)
            else:
                tensor.fill_(seed)
    return module


@pytest.mark.parametrize("writeable", [True, False])
def test_module_makes_the_round_trip_through_arrays(writeable):
    source, target = make_module(3), make_module(4)
    arrays = module_to_arrays(source)
    for array in arrays.values():
        array.flags.writeable = writeable
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as torch warns once only about read-only arrays
        arrays_to_module(arrays, target)
    state = source.state_dict()
    assert state.keys() == arrays.keys()
    for name, value in target.state_dict().items():
        assert torch.equal(value, state[name])
        assert value.dtype == state[name].dtype


def test_arrays_do_not_share_memory_with_either_module():
    source, target = make_module(3), make_module(4)
    arrays = module_to_arrays(source)
    arrays_to_module(arrays, target)
    copies = {name: array.copy() for name, array in arrays.items()}
    with torch.no_grad():
        for module in (source, target):
            for tensor in module.state_dict().values():
                tensor.fill_(9)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, copies[name])


def test_arrays_of_another_network_are_refused():
    with pytest.raises(RuntimeError, match="size mismatch"):
        arrays_to_module(module_to_arrays(make_module(0)), nn.Sequential(nn.Linear(3, 5)))


@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_tensor_is_a_copy_in_the_dtype_asked_for(order, writeable):
    array = np.asarray(np.random.default_rng(0).normal(size=(5, 3)), order=order)
    before = array.copy()
    array.flags.writeable = writeable
    tensor = to_tensor(array, torch.float32, torch.device("cpu"))
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(tensor.numpy(), array.astype(np.float32))
    tensor.fill_(0)
    np.testing.assert_array_equal(array, before)


def test_bridge_itself_touches_no_global_state_on_import(monkeypatch):
    import importlib

    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    monkeypatch.delitem(sys.modules, "skdiffusion_label._torch")
    importlib.import_module("skdiffusion_label._torch")
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_threads_that_seed_global_generators_wait_for_each_other():
    before = torch.get_rng_state()

    def draw(seed):
        with seeded(seed):
            first = torch.rand(1).item(), np.random.random(), random.random()
            time.sleep(0.01)
            return *first, torch.rand(1).item(), np.random.random(), random.random()

    alone = [draw(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(4))) == alone
    assert torch.equal(torch.get_rng_state(), before)
    assert len(set(alone)) == 4

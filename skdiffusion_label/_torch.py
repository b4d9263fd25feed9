"""The bridge between numpy or scikit-learn and torch: random states, devices, threads, arrays."""

import os
import random
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

_seeding = threading.RLock()
_is_forked = False


class _BlasLimit:
    """BLAS's number of threads, which the threads of a process have in common.

    The first block that limits it decides for those that open beside it; the last one to close
    restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[int] = []  # by thread: after a fork one of them is left
        self._before: Any = None

    @contextmanager
    def __call__(self, libraries: ThreadpoolController, n_threads: int) -> Iterator[None]:
        thread = threading.get_ident()
        with self._lock:
            if self._before is None:
                self._before = libraries.select(user_api="blas").limit(limits=n_threads)
                _let_others_set_blas(libraries)
            self._open.append(thread)
        try:
            yield
        finally:
            with self._lock:
                self._open.remove(thread)
                if not self._open:
                    self._before.restore_original_limits()
                    self._before = None
                    _let_others_set_blas(libraries)

    def forget_other_threads(self) -> None:
        """Go on in a forked process, which has the thread that forked alone."""
        self._lock = threading.Lock()
        self._open = [thread for thread in self._open if thread == threading.get_ident()]


def _let_others_set_blas(libraries: ThreadpoolController) -> None:
    """Let other threads set BLAS's number of threads; threadpoolctl lets one at a time."""
    with libraries.select(user_api=[]).limit():
        pass


_limited_blas = _BlasLimit()


def _after_fork() -> None:
    global _seeding, _is_forked
    _seeding, _is_forked = threading.RLock(), True
    _limited_blas.forget_other_threads()


if hasattr(os, "register_at_fork"):  # a process that reads images starts while a lock is held
    os.register_at_fork(after_in_child=_after_fork)


def make_generator(random_state: np.random.RandomState) -> torch.Generator:
    """Return a CPU generator seeded from ``random_state``; global generators stay untouched."""
    return torch.Generator().manual_seed(int(random_state.randint(np.iinfo(np.int32).max)))


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python; on leaving, restore them.

    For code of others that draws from them: modules' constructors, dropout, augmentations. Of
    torch's, these are the CPU's and that of ``device``. Threads wait for each other.
    """
    devices = [device] if device is not None and device.type == "cuda" else []
    with _seeding:
        states = np.random.get_state(), random.getstate()
        try:
            with torch.random.fork_rng(devices):
                torch.default_generator.manual_seed(int(seed))  # manual_seed reseeds all GPUs too
                for cuda_device in devices:
                    with torch.cuda.device(cuda_device):
                        torch.cuda.manual_seed(int(seed))
                np.random.seed(seed)
                random.seed(int(seed))
                yield
        finally:
            np.random.set_state(states[0])
            random.setstate(states[1])


def fitting_device(device: str) -> torch.device:
    """Return the torch device called ``device``; "auto" is a CUDA GPU if there is one.

    Raises
    ------
    ValueError
        If there is no such device on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.zeros(1, dtype=torch.float64, device=resolved).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto' or a device that torch can use here, got {device!r}: {error}"
        ) from error
    return resolved


def launched_process() -> Any:
    """Return accelerate's state of this process, one of those that it has launched together.

    Raises
    ------
    ValueError
        If accelerate is not installed.
    """
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ValueError(
            "distributed=True needs the package accelerate: pip install accelerate."
        ) from error
    # Told so, it joins processes on CPUs as well; left alone, each would train by itself.
    return PartialState(cpu=not torch.accelerator.is_available())


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Return the sum of ``tensor`` over the processes that accelerate has launched together."""
    from accelerate.utils import reduce

    return reduce(tensor, reduction="sum")


def from_first_process(value: Any) -> Any:
    """Return the ``value`` of the first of the processes that accelerate has launched together."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def prediction_device(device: str) -> torch.device:
    """Return :func:`fitting_device`, or the CPU with a warning where that device is missing."""
    try:
        return fitting_device(device)
    except ValueError:
        warnings.warn(
            f"device {device!r} is not available here; predicting on the CPU.",
            UserWarning,
            stacklevel=4,
        )
        return torch.device("cpu")


@contextmanager
def limited_threads(n_jobs: int | None) -> Iterator[None]:
    """Run torch, BLAS and OpenMP on ``n_jobs`` threads; on leaving, restore their settings.

    In a forked process they run on one: OpenMP would wait for threads that its parent has.
    """
    n_threads = 1 if _is_forked else joblib.effective_n_jobs(n_jobs)
    torch.get_num_threads()  # a thread's first call of torch sets its number, which would be late
    libraries = ThreadpoolController()
    openmp = libraries.select(user_api="openmp")
    with openmp.limit(limits=n_threads), _limited_blas(libraries, n_threads):
        yield


@contextmanager
def usable_threads() -> Iterator[None]:
    """Run on the threads that there are: one in a forked process, all elsewhere."""
    if not _is_forked:
        yield
        return
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # MKL's too, which may be told apart from OpenMP's
    try:
        with limited_threads(1):
            yield
    finally:
        torch.set_num_threads(n_threads)


def printed_form(value: Any) -> str:
    """Return how a module, or what one holds, is printed: without addresses of this process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def module_to_arrays(module: nn.Module, without: str | None = None) -> dict[str, np.ndarray]:
    """Copy a module's parameters and buffers to numpy, but for names that start by ``without``."""
    return {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in module.state_dict().items()
        if without is None or not name.startswith(without)
    }


def arrays_to_module(arrays: dict[str, np.ndarray], module: nn.Module) -> None:
    """Load what :func:`module_to_arrays` copied, also from read-only arrays."""
    module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})


def stack(tensors: list[Tensor], rows: list[int], transform: str) -> Tensor | ValueError:
    """Return the tensors of ``rows`` as one batch, or an error if ``transform`` shaped one apart.

    Returned rather than raised, it leaves a worker process as it is.
    """
    for row, tensor in zip(rows, tensors, strict=True):
        if tensor.shape != tensors[0].shape:
            return ValueError(
                f"{transform} must give all rows of X tensors of one shape, got "
                f"{tuple(tensors[0].shape)} for row {rows[0]} and {tuple(tensor.shape)} for row "
                f"{row}. Images may have to be converted to one mode, or resized."
            )
    return torch.stack(tensors)


def to_tensor(array: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return ``array`` as a tensor to read from: the array's own memory where that is possible.

    Unlike ``from_numpy`` this takes read-only arrays silently, by a copy.
    """
    convert = torch.as_tensor if array.flags.writeable else torch.tensor
    return convert(array, dtype=dtype, device=device)

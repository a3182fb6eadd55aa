"""The switch: which arrays came in, which kernels run."""

import importlib
import operator
import os
from contextvars import ContextVar
from functools import lru_cache
from typing import Self

from ._arrays import FOREIGN, first_line, kind_of, kinds
from ._errors import BackendUnavailable, InvalidInput, UnsupportedType
from .kernels import threads

__all__ = [
    "backend",
    "backends",
    "chosen",
    "cupyx_missing",
    "forget",
    "get_threads",
    "kernels",
    "pick",
    "set_backend",
    "set_threads",
    "stays_on_cpu",
]

_NAMES = ("cpu", "gpu", "auto")
# The blocks that we are in: the innermost name and what is around it. Tokens would tie a block to one thread.
_blocks: ContextVar[tuple | None] = ContextVar("solvers_backend", default=None)
# Read once: os.environ.get costs more than a whole dispatch.
_default = os.environ.get("SOLVERS_BACKEND") or "auto"
_INSTALL = "pip install 'cupy-cuda13x[ctk]'"


class backend:
    """Choose where the solvers run, within a ``with`` block.

    Parameters
    ----------
    name : {"cpu", "gpu", "auto"}
        ``"auto"``, the default of the library, lets the arrays decide: NumPy runs on the CPU, CuPy
        on the GPU. ``"gpu"`` sends NumPy input to the GPU and brings the answer back as NumPy.

    Raises
    ------
    BackendUnavailable
        If that backend cannot run here; never a silent fall-back.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> from solvers import linalg
    >>> with solvers.backend("cpu"):
    ...     linalg.cg(np.eye(2), np.ones(2)).backend
    'cpu'
    """

    def __init__(self, name: str) -> None:
        self._name = _available(_known(name, "`name`"))

    def __enter__(self) -> Self:
        _blocks.set((self._name, _blocks.get()))
        return self

    def __exit__(self, *_: object) -> None:
        _blocks.set(_blocks.get()[1])


def set_backend(name: str) -> None:
    """Choose where the solvers run, from now on and in every thread: ``"cpu"``, ``"gpu"`` or ``"auto"``."""
    global _default
    _default = _available(_known(name, "`name`"))


def backends() -> dict[str, str | None]:
    """Say which backends can run here: a name maps to None, or to the reason why it cannot."""
    return {"cpu": None, "gpu": _gpu_missing()}


class set_threads:
    """Set the number of CPU threads of the compiled kernels, for good or for a ``with`` block.

    A plain call holds from then on, until the next one. ``with solvers.set_threads(2):`` restores on exit, also after
    an exception, the number that held before, whatever plain calls the block has made. Blocks may be nested.

    Parameters
    ----------
    n : int or None
        How many, at least 1. None stands for the default: ``SOLVERS_NUM_THREADS`` or ``OMP_NUM_THREADS`` where set,
        else the number of processors that this process may use.

    Raises
    ------
    InvalidInput
        If ``n`` is neither an integer >= 1 nor None.

    Notes
    -----
    Answers do not depend on the number, to the last bit, but where the page of a method says so.

    *Threads of Python*: there is one number for the process, and the latest call or block counts, whichever thread it
    came from; so a block also holds for the work that it hands to a ``ThreadPoolExecutor``. Blocks of several threads
    may overlap in any order: each takes back its own number and no other's, and after the last one the number is what
    it was before the first. A task of ``executor=`` has one kernel thread, as has what the library hands to threads of
    its own: ``get_threads`` says 1 there.

    *Processes*: a process started by ``spawn`` begins with its own default, so that a task sets the number itself, or
    the environment does; a forked one begins with the number of its parent at that moment.

    Only our kernels are meant: BLAS has settings of its own (``threadpoolctl``, ``OPENBLAS_NUM_THREADS``).

    Examples
    --------
    >>> import solvers
    >>> before = solvers.get_threads()
    >>> with solvers.set_threads(1):
    ...     solvers.get_threads()
    1
    >>> solvers.get_threads() == before
    True
    """

    def __init__(self, n: int | None) -> None:
        self._n = None if n is None else _number_of_threads(n)
        self._call = threads.choose(self._n)
        self._blocks: list[threads.Choice] = []

    def __enter__(self) -> Self:
        threads.take_back(self._call)  # it was no plain call
        self._blocks.append(threads.choose(self._n, block=True))
        return self

    def __exit__(self, *_: object) -> None:
        threads.take_back(self._blocks.pop())

    def __repr__(self) -> str:
        return f"set_threads({self._n})"


def _number_of_threads(n):
    try:
        number = 0 if isinstance(n, bool) else operator.index(n)
    except TypeError:  # an array of several has no index either
        number = 0
    if number < 1:
        raise InvalidInput(f"`n` must be an integer >= 1 or None, got {n!r}.")
    return number


def get_threads() -> int:
    """Return the number of CPU threads that the compiled kernels may use.

    Returns
    -------
    int
        What ``set_threads`` set in this process, else the default.

    Examples
    --------
    >>> import solvers
    >>> with solvers.set_threads(3):
    ...     solvers.get_threads()
    3
    """
    return threads.limit()


def pick(**arguments) -> str:
    """Return ``"cpu"`` or ``"gpu"`` for a call with these arrays (None for an absent one)."""
    found = first = None
    for name, value in arguments.items():
        kind = kinds[type(value)]
        if kind is FOREIGN:
            kind = kind_of(name, value)
        if kind is not None and kind != found:
            if found is not None:
                raise _mixture(*((first, name) if found == "gpu" else (name, first)))
            found, first = kind, name
    if found == "gpu":
        _refuse_two_devices(arguments)
    choice = chosen()
    if choice == "auto":
        choice = found or "cpu"
    if choice != "cpu":
        return _available(_known(choice, "the environment variable SOLVERS_BACKEND"))
    if found == "gpu":
        raise UnsupportedType(
            f"`{first}` lives on the GPU while the backend is set to 'cpu': bring it over (cupy.asnumpy, or .cpu() "
            "in torch)."
        )
    return choice


def stays_on_cpu(values, others=()) -> bool:
    """Whether nothing among these arguments, and no choice of the user's, asks for the GPU."""
    if chosen() not in ("auto", "cpu"):
        return False
    for each in (values, others):
        for value in each:
            kind = kinds[type(value)]
            if kind == "gpu" or (kind is FOREIGN and kind_of("an argument", value) == "gpu"):
                return False
    return True


def chosen() -> str:
    """Return the choice that holds here: of the innermost block, else of ``set_backend``."""
    block = _blocks.get()
    return _default if block is None else block[0]


def _refuse_two_devices(arguments):
    """The kernels read the memory of one device."""
    first = None
    for name, value in arguments.items():
        foreign = kinds[type(value)] is FOREIGN
        number = value.__dlpack_device__()[1] if foreign else getattr(getattr(value, "device", None), "id", None)
        if number is None:
            continue
        if first is not None and number != first[1]:
            raise UnsupportedType(
                f"`{first[0]}` lives on GPU {first[1]} and `{name}` on GPU {number}: copy one of them (within `with "
                f"cupy.cuda.Device({first[1]}):`, cupy.array(...) makes the copy there)."
            )
        first = first or (name, number)


def _mixture(on_gpu, on_cpu):
    return UnsupportedType(
        f"`{on_gpu}` lives on the GPU and `{on_cpu}` does not: move one of them (cupy.asarray, cupy.asnumpy; .cuda() "
        "or .cpu() in torch)."
    )


@lru_cache
def kernels(name: str):
    """Return the kernel package of a backend, loaded on first use."""
    return importlib.import_module(f"{__package__}.kernels.{name}")


def _known(name, what):
    if name not in _NAMES:
        raise InvalidInput(f"{what} must be one of 'cpu', 'gpu', 'auto', got {name!r}.")
    return name


def _available(name):
    if name == "gpu" and (missing := _gpu_missing()) is not None:
        raise BackendUnavailable(f"The GPU backend cannot run here: {missing}")
    return name


@lru_cache(maxsize=1)
def _gpu_missing():
    """The part that the GPU kernels lack here, in words, with the remedy; None where they can run."""
    try:
        import cupy
        from cupy.cuda import nvrtc, runtime
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "cupy":
            return f"cupy is not installed; {_INSTALL}."
        return f"cupy cannot be imported ({first_line(error)}); reinstall it: {_INSTALL}."
    except Exception as error:  # a broken installation fails in many ways
        return f"cupy cannot be imported ({first_line(error)}); reinstall it: {_INSTALL}."
    if getattr(runtime, "is_hip", False):
        return f"this cupy is built for AMD devices, the kernels for NVIDIA's; {_INSTALL}."
    try:
        devices = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return _no_driver(runtime, error)
    if devices == 0:
        return "cupy finds no CUDA device; check nvidia-smi and the environment variable CUDA_VISIBLE_DEVICES."
    try:
        nvrtc.getVersion()
    except Exception as error:  # ImportError, or cuda-pathfinder's own error
        return f"NVRTC, which compiles the kernels, cannot be loaded ({first_line(error)}); {_INSTALL}."
    if int(cupy.cuda.Device().compute_capability) < _OLDEST:
        return "the device is older than compute capability 7.0 (Volta), which the kernels need; use the CPU backend."
    return None


# __nanosleep and independent threads within a warp.
_OLDEST = 70


def _no_driver(runtime, error):
    if "NoDevice" in str(error):
        return "cupy finds no CUDA device; check nvidia-smi and the environment variable CUDA_VISIBLE_DEVICES."
    try:
        version = runtime.driverGetVersion()
    except runtime.CUDARuntimeError:
        version = 0
    if version == 0:
        return f"there is no NVIDIA driver; install it, check it with nvidia-smi, and {_INSTALL} for CUDA's libraries."
    return (
        f"the NVIDIA driver is too old for this cupy (it knows CUDA {version // 1000}.{version % 1000 // 10}); update "
        "the driver, or pip uninstall cupy-cuda13x and pip install 'cupy-cuda12x[ctk]'."
    )


@lru_cache(maxsize=1)
def cupyx_missing() -> str | None:
    """Say what ``cupyx.scipy.sparse.linalg`` lacks here, None if nothing: our own kernels do without it."""
    try:
        import cupyx.scipy.sparse.linalg  # noqa: F401
    except Exception as error:  # ImportError, or cuda-pathfinder's own error
        what = first_line(error).partition(": No such file")[0]
        return f"cuBLAS, cuSPARSE or cuSOLVER cannot be loaded ({what}); {_INSTALL}."
    return None


def forget() -> None:
    """Look anew at the next question what is installed and which device there is; for tests."""
    _gpu_missing.cache_clear()
    cupyx_missing.cache_clear()

"""The switch: which arrays came in, which kernels run."""

import importlib
import importlib.util
import os
from contextvars import ContextVar
from functools import lru_cache

from ._errors import BackendUnavailable, InvalidInput, UnsupportedType
from .kernels import threads

__all__ = ["backend", "backends", "get_threads", "kernels", "pick", "set_backend", "set_threads"]

_NAMES = ("cpu", "gpu", "auto")
_chosen: ContextVar[str | None] = ContextVar("solvers_backend", default=None)
# Read once: os.environ.get costs more than a whole dispatch.
_default = os.environ.get("SOLVERS_BACKEND", "auto")
_kind_of_type: dict[type, str | None] = {}


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

    def __init__(self, name):
        self._name = _available(_known(name, "`name`"))
        self._tokens = []

    def __enter__(self):
        self._tokens.append(_chosen.set(self._name))
        return self

    def __exit__(self, *_):
        _chosen.reset(self._tokens.pop())


def set_backend(name: str) -> None:
    """Choose where the solvers run, from now on and in every thread: ``"cpu"``, ``"gpu"`` or ``"auto"``."""
    global _default
    _default = _available(_known(name, "`name`"))


def backends() -> dict[str, str | None]:
    """Say which backends can run here: a name maps to None, or to the reason why it cannot."""
    return {"cpu": None, "gpu": _gpu_missing()}


def set_threads(n: int | None) -> None:
    """Set the number of CPU threads of the compiled kernels; None restores the default.

    The default is ``SOLVERS_NUM_THREADS`` or ``OMP_NUM_THREADS`` where set, else the number of
    processors that this process may use. Answers do not depend on it, to the last bit.
    """
    if n is not None and (isinstance(n, bool) or not hasattr(n, "__index__") or n < 1):
        raise InvalidInput(f"`n` must be an integer >= 1 or None, got {n!r}.")
    threads.choose(None if n is None else int(n))


def get_threads() -> int:
    """Return the number of CPU threads that the compiled kernels may use."""
    return threads.limit()


def pick(**arguments) -> str:
    """Return ``"cpu"`` or ``"gpu"`` for a call with these arrays (None for an absent one)."""
    kinds = {}
    for name, value in arguments.items():
        kind = _kind(type(value))
        if kind is not None:
            kinds.setdefault(kind, name)
    choice = _chosen.get() or _known(_default, "the environment variable SOLVERS_BACKEND")
    if len(kinds) > 1:
        raise UnsupportedType(
            f"`{kinds['gpu']}` lives on the GPU and `{kinds['cpu']}` does not: move one of them with cupy.asarray "
            "or cupy.asnumpy."
        )
    if choice == "auto":
        choice = next(iter(kinds), "cpu")
    elif choice == "cpu" and "gpu" in kinds:
        raise UnsupportedType(
            f"`{kinds['gpu']}` lives on the GPU while the backend is set to 'cpu': bring it over with cupy.asnumpy."
        )
    return _available(choice)


@lru_cache
def kernels(name: str):
    """Return the kernel package of a backend, loaded on first use."""
    return importlib.import_module(f"{__package__}.kernels.{name}")


def _kind(type_):
    """``"gpu"`` for CuPy's types, ``"cpu"`` for NumPy's and SciPy's, None for what can be either."""
    try:
        return _kind_of_type[type_]
    except KeyError:
        library = type_.__module__.partition(".")[0]
        kind = {"cupy": "gpu", "cupyx": "gpu", "numpy": "cpu", "scipy": "cpu"}.get(library)
        return _kind_of_type.setdefault(type_, kind)


def _known(name, what):
    if name not in _NAMES:
        raise InvalidInput(f"{what} must be one of 'cpu', 'gpu', 'auto', got {name!r}.")
    return name


def _available(name):
    if name == "gpu" and (missing := _gpu_missing()) is not None:
        raise BackendUnavailable(f"The GPU backend cannot run here: {missing}")
    return name


def _gpu_missing():
    if importlib.util.find_spec(f"{__package__}.kernels.gpu") is None:
        return "this release of adaptive-solvers ships CPU kernels only; use solvers.backend('cpu')."
    if importlib.util.find_spec("cupy") is None:
        return "cupy is not installed; pip install 'adaptive-solvers[gpu]'."
    import cupy

    if not cupy.is_available():
        return "cupy finds no CUDA driver or no device; install the NVIDIA driver and check nvidia-smi."
    return None

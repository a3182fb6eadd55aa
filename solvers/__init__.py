"""Solvers that get faster on the problems you keep giving them, and tell the truth about the answer.

The areas are loaded on first use: ``solvers.linalg`` stands in for ``scipy.sparse.linalg``.
"""

import os as _os

# A checkout that is not installed has kernels/ and benchmarks/ beside this folder, not inside it.
_home = _os.path.dirname(_os.path.abspath(__file__))
_root = _os.path.dirname(_home)
if not _os.path.isdir(_os.path.join(_home, "kernels")) and _os.path.isfile(
    _os.path.join(_root, "kernels", "__init__.py")
):
    __path__.append(_root)

from ._backend import backend, backends, get_threads, set_backend, set_threads  # noqa: E402
from ._errors import (  # noqa: E402
    BackendUnavailable,
    ConvergenceError,
    DeviceMemoryError,
    InvalidInput,
    TaskError,
    UnsupportedType,
)
from ._maxtime import maxtime  # noqa: E402
from ._progress import progress  # noqa: E402
from ._result import Result, Status  # noqa: E402
from ._version import __version__  # noqa: E402

_AREAS = ("inverse", "linalg", "pde", "transport")
_ON_FIRST_USE = (*_AREAS, "compat", "deep", "testing")

__all__ = [
    "BackendUnavailable",
    "ConvergenceError",
    "DeviceMemoryError",
    "InvalidInput",
    "Result",
    "Status",
    "TaskError",
    "UnsupportedType",
    "__version__",
    "backend",
    "backends",
    "compat",
    "deep",
    "get_threads",
    "inverse",
    "linalg",
    "maxtime",
    "pde",
    "progress",
    "set_backend",
    "set_threads",
    "testing",
    "transport",
]


def __getattr__(name):
    if name in _ON_FIRST_USE:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)

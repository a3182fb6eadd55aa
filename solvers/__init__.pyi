# What __init__.py offers, for type checkers: these cannot follow areas that are loaded on first use.
from . import compat, deep, inverse, linalg, pde, testing, transport
from ._backend import backend, backends, get_threads, set_backend, set_threads
from ._errors import (
    BackendUnavailable,
    ConvergenceError,
    DeviceMemoryError,
    InvalidInput,
    TaskError,
    UnsupportedType,
)
from ._maxtime import maxtime
from ._progress import progress
from ._result import Result, Status

__version__: str

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

"""The exceptions of the library; each message is one sentence that names the remedy."""

from typing import Any

from .kernels.errors import DeviceMemoryError

__all__ = ["BackendUnavailable", "ConvergenceError", "DeviceMemoryError", "InvalidInput", "UnsupportedType"]


class InvalidInput(ValueError):
    """An argument of a supported type has a value that cannot be worked with."""


class UnsupportedType(TypeError):
    """An argument has a type that the function does not take."""


class BackendUnavailable(RuntimeError):
    """The requested backend cannot run here; the message says which part is missing."""


class ConvergenceError(RuntimeError):
    """Raised by ``Result.check()`` for a result that did not converge.

    Attributes
    ----------
    result : Result
        The result in question, its best ``x`` included.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self):
        return type(self), (*self.args, self.result)

"""The exceptions of the library; each message is one sentence that names the remedy."""

from collections.abc import Sequence
from typing import Any

from .kernels.errors import DeviceMemoryError

__all__ = [
    "BackendUnavailable",
    "ConvergenceError",
    "DeviceMemoryError",
    "InvalidInput",
    "TaskError",
    "UnsupportedType",
]


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


class TaskError(RuntimeError):
    """Raised when tasks of a batch failed, after all the others have ended; its cause is the first failure.

    Attributes
    ----------
    names : tuple of str
        What part of the batch each task was.
    results : list
        What each task returned, in their order; None for those that failed.
    failures : dict
        From the number of a task to the exception that it raised.
    """

    def __init__(self, names: Sequence[str], results: list[Any], failures: dict[int, BaseException]) -> None:
        self.names, self.results, self.failures = tuple(names), results, failures
        first, error = next(iter(failures.items()))
        more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
        what = _said(error).partition("\n")[0].rstrip(".") or "no message"
        super().__init__(
            f"{len(failures)} of {len(results)} tasks failed: {self.names[first]} ({type(error).__name__}: {what})"
            f"{more}; {_remedy(error)}, `results` has the answers of the others."
        )

    def __reduce__(self):
        return type(self), (self.names, self.results, self.failures)


def _said(error):
    """What it says; nothing, where its own ``__str__`` fails."""
    try:
        return str(error)
    except Exception:
        return ""


def _remedy(error):
    """What to do about a task's failure; the libraries that send tasks have no class for what they cannot send."""
    if type(error).__name__ == "BrokenProcessPool":
        return (
            "open a new executor, as this one is broken; a process that dies at once could not import what it was "
            "sent: define functions in a module and guard the script by if __name__ == '__main__', or pass a "
            "ThreadPoolExecutor"
        )
    words = f"{type(error).__name__} {_said(error)}".lower()
    if any(word in words for word in ("pickle", "serialize", "get local object")):  # the last one is Python 3.12's
        return (
            "define functions in a module, not by lambda, so that they can go to other processes, or pass a "
            "ThreadPoolExecutor"
        )
    return "mend or leave out what `failures` names"

"""The time limit that a user asks for by passing ``callback=solvers.maxtime(seconds)``."""

import time
from typing import Any

from . import _checks

__all__ = ["maxtime"]


class maxtime:
    """Stop a solve after some seconds; it ends as STOPPED, with the best iterate at hand and its true residual.

    The clock is looked at after each chunk of iterations, so that the compiled loops stay whole: a solve may take one
    chunk longer. It starts when this object is made, and again with the first chunk of each further solve.

    Parameters
    ----------
    seconds : float
        Wall time, > 0.
    callback : object with ``on_chunk(iteration, norm)``, optional
        What is told before the clock is looked at, such as ``solvers.progress()``. A callable of the iterate is not
        taken: it makes chunks of one iteration, and can raise StopIteration itself.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> from solvers import linalg
    >>> A = linalg.stencil((200, 200), [4, -1, -1])
    >>> linalg.cg(A, np.ones(40_000), callback=solvers.maxtime(1e-6)).status
    <Status.STOPPED: 'stopped'>
    """

    def __init__(self, seconds: float, callback: Any = None) -> None:
        self._seconds = _checks.positive("seconds", seconds)
        if callback is not None and not hasattr(callback, "on_chunk"):
            raise _checks.wrong_kind("callback", "an object with on_chunk(iteration, norm)", callback)
        self._callback = callback
        self._began = time.monotonic()

    def on_chunk(self, iteration: int, norm: Any) -> None:
        """Tell the other callback, then raise StopIteration if the time is over."""
        if self._began is None:
            self._began = time.monotonic()
        if self._callback is not None:
            self._callback.on_chunk(iteration, norm)
        if time.monotonic() - self._began > self._seconds:
            raise StopIteration

    def on_end(self, result: Any) -> None:
        """The next solve has its own time."""
        self._began = None
        if hasattr(self._callback, "on_end"):
            self._callback.on_end(result)

    def __repr__(self):
        return f"maxtime({self._seconds:g} seconds)"

"""The progress report that a user asks for by passing ``callback=solvers.progress()``."""

import sys
import time
from typing import Any, TextIO

__all__ = ["progress"]


class progress:
    """Report iteration and residual norm on one line while a solve runs.

    It is told at the end of a chunk of iterations and never asks for the iterate, so the compiled
    loops stay whole. Any object with a method ``on_chunk(iteration, norm)`` can stand in for it.

    Parameters
    ----------
    file : text stream, optional
        Where to write; standard error by default.
    interval : float, default 0.2
        Seconds between two reports.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> from solvers import linalg
    >>> x, info = linalg.cg(np.diag([1.0, 2.0, 3.0]), np.ones(3), callback=solvers.progress())
    """

    def __init__(self, file: TextIO | None = None, interval: float = 0.2) -> None:
        self._file = file
        self._interval = interval
        self._last = -float("inf")

    def on_chunk(self, iteration: int, norm: Any) -> None:
        """Take note of ``iteration`` and the residual ``norm`` after it."""
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        self._write(f"iteration {iteration}: residual {norm:.2e}")

    def on_end(self, result: Any) -> None:
        """Write the last line: the result."""
        self._write(repr(result), end="\n")
        self._last = -float("inf")

    def _write(self, text, end=""):
        file = sys.stderr if self._file is None else self._file
        if file.isatty():
            file.write(f"\r\x1b[K{text}{end}")
        else:
            file.write(f"{text}\n")
        file.flush()

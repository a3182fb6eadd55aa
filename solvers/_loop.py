"""The one driver: it decides to stop, verifies, records, times and reports progress.

A method is a generator ``steps(problem, control)``. It allocates its buffers, yields ``([norm], None)``
for the initial residual, and then once per chunk ``(norms, status)``: the norms of the steps just taken
and the reason to end, if any. It leaves the iterate in ``problem.x`` before each yield.

A problem has ``x``; ``true_norm()``, which recomputes the norm of the residual at x; ``eps``, the unit
roundoff of its dtype; ``is_finite()``; ``save()`` and ``restore(saved)`` for its iterate; and ``iterate()``,
a copy of x for a user's callback.
"""

import logging
import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from ._result import Status

__all__ = ["Control", "Limits", "Observers", "Record", "ended", "fitted", "parts", "run", "told"]

# Silent unless the user configures logging.
_log = logging.getLogger(__package__)
_log.addHandler(logging.NullHandler())


class Observers(tuple):
    """Several callbacks in the place of one, called in turn."""


@dataclass(slots=True)
class Limits:
    """What the user allows: the tolerance (absolute, on the norm), the steps, and the steps per chunk."""

    threshold: float
    maxiter: int
    chunk: int
    callback: object = None


@dataclass(slots=True)
class Control:
    """What the driver decides and a method obeys; ``parameter`` is for a policy that tunes a method."""

    threshold: float
    max_steps: int
    parameter: object = None


@dataclass(slots=True)
class Record:
    """What happened."""

    status: Status
    iterations: int
    residuals: np.ndarray
    residual: float
    seconds: float


def run(steps, problem, limits, begun=None):
    """Drive a method to its end.

    The method's own norm is only a claim: the residual is recomputed, and above the threshold the method
    starts again from x, as long as that at least halves the residual. Below about eps of the norm at which
    a start began, the recurrence says nothing more about the residual, so the claim is tested there even
    if the tolerance is tighter.

    A first start that was made elsewhere, beside those of other problems, comes as ``begun``: its norms, the initial
    one first, and how it ended, CONVERGED for a claim.
    """
    began = time.perf_counter()
    history = _History()
    best, status = None, None if begun is None else history.take_over(*begun)
    while True:
        status = status or _sweep(steps, problem, limits, history)
        residual = history.initial if history.taken == 0 and status is Status.CONVERGED else problem.true_norm()
        # An infinite tolerance is met by any x that is one; and a column of zeros hides what x is there.
        finite = problem.is_finite()
        if residual <= limits.threshold and finite:
            status = Status.CONVERGED
            break
        if status in (Status.NONFINITE, Status.DIVERGED) or not (finite and math.isfinite(residual)):
            residual = problem.last_finite(residual)
            lost = Status.DIVERGED if status is Status.DIVERGED else Status.NONFINITE
            status = Status.CONVERGED if residual <= limits.threshold else lost
            break
        if best is not None and residual > 0.5 * best[0]:
            if best[0] < residual:
                residual = best[0]
                problem.restore(best[1])
            status = Status.STAGNATED if status is Status.CONVERGED else status
            break
        if status is not Status.CONVERGED:
            break
        if history.taken >= limits.maxiter:
            status = Status.MAXITER
            break
        best, status = (residual, problem.save()), None
    return Record(status, history.taken, history.norms(), residual, time.perf_counter() - began)


def _sweep(steps, problem, limits, history):
    """One start of the method, up to its claim (CONVERGED), its failure, or a limit."""
    control = Control(limits.threshold, 1)
    report = _reporter(limits.callback, problem)
    first = True
    for norms, status in steps(problem, control):
        if first:
            history.begin(norms[0])
            control.threshold = max(limits.threshold, problem.eps / 8 * norms[0])
        else:
            history.add(norms)
            if report is not None and len(norms) and report(history.taken, norms[-1]):
                return Status.STOPPED
        last = norms[-1] if len(norms) else 0.0
        if status is not None:
            return status
        if not math.isfinite(last):
            return Status.NONFINITE
        if last <= (limits.threshold if first else control.threshold):
            return Status.CONVERGED
        if history.taken >= limits.maxiter:
            return Status.MAXITER
        control.max_steps = min(limits.chunk, limits.maxiter - history.taken)
        first = False
    raise AssertionError("a method ended without a status")


class _History:
    """The norms tested. A restart puts the recomputed norm in the place of the claim it refuted."""

    def __init__(self):
        self.taken = 0
        self.initial = None
        self._parts = []

    def begin(self, norm):
        if self.initial is None:
            self.initial = float(norm)
            self._parts.append([self.initial])
        else:
            last = np.array(self._parts[-1], dtype=float)
            last[-1] = norm
            self._parts[-1] = last

    def take_over(self, norms, status):
        """A start that was made elsewhere; returns how it ended."""
        self.begin(norms[0])
        self.add(norms[1:])
        return status

    def add(self, norms):
        if len(norms) and not math.isfinite(norms[-1]):
            norms = norms[: int(np.argmin(np.isfinite(norms)))]  # the step that failed is not one taken
        if len(norms):
            self.taken += len(norms)
            self._parts.append(norms)

    def norms(self):
        norms = np.concatenate(self._parts)
        return norms if math.isfinite(norms[0]) else np.where(np.isfinite(norms), norms, np.inf)


def _reporter(callback, problem):
    """A function (iteration, norm) -> stop?, or None."""
    if callback is None:
        return None
    return lambda iteration, norm: told(callback, iteration, norm, problem.iterate)


def told(callback, iteration, norm, iterate):
    """Tell the user's callback how far it is; True if it asks to stop.

    Parameters
    ----------
    callback : callable, object with ``on_chunk(iteration, norm)``, Observers, or None
    iteration : int
    norm : float
    iterate : function ()
        Makes what a callable is called with: a copy, of no use to the caller any more.
    """
    if callback is None:
        return False
    try:
        for each in callback if isinstance(callback, Observers) else (callback,):
            if hasattr(each, "on_chunk"):
                each.on_chunk(iteration, float(norm))
            else:
                each(iterate())
    except StopIteration:
        return True
    return False


# Whether a solve is a part of another one.
_within: ContextVar[bool] = ContextVar("solvers_parts", default=False)


@contextmanager
def parts():
    """Solves within it are parts of another one, which says how it ended for all of them."""
    token = _within.set(True)
    try:
        yield
    finally:
        _within.reset(token)


def ended(callback, result):
    """Tell the user's callback, and the log, how a solve ended; returns the result.

    The logger is ``solvers``: DEBUG for a solve that converged, WARNING for one that did not. Within ``parts`` it is
    silent.
    """
    if _within.get():
        return result
    level = logging.DEBUG if result.converged else logging.WARNING
    if _log.isEnabledFor(level):
        _log.log(level, "%s", result.message)
    if hasattr(callback, "on_end"):
        callback.on_end(result)
    return result


def fitted(callback, model):
    """Tell the user's callback that a fit is over; returns the model, which has no status to log."""
    if hasattr(callback, "on_end"):
        callback.on_end(model)
    return model

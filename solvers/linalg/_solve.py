"""The way through for every iterative method: validate, solve, wrap up."""

import sys

import numpy as np

from .. import _checks
from .._loop import run
from ._result import LinearResult
from ._setup import linear_system
from ._system import trivial

__all__ = ["solve"]


def solve(
    steps, name, A, b, x0, M, rtol, atol, maxiter, callback, many=None, default_maxiter=10, adjust=None, counts_own=False
):
    """Validate, solve and wrap up.

    Parameters
    ----------
    steps : generator function (system, control)
    name : str
        The public function's name.
    many : function (systems, limits) -> records, optional
        Solves all columns of a b of shape (n, k) at once; by default they are solved one by one.
    default_maxiter : int
        Times n.
    adjust : function (system), optional
        Adds to each system what only this method knows.
    counts_own : bool
        Whether the method itself counts up to ``system.maxiter``.
    """
    tolerances, callback = (rtol, atol, maxiter), _checks.function("callback", callback)
    systems, shape, limits = linear_system(A, b, x0, M, tolerances, callback, default_maxiter)
    for system, each in zip(systems, limits):
        if adjust is not None:
            adjust(system)
        if counts_own:
            system.maxiter, each.maxiter = each.maxiter, sys.maxsize
    if len(shape) == 1:
        system = systems[0]
        record = trivial(system) or run(steps, system, limits[0])
        result = _one_result(name, system, record, limits[0])
    else:
        records = many(systems, limits) if many is not None and systems else None
        if records is None:
            records = [trivial(s) or run(steps, s, each) for s, each in zip(systems, limits)]
        result = _many_result(name, systems, records, limits, shape)
    if hasattr(callback, "on_end"):
        callback.on_end(result)
    return result


def _one_result(name, system, record, limits):
    unscale = 1.0 / system.scale
    x = system.x if unscale == 1.0 else system.x * unscale
    return LinearResult(
        (x, record.status.info(record.iterations if system.outer is None else system.outer)),
        status=record.status,
        iterations=record.iterations,
        residuals=record.residuals * unscale if unscale != 1.0 else record.residuals,
        residual=record.residual * unscale,
        threshold=limits.threshold * unscale,
        n_matvec=system.n_matvec,
        seconds=record.seconds,
        backend=system.backend,
        method=name,
    )


def _many_result(name, systems, records, limits, shape):
    singles = [_one_result(name, s, r, each) for s, r, each in zip(systems, records, limits)]
    steps = max((r.residuals.size for r in singles), default=1)
    residuals = np.zeros((steps, len(singles)))
    for j, single in enumerate(singles):
        residuals[: single.residuals.size, j] = single.residuals
        residuals[single.residuals.size :, j] = single.residuals[-1]
    codes = [single.info for single in singles]
    worst = min(codes) if min(codes, default=0) < 0 else max(codes, default=0)
    return LinearResult(
        (np.stack([s.x for s in singles], axis=1) if singles else np.empty(shape), worst),
        status=tuple(s.status for s in singles),
        iterations=np.array([s.iterations for s in singles], dtype=int),
        residuals=residuals,
        residual=np.array([s.residual for s in singles]),
        threshold=np.array([s.threshold for s in singles]),
        n_matvec=sum(s.n_matvec for s in singles),
        seconds=sum(s.seconds for s in singles),
        backend=systems[0].backend if systems else "cpu",
        method=name,
    )

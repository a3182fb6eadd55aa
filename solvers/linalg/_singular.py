"""Singular systems whose null space constants span: solved for b without its part in the null space.

Conjugate gradients converge on a consistent singular system, and break down where a part of b, be it of rounding, is
in the null space. Only what failed is looked at here: a regular system costs nothing.
"""

import math

import numpy as np

from .._loop import Limits, run
from .._result import Status
from ._null_space import has_null_space, null_space_of

__all__ = ["once_more", "run_or_project"]

_FAILED = Status.INDEFINITE, Status.STAGNATED, Status.STALLED, Status.BREAKDOWN, Status.INCONSISTENT, Status.NONFINITE
# Iterations after which a look at the matrix costs little beside them.
_MANY = 50


def run_or_project(steps, system, limits, known):
    """The record of a solve; ``known`` is what A or its preconditioner says of the null space, a NullSpace or None.

    Where too much of b is in that, nothing is tried with the whole of b.
    """
    if known is not None and not system.shift and _size(known, system) > limits.threshold:
        if has_null_space(system, known):
            return solve_projected(steps, system, limits, known)
    return once_more(steps, system, limits, run(steps, system, limits), known)


def once_more(steps, system, limits, record, known):
    """The record of a solve that failed, or of one with b projected where A has a null space."""
    looked_at = record.status in _FAILED or (record.status is Status.MAXITER and record.iterations >= _MANY)
    if not looked_at or system.shift or (record.status is Status.NONFINITE and not system.matrix.explicit):
        return record
    null = null_space_of(system, known)
    if null is None or not _may_help(null, system, limits, record) or not system.is_hermitian():
        return _no_worse_than_the_start(system, record)
    kept = system.save()
    again = solve_projected(steps, system, limits, null)
    again.seconds += record.seconds
    if again.status in (Status.CONVERGED, Status.INCONSISTENT, Status.STOPPED) or again.residual <= record.residual:
        return again
    system.restore(kept)
    return _no_worse_than_the_start(system, record)


def _may_help(null, system, limits, record):
    """Whether it is the null space that made the solve fail."""
    lost = _size(null, system)
    if record.residual < 0.9 * lost:
        return False  # the matrix is regular after all
    if lost > limits.threshold or record.status is Status.INDEFINITE:
        return True
    x = system.kernels.to_host(system.x)
    return record.status is not Status.MAXITER and null.size(x) > 0.5 * system.norm(system.x)


def _no_worse_than_the_start(system, record):
    """Where the matrix turned out to be indefinite, or singular in a way that is not known, x0 may be better."""
    if record.status is Status.INDEFINITE and record.residual > record.residuals[0]:
        system.x[:] = 0 if system.x0 is None else system.x0
        record.residual = system.true_norm()
    return record


def solve_projected(steps, system, limits, null):
    """Solve for the part of b that is in the range; x has no part in the null space but that of x0.

    The norms of the record are those of b - A x for the whole of b.
    """
    whole, lost, threshold = system.b, _size(null, system), limits.threshold
    if lost < threshold:
        threshold = math.sqrt(threshold**2 - lost**2)
    system.project_on_range(null)
    record = run(steps, system, Limits(threshold, limits.maxiter, limits.chunk, limits.callback))
    _centre(system, null)
    record.residual = system.back_to(whole)
    record.residuals = np.hypot(record.residuals, lost)
    if lost > limits.threshold and record.status in (Status.CONVERGED, Status.STAGNATED):
        record.status = Status.INCONSISTENT
    elif record.status is Status.CONVERGED and record.residual > limits.threshold:
        record.status = Status.STAGNATED
    return record


def _size(null, system):
    return null.size(system.kernels.to_host(system.b))


def _centre(system, null):
    """x with the part of x0 in the null space: of all solutions the one nearest to x0."""
    to_host = system.kernels.to_host
    x = to_host(system.x)
    part = null.part(x)
    if system.x0 is not None:
        part -= null.part(to_host(system.x0))
    system.x[:] = system.kernels.to_device(x - part.astype(x.dtype, copy=False), system.dtype)

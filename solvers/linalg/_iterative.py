"""The way through for every iterative method: validate, solve, wrap up."""

import sys
from contextlib import nullcontext
from functools import partial

import numpy as np

from .. import _checks
from .._loop import Observers, ended
from .._place import at
from .._result import Status
from ._away import Job, check_away, records_from
from ._null_space import NullSpace
from ._result import LinearResult
from ._setup import linear_system

__all__ = ["solve"]


def solve(
    steps, name, A, b, x0, M, rtol, atol, maxiter, callback, many=None, default_maxiter=10, adjust=None,
    counts_own=False, hermitian=False, few_products=False, finds_null=False, executor=None,
):
    """Validate, solve and wrap up.

    Parameters
    ----------
    steps : generator function (system, control)
    name : str
        The public function's name.
    many : function (systems, limits) -> function (systems, limits) -> records, or None; optional
        How the columns of a b of shape (n, k) are solved at once, all of them or any block of them, to the same bits;
        by default they are solved one by one.
    default_maxiter : int
        Times n.
    adjust : function (system), optional
        Adds to each system what only this method knows.
    counts_own : bool
        Whether the method itself counts up to ``system.maxiter``.
    few_products : bool
        Whether the work is not in products with A.
    hermitian : bool
        Whether the method needs a Hermitian A: where it fails, A is looked at, for the better name of the failure.
    finds_null : bool
        Whether what failed is solved again with b projected, where the null space of A is spanned by constants.
    executor : object with ``submit``, optional
        Where several columns are solved.
    """
    check_away(executor, callback)
    if not isinstance(callback, Observers):
        _checks.function("callback", callback)
    tolerances = rtol, atol, maxiter
    systems, shape, limits = linear_system(A, b, x0, M, tolerances, callback, default_maxiter, few_products)
    with at(systems[0].backend, systems[0].b) if systems else nullcontext():
        for system, each in zip(systems, limits):
            if adjust is not None:
                adjust(system)
            if counts_own:
                system.maxiter, each.maxiter = each.maxiter, sys.maxsize
        chosen = many(systems, limits) if many is not None and len(systems) > 1 else None
        many_result = partial(_many_result, name, shape[0])
        job = Job(steps, chosen, hermitian, finds_null, _known_null_space(M, A) if finds_null else None)
        if executor is None or len(systems) < 2:
            records = job.records(systems, limits)
        else:
            records = records_from(executor, job, systems, limits, many_result)
        if len(shape) == 1:
            result = _one_result(name, systems[0], records[0], limits[0])
        else:
            result = many_result(systems, records, limits)
    return ended(callback, result)


def _known_null_space(*operators):
    """The NullSpace that one of them says the matrix has, or None; entries at hand are not looked at."""
    found = (getattr(each, "null_space", None) for each in operators)
    return next((each for each in found if isinstance(each, NullSpace)), None)


def _in_the_users_scale(system, record, limits):
    """x as the user counts; where it leaves the range of its dtype there, the record says so."""
    kernels = system.kernels
    ours = kernels.to_host(system.x)
    with np.errstate(all="ignore"):
        x = (ours / system.scale).astype(system.dtype)
        if not np.isfinite(x).all():
            x[:] = 0
            record.status = Status.NONFINITE
        back = (x * system.scale).astype(system.dtype)
    if not np.array_equal(back, ours):
        system.x[:] = kernels.to_device(back, system.dtype)
        record.residual = system.true_norm()
        if record.status is Status.CONVERGED and record.residual > limits.threshold:
            record.status = Status.STAGNATED
    return kernels.to_device(x, system.dtype)


def _one_result(name, system, record, limits):
    x, fields = _read(name, system, record, limits)
    return LinearResult((system.leave(x), fields.pop("info")), **fields)


def _read(name, system, record, limits):
    """x in the memory of its backend, and what else a result says."""
    unscale = 1.0 / system.scale
    x = system.x if unscale == 1.0 else _in_the_users_scale(system, record, limits)
    fields = dict(
        info=record.status.info(record.iterations if system.outer is None else system.outer),
        status=record.status,
        iterations=record.iterations,
        residuals=record.residuals if unscale == 1.0 else _times(record.residuals, unscale),
        residual=record.residual * unscale,
        threshold=limits.threshold * unscale,
        n_matvec=system.n_matvec,
        seconds=record.seconds,
        backend=system.backend,
        method=name,
    )
    return x, fields


def _times(norms, factor):
    with np.errstate(over="ignore"):  # the norm of a vector may be infinite where no entry is
        return norms * factor


def _many_result(name, n, systems, records, limits):
    read = [_read(name, s, r, each) for s, r, each in zip(systems, records, limits)]
    columns = {field: [fields[field] for _, fields in read] for field in (read[0][1] if read else _FIELDS)}
    steps = max((norms.size for norms in columns["residuals"]), default=1)
    residuals = np.zeros((steps, len(read)))
    for j, norms in enumerate(columns["residuals"]):
        residuals[: norms.size, j] = norms
        residuals[norms.size :, j] = norms[-1]
    codes = columns["info"]
    worst = min(codes) if min(codes, default=0) < 0 else max(codes, default=0)
    return LinearResult(
        (_side_by_side(systems, [x for x, _ in read], n), worst),
        status=tuple(columns["status"]),
        iterations=np.array(columns["iterations"], dtype=int),
        residuals=residuals,
        residual=np.array(columns["residual"]),
        threshold=np.array(columns["threshold"]),
        n_matvec=sum(columns["n_matvec"]),
        seconds=sum(columns["seconds"]),
        backend=systems[0].backend if systems else "cpu",
        method=name,
    )


_FIELDS = ("info", "status", "iterations", "residuals", "residual", "threshold", "n_matvec", "seconds")


def _side_by_side(systems, columns, n):
    """The columns of x as one array of the user's kind."""
    if not systems:
        return np.empty((n, 0))
    X = systems[0].kernels.empty((n, len(systems)), systems[0].dtype)
    for j, x in enumerate(columns):
        X[:, j] = x
    return systems[0].leave(X)

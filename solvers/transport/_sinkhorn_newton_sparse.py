"""Sinkhorn-Newton-Sparse (Tang et al. 2024, arXiv:2401.12253), on the dual in both potentials."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._errors import InvalidInput
from .._place import inner
from .._result import Status
from .._types import Callback
from ._costs import PointCloud
from ._entries import entries
from ._newton import largest_cost, rounding, visible_entries
from ._problem import Problem
from ._result import TransportResult
from ._sinkhorn import solve

__all__ = ["sinkhorn_newton_sparse"]

_RULES = ("safe", "top-k")
# Entries kept by "top-k", as a multiple of the longer side, where no density is given.
_ENTRIES = 8
_SIGMA, _LEAST_SIGMA, _MOST_SIGMA = 1.0, 1e-4, 1e8
_ARMIJO, _HALVINGS = 1e-4, 20
_CG_STEPS, _CG_RTOL = 500, 0.1
# "safe": sweeps after a step that failed; and the failures in a row, without half the error gained, that end a solve.
_SWEEPS, _PATIENCE, _PATIENCE_HIDDEN = 3, 6, 2


def sinkhorn_newton_sparse(
    C: ArrayLike | PointCloud,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    eps: float,
    warmup: int = 20,
    max_newton_steps: int = 500,
    rule: str = "safe",
    density: float | None = None,
    tol: float = 1e-6,
    maxiter: int | None = None,
    x0: tuple[ArrayLike, ArrayLike] | None = None,
    normalize: bool = False,
    callback: Callback | None = None,
) -> TransportResult:
    """Transport a to b at the least cost, smoothed by entropy, with the Sinkhorn-Newton-Sparse algorithm.

    Some sweeps of Sinkhorn's algorithm, then Newton steps on the dual in which only the large entries of the plan stand
    in the Hessian. ``sinkhorn(method="newton")`` is more robust, and mostly faster, for small eps.

    Parameters
    ----------
    C : array_like, shape (n, m), or PointCloud
        Costs; inf forbids a pair.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights of one total; uniform by default.
    eps : float
        The regularisation, in the units of C; the paper's 1 / eta.
    warmup : int, default 20
        Sweeps before Newton's method (the paper's N1: 20, and 700 for an L1 cost).
    max_newton_steps : int, default 500
        Most Newton steps (the paper's N2).
    rule : {"safe", "top-k"}, default "safe"
        Which entries of the plan the Hessian keeps: those above a part of the error, or a fixed number.
    density : float in (0, 1], optional
        "top-k" only: the part of the n m entries that is kept (the paper's lambda); 8 entries a row or column by
        default, whichever are more.
    tol : float, default 1e-6
        On the L1 error of both marginals, relative to the mass.
    maxiter : int, default 100,000
        Most sweeps and Newton steps together.
    x0 : (f, g), optional
        Potentials to start from, in the units of C.
    normalize : bool, default False
        Divide a and b by their totals.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback((f, g))`` after each step; StopIteration ends the solve.

    Returns
    -------
    TransportResult
        ``iterations`` are the sweeps, ``newton_steps`` the Newton steps.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: a shape, a value or a kind that cannot be worked with.

    Notes
    -----
    ``rule="top-k"`` is the algorithm of the paper: the largest entries stay, conjugate gradients solve, a line search
    backtracks on the dual value. The paper's example, an assignment problem of n = 500 at eps = 1/1200, takes it 20
    sweeps and about 9 Newton steps; to reproduce that takes 8 n entries of the plan. With 2 n, the density that the
    paper names, it takes 58 to 65 down to an error of 1e-12 (and 74 to 80 in an earlier prototype). What differs:
    conjugate gradients are preconditioned with the diagonal; the null vector (1, -1) needs no term of its own,
    as the gradient and all iterates are orthogonal to it; a dual value that overflows counts as a failed trial; a line
    search without success ends the solve as STAGNATED.

    ``rule="safe"`` differs in three more steps, because a fixed number of entries is too few where the plan is wide and
    then does not converge, and because Newton's method far from the solution overflows. Entries are dropped below a
    part of the error, so that the Hessian becomes exact as the error goes to zero; the diagonal is multiplied by
    1 + sigma error, which a component that has come loose in the thinned Hessian needs; and a step that fails is
    followed by a larger sigma and plain sweeps. In both rules the diagonal holds the sums of all entries, so that the
    Hessian is diagonally dominant.

    On the GPU all of this stays there; one launch takes up to 256 steps of conjugate gradients.

    References
    ----------
    .. [1] X. Tang, M. Shavlovsky, H. Rahmanian, E. Tardini, K. K. Thekumparampil, T. Xiao, L. Ying, Accelerating
       Sinkhorn algorithm with sparse Newton iterations, ICLR 2024, arXiv:2401.12253.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import transport
    >>> C = np.random.default_rng(0).random((50, 50))
    >>> res = transport.sinkhorn_newton_sparse(C, eps=1e-2, tol=1e-10)
    >>> res.converged, res.iterations
    (True, 20)
    """
    _checks.choice("rule", rule, _RULES)
    warmup, most = _checks.count("warmup", warmup, 0), _checks.count("max_newton_steps", max_newton_steps, 0)
    problem = Problem(C, a, b, eps, x0, normalize)
    n, m = problem.a.size, problem.b.size
    kept = _ENTRIES * max(n, m) if density is None else math.ceil(_density(density) * n * m)
    choose = visible_entries if rule == "safe" else _Largest(min(kept, n * m))

    def steps(problem, control):
        yield from _steps(problem, control, warmup, most, choose, rule == "safe")

    return solve(steps, "sinkhorn_newton_sparse", problem, tol, maxiter, callback)


def _density(value):
    value = _checks.number("density", value)
    if not 0.0 < value <= 1.0:
        raise InvalidInput(f"`density` must be in (0, 1], got {value!r}.")
    return value


@dataclass(slots=True)
class _At:
    """The potentials, the sums of P, the error, and the dual value F = <a, u> + <b, v> - sum P."""

    u: np.ndarray
    v: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    error: float
    F: float


def _steps(problem, control, warmup, most, choose, safe):
    """The paper's two stages; a sweep and a Newton step each count as one."""
    error = problem.true_norm()
    yield [error if math.isfinite(error) else 2.0], None
    yield from _sweeps(problem, control, warmup)
    at, bound = _at(problem, problem.u, problem.v), largest_cost(problem.cost) * problem.inv_eps
    if not math.isfinite(at.F):  # no sweep, and potentials of another problem
        yield from _sweeps(problem, control, 1)
        at = _at(problem, problem.u, problem.v)
    sigma, failures, start = _SIGMA if safe else 0.0, 0, at
    while problem.newton_steps < most:
        if at.F > bound + 1.0 + rounding(problem, at):
            yield [at.error], Status.INFEASIBLE
        step = _direction(problem, at, choose(problem, problem.inv_eps, at), sigma)
        trial, t, hidden = _line_search(problem, at, step)
        problem.newton_steps += 1
        if trial is not None:
            at, failures = trial, 0
            sigma = max(sigma / 4, _LEAST_SIGMA * safe) if t == 1.0 else min(2 * sigma / t, _MOST_SIGMA)
            problem.u[:], problem.v[:] = at.u, at.v
            yield [at.error], None
            continue
        if not safe:
            yield [at.error], Status.STAGNATED
        sigma, failures = min(10 * sigma, _MOST_SIGMA), failures + 1
        start = at if failures == 1 else start
        yield [at.error], None
        yield from _sweeps(problem, control, _SWEEPS)
        at = _at(problem, problem.u, problem.v)
        if at.error <= 0.5 * start.error:
            failures = 0
        elif failures >= (_PATIENCE_HIDDEN if hidden else _PATIENCE):
            best = min(at, start, key=lambda it: it.error)
            problem.u[:], problem.v[:] = best.u, best.v
            yield [best.error], Status.STAGNATED
    yield [], Status.MAXITER


def _sweeps(problem, control, count):
    while count > 0:
        errors = np.empty(min(count, max(1, control.max_steps)))
        taken = problem.kernels.log_chunk(
            problem.cost, problem.inv_eps, problem.a, problem.b, problem.u, problem.v, 1.0, errors, control.threshold,
            errors.size,
        )  # fmt: skip
        problem.sweeps += taken
        count -= taken
        yield errors[:taken], None


def _at(problem, u, v):
    rows, columns = (problem.kernels.empty(w.size, np.float64) for w in (u, v))
    with np.errstate(all="ignore"):
        problem.kernels.marginals(problem.cost, problem.inv_eps, u, v, rows, columns)
        F = inner(problem.a, u) + inner(problem.b, v) - float(rows.sum())
        error = float(abs(rows - problem.a).sum() + abs(columns - problem.b).sum())
    return _At(u.copy(), v.copy(), rows, columns, error, F)


class _Largest:
    """The paper's rule: the ``count`` largest entries of P."""

    def __init__(self, count):
        self.count = count

    def __call__(self, problem, inv_eps, at):
        cut = 0.5 / self.count  # the entries sum to about 1
        S = entries(problem, inv_eps, at, cut)
        while S.nnz < self.count and cut > 1e-200:
            cut *= 1e-2 if cut > 1e-12 else 1e-40
            S = entries(problem, inv_eps, at, cut)
        if S.nnz > self.count:
            S.keep_largest(self.count)
        return S


def _direction(problem, at, S, sigma):
    """(D + E)^-1 times the gradient of F, where D holds the sums, shifted, and E the entries of P that are kept."""
    xp = problem.xp
    gradient = xp.concatenate((problem.a - at.rows, problem.b - at.columns))
    sums, weights = xp.concatenate((at.rows, at.columns)), xp.concatenate((problem.a, problem.b))
    # A sum may underflow where the error is large.
    diagonal = xp.maximum(sums + sigma * at.error * xp.maximum(sums, weights), 1e-300)
    rtol = min(_CG_RTOL, math.sqrt(at.error)) if math.isfinite(at.error) else _CG_RTOL
    return S.solve(diagonal, gradient, rtol, _CG_STEPS)


def _line_search(problem, at, step):
    """The first of t = 1, 1/2, ... that raises F enough; where rounding hides F, the error is asked instead."""
    n, t = problem.a.size, 1.0
    slope = inner(problem.a - at.rows, step[:n]) + inner(problem.b - at.columns, step[n:])
    if not 0.0 < slope < math.inf:
        return None, 0.0, False
    hidden = slope <= rounding(problem, at)
    for _ in range(_HALVINGS):
        with np.errstate(over="ignore"):
            u, v = (w + (t * d).astype(problem.dtype) for w, d in ((at.u, step[:n]), (at.v, step[n:])))
        trial = _at(problem, u, v)
        better = trial.error <= 0.98 * at.error if hidden else trial.F >= at.F + _ARMIJO * t * slope
        if better and math.isfinite(trial.F) and math.isfinite(trial.error):
            return trial, t, hidden
        t *= 0.5
    return None, 0.0, hidden

"""Newton's method on the semi-dual, with the large entries of P only, along a path of falling eps.

With u eliminated exactly, J(v) = -<a, u(v)> - <b, v> is convex and finite everywhere, so that no step can overflow. Its
gradient is c - b, c the column sums of P, and its Hessian D(c) - P^T D(1/a) P; with P replaced by its large entries,
and c left as it is, that stays positive semidefinite. That a thin Hessian will do is the observation of Tang et
al. (2024, arXiv:2401.12253); the path, its extrapolation and the shift are ours, chosen by measurements.
"""

import math
from dataclasses import dataclass

import numpy as np

from .._arrays import module_of
from .._place import inner
from .._result import Status
from ._entries import entries

__all__ = ["At", "largest_cost", "newton_steps", "rounding", "visible_entries"]

# Stages of eps: the first as a part of the spread of C; then by at most this factor each, or the lesser one after a
# stage of more Newton steps than this.
_FIRST_STAGE, _FACTOR, _LESSER_FACTOR, _EASY = 0.25, 4.0, 2.0, 3
# A stage of more steps than this is left, and the one before solved further by this factor, down to the last number:
# what is left of the error there can sit in a part of the plan that hardly weighs.
_LONG, _NEARER, _NEAREST = 15, 0.1, 2e-6
# A start nearer than the first (in L1) needs no path; a middle stage ends at the second. To end it at 0.1 took up to
# 17 times as many passes over the costs for L1 costs on grids, at 0.01 up to 7 times (measured).
_WARM, _NEAR = 0.03, 1e-3
_SWEEPS = 2
# Entries of P below this part of the error, over the longer side, are left out of the Hessian.
_CUT = 1e-3
# A cloud's costs are never stored: no more entries than this times n + m, estimated from so many rows, are kept of its
# plan. Any choice leaves the Hessian semidefinite, but plans wider than that take more steps.
_MOST_ENTRIES, _SAMPLED_ROWS = 256, 32
# Rows that are looked through together.
_BLOCK = 512
# The Levenberg term is sigma times the error times D(c).
_SIGMA, _LEAST_SIGMA, _MOST_SIGMA = 1.0, 1e-4, 1e8
_ARMIJO, _HALVINGS = 1e-4, 6
# Steps of conjugate gradients: this many, and more where the last number of passes over the costs pays for them.
_CG_STEPS, _CG_RTOL, _CG_WORK = 300, 0.5, 20.0
# Failures in a row, without half the error gained, after which no step will help; where rounding hides J, so many.
_PATIENCE, _PATIENCE_HIDDEN = 6, 2


@dataclass(slots=True)
class At:
    """What one pass over the costs says of v; ``goal`` is what the columns should be.

    The Hessian of J is D(columns + stiffness) - P^T D(1 / rows) P.
    """

    u: np.ndarray
    v: np.ndarray
    swept: np.ndarray
    columns: np.ndarray
    error: float
    J: float
    rows: np.ndarray
    goal: np.ndarray
    stiffness: np.ndarray | float = 0.0


def newton_steps(problem, control):
    """Sweeps and Newton steps; a sweep and a step each count as one, with the error at its eps."""
    error = problem.true_norm()
    yield [error if math.isfinite(error) else 2.0], None
    most = math.inf if problem.relaxed else largest_cost(problem.cost)
    # Rows are made exact by one update, so that potentials of another eps may still be near.
    if not (problem.v.any() and evaluate(problem, problem.inv_eps, problem.u, problem.v).error <= _WARM):
        yield from _path(problem, control, most)
    yield from _steps(problem, control, problem.inv_eps, 0.0, most)
    yield [], Status.STAGNATED


def _path(problem, control, most):
    """Stages of falling eps: after a hard one a nearer one; one that takes too long means the last was not solved."""
    reg, near, solved = _FIRST_STAGE * _spread(problem), _NEAR, []
    if not problem.reg < reg < math.inf:
        return
    while True:
        before = problem.newton_steps
        limit = _LONG if solved and near > _NEAREST else math.inf
        done = yield from _stage(problem, control, reg, near, most, limit)
        if done:
            factor = _FACTOR if problem.newton_steps - before <= _EASY else _LESSER_FACTOR
            solved = [*solved[-1:], (reg, problem.v.astype(np.float64))]
            reg = _next(reg, problem.reg, factor)
            _extrapolate(problem, reg, *solved)
        elif limit < math.inf:
            near *= _NEARER
            reg, problem.v[:] = solved.pop()
        else:
            return


def _next(reg, end, factor):
    """The eps of the next stage, in equal steps of at most ``factor``."""
    stages = math.ceil(math.log(reg / end) / math.log(factor) - 1e-9)
    return reg * (end / reg) ** (1.0 / stages) if stages > 1 else end


def _extrapolate(problem, reg, *solved):
    """Start at ``reg`` on the line through the last two stages: g, v up to a factor, is nearly linear in eps."""
    last, v = solved[-1]
    slope = (v - solved[0][1]) / (solved[0][0] - last) if len(solved) == 2 else 0.0
    problem.v[:] = v + slope * (last - reg)


def _spread(problem):
    """The mean of the finite costs above their least, of up to 64 x 64 pairs evenly chosen."""
    cost = problem.cost
    if hasattr(cost, "C"):
        n, m = cost.C.shape
        C = problem.kernels.to_host(cost.C[:: -(-n // 64), :: -(-m // 64)].copy()).astype(np.float64)
    else:
        X, Y = (problem.kernels.to_host(p[:: -(-len(p) // 64)].copy()).astype(np.float64) for p in (cost.X, cost.Y))
        C = ((X[:, None] - Y[None]) ** 2).sum(axis=2) ** (cost.power / 2)
    C = C[np.isfinite(C)]
    return float(C.mean() - C.min()) if C.size else 0.0


def _stage(problem, control, reg, near, most, limit):
    """One value of eps; problem.u and v hold the potentials of the last eps at each yield. True if solved."""
    if reg == problem.reg:
        return (yield from _steps(problem, control, problem.inv_eps, 0.0, most, limit))

    def rescaled(factor):
        problem.u *= problem.dtype.type(factor)
        problem.v *= problem.dtype.type(factor)

    rescaled(problem.reg / reg)
    steps = _steps(problem, control, 1.0 / reg, near, most, limit)
    while True:
        try:
            errors, status = next(steps)
        except StopIteration as end:
            rescaled(reg / problem.reg)
            return end.value
        rescaled(reg / problem.reg)
        # An error below the threshold would end the solve, at the wrong eps.
        yield np.maximum(errors, np.nextafter(control.threshold, math.inf)), status
        rescaled(problem.reg / reg)


def _steps(problem, control, inv_eps, near, most, limit=math.inf):
    """Sweeps, then Newton steps until the error is at most ``near``: True; False at the limit, or if none helps."""
    sigma, failures, last = _SIGMA, 0, problem.newton_steps + limit
    yield from _sweeps(problem, control, inv_eps, _SWEEPS)
    at = evaluate(problem, inv_eps, problem.u, problem.v)
    while at.error > near:
        if problem.newton_steps >= last:
            return False
        if -at.J > most * inv_eps + 1.0 + rounding(problem, at):
            yield [at.error], Status.INFEASIBLE
        step = _direction(problem, inv_eps, at, sigma)
        trial, t, hidden = _line_search(problem, inv_eps, at, step)
        problem.newton_steps += 1
        if trial is not None:
            at, failures = trial, 0
            sigma = max(sigma / 4, _LEAST_SIGMA) if t == 1.0 else min(2 * sigma / t, _MOST_SIGMA)
            _move(problem, at)
            yield [at.error], None
            continue
        sigma, failures = min(10 * sigma, _MOST_SIGMA), failures + 1
        if failures == 1:
            start = at
        yield [at.error], None
        yield from _sweeps(problem, control, inv_eps, _SWEEPS)
        at = evaluate(problem, inv_eps, problem.u, problem.v)
        if at.error <= 0.5 * start.error:
            failures = 0
        elif failures >= (_PATIENCE_HIDDEN if hidden else _PATIENCE):
            _move(problem, min(at, start, key=lambda it: it.error))
            return False
    return True


def _move(problem, at):
    problem.u[:], problem.v[:] = at.u, at.v


def _sweeps(problem, control, inv_eps, count):
    left = count
    while left > 0:
        errors = np.empty(min(left, max(1, control.max_steps)))
        threshold = control.threshold if inv_eps == problem.inv_eps else -1.0
        taken = problem.sweeps_at(inv_eps, problem.u, problem.v, errors, threshold)
        problem.sweeps += taken
        left -= taken
        yield errors[:taken], None


def evaluate(problem, inv_eps, u, v):
    """u(v), the column sums, and v after a sweep, in one pass."""
    if problem.relaxed:
        return problem.evaluate(inv_eps, u, v)
    u, swept, error = u.copy(), v.copy(), np.empty(1)
    # A negative threshold: the columns are always updated, and what they changed by gives their sums.
    problem.sweeps_at(inv_eps, u, swept, error, -1.0)
    a, b = problem.a.astype(np.float64, copy=False), problem.b.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        columns = b * problem.xp.exp(v.astype(np.float64) - swept)
    J = -inner(a, u) - inner(b, v)
    return At(u, v.copy(), swept, columns, float(error[0]), J, problem.a, problem.b)


def largest_cost(cost):
    """The most that a plan can cost where some pairs are forbidden, a bound on the dual value; else infinity.

    The entropy of a plan is not positive, so that <a, f> + <b, g> is below this as long as there is a plan at all.
    """
    if not hasattr(cost, "C") or math.isfinite(float(cost.C.max())):
        return math.inf
    xp, most = module_of(cost.C), -math.inf
    for lo in range(0, len(cost.C), _BLOCK):
        C = cost.C[lo : lo + _BLOCK]
        most = max(most, float(xp.where(xp.isfinite(C), C, -math.inf).max()))
    return most


def visible_entries(problem, inv_eps, at):
    """The entries of P that count beside the error, or the largest of them where these are too many to keep."""
    n, m = problem.a.size, problem.b.size
    cut, most = _CUT * min(at.error, 1.0) / max(n, m), _MOST_ENTRIES * (n + m)
    if hasattr(problem.cost, "X") and n * m > most:
        xp = problem.xp
        rows = xp.linspace(0, len(problem.cost.X) - 1, min(n, _SAMPLED_ROWS)).astype(np.int64)
        some = problem.cost._replace(X=problem.cost.X[rows])
        seen = problem.kernels.threshold_plan(some, inv_eps, at.u[rows], at.v[: len(problem.cost.Y)], cut)[2]
        share = max(1, int(most * rows.size / n))
        if seen.size > share:
            cut = float(xp.partition(seen, seen.size - share)[seen.size - share])
    return entries(problem, inv_eps, at, cut)


def _direction(problem, inv_eps, at, sigma):
    """-(H + sigma error D(c))^-1 (c - b), H with the large entries of P and the whole sums on its diagonal."""
    b, c = at.goal, at.columns
    S, shift = visible_entries(problem, inv_eps, at), sigma * at.error * problem.xp.maximum(c, b) + at.stiffness
    steps = max(_CG_STEPS, int(_CG_WORK * problem.a.size * b.size / max(S.nnz, 1)))
    return S.solve_reduced(at.rows, c + shift, shift, b - c, min(_CG_RTOL, math.sqrt(at.error)), steps)


def _line_search(problem, inv_eps, at, step):
    """The first of t = 1, 1/2, ... that lowers J enough; where rounding hides J, the error is asked instead."""
    slope = inner(at.columns - at.goal, step)
    if not -math.inf < slope < 0.0:
        return None, 0.0, False
    hidden, t = -slope <= rounding(problem, at), 1.0
    for _ in range(_HALVINGS):
        trial = evaluate(problem, inv_eps, at.u, (at.v + t * step).astype(problem.dtype))
        better = trial.error <= 0.98 * at.error if hidden else trial.J <= at.J + _ARMIJO * t * slope
        if better and math.isfinite(trial.J) and math.isfinite(trial.error):
            return trial, t, hidden
        t *= 0.5
    return None, 0.0, hidden


def rounding(problem, at):
    """What differences of J cannot show."""
    return 16 * problem.eps * (1.0 + inner(problem.a, abs(at.u)) + inner(problem.b, abs(at.v)))

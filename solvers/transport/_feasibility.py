"""When to give up: where the permitted pairs cannot carry the weights, and where rounding holds the error up.

They cannot carry them if and only if some set of rows weighs more than all columns that it may go to (Hall's theorem;
Gale 1957 for weights). Such a set is looked for among the level sets of the potential u, which grows without bound on
rows that cannot be served, and then by a maximal flow; what is found is weighed again before it is believed.
"""

import math

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from .._result import Status

__all__ = ["RESTS", "guarded", "named", "rounding_floor"]

# The potentials are asked after so many steps, and again whenever that number has doubled.
_FIRST = 64
# Steps after which the errors are asked, likewise, whether they still fall: over the last half of them by at least a
# tenth, or steadily, as those of exact plain sweeps do.
RESTS, _FALLS, _RISES = 256, 0.9, 0.25
# Roundings of an exponent u_i + v_j - C_ij / eps and of sums, in the worst case seen, and some more.
_ROUNDINGS = 4.0
# SciPy's capacities are 32-bit integers: the total is spread over so many units.
_UNITS = 2**30
# A pair takes the flow some 100 bytes: so many of them always, else at most this part of n m.
_FEW_PAIRS, _PART = 100_000, 1 / 8
_FAILED = (Status.MAXITER, Status.STAGNATED, Status.NONFINITE, Status.DIVERGED)


def guarded(steps):
    """The method, silent about overflow, which ends as INFEASIBLE or STAGNATED as soon as there is proof of that."""

    def guard(problem, control):
        method, taken, due, forbids = steps(problem, control), 0, _FIRST, _forbids(problem)
        floor = _Floor(problem)
        while True:
            # Not around the yield: what a callback does is not ours to silence.
            with np.errstate(all="ignore"):
                norms, status = next(method)
                taken += len(norms)
                if forbids and status is None and taken >= due:
                    due = 2 * taken
                    if _level_set_proves(problem, _permitted(problem), control.threshold):
                        status = Status.INFEASIBLE
                if status is None and floor.reached(norms):
                    status = Status.STAGNATED
            yield norms, status

    return guard


class _Floor:
    """Whether rounding is all that is left of the error: it stays that small, goes up and down, and falls no more."""

    def __init__(self, problem):
        self._problem, self._seen, self._taken, self._due = problem, [], 0, RESTS

    def reached(self, norms):
        self._seen.append(norms)
        self._taken += len(norms)
        if self._taken < self._due:
            return False
        self._due = 2 * self._taken
        before, after = np.array_split(np.concatenate(self._seen), 2)
        falls = after.min() <= _FALLS * before.min() or np.mean(np.diff(after) >= 0.0) <= _RISES
        # The potentials may live on a device: they are asked last.
        return not falls and after.max() <= rounding_floor(self._problem.eps, self._problem.u, self._problem.v)


def rounding_floor(eps, u, v):
    """The error of both marginals that rounding may explain; a number for each row of u and v."""
    sums, exponents = math.sqrt(u.shape[-1] + v.shape[-1]), abs(u).max(axis=-1) + abs(v).max(axis=-1)
    return _ROUNDINGS * eps * (sums + exponents)


def named(record, problem, threshold):
    """The record of a failure, by the name INFEASIBLE where that can be proved."""
    if record.status not in _FAILED or not _forbids(problem):
        return record
    permitted = _permitted(problem)
    # Few steps are a wish for few seconds.
    tried = record.iterations >= _FIRST or record.status is not Status.MAXITER
    if _level_set_proves(problem, permitted, threshold) or (tried and _flow_proves(problem, permitted, threshold)):
        record.status = Status.INFEASIBLE
    return record


def _forbids(problem):
    """Whether C holds an infinity between positive weights; where marginals may give, there is always a plan."""
    return hasattr(problem.cost, "C") and not problem.relaxed and not math.isfinite(float(problem.cost.C.max()))


def _permitted(problem):
    return problem.kernels.to_host(problem.xp.isfinite(problem.cost.C))


def _weights(problem):
    return (problem.kernels.to_host(w).astype(np.float64) for w in (problem.a, problem.b))


def _level_set_proves(problem, permitted, threshold):
    """Hall's condition for the rows of the largest u, of every number at once."""
    u, (a, b) = problem.kernels.to_host(problem.u), _weights(problem)
    order = np.argsort(-u, kind="stable")
    first = permitted[order].argmax(axis=0)  # from this row on, a column is among those that serve
    excess = np.cumsum(a[order]) - np.cumsum(np.bincount(first, b, minlength=a.size))
    return _too_heavy(order[: int(excess.argmax()) + 1], permitted, a, b, threshold, problem.eps)


def _flow_proves(problem, permitted, threshold):
    """Hall's condition for the rows that a maximal flow, in whole units, leaves within reach of the source."""
    a, b = _weights(problem)
    (n, m), pairs = permitted.shape, int(np.count_nonzero(permitted))
    if pairs > max(_FEW_PAIRS, _PART * n * m):
        return False
    i, j = np.nonzero(permitted)
    units_a, units_b = (np.round(w * _UNITS).astype(np.int32) for w in (a, b))
    source, sink = n + m, n + m + 1
    tails = np.concatenate((i, np.full(n, source), n + np.arange(m)))
    heads = np.concatenate((n + j, np.arange(n), np.full(m, sink)))
    places = tails.astype(np.int32), heads.astype(np.int32)  # SciPy's flow takes no others, and 1.14 converts none
    # A pair that is full would keep its column out of reach, although more may go there.
    capacities = np.concatenate((np.full(i.size, 2**31 - 1, np.int32), units_a, units_b))
    graph = scipy.sparse.csr_array((capacities, places), shape=(n + m + 2, n + m + 2))
    left = graph - scipy.sparse.csgraph.maximum_flow(graph, source, sink).flow
    left.eliminate_zeros()
    reached = scipy.sparse.csgraph.breadth_first_order(left, source, return_predecessors=False)
    return _too_heavy(reached[reached < n], permitted, a, b, threshold, problem.eps)


def _too_heavy(rows, permitted, a, b, threshold, eps):
    """Whether these rows weigh more than what may serve them, by more than rounding and the tolerance explain.

    The excess is missed in the rows and again in the columns that it does not reach.
    """
    if rows.size == 0:
        return False
    weight, served = float(a[rows].sum()), float(b[permitted[rows].any(axis=0)].sum())
    rounding = 4.0 * (a.size + b.size) * np.finfo(np.float64).eps + 2.0 * eps
    return weight - served > max(0.5 * threshold, rounding * weight)

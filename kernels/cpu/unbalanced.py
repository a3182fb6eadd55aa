"""Sinkhorn's iteration where marginals may give, for a price, or leave some mass behind; as fused as the balanced one.

A row whose marginal x costs rho KL(x | a) has log x = log a - (eps / rho) u where the plan is best, which makes the
update u = (log a - log sum_j exp(v_j - C_ij / eps)) / (1 + eps / rho) (Chizat, Peyre, Schmitzer & Vialard 2018,
https://doi.org/10.1090/mcom/3303). eps / rho = 0 is a marginal that does not give.
"""

import math
from functools import partial

import numpy as np
from numba import uint64

from ._apart import apart
from ._jit import jit
from ._team import BLOCK, barrier, block_count, even_shares, launch, total
from .clouds import costs, prepare, shape
from .exponential import LOG2E, exp, exp2, log
from .sinkhorn import (
    LONG,
    SAFE,
    TOGETHER,
    WORK,
    add,
    add_blocks,
    add_four,
    column_logs,
    exponentials_ahead,
    row_blocks,
    shifted,
    stretch_of,
)
from .vectors import narrow

__all__ = ["unbalanced_chunk"]

_LN2 = math.log(2.0)
# A goal beyond e^this is of potentials that are far off: the error says so, and stays finite.
_MOST_EXPONENT = 600.0


def unbalanced_chunk(
    cost, inv_eps, log_a, log_b, row_give, column_give, log_slack, u, v, slack, errors, threshold, steps
):
    """Take up to ``steps`` sweeps, fewer where the error falls enough; nothing overflows.

    The plan is P_ij = exp(u_i + v_j - C_ij inv_eps), with one more row exp(slack[0] + v_j) and one more column
    exp(u_i + slack[1]), which cost nothing. A sweep sets each u so that its row's sum, with the column beside it, is
    a exp(-row_give u), then each v in the same way.

    Parameters
    ----------
    cost : CostMatrix or PointCosts, shape (n, m)
    inv_eps : float
    log_a, log_b : ndarray of float64, shapes (n,) and (m,)
    row_give, column_give : ndarray of float64, shapes (n,) and (m,)
        eps / rho >= 0.
    log_slack : ndarray of float64, shape (2,)
        The logarithms of what the row and the column beside C weigh; -inf for none.
    u, v : ndarray, shapes (n,) and (m,)
        Updated, in the dtype of the costs.
    slack : ndarray of float64, shape (2,)
        Their potentials, updated.
    errors : ndarray of float64, shape (>= steps,)
        Receives the L1 distance of all sums from what they should be, between the two halves of each sweep, over the
        sum of P. Where it falls to the threshold the sweep ends there, with exact rows.

    Returns
    -------
    taken : int
        Sweeps taken; the last error may be no finite number.
    """
    n, m = shape(cost)
    edges = row_blocks(n)
    blocks = edges.size - 1
    buffers = np.empty((blocks, m), u.dtype), np.empty(blocks), np.empty((2, block_count(m))), np.empty(m)
    lost = n * float(np.finfo(u.dtype).tiny) / float(np.finfo(u.dtype).eps)
    scalars = inv_eps * LOG2E, threshold, SAFE[u.dtype.itemsize], lost, stretch_of(cost, u.dtype)
    vectors = log_a, log_b, row_give, column_give, log_slack, u, v, np.empty_like(v), slack
    return launch(
        _unbalanced_chunk, WORK * n * m, blocks, partial(even_shares, blocks), prepare(cost), edges, vectors, scalars,
        errors, steps, buffers,
    )  # fmt: skip


@jit
def _unbalanced_chunk(cost, edges, vectors, scalars, errors, steps, buffers, flags, share, member, team):
    log_a, log_b, row_give, column_give, log_slack, u, v, spare, slack = vectors
    inv_eps, threshold, safe, lost, stretch = scalars
    parts, factors, column_sums, sums = buffers
    m, columns = v.size, column_sums.shape[1]
    together = TOGETHER if m <= LONG else 1
    E, w, c = apart(together, m, v), np.empty_like(v), np.empty_like(v)
    first, last = columns * member // team, columns * (member + 1) // team
    old, new, taken, u0, v0, leaving = v, spare, 0, slack[0], slack[1], -np.inf
    for step in range(steps):
        for j in range(m):
            w[j] = narrow(v, LOG2E) * old[j]
        if log_slack[0] > -np.inf:
            u0 = log_slack[0] - _log_sum(old)
        for block in range(share[member], share[member + 1]):
            factors[block] = _rows(
                cost, inv_eps, log_a, row_give, u, v0, w, safe, edges[block], edges[block + 1], parts[block], E, c,
                stretch,
            )  # fmt: skip
        if barrier(flags, team):
            return taken
        largest = 0.0
        for block in range(factors.size):
            largest = max(largest, factors[block])
        trusted = lost * largest, safe
        if log_slack[1] > -np.inf:
            leaving = _log_sum(u)
        for column in range(first, last):
            lo, hi = column * BLOCK, min(column * BLOCK + BLOCK, m)
            column_sums[0, column], column_sums[1, column] = _columns(
                cost, inv_eps, log_b, column_give, u, u0, old, trusted, lo, hi, parts, sums, new, c
            )
        if barrier(flags, team):
            return taken
        gap = abs(exp(min(leaving + v0, _MOST_EXPONENT)) - exp(log_slack[1])) if leaving > -np.inf else 0.0
        error = (total(column_sums[0]) + gap) / total(column_sums[1])
        taken = step + 1
        if member == 0:
            errors[step] = error
        # Not np.isfinite: reassociation lets it subtract a sum from itself before it is added up.
        if not threshold < error < np.inf:
            break
        old, new, v0 = new, old, log_slack[1] - leaving if leaving > -np.inf else v0
    if member == 0 and taken > 0:
        for j in range(m):  # v[:] = old compiles for a second and a half
            v[j] = old[j]
        slack[0], slack[1] = u0, v0
    return taken


@jit
def _rows(cost, inv_eps, log_a, give, u, v0, w, safe, begin, end, sums, E, c, stretch):
    """Update u[begin:end]; their new rows of P add up to ``sums``. Returns the largest factor of exponentials."""
    together, largest, reach = E.shape[0], 0.0, 0.9 * np.log(safe)
    kappa = np.zeros(TOGETHER, w.dtype)
    for j in range(sums.size):
        sums[j] = 0
    for i in range(begin, end, together):
        count = min(together, end - i)
        for k in range(count):
            row = costs(cost, i + k, 0, w.size, c)
            s, scale, ui, e = w.dtype.type(0), narrow(w, inv_eps), narrow(w, u[i + k] * LOG2E), E[k]
            if stretch < w.size:
                s = exponentials_ahead(row, scale, ui, w, e, stretch)
            else:
                for j in range(w.size):
                    x = exp2((ui + w[j]) - row[j] * scale)
                    e[j] = x
                    s += x
            before = np.float64(u[i + k])
            whole = np.float64(s) + exp(before + v0)
            after = (log_a[i + k] + before - log(whole)) / (1.0 + give[i + k])
            factor = exp(after - before)
            if not (1.0 / safe <= whole <= safe and abs(after - before) < reach):
                after, factor = _shifted_row(row, scale, log_a[i + k], give[i + k], v0, w, e)
            u[i + k], kappa[k] = after, factor
            largest = max(largest, factor)
        if count == 4:
            add_four(kappa, E, sums)
        else:
            for k in range(count):
                add(kappa[k], E[k], sums)
    return largest


@jit
def _shifted_row(c, inv_eps, log_a, give, v0, w, e):
    """The new u of a row whose exponentials are out of range, and what the e that it leaves must be multiplied by."""
    most, s = shifted(c, inv_eps, w, e)
    if most == -np.inf:  # all pairs are forbidden
        for j in range(e.size):
            e[j] = 0
        return (log_a - v0) / (1.0 + give), 0.0
    here = np.float64(most) * _LN2
    after = (log_a - _log_plus(here + np.log(np.float64(s)), v0)) / (1.0 + give)
    return after, np.exp(after + here)


@jit
def _columns(cost, inv_eps, log_b, give, u, u0, v, trusted, lo, hi, parts, sums, new, c):
    """The new v of columns lo to hi; returns the L1 error of their sums and their share of the sum of P."""
    add_blocks(parts, lo, hi, sums)
    error, mass, bad = 0.0, 0.0, 0
    for j in range(uint64(lo), uint64(hi)):  # it writes nothing: see _apart.py
        before = np.float64(v[j])
        whole = sums[j] + exp(u0 + before)
        goal = exp(min(log_b[j] - give[j] * before, _MOST_EXPONENT))
        error += abs(whole - goal)
        mass += sums[j]
        bad += not trusted[0] <= whole <= trusted[1]
    for j in range(uint64(lo), uint64(hi)):
        before = np.float64(v[j])
        new[j] = (log_b[j] + before - log(sums[j] + exp(u0 + before))) / (1.0 + give[j])
    if bad > 0:
        return _exact_columns(cost, inv_eps, log_b, give, u, u0, v, lo, hi, new, c)
    return error, mass


@jit
def _exact_columns(cost, inv_eps, log_b, give, u, u0, v, lo, hi, new, c):
    """The same where a sum is out of range."""
    logs = column_logs(cost, inv_eps, u, lo, hi, c)
    error, mass = 0.0, 0.0
    for j in range(lo, hi):
        before, whole = np.float64(v[j]), _log_plus(logs[j - lo], u0)
        goal = np.exp(min(log_b[j] - give[j] * before, _MOST_EXPONENT))
        new[j] = (log_b[j] - whole) / (1.0 + give[j])
        error += abs(np.exp(min(whole + before, _MOST_EXPONENT)) - goal)
        mass += np.exp(min(logs[j - lo] + before, _MOST_EXPONENT))
    return error, mass


@jit
def _log_plus(x, y):
    """log(e^x + e^y)."""
    most = max(x, y)
    return most + np.log1p(np.exp(min(x, y) - most)) if most > -np.inf else most


@jit
def _log_sum(x):
    """log sum e^x."""
    most, s = -np.inf, 0.0
    for i in range(x.size):
        most = max(most, np.float64(x[i]))
    for i in range(x.size):
        s += exp(np.float64(x[i]) - most)
    return most + np.log(s)

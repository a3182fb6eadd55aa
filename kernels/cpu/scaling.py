"""Sinkhorn's iteration on scalings p, q of a stored kernel K_ij = exp(u_i + v_j - C_ij / eps): P = diag(p) K diag(q).

No exponential in a sweep, but n m numbers of memory. Where a scaling leaves its range, one sweep is taken in the log
domain, and K is formed anew with the potentials that it gives: nothing overflows here either.
"""

from collections import namedtuple
from functools import partial

import numpy as np

from ._jit import jit
from ._team import BLOCK, barrier, block_count, even_shares, launch, total
from .plans import plan
from .sinkhorn import TOGETHER, add_blocks, log_chunk, row_blocks

__all__ = ["Scaling", "scaling", "scaling_chunk"]

Scaling = namedtuple("Scaling", "K u v")  # (n, m), (n,), (m,): the potentials that K was formed with

# Scalings stay within [1 / this, this]: what was 0 in K is then nothing in P.
_REACH = {4: 1e10, 8: 1e100}
# Rows read twice while they are in the second-level cache: longer ones are taken one by one.
_LONG = 16384


def scaling(cost, inv_eps, u, v):
    """The stored kernel for ``scaling_chunk``; u and v are the potentials over eps to start from."""
    S = Scaling(np.empty((u.size, v.size), u.dtype), u.copy(), v.copy())
    plan(cost, inv_eps, u, v, S.K)
    return S


def scaling_chunk(cost, inv_eps, a, b, u, v, S, errors, threshold, steps):
    """Take up to ``steps`` sweeps p = a / K q, q = b / K^T p, fewer where the error falls enough.

    Parameters
    ----------
    cost, inv_eps, a, b, u, v, errors, threshold, steps : as ``log_chunk``
    S : Scaling
        Formed anew in place where that is needed.

    Returns
    -------
    taken : int
    """
    taken = 0
    while taken < steps:
        with np.errstate(all="ignore"):  # potentials far from those of K are for the sweep to find
            p, q = np.exp(u - S.u), np.exp(v - S.v)
        more = _sweep(S.K, a, b, p, q, errors[taken:], threshold, steps - taken)
        taken += more
        if more > 0:
            u[:], v[:] = S.u + np.log(p), S.v + np.log(q)
        if taken == steps or (more > 0 and _ends(errors[taken - 1], threshold)):
            break
        taken += log_chunk(cost, inv_eps, a, b, u, v, 1.0, errors[taken:], threshold, 1)
        if _ends(errors[taken - 1], threshold):
            break
        S.u[:], S.v[:] = u, v
        plan(cost, inv_eps, u, v, S.K)
    return taken


def _ends(error, threshold):
    return error <= threshold or not np.isfinite(error)


def _sweep(K, a, b, p, q, errors, threshold, steps):
    n, m = K.shape
    edges = row_blocks(n)
    blocks = edges.size - 1
    good = np.empty(blocks, np.bool_), np.empty(block_count(m), np.bool_)
    halves = np.empty((blocks, m), K.dtype), np.empty(m), np.empty(block_count(m)), np.empty_like(p), np.empty_like(q)
    arguments = K, edges, a, b, p, q, _REACH[K.dtype.itemsize], errors, threshold, steps, good, halves
    return launch(_chunk, 2 * n * m, blocks, partial(even_shares, blocks), *arguments)


@jit
def _chunk(K, edges, a, b, p, q, reach, errors, threshold, steps, good, halves, flags, share, member, team):
    """Sweeps until one leaves the range: that one does not count, and changes neither p nor q."""
    parts, sums, column_errors, next_p, next_q = halves
    columns, taken = column_errors.size, 0
    first, last = columns * member // team, columns * (member + 1) // team
    old_p, new_p, old_q, new_q = p, next_p, q, next_q
    for step in range(steps):
        for block in range(share[member], share[member + 1]):
            good[0][block] = _rows(K, a, new_p, old_q, reach, edges[block], edges[block + 1], parts[block])
        if barrier(flags, team):
            return taken
        rows_good = _every(good[0])
        for column in range(first, last):
            lo, hi = column * BLOCK, min(column * BLOCK + BLOCK, q.size)
            add_blocks(parts, lo, hi, sums)
            error, fine = 0.0, True
            for j in range(lo, hi):  # it writes nothing: see _apart.py
                error += abs(old_q[j] * sums[j] - b[j])
            for j in range(lo, hi):
                new_q[j] = b[j] / sums[j]
                fine = fine and 1.0 / reach <= new_q[j] <= reach
            column_errors[column], good[1][column] = error, fine
        if barrier(flags, team):
            return taken
        error = total(column_errors)
        if not (rows_good and _every(good[1])):
            break
        taken = step + 1
        old_p, new_p = new_p, old_p
        if member == 0:
            errors[step] = error
        if error <= threshold:
            break
        old_q, new_q = new_q, old_q
    # After the last barrier nobody reads what the others still copy.
    if member == 0:
        _copy(old_p, p)
        _copy(old_q, q)
    return taken


@jit
def _every(flags):
    good = True
    for i in range(flags.size):
        good = good and flags[i]
    return good


@jit
def _copy(x, y):
    for i in range(x.size):
        y[i] = x[i]


@jit
def _rows(K, a, p, q, reach, begin, end, sums):
    """p = a / K q for some rows; their K^T p. False if a number is out of range."""
    together, good = (TOGETHER if q.size <= _LONG else 1), True
    for j in range(sums.size):  # sums[:] = 0 compiles for long
        sums[j] = 0
    i = begin
    while i < end:
        if together == 4 and i + 4 <= end:
            _four_rows(K[i : i + 4], a[i : i + 4], p[i : i + 4], q, sums)
            good = good and _in_range(p[i : i + 4], reach)
            i += 4
        else:
            _row(K[i], a[i : i + 1], p[i : i + 1], q, sums)
            good = good and _in_range(p[i : i + 1], reach)
            i += 1
    return good


@jit
def _in_range(p, reach):
    good = True
    for i in range(p.size):
        good = good and 1.0 / reach <= p[i] <= reach
    return good


@jit
def _row(k, a, p, q, sums):
    s = q.dtype.type(0)
    for j in range(q.size):
        s += k[j] * q[j]
    p0 = a[0] / s
    for j in range(q.size):
        sums[j] += p0 * k[j]
    p[0] = p0


@jit
def _four_rows(K, a, p, q, sums):
    k0, k1, k2, k3 = K[0], K[1], K[2], K[3]
    s0, s1, s2, s3 = q.dtype.type(0), q.dtype.type(0), q.dtype.type(0), q.dtype.type(0)
    for j in range(q.size):
        x = q[j]
        s0 += k0[j] * x
        s1 += k1[j] * x
        s2 += k2[j] * x
        s3 += k3[j] * x
    p0, p1, p2, p3 = a[0] / s0, a[1] / s1, a[2] / s2, a[3] / s3
    for j in range(q.size):
        sums[j] += (p0 * k0[j] + p1 * k1[j]) + (p2 * k2[j] + p3 * k3[j])
    p[0], p[1], p[2], p[3] = p0, p1, p2, p3

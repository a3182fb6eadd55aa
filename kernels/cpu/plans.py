"""Plans P_ij = exp(u_i + v_j - C_ij / eps) and their sums, from the potentials; all in float64."""

from functools import partial

import numpy as np

from ._apart import apart
from ._jit import jit
from ._team import barrier, even_shares, launch
from .clouds import costs, prepare, row_blocks, shape
from .exponential import LOG2E, exp2

__all__ = ["log_sums", "log_sums_columns", "marginals", "plan", "threshold_plan"]

_WORK = 8
# Columns that are looked through together for entries of a sparse plan.
_STRETCH = 64
_LN2 = np.log(2.0)


def marginals(cost, inv_eps, u, v, rows, columns):
    """The row sums and the column sums of P; returns <C, P>, to which a forbidden pair adds nothing.

    Parameters
    ----------
    cost : CostMatrix or PointCosts, shape (n, m)
    inv_eps : float
    u, v : ndarray, shapes (n,) and (m,)
    rows, columns : ndarray of float64, shapes (n,) and (m,)
    """
    n, m = shape(cost)
    edges = row_blocks(n)
    values = np.empty(edges.size - 1)
    parts = apart(values.size, m, values)
    _launch(_marginals, cost, edges, inv_eps * LOG2E, u, _base_2(v), rows, parts, values)
    np.sum(parts, axis=0, out=columns)
    return float(np.sum(values))


def _base_2(v):
    return np.multiply(v, LOG2E, dtype=np.float64)


def _launch(kernel, cost, edges, *arguments):
    n, m = shape(cost)
    blocks = edges.size - 1
    launch(kernel, _WORK * n * m, blocks, partial(even_shares, blocks), prepare(cost), edges, *arguments)


@jit
def _marginals(cost, edges, inv_eps, u, w, rows, parts, values, flags, share, member, team):
    c = np.empty(w.size, u.dtype)
    for block in range(share[member], share[member + 1]):
        sums, value = parts[block], 0.0
        for j in range(w.size):  # sums[:] = 0 compiles for long
            sums[j] = 0.0
        for i in range(edges[block], edges[block + 1]):
            row, ui, s = costs(cost, i, 0, w.size, c), np.float64(u[i]) * LOG2E, 0.0
            for j in range(w.size):
                x = exp2((ui + w[j]) - np.float64(row[j]) * inv_eps)
                s += x
                sums[j] += x
                # Not 0 times inf; a NaN is not 0.
                value += 0.0 if x == 0.0 else x * np.float64(row[j])
            rows[i] = s
        values[block] = value


def plan(cost, inv_eps, u, v, P):
    """P_ij = exp(u_i + v_j - C_ij inv_eps); P has shape (n, m)."""
    edges = row_blocks(P.shape[0])
    _launch(_plan, cost, edges, inv_eps * LOG2E, u, _base_2(v), P)


@jit
def _plan(cost, edges, inv_eps, u, w, P, flags, share, member, team):
    c = np.empty(w.size, u.dtype)
    for i in range(edges[share[member]], edges[share[member + 1]]):
        row, ui, out = costs(cost, i, 0, w.size, c), np.float64(u[i]) * LOG2E, P[i]
        for j in range(w.size):
            out[j] = exp2((ui + w[j]) - np.float64(row[j]) * inv_eps)


def threshold_plan(cost, inv_eps, u, v, cut):
    """The entries P_ij >= cut, in CSR form.

    Returns
    -------
    indptr, indices : ndarray of int32, or of int64 where that is too small
    data : ndarray, in the dtype of u
    """
    n, m = shape(cost)
    edges = row_blocks(n)
    least = np.log2(cut) if cut > 0 else -np.inf
    scaled = inv_eps * LOG2E, u, _base_2(v), least
    indptr = np.zeros(n + 1, np.int64)
    _launch(_count, cost, edges, *scaled, indptr)
    np.cumsum(indptr, out=indptr)
    index = np.int32 if max(indptr[-1], m) < 2**31 else np.int64
    indices, data = np.empty(indptr[-1], index), np.empty(indptr[-1], u.dtype)
    _launch(_fill, cost, edges, *scaled, indptr, indices, data)
    return indptr.astype(index), indices, data


@jit
def _count(cost, edges, inv_eps, u, w, least, indptr, flags, share, member, team):
    c, e = np.empty(w.size, u.dtype), np.empty(w.size)
    for i in range(edges[share[member]], edges[share[member + 1]]):
        _exponents(costs(cost, i, 0, w.size, c), inv_eps, np.float64(u[i]) * LOG2E, w, e)
        indptr[i + 1] = _at_least(e, least)


@jit
def _fill(cost, edges, inv_eps, u, w, least, indptr, indices, data, flags, share, member, team):
    c, e = np.empty(w.size, u.dtype), np.empty(w.size)
    for i in range(edges[share[member]], edges[share[member + 1]]):
        k = indptr[i]
        if k == indptr[i + 1]:
            continue
        _exponents(costs(cost, i, 0, w.size, c), inv_eps, np.float64(u[i]) * LOG2E, w, e)
        for lo in range(0, w.size, _STRETCH):
            hi = min(lo + _STRETCH, w.size)
            if _at_least(e[lo:hi], least) == 0:
                continue
            for j in range(lo, hi):
                if e[j] >= least:
                    indices[k], data[k] = j, exp2(e[j])
                    k += 1


@jit
def _exponents(c, inv_eps, u, w, e):
    for j in range(w.size):
        e[j] = (u + w[j]) - np.float64(c[j]) * inv_eps


@jit
def _at_least(e, least):
    count = 0
    for j in range(e.size):
        count += e[j] >= least
    return count


def log_sums(cost, inv_eps, v, out):
    """out_i = log sum_j exp(v_j - C_ij inv_eps); -inf where all pairs are forbidden."""
    _launch(_log_sums, cost, row_blocks(out.size), inv_eps * LOG2E, _base_2(v), out)


@jit
def _log_sums(cost, edges, inv_eps, w, out, flags, share, member, team):
    c, e = np.empty(w.size, w.dtype), np.empty(w.size)
    for i in range(edges[share[member]], edges[share[member + 1]]):
        row, most, s = costs(cost, i, 0, w.size, c), -np.inf, 0.0
        for j in range(w.size):
            x = np.float64(w[j]) - np.float64(row[j]) * inv_eps
            e[j] = x
            most = max(most, x)
        if most == -np.inf:
            most = 0.0
        for j in range(w.size):
            s += exp2(e[j] - most)
        out[i] = most * _LN2 + np.log(s)


def log_sums_columns(cost, inv_eps, u, out):
    """out_j = log sum_i exp(u_i - C_ij inv_eps); -inf where all pairs are forbidden."""
    n, m = shape(cost)
    edges = row_blocks(n)
    parts = np.empty((2, edges.size - 1, m))
    arguments = prepare(cost), edges, inv_eps * LOG2E, u, out, parts
    blocks = edges.size - 1
    launch(_log_sums_columns, 2 * _WORK * n * m, blocks, partial(even_shares, blocks), *arguments)


@jit
def _log_sums_columns(cost, edges, inv_eps, u, out, parts, flags, share, member, team):
    c, most, m = np.empty(out.size, u.dtype), np.empty(out.size), out.size
    for block in range(share[member], share[member + 1]):
        part = parts[0, block]
        for j in range(m):
            part[j] = -np.inf
        for i in range(edges[block], edges[block + 1]):
            row, ui = costs(cost, i, 0, m, c), np.float64(u[i]) * LOG2E
            for j in range(m):
                part[j] = max(part[j], ui - np.float64(row[j]) * inv_eps)
    if barrier(flags, team):
        return
    for j in range(m):
        most[j] = parts[0, 0, j]
    for block in range(1, parts.shape[1]):
        for j in range(m):
            most[j] = max(most[j], parts[0, block, j])
    for j in range(m):
        most[j] = 0.0 if most[j] == -np.inf else most[j]
    for block in range(share[member], share[member + 1]):
        part = parts[1, block]
        for j in range(m):
            part[j] = 0.0
        for i in range(edges[block], edges[block + 1]):
            row, ui = costs(cost, i, 0, m, c), np.float64(u[i]) * LOG2E
            for j in range(m):
                part[j] += exp2(ui - np.float64(row[j]) * inv_eps - most[j])
    if barrier(flags, team):
        return
    for j in range(m * member // team, m * (member + 1) // team):
        s = 0.0
        for block in range(parts.shape[1]):
            s += parts[1, block, j]
        out[j] = most[j] * _LN2 + np.log(s)

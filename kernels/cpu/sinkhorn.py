"""Sinkhorn's iteration in the log domain: one exponential and one pass over the costs in a sweep.

A plan is P_ij = exp(u_i + v_j - C_ij / eps). Exponents are formed to base 2, which saves a product in each exponential.
"""

import math
from functools import partial

import numpy as np
from llvmlite import ir
from numba import types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import jit
from ._team import BLOCK, barrier, block_count, even_shares, launch, total
from .clouds import CostMatrix, costs, prepare, shape
from .exponential import LOG2E, exp2, log
from .vectors import narrow

__all__ = [
    "CACHED",
    "LONG",
    "SAFE",
    "STRETCH",
    "TOGETHER",
    "WORK",
    "add",
    "add_blocks",
    "add_four",
    "column_logs",
    "exponentials_ahead",
    "log_chunk",
    "row_blocks",
    "shifted",
]

# Partial column sums are kept for at most so many blocks of rows, of at least so many rows.
_MOST_BLOCKS, _LEAST_ROWS = 16, 64
# Rows that are added to the column sums together, as long as their exponentials fit the second-level cache.
TOGETHER, LONG = 4, 16384
# Costs of more bytes than a cache holds are asked for so many entries ahead, after each stretch of columns: hardware
# does not look beyond a page of 4 KiB, and two thirds of a sweep would go by waiting (measured).
CACHED, STRETCH, _AHEAD = 2**23, 256, 2048
# An exponential is worth so many multiply-adds.
WORK = 8
# Row sums outside [1 / this, this] are formed again with the largest exponent taken out.
SAFE = {4: 1e25, 8: 1e280}
_LN2 = math.log(2.0)


def row_blocks(n):
    """The rows at which the blocks begin, shape (blocks + 1,)."""
    size = max(_LEAST_ROWS, -(-n // (TOGETHER * _MOST_BLOCKS)) * TOGETHER)
    return np.append(np.arange(0, max(n, 1), size), n)


def log_chunk(cost, inv_eps, a, b, u, v, omega, errors, threshold, steps):
    """Take up to ``steps`` sweeps of over-relaxed scaling, fewer where the error falls enough.

    u += omega log(a / P 1), v += omega log(b / P^T 1) with P_ij = exp(u_i + v_j - C_ij inv_eps); nothing overflows.

    Parameters
    ----------
    cost : CostMatrix or PointCosts, shape (n, m)
    inv_eps : float
    a, b : ndarray, shapes (n,) and (m,)
        Positive.
    u, v : ndarray, shapes (n,) and (m,)
        The potentials over eps, updated, in the dtype of the costs.
    omega : float
    errors : ndarray of float64, shape (>= steps,)
        Receives the L1 error of both marginals between the two halves of each sweep. Where it falls to the threshold
        the sweep ends there, with exact rows if omega is 1.

    Returns
    -------
    taken : int
        Sweeps taken; the last error may be no finite number.
    """
    n, m = shape(cost)
    edges = row_blocks(n)
    blocks = edges.size - 1
    parts = np.empty((blocks, m), u.dtype)
    halves = np.empty((2, blocks)), np.empty(block_count(m)), np.empty(m), np.empty_like(v)
    stretch = STRETCH if isinstance(cost, CostMatrix) and cost.C.nbytes > CACHED else max(m, 1)
    # What is below the smallest number is lost: a column of less than this, times the largest factor of a row, may
    # have lost more than rounding.
    lost = n * float(np.finfo(u.dtype).tiny) / float(np.finfo(u.dtype).eps)
    scalars = inv_eps * LOG2E, omega, threshold, SAFE[u.dtype.itemsize], lost, stretch
    arguments = prepare(cost), edges, a, b, u, v, scalars, errors, steps, parts, halves
    return launch(_log_chunk, WORK * n * m, blocks, partial(even_shares, blocks), *arguments)


@jit
def _log_chunk(cost, edges, a, b, u, v, scalars, errors, steps, parts, halves, flags, share, member, team):
    inv_eps, omega, threshold, safe, lost, stretch = scalars
    row_sums, column_errors, sums, spare = halves
    m = v.size
    together = TOGETHER if m <= LONG else 1
    E, w, c = np.empty((together, m), v.dtype), np.empty_like(v), np.empty_like(v)
    columns = column_errors.size
    first, last = columns * member // team, columns * (member + 1) // team
    old, new, taken = v, spare, 0
    for step in range(steps):
        for j in range(m):
            w[j] = narrow(v, LOG2E) * old[j]
        for block in range(share[member], share[member + 1]):
            row_sums[0, block], row_sums[1, block] = _rows(
                cost, inv_eps, a, u, w, omega, safe, edges[block], edges[block + 1], parts[block], E, c, stretch
            )
        if barrier(flags, team):
            return taken
        error, trusted = total(row_sums[0]), (lost * row_sums[1].max(), safe)
        for column in range(first, last):
            lo, hi = column * BLOCK, min(column * BLOCK + BLOCK, m)
            column_errors[column] = _columns(cost, inv_eps, b, u, old, omega, trusted, lo, hi, parts, sums, new, c)
        if barrier(flags, team):
            return taken
        error += total(column_errors)
        taken = step + 1
        if member == 0:
            errors[step] = error
        # Not np.isfinite: reassociation lets it subtract a sum from itself before it is added up.
        if not threshold < error < np.inf:
            break
        old, new = new, old
    if member == 0 and taken > 0:
        v[:] = old
    return taken


@jit
def _rows(cost, inv_eps, a, u, w, omega, safe, begin, end, sums, E, c, stretch):
    """Update u[begin:end]; their new rows of P add up to ``sums``.

    Returns the L1 error of the new row sums, and the largest factor that exponentials were multiplied by.
    """
    together, error, largest = E.shape[0], 0.0, 0.0
    kappa, change = np.zeros(TOGETHER, w.dtype), np.empty(end - begin)
    sums[:] = 0
    for i in range(begin, end, together):
        count = min(together, end - i)
        for k in range(count):
            row = costs(cost, i + k, 0, w.size, c)
            s, scale, ui, e = w.dtype.type(0), narrow(w, inv_eps), narrow(w, u[i + k] * LOG2E), E[k]
            if stretch < w.size:
                s = exponentials_ahead(row, scale, ui, w, e, stretch)
            else:  # a function here would cost a tenth of a row of 500
                for j in range(w.size):
                    x = exp2((ui + w[j]) - row[j] * scale)
                    e[j] = x
                    s += x
            wide = np.float64(s)
            if omega == 1.0 and 1.0 / safe <= wide <= safe:
                change[i + k - begin] = kappa[k] = a[i + k] / wide
            else:
                u[i + k], kappa[k], gap = _relaxed_row(
                    row, inv_eps, a[i + k], u[i + k], w, omega, safe, e, np.float64(s)
                )
                change[i + k - begin] = 1.0
                error += gap
            largest = max(largest, np.float64(kappa[k]))
        if count == 4:
            add_four(kappa, E, sums)
        else:
            for k in range(count):
                add(kappa[k], E[k], sums)
    for i in range(end - begin):
        u[begin + i] += log(change[i])
    return error, largest


@jit
def _relaxed_row(c, inv_eps, a, u, w, omega, safe, e, s):
    """The new u of one row, what its exponentials e must be multiplied by, and the error of the row sum."""
    a, u = np.float64(a), np.float64(u)
    if 1.0 / safe <= s <= safe:
        change = omega * np.log(a / s)
        if abs(change) < 0.9 * np.log(safe):
            factor = np.exp(change)
            return u + change, factor, abs(factor * s - a)
    most, s = shifted(c, narrow(w, inv_eps), w, e)
    here = np.float64(most) * _LN2
    s = np.float64(s)
    if omega == 1.0:
        return np.log(a / s) - here, a / s, 0.0
    u_new = u + omega * (np.log(a / s) - here - u)
    factor = np.exp(u_new + here)
    return u_new, factor, abs(factor * s - a)


@jit
def exponentials_ahead(c, inv_eps, u, w, e, stretch):
    """e = 2^(u + w - c / eps) and their sum, where c comes from memory."""
    s = w.dtype.type(0)
    for lo in range(0, c.size, stretch):
        hi = min(lo + stretch, c.size)
        for j in range(lo + _AHEAD, hi + _AHEAD, 64 // c.itemsize):
            _prefetch(c, j)
        for j in range(uint64(lo), uint64(hi)):
            x = exp2((u + w[j]) - c[j] * inv_eps)
            e[j] = x
            s += x
    return s


@intrinsic
def _prefetch(typing_context, array, index):
    """Ask for the cache line of array[index], which may be beyond the array's end."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(array.data, [arguments[1]]), byte)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0"
        )
        builder.call(function, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.none(array, types.intp), generate


@jit
def shifted(c, inv_eps, w, e):
    """The largest exponent w - c / eps, and the sum of 2^(exponent - largest)."""
    most = w.dtype.type(-np.inf)
    for j in range(w.size):
        x = w[j] - c[j] * inv_eps
        e[j] = x
        most = max(most, x)
    s = w.dtype.type(0)
    for j in range(w.size):
        x = exp2(e[j] - most)
        e[j] = x
        s += x
    return most, s


@jit
def add(factor, e, sums):
    for j in range(sums.size):
        sums[j] += factor * e[j]


@jit
def add_four(kappa, E, sums):
    k0, k1, k2, k3 = kappa[0], kappa[1], kappa[2], kappa[3]
    e0, e1, e2, e3 = E[0], E[1], E[2], E[3]
    for j in range(sums.size):
        sums[j] += (k0 * e0[j] + k1 * e1[j]) + (k2 * e2[j] + k3 * e3[j])


@jit
def _columns(cost, inv_eps, b, u, v, omega, trusted, lo, hi, parts, sums, new, c):
    """Columns lo to hi: their sums, the new v, and the L1 error of the sums."""
    add_blocks(parts, lo, hi, sums)
    error, bad = 0.0, 0
    for j in range(uint64(lo), uint64(hi)):
        s = sums[j]
        error += abs(s - b[j])
        bad += not trusted[0] <= s <= trusted[1]
        new[j] = v[j] + omega * log(b[j] / s)
    if bad > 0:
        _exact_columns(cost, inv_eps, b, u, v, omega, trusted, lo, hi, sums, new, c)
    return error


@jit
def add_blocks(parts, lo, hi, sums):
    for j in range(lo, hi):
        sums[j] = parts[0, j]
    for block in range(1, parts.shape[0]):
        part = parts[block]
        for j in range(lo, hi):
            sums[j] += part[j]


@jit
def _exact_columns(cost, inv_eps, b, u, v, omega, trusted, lo, hi, sums, new, c):
    """New v where a column's sum is out of range, from exponents less the largest of the column."""
    logs = column_logs(cost, inv_eps, u, lo, hi, c)
    for j in range(lo, hi):
        if not trusted[0] <= sums[j] <= trusted[1]:
            new[j] = v[j] + omega * (np.log(np.float64(b[j])) - logs[j - lo] - v[j])


@jit
def column_logs(cost, inv_eps, u, lo, hi, c):
    """log sum_i exp(u_i - C_ij / eps) for columns lo to hi, from exponents less the largest; -inf where all are."""
    size = hi - lo
    most, s = np.full(size, -np.inf), np.zeros(size)
    for i in range(u.size):
        row, ui = costs(cost, i, lo, hi, c), np.float64(u[i]) * LOG2E
        for j in range(size):
            most[j] = max(most[j], ui - np.float64(row[j]) * inv_eps)
    for j in range(size):
        most[j] = 0.0 if most[j] == -np.inf else most[j]
    for i in range(u.size):
        row, ui = costs(cost, i, lo, hi, c), np.float64(u[i]) * LOG2E
        for j in range(size):
            s[j] += exp2(ui - np.float64(row[j]) * inv_eps - most[j])
    for j in range(size):
        s[j] = most[j] * _LN2 + np.log(s[j])
    return s

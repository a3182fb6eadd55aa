"""Sinkhorn's iteration in the log domain: one exponential and one pass over the costs in a sweep.

A plan is P_ij = exp(u_i + v_j - C_ij / eps). Exponents are formed to base 2, which saves a product in each exponential.
A sweep whose sums leave the range of numbers is not used; one with the largest exponents taken out comes in its place.
"""

import math
from functools import partial

import numpy as np
from llvmlite import ir
from numba import types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from ._apart import apart
from ._jit import jit
from ._team import BLOCK, barrier, block_count, even_shares, launch, total
from .clouds import CostMatrix, costs, prepare, row_blocks, shape
from .exponential import LOG2E, exp2, log
from .plans import log_sums, log_sums_columns
from .vectors import narrow

__all__ = [
    "LONG",
    "SAFE",
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
    "stretch_of",
]

# Rows that are added to the column sums together, as long as their exponentials fit the second-level cache.
TOGETHER, LONG = 4, 16384
# Costs of more bytes than a cache holds are asked for so many bytes ahead, after each stretch of so many: hardware does
# not look beyond a page of 4 KiB, and two thirds of a sweep would go by waiting. A stretch of 2 KiB asks for more lines
# at once than a core keeps track of, and takes half as long again (measured).
_CACHED, _STRETCH, _AHEAD = 2**23, 1536, 8192
# An exponential is worth so many multiply-adds.
WORK = 8
# Row sums outside [1 / this, this] are formed again with the largest exponent taken out.
SAFE = {4: 1e25, 8: 1e280}
_LN2 = math.log(2.0)


def stretch_of(cost, dtype):
    """The columns after which costs are asked for ahead; all of them where that is of no use."""
    if isinstance(cost, CostMatrix) and cost.C.nbytes > _CACHED:
        return _STRETCH // dtype.itemsize
    return max(shape(cost)[1], 1)


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
    taken = 0
    while taken < steps:
        more = _fast_sweeps(cost, inv_eps, a, b, u, v, omega, errors[taken:], threshold, steps - taken)
        taken += more
        if taken == steps or (more > 0 and errors[taken - 1] <= threshold):
            break
        errors[taken] = _exact_sweep(cost, inv_eps, a, b, u, v, omega, threshold)
        taken += 1
        if not threshold < errors[taken - 1] < np.inf:
            break
    return taken


def _fast_sweeps(cost, inv_eps, a, b, u, v, omega, errors, threshold, steps):
    """Sweeps until one of them leaves the range; that one does not count, and changes neither u nor v."""
    n, m = shape(cost)
    edges = row_blocks(n)
    blocks = edges.size - 1
    parts = np.empty((blocks, m), u.dtype)
    halves = np.empty((2, blocks)), np.empty(block_count(m)), np.empty(m), np.empty_like(v), np.empty(n)
    # What is below the smallest number is lost: a column of less than this, times the largest factor of a row, may
    # have lost more than rounding.
    lost = n * float(np.finfo(u.dtype).tiny) / float(np.finfo(u.dtype).eps)
    scalars = inv_eps * LOG2E, omega, threshold, SAFE[u.dtype.itemsize], lost, stretch_of(cost, u.dtype)
    arguments = prepare(cost), edges, a, b, u, v, scalars, errors, steps, parts, halves
    return launch(_log_chunk, WORK * n * m, blocks, partial(even_shares, blocks), *arguments)


def _exact_sweep(cost, inv_eps, a, b, u, v, omega, threshold):
    """One sweep by log-sum-exps, for any potentials: a second exponential, and three more passes over the costs."""
    logs = np.empty(u.size), np.empty(v.size)
    with np.errstate(all="ignore"):
        log_sums(cost, inv_eps, v, logs[0])
        u += (omega * (np.log(a, dtype=np.float64) - logs[0] - u)).astype(u.dtype)
        log_sums_columns(cost, inv_eps, u, logs[1])
        error = float(np.abs(np.exp(v + logs[1]) - b).sum())
        if omega != 1.0:
            error += float(np.abs(np.exp(u + logs[0]) - a).sum())
        if not error <= threshold:
            v += (omega * (np.log(b, dtype=np.float64) - logs[1] - v)).astype(v.dtype)
    return error


@jit
def _log_chunk(cost, edges, a, b, u, v, scalars, errors, steps, parts, halves, flags, share, member, team):
    inv_eps, omega, threshold, safe, lost, stretch = scalars
    row_sums, column_errors, sums, spare, change = halves
    m = v.size
    together = TOGETHER if m <= LONG else 1
    E, w, c = apart(together, m, v), np.empty_like(v), np.empty_like(v)
    columns = column_errors.size
    first, last = columns * member // team, columns * (member + 1) // team
    begin, end = edges[share[member]], edges[share[member + 1]]
    old, new, taken = v, spare, 0
    for step in range(steps):
        for j in range(m):
            w[j] = narrow(v, LOG2E) * old[j]
        for block in range(share[member], share[member + 1]):
            row_sums[0, block], row_sums[1, block] = _rows(
                cost, inv_eps, a, u, w, omega, safe, edges[block], edges[block + 1], parts[block], E, c, change, stretch
            )
        if barrier(flags, team):
            return taken
        # Read before the next barrier, behind which the others write them anew.
        error, trusted = total(row_sums[0]), 0.0
        for block in range(parts.shape[0]):
            trusted = max(trusted, lost * row_sums[1, block])
        for column in range(first, last):
            lo, hi = column * BLOCK, min(column * BLOCK + BLOCK, m)
            column_errors[column] = _columns(b, old, omega, trusted, safe, lo, hi, parts, sums, new)
        if barrier(flags, team):
            return taken
        error += total(column_errors)
        # Not np.isfinite: reassociation lets it subtract a sum from itself before it is added up.
        if not error < np.inf:
            break
        taken = step + 1
        if member == 0:
            errors[step] = error
        for i in range(begin, end):
            u[i] += log(change[i])
        if error <= threshold:
            break
        old, new = new, old
    if member == 0:
        for j in range(m):  # v[:] = old would compile for a second and a half
            v[j] = old[j]
    return taken


@jit
def _rows(cost, inv_eps, a, u, w, omega, safe, begin, end, sums, E, c, change, stretch):
    """What u[begin:end] change by, as factors; the new rows of P add up to ``sums``.

    Returns the L1 error of the new row sums, and the largest factor that exponentials were multiplied by.
    """
    together, error, largest = E.shape[0], 0.0, 0.0
    kappa = np.zeros(TOGETHER, w.dtype)
    for j in range(sums.size):
        sums[j] = 0
    for i in range(begin, end, together):
        count = min(together, end - i)
        for k in range(count):
            row = costs(cost, i + k, 0, w.size, c)
            s, scale, ui, e = w.dtype.type(0), narrow(w, inv_eps), narrow(w, u[i + k] * LOG2E), E[k]
            for lo in range(0, w.size, stretch):
                hi = min(lo + stretch, w.size)
                if stretch < w.size:
                    for j in range(lo + _AHEAD // row.itemsize, hi + _AHEAD // row.itemsize, 64 // row.itemsize):
                        _prefetch(row, j)
                for j in range(uint64(lo), uint64(hi)):  # a function here would cost a tenth of a row of 500
                    x = exp2((ui + w[j]) - row[j] * scale)
                    e[j] = x
                    s += x
            wide, target = np.float64(s), np.float64(a[i + k])
            factor = target / wide
            if not (1.0 / safe <= wide <= safe and 1.0 / safe <= factor <= safe):
                largest = np.inf
            elif omega != 1.0:
                factor = np.exp(omega * np.log(factor))
                error += abs(factor * wide - target)
            change[i + k] = kappa[k] = factor
            largest = max(largest, factor)
        if count == 4:
            add_four(kappa, E, sums)
        else:
            for k in range(count):
                add(kappa[k], E[k], sums)
    return error, largest


@jit
def _columns(b, v, omega, least, most, lo, hi, parts, sums, new):
    """Columns lo to hi: their sums, the new v, and the L1 error of the sums; inf where one cannot be trusted."""
    add_blocks(parts, lo, hi, sums)
    error, bad = 0.0, 0
    for j in range(uint64(lo), uint64(hi)):  # it writes nothing: see _apart.py
        s = sums[j]
        error += abs(s - b[j])
        bad += not least <= s <= most
    for j in range(uint64(lo), uint64(hi)):
        new[j] = v[j] + omega * log(b[j] / sums[j])
    return error if bad == 0 else np.inf


@jit
def add_blocks(parts, lo, hi, sums):
    for j in range(lo, hi):
        sums[j] = parts[0, j]
    for block in range(1, parts.shape[0]):
        part = parts[block]
        for j in range(lo, hi):
            sums[j] += part[j]


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
def exponentials_ahead(c, inv_eps, u, w, e, stretch):
    """e = 2^(u + w - c / eps) and their sum; where c comes from memory, ``stretch`` is less than a row."""
    s = w.dtype.type(0)
    for lo in range(0, w.size, stretch):
        hi = min(lo + stretch, w.size)
        for j in range(lo + _AHEAD // c.itemsize, hi + _AHEAD // c.itemsize, 64 // c.itemsize):
            _prefetch(c, j)
        for j in range(uint64(lo), uint64(hi)):
            x = exp2((u + w[j]) - c[j] * inv_eps)
            e[j] = x
            s += x
    return s


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

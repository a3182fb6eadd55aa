"""Chunks of conjugate-gradient iterations for many right-hand sides: the matrix is read once for all of them.

Rows hold the k columns side by side, k a multiple of ``LANES``, so that one entry of the matrix meets
whole registers. The vector updates run over the flat memory of ``_STRIP`` rows at a time, against step lengths repeated
as often: loops of k alone are too short to vectorise well. As many rows whatever k is: the sums of a column are then
taken in one order, and no bit of it depends on the columns beside it.
"""

from functools import partial

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import FLAGS, jit
from ._team import BLOCK, barrier, block_count, launch
from .cg import judge
from .storage import shares, work
from .vectors import quotient, square

__all__ = ["LANES", "cg_chunk_many"]

# Columns come in multiples of this: shorter inner loops fall out of the vectorised part (measured).
LANES = 16
# Rows: for 32 columns in double precision 8 KB of each vector.
_STRIP = 32
_RUNNING, _NONFINITE, _INDEFINITE, _REACHED = 0, 1, 2, 4


def cg_chunk_many(A, d, X, R, P, Q, scalars, norms, thresholds, states, counts, steps):
    """Take up to ``steps`` iterations of ``cg_chunk`` for k right-hand sides at once.

    Parameters
    ----------
    A : CSR of n rows
    d : None, or ndarray of real numbers, shape (n,)
    X, R, P, Q : ndarray, shape (n, k), C-contiguous, k a multiple of LANES
    scalars : ndarray of float64, shape (3, k)
    norms : ndarray of float64, shape (>= steps, k)
        Receives the norms of each column's steps.
    thresholds : ndarray of float64, shape (k,)
    states : ndarray of int64, shape (k,)
        0 while a column runs; set to its flag, or to 4 where it reached its threshold (updated).
    counts : ndarray of int64, shape (k,)
        Receives the steps that each column took.
    """
    n, k = X.shape
    blocks = block_count(n)
    parts = np.empty((5, blocks, k))
    arguments = (A, d, X, R, P, Q, scalars, norms, parts, thresholds, states, counts, steps)
    launch(_cg_chunk_many, (work(A) + 8 * n) * k, blocks, partial(shares, A), *arguments)


@jit
def _cg_chunk_many(
    A, d, X, R, P, Q, scalars, norms, parts, thresholds, states, counts, steps, flags, share, member, team
):
    n, k = X.shape
    begin, end = share[member], share[member + 1]
    x, r, p, q = X.reshape(-1), R.reshape(-1), P.reshape(-1), Q.reshape(-1)
    state, rho, sign = states.copy(), scalars[0].copy(), scalars[1].copy()
    count, norm = np.zeros(k, np.int64), np.empty(k)
    sums, work_sums = np.empty((5, k)), np.empty((3, _STRIP * k))
    alpha = np.empty(_STRIP * k, X.real.dtype)
    beta = np.empty(_STRIP * k, X.real.dtype)
    for step in range(steps):
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            _apply_many(A, k, p, q, lo, hi)
            work_sums[:] = 0
            for at in range(lo, hi, _STRIP):
                u, v = at * k, min(at + _STRIP, hi) * k
                _add_forms(p[u:v], q[u:v], work_sums)
            _fold(work_sums, parts[:3, block])
        if barrier(flags, team):
            return
        _column_totals(parts[:3], sums[:3])
        _choose_alpha(sums, scalars[2], rho, sign, state, alpha)
        _repeat(alpha, k)
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            work_sums[:] = 0
            for at in range(lo, hi, _STRIP):
                u, v = at * k, min(at + _STRIP, hi) * k
                _update_residual(d, at, k, alpha, q[u:v], r[u:v], work_sums)
            _fold(work_sums[:2], parts[3:, block])
        if barrier(flags, team):
            return
        _column_totals(parts[3:], sums[3:])
        running = (state == _RUNNING).any()
        _choose_beta(sums[3], sums[3] if d is None else sums[4], thresholds, rho, state, alpha, beta, norm)
        for j in range(k):
            count[j] += norm[j] >= 0.0
        _repeat(alpha, k)
        _repeat(beta, k)
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            for at in range(lo, hi, _STRIP):
                u, v = at * k, min(at + _STRIP, hi) * k
                _update_iterate(d, at, k, alpha, beta, r[u:v], x[u:v], p[u:v])
        if member == 0:
            norms[step] = norm
            states[:], counts[:] = state, count
            scalars[0], scalars[1] = rho, sign
        if barrier(flags, team) or not running:
            return
    return


@jit
def _choose_alpha(sums, imaginary_share, rho, sign, state, alpha):
    """The step length of each column, zero for those that have ended; sums: the parts of p^H A p."""
    for j in range(rho.size):
        alpha[j] = 0.0
        if state[j] != _RUNNING:
            continue
        step = quotient(rho[j], sums[0, j])
        state[j] = judge(sums[0, j], sums[1, j], sums[2, j], sign[j], imaginary_share[j])
        if state[j] == _RUNNING and not np.isfinite(step):
            state[j] = _NONFINITE
        if state[j] == _RUNNING:
            sign[j] = 1.0 if sums[0, j] > 0.0 else -1.0
            alpha[j] = step


@jit
def _choose_beta(squares, rho_next, thresholds, rho, state, alpha, beta, norm):
    """What goes from the old direction into the new one, and the ends; norm is -1 where no step was completed."""
    for j in range(rho.size):
        beta[j] = 0.0
        norm[j] = -1.0
        if state[j] != _RUNNING:
            continue
        size = np.sqrt(squares[j])
        if not np.isfinite(size):
            state[j] = _NONFINITE
            alpha[j] = 0.0  # x stays the last finite iterate
            continue
        norm[j] = size
        beta[j] = quotient(rho_next[j], rho[j])
        if size <= thresholds[j]:
            state[j] = _REACHED
        elif rho_next[j] == 0.0 or (rho_next[j] > 0.0) != (rho[j] > 0.0):
            state[j] = _INDEFINITE
        rho[j] = rho_next[j]


@jit
def _apply_many(A, k, x, y, lo, hi):
    """Rows lo to hi of Y = A X, both flat; up to four entries of the matrix per pass over the k columns."""
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    indptr, indices, data = A.indptr, A.indices, A.data
    k = np.uint64(k)
    for i in range(np.uint64(lo), np.uint64(hi)):
        e, end, row = np.uint64(indptr[i]), np.uint64(indptr[i + one]), i * k
        for j in range(k):
            y[row + j] = 0
        while e + three < end:
            a0, a1, a2, a3 = data[e], data[e + one], data[e + two], data[e + three]
            c0, c1 = np.uint64(indices[e]) * k, np.uint64(indices[e + one]) * k
            c2, c3 = np.uint64(indices[e + two]) * k, np.uint64(indices[e + three]) * k
            for j in range(k):
                y[row + j] += (a0 * x[c0 + j] + a1 * x[c1 + j]) + (a2 * x[c2 + j] + a3 * x[c3 + j])
            e += four
        while e < end:
            a0, c0 = data[e], np.uint64(indices[e]) * k
            for j in range(k):
                y[row + j] += a0 * x[c0 + j]
            e += one


def _add_forms(p, q, sums):
    """``form`` entry by entry, added to the rows of sums; called from compiled code."""
    raise NotImplementedError("called from compiled code only")


@overload(_add_forms, jit_options=FLAGS)
def _add_forms_by_dtype(p, q, sums):
    if isinstance(p.dtype, types.Complex):

        def complex_forms(p, q, sums):
            re, im, size = sums[0], sums[1], sums[2]
            for i in range(p.size):
                u = np.float64(p[i].real) * q[i].real + np.float64(p[i].imag) * q[i].imag
                v = np.float64(p[i].real) * q[i].imag - np.float64(p[i].imag) * q[i].real
                re[i] += u
                im[i] += v
                size[i] += abs(u) + abs(v)

        return complex_forms

    def real_forms(p, q, sums):
        re = sums[0]
        for i in range(p.size):
            re[i] += np.float64(p[i]) * q[i]

    return real_forms


@jit
def _update_residual(d, at, k, alpha, q, r, sums):
    s, t = sums[0], sums[1]
    for i in range(r.size):
        r[i] -= alpha[i] * q[i]
        s[i] += square(r[i])
    if d is not None:
        for row in range(r.size // k):
            weight = d[at + row]
            for i in range(row * k, row * k + k):
                t[i] += weight * square(r[i])


@jit
def _update_iterate(d, at, k, alpha, beta, r, x, p):
    for i in range(x.size):
        # Not 0 * p: the direction of a column that has ended may be NaN.
        x[i] += alpha[i] * p[i] if alpha[i] != 0 else x.dtype.type(0)
    if d is None:
        for i in range(x.size):
            p[i] = r[i] + beta[i] * p[i]
    else:
        for row in range(x.size // k):
            weight = d[at + row]
            for i in range(row * k, row * k + k):
                p[i] = weight * r[i] + beta[i] * p[i]


@jit
def _repeat(pattern, k):
    """Write the first k entries over the rest, again and again."""
    for i in range(k, pattern.size):
        pattern[i] = pattern[i - k]


@jit
def _fold(strips, out):
    """Add a strip's sums to one per column."""
    k = out.shape[1]
    out[:] = 0
    for which in range(out.shape[0]):
        for i in range(strips.shape[1]):
            out[which, i % k] += strips[which, i]


@jit
def _column_totals(parts, out):
    out[:] = 0
    for which in range(out.shape[0]):
        for block in range(parts.shape[1]):
            for j in range(out.shape[1]):
                out[which, j] += parts[which, block, j]

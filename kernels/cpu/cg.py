"""Chunks of conjugate-gradient iterations in one call, for one right-hand side and for many.

The letters are those of Hestenes & Stiefel (1952): x, r, p, alpha, beta; q = A p, rho = r^H M r.
The update of x waits until that of p, so that an iteration reads and writes 8 vectors and not 9.
"""

from functools import partial

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import FLAGS, jit
from ._team import BLOCK, barrier, block_count, launch, total
from .operators import CSR, Diagonals, apply, shares, work
from .vectors import form, narrow, square

__all__ = ["cg_chunk", "cg_chunk_many", "judge"]

# Why a chunk ended, beside the threshold and the number of steps: indices into the caller's table.
_RUNNING, _NONFINITE, _INDEFINITE, _NOT_HERMITIAN, _REACHED = 0, 1, 2, 3, 4


def cg_chunk(A, d, x, r, p, q, scalars, norms, threshold, steps):
    """Take up to ``steps`` iterations, fewer where the norm of r falls to the threshold.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    d : None, or ndarray of real numbers, shape (n,)
        The diagonal of the preconditioner.
    x, r, p, q : ndarray, shape (n,)
        Iterate, residual, direction (all updated) and work space.
    scalars : ndarray of float64, shape (3,)
        rho (updated); the sign of the first p^H A p (0 before it is known, updated); the share of
        p^H A p that may be imaginary.
    norms : ndarray of float64, shape (>= steps,)
        Receives the norm of r after each step.

    Returns
    -------
    taken, flag : int
        Steps completed; 0, or 1 a NaN or infinity, 2 indefinite, 3 not Hermitian.
    """
    blocks = block_count(x.size)
    parts = np.empty((5, blocks))
    arguments = (A, d, x, r, p, q, scalars, norms, parts, threshold, steps)
    return launch(_cg_chunk, work(A) + 8 * x.size, blocks, partial(shares, A), *arguments)


@jit
def judge(re, im, size, sign, imaginary_share):
    """Whether p^H A p (real part, imaginary part, magnitude of its terms) allows another step; a flag."""
    if not (np.isfinite(re) and np.isfinite(im)):
        return _NONFINITE
    if abs(im) > imaginary_share * size:
        return _NOT_HERMITIAN
    if re == 0.0 or re * sign < 0.0:
        return _INDEFINITE
    return _RUNNING


@jit
def _cg_chunk(A, d, x, r, p, q, scalars, norms, parts, threshold, steps, flags, share, member, team):
    n = x.size
    begin, end = share[member], share[member + 1]
    rho, sign, imaginary_share = scalars[0], scalars[1], scalars[2]
    for step in range(steps):
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            apply(A, p, q[lo:hi], lo, hi)
            parts[0, block], parts[1, block], parts[2, block] = form(p[lo:hi], q[lo:hi])
        if barrier(flags, team):
            return step, _RUNNING
        pq = total(parts[0])
        flag = judge(pq, total(parts[1]), total(parts[2]), sign, imaginary_share)
        alpha = rho / pq
        if flag == _RUNNING and not np.isfinite(alpha):
            flag = _NONFINITE
        if flag != _RUNNING:
            return step, flag
        sign = 1.0 if pq > 0.0 else -1.0
        a = narrow(x, alpha)
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            rb, qb = r[lo:hi], q[lo:hi]
            s, t = 0.0, 0.0
            for i in range(hi - lo):
                ri = rb[i] - a * qb[i]
                rb[i] = ri
                rr = square(ri)
                s += rr
                if d is not None:
                    t += rr * d[lo:hi][i]
            parts[3, block], parts[4, block] = s, t
        if barrier(flags, team):
            return step, _RUNNING
        rr = total(parts[3])
        norm = np.sqrt(rr)
        rho_next = rr if d is None else total(parts[4])
        beta = rho_next / rho
        b = narrow(x, beta)
        if not np.isfinite(norm):
            a = narrow(x, 0.0)  # x stays the last finite iterate
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            xb, pb, rb = x[lo:hi], p[lo:hi], r[lo:hi]
            for i in range(hi - lo):
                xb[i] += a * pb[i]
                if d is None:
                    pb[i] = rb[i] + b * pb[i]
                else:
                    pb[i] = d[lo:hi][i] * rb[i] + b * pb[i]
        flag = _RUNNING
        if not np.isfinite(norm):
            flag = _NONFINITE
        elif norm > threshold and not rho_next * rho > 0.0:
            flag = _INDEFINITE
        rho = rho_next
        if member == 0:
            norms[step] = norm
            scalars[0], scalars[1] = rho, sign
        if barrier(flags, team) or flag != _RUNNING or norm <= threshold:
            return step + 1, flag
    return steps, _RUNNING


def cg_chunk_many(A, d, X, R, P, Q, scalars, norms, thresholds, states, steps):
    """``cg_chunk`` for k right-hand sides at once: the matrix is read once for all of them.

    Parameters
    ----------
    A : CSR or Diagonals of n rows
    d : None, or ndarray of real numbers, shape (n,)
    X, R, P, Q : ndarray, shape (n, k), C-contiguous
    scalars : ndarray of float64, shape (3, k)
    norms : ndarray of float64, shape (>= steps, k)
        Receives the norms; a column that is done repeats its last one. Row 0 holds the norms so far.
    thresholds : ndarray of float64, shape (k,)
    states : ndarray of int64, shape (k,)
        0 while a column runs; set to its flag, or to 4 where it reached its threshold (updated).

    Returns
    -------
    taken : int
        Steps of the column that took most.
    """
    n, k = X.shape
    blocks = block_count(n)
    parts = np.empty((5, blocks, k))
    effort = (work(A) + 8 * n) * k
    arguments = (A, d, X, R, P, Q, scalars, norms, parts, thresholds, states, steps)
    return launch(_cg_chunk_many, effort, blocks, partial(shares, A), *arguments)


def apply_many(A, X, Y, lo, hi):
    """Y = (A X)[lo:hi]; called from compiled code."""
    raise NotImplementedError("called from compiled code only")


@overload(apply_many, jit_options=FLAGS)
def _apply_many(A, X, Y, lo, hi):
    if not isinstance(A, types.BaseNamedTuple):
        return None
    return {CSR: _apply_many_csr, Diagonals: _apply_many_diagonals}[A.instance_class]


def _apply_many_csr(A, X, Y, lo, hi):
    for i in range(hi - lo):
        y = Y[i]
        y[:] = 0
        for k in range(np.uint64(A.indptr[lo + i]), np.uint64(A.indptr[lo + i + 1])):
            a, x = A.data[k], X[A.indices[k]]
            for j in range(y.size):
                y[j] += a * x[j]


def _apply_many_diagonals(A, X, Y, lo, hi):
    n = X.shape[0]
    Y[:] = 0
    for d in range(A.offsets.size):
        offset = A.offsets[d]
        for i in range(max(lo, -offset), min(hi, n - offset)):
            a, x, y = A.data[d, i], X[i + offset], Y[i - lo]
            for j in range(y.size):
                y[j] += a * x[j]


@jit
def _column_totals(parts, out):
    out[:] = 0
    for block in range(parts.shape[0]):
        for j in range(out.size):
            out[j] += parts[block, j]


@jit
def _cg_chunk_many(A, d, X, R, P, Q, scalars, norms, parts, thresholds, states, steps, flags, share, member, team):
    n, k = X.shape
    begin, end = share[member], share[member + 1]
    state, rho, sign = states.copy(), scalars[0].copy(), scalars[1].copy()
    norm = norms[0].copy()
    pq, im, size, rr, rz = np.empty(k), np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    alpha, beta = np.empty(k), np.empty(k)
    a, b = np.empty(k, X.real.dtype), np.empty(k, X.real.dtype)
    taken = 0
    for step in range(steps):
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            apply_many(A, P, Q[lo:hi], lo, hi)
            parts[:3, block] = 0
            _add_forms(P[lo:hi], Q[lo:hi], parts[0, block], parts[1, block], parts[2, block])
        if barrier(flags, team):
            return taken
        _column_totals(parts[0], pq)
        _column_totals(parts[1], im)
        _column_totals(parts[2], size)
        for j in range(k):
            alpha[j] = rho[j] / pq[j]
            if state[j] == _RUNNING:
                state[j] = judge(pq[j], im[j], size[j], sign[j], scalars[2, j])
                if state[j] == _RUNNING and not np.isfinite(alpha[j]):
                    state[j] = _NONFINITE
                sign[j] = 1.0 if pq[j] > 0.0 else -1.0
            if state[j] != _RUNNING:
                alpha[j] = 0.0
            a[j] = alpha[j]
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            parts[3:, block] = 0
            for i in range(lo, hi):
                r, q, s, t = R[i], Q[i], parts[3, block], parts[4, block]
                for j in range(k):
                    ri = r[j] - a[j] * q[j]
                    r[j] = ri
                    s[j] += square(ri)
                    if d is not None:
                        t[j] += square(ri) * d[i]
        if barrier(flags, team):
            return taken
        _column_totals(parts[3], rr)
        _column_totals(parts[4], rz)
        running = False
        for j in range(k):
            beta[j] = 0.0
            if state[j] != _RUNNING:
                continue
            running = True
            taken = step + 1
            norm[j] = np.sqrt(rr[j])
            rho_next = rr[j] if d is None else rz[j]
            beta[j] = rho_next / rho[j]
            if not np.isfinite(norm[j]):
                state[j] = _NONFINITE
                a[j] = 0  # x stays the last finite iterate
            elif norm[j] <= thresholds[j]:
                state[j] = _REACHED
            elif not rho_next * rho[j] > 0.0:
                state[j] = _INDEFINITE
            rho[j] = rho_next
        for j in range(k):
            b[j] = beta[j]
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, n)
            for i in range(lo, hi):
                x, p, r = X[i], P[i], R[i]
                for j in range(k):
                    x[j] += a[j] * p[j]
                    if d is None:
                        p[j] = r[j] + b[j] * p[j]
                    else:
                        p[j] = d[i] * r[j] + b[j] * p[j]
        if member == 0:
            if running:
                norms[step] = norm
            states[:] = state
            scalars[0], scalars[1] = rho, sign
        if barrier(flags, team) or not running:
            return taken
    return taken


@jit
def _add_forms(P, Q, re, im, size):
    for i in range(P.shape[0]):
        p, q = P[i], Q[i]
        for j in range(p.size):
            u = np.float64(p[j].real) * q[j].real + np.float64(p[j].imag) * q[j].imag
            v = np.float64(p[j].real) * q[j].imag - np.float64(p[j].imag) * q[j].real
            re[j] += u
            im[j] += v
            size[j] += abs(u) + abs(v)

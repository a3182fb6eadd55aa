"""Chunks of conjugate-gradient iterations in one call.

The letters are those of Hestenes & Stiefel (1952): x, r, p, alpha, beta; q = A p, rho = r^H M r.
The update of x waits until that of p, so that an iteration reads and writes 8 vectors and not 9.
"""

from functools import partial

import numpy as np

from ._jit import jit
from ._team import BLOCK, barrier, block_count, launch, total
from .products import apply
from .storage import shares, work
from .vectors import form, narrow, quotient, square

__all__ = ["cg_chunk", "judge"]

# Why a chunk ended, beside the threshold and the number of steps: indices into the caller's table.
_RUNNING, _NONFINITE, _INDEFINITE, _NOT_HERMITIAN = 0, 1, 2, 3


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
        alpha = quotient(rho, pq)
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
        beta = quotient(rho_next, rho)
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
        elif norm > threshold and (rho_next == 0.0 or (rho_next > 0.0) != (rho > 0.0)):
            flag = _INDEFINITE
        rho = rho_next
        if member == 0:
            norms[step] = norm
            scalars[0], scalars[1] = rho, sign
        if barrier(flags, team) or flag != _RUNNING or norm <= threshold:
            return step + 1, flag
    return steps, _RUNNING

"""Sweeps over blocks of rows, each of which is solved exactly: for couplings that are strong in one direction.

A block is solved with factors on its own pattern, which are exact where its elimination makes no fill: for lines of a
grid (tridiagonal blocks) and for dense blocks. They are those of ``ilu0``.
"""

import numpy as np

from ._jit import jit
from .vectors import narrow, square

__all__ = ["block_sor_chunk"]


def block_sor_chunk(A, edges, factors, b, x, y, omega, symmetric, norms, threshold, steps):
    """Take up to ``steps`` sweeps of block successive over-relaxation, fewer where the residual falls to the threshold.

    Parameters
    ----------
    A : CSR of n rows
        Sorted by blocks.
    edges : ndarray of int64, shape (blocks + 1,)
        Where they begin.
    factors : Sweep
        ``ilu0`` of the block diagonal of A, in the order of A.
    b, x, y : ndarray, shape (n,)
        Right-hand side, iterate (updated) and work space.
    omega : float
    symmetric : bool
        Whether each step is a sweep forward and one backward.
    norms : ndarray of float64, shape (>= steps,)
        Receives the norm of b - A x after each sweep.

    Returns
    -------
    taken : int
    """
    return _block_sor_chunk(A, edges, factors, b, x, y, omega, symmetric, norms, threshold, steps)


@jit
def _block_sor_chunk(A, edges, factors, b, x, y, omega, symmetric, norms, threshold, steps):
    old, new, taken, w = x, y, 0, narrow(x, omega)
    rest = np.empty_like(x)
    for step in range(steps + 1):
        squares = 0.0
        for block in range(edges.size - 1):
            lo, hi = edges[block], edges[block + 1]
            squares += _residual(A, b, old, new, rest, lo, hi)
            _solve(factors, rest, lo, hi)
            for i in range(lo, hi):
                new[i] = old[i] + w * rest[i]
        norm = np.sqrt(squares)
        if step > 0:
            taken = step
            norms[step - 1] = norm
            if step == steps or norm <= threshold or not np.isfinite(norm):
                break
        if symmetric:
            for back in range(edges.size - 1):
                block = edges.size - 2 - back
                lo, hi = edges[block], edges[block + 1]
                _residual(A, b, new, new, rest, lo, hi)
                _solve(factors, rest, lo, hi)
                for i in range(lo, hi):
                    new[i] += w * rest[i]
        old, new = new, old
    if taken % 2 == 1:
        x[:] = y
    return taken


@jit
def _residual(A, b, old, new, rest, lo, hi):
    """rest = b - A x in rows lo to hi, x new in the blocks before; returns the squared norm with x old everywhere."""
    squares = 0.0
    for i in range(lo, hi):
        here, change = b[i], old.dtype.type(0)
        for k in range(A.indptr[i], A.indptr[i + 1]):
            j = np.int64(A.indices[k])
            here -= A.data[k] * old[j]
            if j < lo:
                change += A.data[k] * (new[j] - old[j])
        squares += square(here)
        rest[i] = here - change
    return squares


@jit
def _solve(factors, z, lo, hi):
    """(D + L) D^-1 (D + U) z = z in rows lo to hi, in place."""
    lower, upper, inverse = factors.lower, factors.upper, factors.inverse
    for i in range(lo, hi):
        value = z[i]
        for k in range(lower.indptr[i], lower.indptr[i + 1]):
            value -= lower.data[k] * z[lower.indices[k]]
        z[i] = value * inverse[i]
    for back in range(hi - lo):
        i = hi - 1 - back
        value = factors.diagonal[i] * z[i]
        for k in range(upper.indptr[i], upper.indptr[i + 1]):
            value -= upper.data[k] * z[upper.indices[k]]
        z[i] = value * inverse[i]

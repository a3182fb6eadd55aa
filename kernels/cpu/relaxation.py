"""Sweeps over the rows of a matrix: successive over-relaxation, row by row or on all threads.

The matrix, the vectors and the diagonal that kernels get here are sorted by stages of uncoupled rows, see ``orders``;
``stages`` holds where each begins. A sweep reads x and writes y, so that it computes, on its way, the residual of x,
and the last iterate is at hand when its norm turns out to be small enough.
"""

from collections import namedtuple
from functools import partial

import numpy as np
from numba import uint64

from ._jit import jit
from ._team import BLOCK, barrier, block_count, launch, total
from .products import apply
from .storage import CSR, shares, work
from .vectors import narrow, square

__all__ = ["Sweep", "jacobi_chunk", "share_out", "sor_chunk", "ssor_chunk", "sweep", "sweep_from"]

# The strict triangles and the diagonal, sorted by stages; 1 / diagonal; where blocks begin (blocks + 1,), and which
# block a stage begins with (stages + 1,).
Sweep = namedtuple("Sweep", "lower upper diagonal inverse edges first")


def sweep(lower, upper, diagonal, stages):
    """Put together what the sweeps read.

    Parameters
    ----------
    lower, upper : CSR
        The strict triangles, sorted.
    diagonal : ndarray, shape (n,)
        Without zeros.
    stages : ndarray of int64, shape (stages + 1,)
    """
    # A stage is cut into blocks, whose sums are added in block order: threads do not change an answer.
    counts = -(-np.diff(stages) // BLOCK)
    first = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    edges = np.repeat(stages[:-1], counts) + BLOCK * (np.arange(first[-1]) - np.repeat(first[:-1], counts))
    edges = np.append(edges, stages[-1]).astype(np.int64)
    with np.errstate(all="ignore"):  # a NaN, or 1 / what is nearly 0, is for the norms to show
        inverse = (1 / diagonal).astype(diagonal.dtype)
    return Sweep(lower, upper, diagonal, inverse, edges, first)


def sweep_from(S, dtype):
    """A Sweep made by the CPU kernels, in the memory of this backend and with entries of that dtype."""
    lower, upper = (CSR(t.indptr, t.indices, t.data.astype(dtype, copy=False)) for t in (S.lower, S.upper))
    diagonal, inverse = (d.astype(dtype, copy=False) for d in (S.diagonal, S.inverse))
    return S._replace(lower=lower, upper=upper, diagonal=diagonal, inverse=inverse)


def sor_chunk(S, b, x, y, omega, norms, threshold, steps):
    """Take up to ``steps`` sweeps of successive over-relaxation, fewer where the residual falls to the threshold.

    x_i += omega / a_ii (b - sum over j < i of a_ij x_j (new) - sum over j >= i of a_ij x_j (old))_i

    Parameters
    ----------
    S : Sweep of n rows
    b, x, y : ndarray, shape (n,)
        Right-hand side, iterate (updated) and work space.
    omega : float
    norms : ndarray of float64, shape (>= steps,)
        Receives the norm of b - A x after each sweep.

    Returns
    -------
    taken : int
        Sweeps completed; the last norm may be no finite number.
    """
    return share_out(_sor_chunk, S, 2, S, b, x, y, omega, norms, threshold, steps, False)


def ssor_chunk(S, b, x, y, omega, norms, threshold, steps):
    """``sor_chunk`` with a sweep forward and one backward in each step."""
    return share_out(_sor_chunk, S, 2, S, b, x, y, omega, norms, threshold, steps, True)


def jacobi_chunk(A, inverse, b, x, y, omega, norms, threshold, steps):
    """Take up to ``steps`` damped Jacobi steps x += omega D^-1 (b - A x), fewer where the residual falls far enough.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    inverse, b, x, y : ndarray, shape (n,)
        1 / diagonal, right-hand side, iterate (updated) and work space.
    omega, norms, threshold, steps : as ``sor_chunk``

    Returns
    -------
    taken : int
    """
    blocks = block_count(x.size)
    parts = np.empty((2, blocks))
    arguments = A, inverse, b, x, y, omega, norms, threshold, steps, parts
    return launch(_jacobi_chunk, work(A) + 4 * x.size, blocks, partial(shares, A), *arguments)


@jit
def _jacobi_chunk(A, inverse, b, x, y, omega, norms, threshold, steps, parts, flags, share, member, team):
    old, new, taken, w = x, y, 0, narrow(x, omega)
    begin, end = share[member], share[member + 1]
    for step in range(steps + 1):
        for block in range(begin, end):
            lo = block * BLOCK
            hi = min(lo + BLOCK, x.size)
            out = new[lo:hi]
            apply(A, old, out, lo, hi)
            squares = 0.0
            for i in range(hi - lo):
                rest = b[lo + i] - out[i]
                squares += square(rest)
                out[i] = old[lo + i] + w * inverse[lo + i] * rest
            parts[step % 2, block] = squares
        if barrier(flags, team):
            return taken
        norm = np.sqrt(total(parts[step % 2]))
        if step > 0:
            taken = step
            if member == 0:
                norms[step - 1] = norm
            if step == steps or norm <= threshold or not np.isfinite(norm):
                break
        old, new = new, old
    if taken % 2 == 1 and member == 0:
        x[:] = y
    return taken


def share_out(kernel, S, sums, *arguments):
    """Run a kernel that walks through the stages; it gets memory for that many sums over all blocks."""
    stages, blocks = S.first.size - 1, S.edges.size - 1
    entries = S.lower.data.size + S.upper.data.size + 8 * S.diagonal.size
    parts = np.zeros((sums, max(1, blocks)))
    # A team meets after each stage: what counts is the work of one.
    return launch(kernel, 4 * entries // max(4, stages), blocks, partial(_nothing, blocks), *arguments, parts)


def _nothing(blocks, team):
    """The stages are shared out one by one."""
    return np.array([0] * team + [blocks], dtype=np.int64)


@jit
def _sor_chunk(S, b, x, y, omega, norms, threshold, steps, symmetric, parts, flags, share, member, team):
    stages = S.first.size - 1
    old, new, taken = x, y, 0
    for step in range(steps + 1):
        sums = parts[step % 2]
        for stage in range(stages):
            first, count = S.first[stage], S.first[stage + 1] - S.first[stage]
            for block in range(first + count * member // team, first + count * (member + 1) // team):
                lo, hi = S.edges[block], S.edges[block + 1]
                # After the last step for its norm alone: by the same instructions, so that chunks change no bit.
                sums[block] = _relax(S, narrow(x, omega), b, old, new, lo, hi)
            if barrier(flags, team):
                return taken
        norm = np.sqrt(total(sums))
        if step > 0:
            taken = step
            if member == 0:
                norms[step - 1] = norm
            if step == steps or norm <= threshold or not np.isfinite(norm):
                break
        if symmetric:
            for back in range(stages):
                stage = stages - 1 - back
                first, count = S.first[stage], S.first[stage + 1] - S.first[stage]
                for block in range(first + count * member // team, first + count * (member + 1) // team):
                    _relax_in_place(S, narrow(x, omega), b, new, S.edges[block], S.edges[block + 1])
                if barrier(flags, team):
                    return taken
        old, new = new, old
    if taken % 2 == 1 and member == 0:
        x[:] = y
    return taken


@jit
def _relax(S, omega, b, x, y, lo, hi):
    """Rows lo to hi of a sweep from x to y; returns the squared norm of their residual at x."""
    lower, upper, diagonal, inverse = S.lower, S.upper, S.diagonal, S.inverse
    one = uint64(1)
    k, m = uint64(lower.indptr[uint64(lo)]), uint64(upper.indptr[uint64(lo)])
    squares = 0.0
    for i in range(uint64(lo), uint64(hi)):
        here = x[i]
        rest, change = b[i] - diagonal[i] * here, x.dtype.type(0)
        end = uint64(upper.indptr[i + one])
        while m < end:
            rest -= upper.data[m] * x[uint64(upper.indices[m])]
            m += one
        end = uint64(lower.indptr[i + one])
        while k < end:
            j = uint64(lower.indices[k])
            rest -= lower.data[k] * x[j]
            change += lower.data[k] * (y[j] - x[j])
            k += one
        squares += square(rest)
        y[i] = here + omega * inverse[i] * (rest - change)
    return squares


@jit
def _relax_in_place(S, omega, b, x, lo, hi):
    lower, upper = S.lower, S.upper
    one = uint64(1)
    for i in range(uint64(lo), uint64(hi)):
        rest = b[i] - S.diagonal[i] * x[i]
        for k in range(uint64(lower.indptr[i]), uint64(lower.indptr[i + one])):
            rest -= lower.data[k] * x[uint64(lower.indices[k])]
        for k in range(uint64(upper.indptr[i]), uint64(upper.indptr[i + one])):
            rest -= upper.data[k] * x[uint64(upper.indices[k])]
        x[i] += omega * S.inverse[i] * rest

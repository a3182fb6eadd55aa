"""Products with a matrix, whatever its storage, and the residual that everything is judged by."""

from functools import partial

import numpy as np
from numba import types, uint64
from numba.extending import overload

from ._jit import FLAGS, jit
from ._team import BLOCK, block_count, launch
from .storage import CSR, Dense, Diagonals, Stencil, shares, work
from .vectors import narrow, square

__all__ = ["apply", "matvec", "relax", "residual", "subtract_product"]


def matvec(A, x, y):
    """y = A x.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
        A CSR matrix may have another number of columns m; the others have n.
    x : ndarray, shape (m,)
    y : ndarray, shape (n,)
    """
    launch(_matvec, work(A), block_count(y.size), partial(shares, A), A, x, y)


def subtract_product(A, x, b, y):
    """y = b - A x, in the arithmetic of the arrays; ``residual`` is exact to the last bit and measures it.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
        A CSR matrix may have another number of columns m.
    x : ndarray, shape (m,)
    b, y : ndarray, shape (n,)
        They may be one array.
    """
    launch(_subtract_product, work(A), block_count(y.size), partial(shares, A), A, x, b, y)


def relax(A, d, omega, b, x, y):
    """y = x + omega d (b - A x): a step of Jacobi's method, or of Richardson's where d is constant.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    d : ndarray of a real dtype, shape (n,)
    omega : float
    b, x, y : ndarray, shape (n,)
        y is none of the others.
    """
    launch(_relax, work(A) + 4 * y.size, block_count(y.size), partial(shares, A), A, d, omega, b, x, y)


def residual(A, x, b, r):
    """r = b - A x, accumulated in float64 (complex128), rounded once; returns the norm before that rounding.

    Parameters
    ----------
    A : CSR, Diagonals, Dense or Stencil of n rows
    x, b, r : ndarray, shape (n,)
    """
    wide = np.result_type(r.dtype, np.float64)
    parts = np.zeros(block_count(x.size))
    launch(_residual, work(A), parts.size, partial(shares, A), A, x, b, r, np.empty(0, dtype=wide), parts)
    return float(np.sqrt(parts.sum()))


def apply(A, x, y, lo, hi):
    """y = (A x)[lo:hi], accumulated in the dtype of y; called from compiled code."""
    raise NotImplementedError("called from compiled code only")


@overload(apply, jit_options=FLAGS)
def _apply(A, x, y, lo, hi):
    if not isinstance(A, types.BaseNamedTuple):
        return None
    return _APPLY[A.instance_class]


def _apply_csr(A, x, y, lo, hi):
    one, two = uint64(1), uint64(2)
    indptr, indices, data = A.indptr, A.indices, A.data
    unit = y.dtype.type(1)
    k = uint64(indptr[uint64(lo)])
    for i in range(uint64(hi - lo)):
        end = uint64(indptr[uint64(lo) + i + one])
        # Two sums: the additions of one row need not wait for each other.
        s = y.dtype.type(0)
        t = y.dtype.type(0)
        while k + one < end:
            s += unit * data[k] * x[indices[k]]
            t += unit * data[k + one] * x[indices[k + one]]
            k += two
        if k < end:
            s += unit * data[k] * x[indices[k]]
            k += one
        y[i] = s + t


def _apply_diagonals(A, x, y, lo, hi):
    offsets, data = A.offsets, A.data
    n, count = x.size, A.offsets.size
    unit = y.dtype.type(1)
    # Rows a to b reach no diagonal's end; the others ask.
    a = min(max(lo, -offsets[0]), hi)
    b = max(min(hi, n - offsets[count - 1]), a)
    # Unsigned subscripts vectorise, and slices would double the time to compile.
    row, out, m = uint64(a), uint64(a - lo), uint64(b - a)
    first = count % 2
    for i in range(m):
        y[out + i] = 0
    if first:
        d, j = uint64(0), uint64(a + offsets[0])
        for i in range(m):
            y[out + i] = unit * data[d, row + i] * x[j + i]
    for pair in range(first, count, 2):
        d, e = uint64(pair), uint64(pair + 1)
        j, k = uint64(a + offsets[pair]), uint64(a + offsets[pair + 1])
        for i in range(m):
            y[out + i] += unit * data[d, row + i] * x[j + i] + unit * data[e, row + i] * x[k + i]
    _apply_edge(offsets, data, x, y, lo, lo, a)
    _apply_edge(offsets, data, x, y, lo, b, hi)


@jit
def _apply_edge(offsets, data, x, y, lo, begin, end):
    """Rows begin to end, where some diagonals have ended; y starts at row lo."""
    unit = y.dtype.type(1)
    for i in range(begin, end):
        s = y.dtype.type(0)
        for d in range(offsets.size):
            j = i + offsets[d]
            if 0 <= j < x.size:
                s += unit * data[d, i] * x[j]
        y[i - lo] = s


def _apply_dense(A, x, y, lo, hi):
    unit = y.dtype.type(1)
    array, m = A.array, hi - lo
    i = 0
    # Four rows at a time: four streams from memory, and x is read once for all.
    while i + 3 < m:
        a, b, c, d = array[lo + i], array[lo + i + 1], array[lo + i + 2], array[lo + i + 3]
        s, t, u, v = y.dtype.type(0), y.dtype.type(0), y.dtype.type(0), y.dtype.type(0)
        for j in range(x.size):
            xj = unit * x[j]
            s += a[j] * xj
            t += b[j] * xj
            u += c[j] * xj
            v += d[j] * xj
        y[i], y[i + 1], y[i + 2], y[i + 3] = s, t, u, v
        i += 4
    while i < m:
        a, s = array[lo + i], y.dtype.type(0)
        for j in range(x.size):
            s += unit * a[j] * x[j]
        y[i] = s
        i += 1


def _apply_stencil(A, x, y, lo, hi):
    unit = y.dtype.type(1)
    nz, ny, nx = A.shape
    centre, wz, wy, wx = A.weights
    plane = ny * nx
    at = lo
    while at < hi:
        # The part of one grid line that lies in the block; its four outer neighbours exist or not as a whole.
        line = at // nx
        stop = min(hi, (line + 1) * nx)
        m = stop - at
        out, here = y[at - lo : stop - lo], x[at:stop]
        for i in range(m):
            out[i] = unit * centre * here[i]
        if line % ny > 0:
            there = x[at - nx : stop - nx]
            for i in range(m):
                out[i] += unit * wy * there[i]
        if line % ny < ny - 1:
            there = x[at + nx : stop + nx]
            for i in range(m):
                out[i] += unit * wy * there[i]
        if line // ny > 0:
            there = x[at - plane : stop - plane]
            for i in range(m):
                out[i] += unit * wz * there[i]
        if line // ny < nz - 1:
            there = x[at + plane : stop + plane]
            for i in range(m):
                out[i] += unit * wz * there[i]
        first = 1 if at % nx == 0 else 0
        last = 1 if stop % nx == 0 else 0
        left = x[at + first - 1 : stop - 1]
        for i in range(m - first):
            out[i + first] += unit * wx * left[i]
        right = x[at + 1 : stop + 1 - last]
        for i in range(m - last):
            out[i] += unit * wx * right[i]
        at = stop


_APPLY = {CSR: _apply_csr, Diagonals: _apply_diagonals, Dense: _apply_dense, Stencil: _apply_stencil}


@jit
def _matvec(A, x, y, flags, share, member, team):
    for block in range(share[member], share[member + 1]):
        lo = block * BLOCK
        hi = min(lo + BLOCK, y.size)
        apply(A, x, y[lo:hi], lo, hi)


@jit
def _subtract_product(A, x, b, y, flags, share, member, team):
    buffer = np.empty(min(BLOCK, y.size), dtype=y.dtype)
    for block in range(share[member], share[member + 1]):
        lo = block * BLOCK
        hi = min(lo + BLOCK, y.size)
        product = buffer[: hi - lo]
        apply(A, x, product, lo, hi)
        right, out = b[lo:hi], y[lo:hi]
        for i in range(hi - lo):
            out[i] = right[i] - product[i]


@jit
def _relax(A, d, omega, b, x, y, flags, share, member, team):
    w = narrow(y, omega)
    for block in range(share[member], share[member + 1]):
        lo = block * BLOCK
        hi = min(lo + BLOCK, y.size)
        out = y[lo:hi]
        apply(A, x, out, lo, hi)
        old, right, factor = x[lo:hi], b[lo:hi], d[lo:hi]
        for i in range(hi - lo):
            out[i] = old[i] + w * factor[i] * (right[i] - out[i])


@jit
def _residual(A, x, b, r, wide, parts, flags, share, member, team):
    buffer = np.empty(min(BLOCK, x.size), dtype=wide.dtype)
    for block in range(share[member], share[member + 1]):
        lo = block * BLOCK
        hi = min(lo + BLOCK, x.size)
        product = buffer[: hi - lo]
        apply(A, x, product, lo, hi)
        right = b[lo:hi]
        s = 0.0
        for i in range(hi - lo):  # it writes nothing: see _apart.py
            s += square(right[i] - product[i])
        parts[block] = s
        out = r[lo:hi]
        for i in range(hi - lo):
            out[i] = right[i] - product[i]

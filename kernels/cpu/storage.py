"""The storage of the matrices that the compiled loops can apply, and the choice between them.

``CSR`` keeps the indices unsigned: with signed ones Numba tests every subscript for negative values,
which costs a factor of 2 to 3. ``Diagonals`` holds a matrix of few diagonals (a discretised PDE on a
grid, variable coefficients included) row by row: no index is read and the loop vectorises, which is 2
to 3 times faster than CSR. ``Stencil`` is the constant 5- or 7-point operator, without any storage.
"""

from collections import namedtuple

import numpy as np
from numba import uint64

from ._jit import jit
from ._team import BLOCK, block_count, even_shares

__all__ = [
    "CSR",
    "Dense",
    "Diagonals",
    "MOST_ENTRIES",
    "Stencil",
    "csr",
    "dense",
    "diagonals",
    "is_valid_csr",
    "rows",
    "shares",
    "stencil",
    "work",
]

CSR = namedtuple("CSR", "indptr indices data")  # uint32 or uint64 (n+1,), (nnz,); (nnz,)
Diagonals = namedtuple("Diagonals", "offsets data")  # int64 (d,) ascending; (d, n): data[d, i] = A[i, i + offset]
Dense = namedtuple("Dense", "array")  # (n, n), C-contiguous
Stencil = namedtuple("Stencil", "shape weights")  # int64 (3,); (4,): centre, and the neighbours along each axis

#: More rows or entries than this are not taken.
MOST_ENTRIES = 2**62

# More diagonals than this, or fewer entries on them, and CSR reads fewer bytes.
_MOST_DIAGONALS = 32
_LEAST_FILL = 0.7
# Fewer rows, and both are as fast (measured).
_LEAST_ROWS = 256


def is_valid_csr(indptr, indices, nnz):
    """Whether index arrays describe a square CSR (or CSC) matrix with that many entries.

    Parameters
    ----------
    indptr, indices : ndarray of int32 or int64, shapes (n + 1,) and (nnz,)
    nnz : int
    """
    return _is_valid(_unsigned(indptr), _unsigned(indices), nnz)


def csr(indptr, indices, data):
    """Wrap a matrix given in CSR form by valid index arrays.

    Parameters
    ----------
    indptr, indices : ndarray of int32 or int64, shapes (n + 1,) and (nnz,)
    data : ndarray, shape (nnz,)
    """
    return CSR(_unsigned(indptr), _unsigned(indices), data)


def _unsigned(indices):
    indices = np.ascontiguousarray(indices)
    return indices.view(np.uint32 if indices.dtype.itemsize == 4 else np.uint64)


def diagonals(A):
    """Store a CSR matrix by its diagonals where these are few and full; else return it as it is.

    The conversion costs about as much as ten products.
    """
    n = rows(A)
    if n < _LEAST_ROWS:
        return A
    offsets = np.empty(_MOST_DIAGONALS + 1, dtype=np.int64)
    count = _survey(A.indptr, A.indices, offsets)
    if not 0 < count <= _MOST_DIAGONALS or A.data.size < _LEAST_FILL * count * n:
        return A
    offsets = np.sort(offsets[:count])
    data = np.zeros((count, n), dtype=A.data.dtype)
    _to_diagonals(A.indptr, A.indices, A.data, offsets, data)
    return Diagonals(offsets, data)


def dense(array):
    """Wrap a square, C-contiguous array."""
    return Dense(array)


def stencil(shape, weights):
    """Wrap a 5- or 7-point stencil on a grid of up to three axes, zero outside.

    Parameters
    ----------
    shape : sequence of int, length 1 to 3
    weights : ndarray, shape (len(shape) + 1,)
        The centre, then the neighbours along each axis.
    """
    missing = 3 - len(shape)
    padded = np.zeros(4, dtype=weights.dtype)
    padded[0] = weights[0]
    padded[1 + missing :] = weights[1:]
    return Stencil(np.array([1] * missing + list(shape), dtype=np.int64), padded)


def rows(A):
    """The number of rows."""
    if isinstance(A, CSR):
        return A.indptr.size - 1
    if isinstance(A, Stencil):
        return int(np.prod(A.shape))
    return A[-1].shape[-1]


def work(A):
    """Multiply-adds of one product."""
    return 7 * rows(A) if isinstance(A, Stencil) else A[-1].size


def shares(A, team):
    """The blocks at which the shares of a team's members begin, of equal work; shape (team + 1,)."""
    n = rows(A)
    blocks = block_count(n)
    if not isinstance(A, CSR):
        return even_shares(blocks, team)
    # Vector updates cost about as much as 8 entries a row.
    edges = np.minimum(np.arange(blocks + 1) * BLOCK, n)
    cost = A.indptr[edges].astype(np.int64) + 8 * edges
    inner = np.searchsorted(cost, cost[-1] * np.arange(1, team) / team)
    return np.concatenate(([0], inner, [blocks])).astype(np.int64)


@jit
def _is_valid(indptr, indices, nnz):
    n = indptr.size - 1
    if indptr[0] != 0 or indptr[n] != nnz or indices.size != nnz:
        return False
    for i in range(n):
        if indptr[i] > indptr[i + 1]:
            return False
    largest = indptr[0]
    for k in range(indices.size):
        largest = max(largest, indices[k])  # a negative index is a large one here
    return nnz == 0 or largest < n


@jit
def _survey(indptr, indices, offsets):
    """Collect the offsets of the diagonals with entries; returns their number, offsets.size if there are more."""
    count = 0
    for i in range(indptr.size - 1):
        guess = 0
        for k in range(uint64(indptr[i]), uint64(indptr[i + 1])):
            offset = np.int64(indices[k]) - i
            # The next entry of a row most often lies on the diagonal that was found next to the last one.
            if guess >= count or offsets[guess] != offset:
                guess = 0
                while guess < count and offsets[guess] != offset:
                    guess += 1
                if guess == count:
                    offsets[count] = offset
                    count += 1
                    if count == offsets.size:
                        return count
            guess += 1
    return count


@jit
def _to_diagonals(indptr, indices, data, offsets, diagonals):
    for i in range(indptr.size - 1):
        d = 0
        for k in range(uint64(indptr[i]), uint64(indptr[i + 1])):
            offset = np.int64(indices[k]) - i
            if d >= offsets.size or offsets[d] != offset:
                d = 0
                while offsets[d] != offset:
                    d += 1
            diagonals[d, i] += data[k]
            d += 1

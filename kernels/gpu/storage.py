"""The storage of the matrices that the kernels can apply, and the choice between them; see matrices.cuh.

``Diagonals`` holds a matrix of few diagonals (a discretised PDE on a grid, variable coefficients included)
row by row: no index is read, which is a third of the bytes of CSR in float64. ``Stencil`` is the constant
5- or 7-point operator, without any storage.
"""

from collections import namedtuple

import numpy as np

from ._device import TYPES, Source, blocks, copy_to_device, to_device, to_host, zeros

__all__ = [
    "CSR",
    "Dense",
    "Diagonals",
    "MOST_ENTRIES",
    "OPERANDS",
    "Stencil",
    "csr",
    "dense",
    "diagonals",
    "is_valid_csr",
    "operand_arguments",
    "operand_grid",
    "operand_type",
    "rows",
    "stencil",
]

CSR = namedtuple("CSR", "indptr indices data")  # int32 (n+1,), (nnz,); (nnz,)
Diagonals = namedtuple("Diagonals", "offsets data")  # int64 (d,) ascending; (d, n): data[d, i] = A[i, i + offset]
Dense = namedtuple("Dense", "array")  # (n, n), C-contiguous
# int64 (3,), on the host; (4,), on the device: centre, and the neighbours along each axis.
Stencil = namedtuple("Stencil", "shape weights")

#: More rows or entries than this are not taken: indices have 32 bits.
MOST_ENTRIES = 2**31 - 1

# More diagonals than this, or fewer entries on them, and CSR reads fewer bytes.
_MOST_DIAGONALS = 32
_LEAST_FILL = 0.7
# Fewer rows, and both are as fast.
_LEAST_ROWS = 256
_FREE = np.iinfo(np.int32).min

_STORAGE = {CSR: "Csr", Diagonals: "Diagonals", Dense: "Dense", Stencil: "Stencil"}
#: The template arguments of kernels that take any operand.
OPERANDS = tuple((f"{storage}<{each}>",) for storage in _STORAGE.values() for each in TYPES.values())
_INTEGERS = {"i": "int", "l": "long long", "q": "long long"}

_source = Source(
    "storage",
    is_valid=[(i, j) for i in ("int", "long long") for j in ("int", "long long")],
    survey=[("int",)],
    to_diagonals=[(each,) for each in TYPES.values()],
)


def is_valid_csr(indptr, indices, nnz):
    """Whether index arrays describe a square CSR (or CSC) matrix with that many entries.

    Parameters
    ----------
    indptr, indices : cupy.ndarray of int32 or int64, shapes (n + 1,) and (nnz,)
    nnz : int
    """
    if indices.size != nnz:
        return False
    n = indptr.size - 1
    bad = zeros(1, np.int32)
    indptr, indices = (to_device(each, each.dtype) for each in (indptr, indices))
    types = _INTEGERS[indptr.dtype.char], _INTEGERS[indices.dtype.char]
    _source.launch("is_valid", types, blocks(max(n, nnz)), np.int64(n), np.int64(nnz), indptr, indices, bad)
    return not to_host(bad)[0]


def csr(indptr, indices, data):
    """Wrap a matrix given in CSR form by valid index arrays.

    Parameters
    ----------
    indptr, indices : cupy.ndarray of int32 or int64, shapes (n + 1,) and (nnz,)
    data : cupy.ndarray, shape (nnz,)
    """
    return CSR(to_device(indptr, np.int32), to_device(indices, np.int32), data)


def diagonals(A):
    """Store a CSR matrix by its diagonals where these are few and full; else return it as it is."""
    n = rows(A)
    if n < _LEAST_ROWS:
        return A
    offsets = _offsets(A, n)
    count = offsets.size
    if not 0 < count <= _MOST_DIAGONALS or A.data.size < _LEAST_FILL * count * n:
        return A
    held = copy_to_device(offsets, np.int64)
    data = zeros((count, n), A.data.dtype)
    kind = (TYPES[A.data.dtype.char],)
    _source.launch("to_diagonals", kind, blocks(n), np.int64(n), np.int32(count), *A, held, data)
    return Diagonals(held, data)


def _offsets(A, n):
    """The offsets of the diagonals with entries, ascending, on the host; one too many where there are more."""
    table = copy_to_device(np.full(_MOST_DIAGONALS + 1, _FREE, np.int32), np.int32)
    _source.launch("survey", ("int",), blocks(n), np.int64(n), A.indptr, A.indices, table)
    found = to_host(table)
    return np.sort(found[found != _FREE]).astype(np.int64)


def dense(array):
    """Wrap a square, C-contiguous array."""
    return Dense(array)


def stencil(shape, weights):
    """Wrap a 5- or 7-point stencil on a grid of up to three axes, zero outside.

    Parameters
    ----------
    shape : sequence of int, length 1 to 3
    weights : numpy.ndarray or cupy.ndarray, shape (len(shape) + 1,)
        The centre, then the neighbours along each axis.
    """
    missing = 3 - len(shape)
    weights = weights if isinstance(weights, np.ndarray) else to_host(weights)
    padded = np.zeros(4, dtype=weights.dtype)
    padded[0] = weights[0]
    padded[1 + missing :] = weights[1:]
    return Stencil(np.array([1] * missing + list(shape), dtype=np.int64), copy_to_device(padded, padded.dtype))


def rows(A):
    """The number of rows."""
    if isinstance(A, CSR):
        return A.indptr.size - 1
    if isinstance(A, Stencil):
        return int(np.prod(A.shape))
    return A[-1].shape[-1]


def operand_type(A):
    """The template argument of a kernel that takes this operand."""
    return (f"{_STORAGE[type(A)]}<{TYPES[A[-1].dtype.char]}>",)


def operand_arguments(A):
    """What such a kernel gets: first, second, third, n, extra; see matrices.cuh."""
    n = rows(A)
    if isinstance(A, CSR):
        return (*A, np.int64(n), np.int64(_lanes(A, n)))
    if isinstance(A, Diagonals):
        return A.offsets, None, A.data, np.int64(n), np.int64(A.offsets.size)
    if isinstance(A, Dense):
        return None, None, A.array, np.int64(n), np.int64(0)
    _, ny, nx = (int(length) for length in A.shape)
    return None, None, A.weights, np.int64(n), np.int64(ny << 32 | nx)


def operand_grid(A):
    """How many blocks share a product with this operand."""
    n = rows(A)
    if isinstance(A, CSR):
        return blocks(n * _lanes(A, n))
    return blocks(32 * n) if isinstance(A, Dense) else blocks(n)


def _lanes(A, n):
    """How many lanes share a row: as many entries a lane as a thread loads at once, for a row of mean length."""
    lanes, each = 1, 4 if A.data.itemsize <= 8 else 2
    while lanes < 32 and each * lanes * n < A.data.size:
        lanes *= 2
    return lanes

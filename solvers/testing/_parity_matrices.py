"""The matrices of the parity cases: one per storage, with its product in plain NumPy and SciPy."""

import math

import numpy as np
from scipy import sparse

__all__ = ["STORAGES", "draw", "general", "operand", "positive_definite", "wide"]

STORAGES = ("csr", "diagonals", "dense", "stencil")
_GRIDS = {1: (1,), 33: (3, 11), 1000: (10, 10, 10)}


def wide(dtype):
    """float64 or complex128."""
    return np.result_type(dtype, np.float64)


def draw(seed, shape, dtype):
    """Standard normal numbers, complex ones for a complex dtype."""
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    values = rng.standard_normal(shape)
    if dtype.kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return np.asarray(values).astype(dtype)


def general(storage, n, dtype):
    """A matrix that has nothing but what its storage demands, as a CSR array of that dtype."""
    if storage == "dense":
        return sparse.csr_array(draw(n, (n, n), dtype))
    if storage == "stencil":
        return _stencil_matrix(_grid(n), draw(n, (len(_grid(n)) + 1,), dtype))
    if storage == "diagonals":
        offsets = [k for k in (-17, -1, 0, 2, 30) if abs(k) < n]
        lines = [draw(n + k, (n - abs(k),), dtype) for k in offsets]
        return sparse.csr_array(sparse.diags_array(lines, offsets=offsets, shape=(n, n)))
    rng = np.random.default_rng(n)
    lengths = rng.integers(0, 12, n)  # rows without entries, too
    lengths[n // 2] = min(n, 700)  # and one long row
    rows = np.repeat(np.arange(n), lengths)
    columns = rng.integers(0, n, rows.size)
    A = sparse.csr_array((draw(n, rows.size, dtype), (rows, columns)), shape=(n, n))
    A.sum_duplicates()
    return A


def positive_definite(storage, n, dtype):
    """Hermitian, eigenvalues between 1 and 13: neighbours on a line (each with a phase), a distance of 3, or a grid."""
    dtype = np.dtype(dtype)
    if storage == "stencil":
        grid = _grid(n)
        return _stencil_matrix(grid, np.array([7] + [-1] * len(grid), dtype=dtype))
    phase = np.exp(0.7j) if dtype.kind == "c" else 1.0
    lines = {k: np.full(n - k, -1.5 * phase) for k in (1, 3) if k < n}
    upper = sum((sparse.diags_array([line], offsets=[k], shape=(n, n)) for k, line in lines.items()), _nothing(n))
    A = sparse.csr_array(upper + upper.conj().T + sparse.diags_array(np.full(n, 7.0)))
    if storage == "csr":
        order = np.random.default_rng(n).permutation(n)
        A = sparse.csr_array(A[order][:, order])
    return A.astype(dtype)


def operand(kernels, storage, A):
    """The kernels' own form of it."""
    n, dtype = A.shape[0], A.dtype
    if storage == "dense":
        return kernels.dense(kernels.to_device(A.toarray(), dtype))
    if storage == "stencil":
        return kernels.stencil(_grid(n), _weights(A, _grid(n)))
    if storage == "diagonals" and n < 1000:
        return _by_diagonals(kernels, A)  # left alone by kernels.diagonals, which finds it too small
    stored = kernels.csr(
        kernels.to_device(A.indptr, np.int32), kernels.to_device(A.indices, np.int32), kernels.to_device(A.data, dtype)
    )
    return kernels.diagonals(stored) if storage == "diagonals" else stored


def _by_diagonals(kernels, A):
    lines = sparse.dia_array(A)
    order = np.argsort(lines.offsets)
    n = A.shape[0]
    data = np.zeros((order.size, n), A.dtype)
    for row, k in enumerate(lines.offsets[order]):
        data[row, max(0, -k) : n - max(0, k)] = A.diagonal(k)
    offsets = np.ascontiguousarray(lines.offsets[order], dtype=np.int64)
    return kernels.Diagonals(kernels.to_device(offsets, np.int64), kernels.to_device(data, A.dtype))


def _nothing(n):
    return sparse.csr_array((n, n))


def _grid(n):
    return _GRIDS.get(n, (n,))


def _stencil_matrix(grid, weights):
    """The same operator as a CSR array: kron with ones on the other axes."""
    A = weights[0] * sparse.eye_array(math.prod(grid), format="csr")
    for axis, size in enumerate(grid):
        line = sparse.diags_array([np.ones(size - 1)] * 2, offsets=[-1, 1], shape=(size, size))
        before, after = math.prod(grid[:axis]), math.prod(grid[axis + 1 :])
        A = A + weights[1 + axis] * sparse.kron(sparse.kron(sparse.eye_array(before), line), sparse.eye_array(after))
    return sparse.csr_array(A).astype(weights.dtype)


def _weights(A, grid):
    """The centre, and the neighbour along each axis; zero along an axis of one point."""
    steps = [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]
    found = [A[0, 0]] + [A[0, step] if size > 1 else 0 for step, size in zip(steps, grid)]
    return np.array(found, dtype=A.dtype)

"""What the tests of sweeps share: dense matrices as the kernels read them, and plain formulas for what they do."""

import numpy as np


def bound(dtype):
    """What rounding may do to an answer of size 1 in that precision."""
    return 1e-11 if np.finfo(dtype).dtype == np.float64 else 2e-4


def dominant(n, dtype, rng, share=0.2, hermitian=False):
    """A dense, diagonally dominant matrix with that share of its entries off the diagonal, the middle row full."""
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    A *= rng.uniform(size=(n, n)) < share
    A[n // 2] = 0.5
    if hermitian:
        A = (A + A.conj().T) / 2
    np.fill_diagonal(A, 0)
    sizes = np.abs(A).sum(axis=1) + np.abs(A).sum(axis=0)
    return (A + np.diag(0.6 * sizes + 1)).astype(dtype)


def poisson(shape, dtype="float64"):
    """The 5-point (3-point) matrix on a grid, dense."""
    A = np.zeros((1, 1))
    for m in shape:
        line = 2 * np.eye(m) - np.eye(m, k=1) - np.eye(m, k=-1)
        A = np.kron(A, np.eye(m)) + np.kron(np.eye(len(A)), line)
    return A.astype(dtype)


def chain(cpu, n, dtype):
    """4 on the diagonal, -1 (complex: -0.6 + 0.8i above it) beside it, as CSR."""
    above = -0.6 + 0.8j if np.dtype(dtype).kind == "c" else -1.0
    row = np.arange(n)
    rows = np.concatenate([row, row[1:], row[:-1]])
    columns = np.concatenate([row, row[1:] - 1, row[:-1] + 1])
    values = np.concatenate([np.full(n, 4.0), np.full(n - 1, np.conj(above)), np.full(n - 1, above)]).astype(dtype)
    places = np.lexsort((columns, rows))
    indptr = np.searchsorted(rows[places], np.arange(n + 1)).astype(np.int32)
    return cpu.csr(indptr, columns[places].astype(np.int32), values[places])


def as_csr(cpu, A, rng=None, index=np.int32):
    """The kernels' CSR of a dense matrix; with ``rng`` its rows are in no order and some entries come in two parts."""
    row, column = np.nonzero(A)
    value = A[row, column]
    if rng is not None:
        twice = rng.uniform(size=row.size) < 0.2
        part = (value[twice] * A.dtype.type(0.25)).astype(A.dtype)
        value[twice] -= part
        row, column = np.concatenate([row, row[twice]]), np.concatenate([column, column[twice]])
        value = np.concatenate([value, part])
        mixed = rng.permutation(row.size)
        mixed = mixed[np.argsort(row[mixed], kind="stable")]
        row, column, value = row[mixed], column[mixed], value[mixed]
    indptr = np.searchsorted(row, np.arange(len(A) + 1)).astype(index)
    return cpu.csr(indptr, column.astype(index), np.ascontiguousarray(value))


def order_of(cpu, A, ordering):
    """(order, stages) of a CSR matrix."""
    if ordering == "levels":
        return cpu.order_by_levels(A.indptr, A.indices)
    n = A.indptr.size - 1
    row = np.repeat(np.arange(n), np.diff(A.indptr.astype(np.int64)))
    by_column = np.argsort(A.indices, kind="stable")
    indptr = np.searchsorted(A.indices[by_column], np.arange(n + 1)).astype(A.indptr.dtype)
    return cpu.order_by_colours(A.indptr, A.indices, indptr, row[by_column].astype(A.indices.dtype))


def sort_rows(cpu, A, ordering="levels"):
    """The Sweep of a CSR matrix and the order of its rows."""
    order, stages = order_of(cpu, A, ordering)
    triangles = cpu.split_rows(A.indptr, A.indices, order)
    lower, upper = (cpu.CSR(ends, columns, A.data[entries]) for ends, columns, entries in triangles)
    return cpu.sweep(lower, upper, cpu.diagonal(A, order), stages), order


def as_dense(A, n):
    """A dense array of a CSR one; entries given twice add up."""
    full = np.zeros((n, n), A.data.dtype)
    row = np.repeat(np.arange(n), np.diff(A.indptr.astype(np.int64)))
    np.add.at(full, (row, A.indices), A.data)
    return full


def relaxed(A, b, x, omega, backward=False):
    """One sweep of successive over-relaxation, row after row."""
    x = x.copy()
    for i in reversed(range(len(b))) if backward else range(len(b)):
        x[i] += omega / A[i, i] * (b[i] - A[i] @ x)
    return x


def ssor_inverse(A, omega):
    """(2 - omega)/omega K^-H D K^-1 with K = D/omega + L, dense; A is Hermitian."""
    D = np.diag(np.diag(A))
    K = D / omega + np.tril(A, -1)
    return (2 - omega) / omega * np.linalg.inv(K).conj().T @ D @ np.linalg.inv(K)

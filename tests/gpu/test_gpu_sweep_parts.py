"""What relaxation is made of, on the emulated device: moved and inverted vectors, diagonals, Jacobi steps."""

import numpy as np
import pytest
from solvers.kernels import cpu
from staged import matrix, near, numbers

DTYPES = ("float32", "float64", "complex64", "complex128")


@pytest.fixture(params=DTYPES)
def dtype(request):
    return np.dtype(request.param)


@pytest.mark.parametrize("n", [1, 64, 1000])
def test_what_is_scattered_is_gathered_again(gpu, dtype, n):
    x, order = numbers(n, dtype), np.random.default_rng(3).permutation(n)
    places = gpu.to_device(order, np.int32)
    y, z = gpu.empty(n, dtype), gpu.empty(n, dtype)
    gpu.gather(gpu.to_device(x, dtype), places, y)
    assert np.array_equal(gpu.to_host(y), x[order])
    gpu.scatter(y, places, z)
    assert np.array_equal(gpu.to_host(z), x)


def test_fewer_and_more_entries_than_there_are_can_be_gathered(gpu):
    x, y = gpu.to_device(np.arange(5.0), np.float64), gpu.empty(300, np.float64)
    gpu.gather(x, gpu.to_device(np.arange(300) % 5, np.int32), y)
    assert np.array_equal(gpu.to_host(y), np.arange(300) % 5)
    gpu.gather(x, gpu.empty(0, np.int32), gpu.empty(0, np.float64))


def test_reciprocals_are_those_of_numpy_up_to_the_end_of_the_range(gpu, dtype):
    largest = 0.2 * float(np.finfo(dtype).max)
    x = np.concatenate([numbers(500, dtype), np.array([largest, -1 / largest, 2, -0.25])]).astype(dtype)
    if dtype.kind == "c":
        x = np.concatenate([x, np.array([1j, largest * (1 + 1j), -1j / largest, 3 - 4j])]).astype(dtype)
    y = gpu.empty(x.shape, dtype)
    gpu.reciprocal(gpu.to_device(x, dtype), y)
    np.testing.assert_allclose(gpu.to_host(y), 1 / x, rtol=4 * np.finfo(dtype).eps)


def test_a_diagonal_is_that_of_the_cpu(gpu, dtype):
    A = matrix(dtype)
    A.data[A.indptr[7] : A.indptr[8]] = 0
    row, column, entries = np.repeat(np.arange(300), np.diff(A.indptr)), A.indices, A.data
    twice = np.sort(np.concatenate([np.arange(row.size), np.flatnonzero(row == column)[::3]]))
    order = np.random.default_rng(3).permutation(300)
    for taken in (np.arange(row.size), twice, np.flatnonzero(row != column)):
        indptr = np.searchsorted(row[taken], np.arange(301)).astype(np.int32)
        parts = indptr, column[taken], entries[taken]
        operand = gpu.csr(*(gpu.to_device(part, part.dtype) for part in parts))
        found = gpu.to_host(gpu.diagonal(operand, gpu.to_device(order, np.int32)))
        assert np.array_equal(found, cpu.diagonal(cpu.csr(*parts), order))


@pytest.mark.parametrize("storage", ["csr", "dense", "diagonals", "stencil"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_jacobi_steps_are_those_of_the_cpu(gpu, storage, dtype):
    A, dtype = matrix(dtype, hermitian=False), np.dtype(dtype)
    answers = []
    for kernels in (cpu, gpu):
        operand = operand_of(kernels, storage, A)
        assert type(operand).__name__.lower() == storage
        b, x, inverse = numbers(300, dtype, 1), numbers(300, dtype, 2), np.full(300, 0.2, dtype)
        b, x, inverse = (kernels.copy_to_device(v, dtype) for v in (b, x, inverse))
        y, norms, iterates = kernels.empty(300, dtype), np.zeros(7), []
        for steps in (1, 1, 2, 3):  # ends in either of the two vectors
            part = np.full(steps + 1, np.nan)
            assert kernels.jacobi_chunk(operand, inverse, b, x, y, 0.8, part, 0.0, steps) == steps
            assert np.isnan(part[steps])
            iterates.append(kernels.to_host(x).copy())
        kernels.jacobi_chunk(operand, inverse, b, x, y, 0.8, norms, 0.0, 7)
        found = np.zeros(7)
        assert kernels.jacobi_chunk(operand, inverse, b, x, y, 0.8, found, norms[6] * (1 - 1e-3), 7) == 1
        answers.append([*iterates, norms])
    for one, other in zip(*answers):
        assert np.linalg.norm(one - other) <= near(dtype) * np.linalg.norm(one)


def operand_of(kernels, storage, A):
    if storage == "dense":
        return kernels.dense(kernels.to_device(A.toarray(), A.dtype))
    if storage == "stencil":
        return kernels.stencil((12, 25), np.array([5, -1, -1.1], A.dtype))
    operand = kernels.csr(*(kernels.to_device(part, part.dtype) for part in (A.indptr, A.indices, A.data)))
    return kernels.diagonals(operand) if storage == "diagonals" else operand

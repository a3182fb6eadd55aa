"""Chunks of conjugate gradients on the emulated device, step by step against the CPU's.

What this cannot show: that the blocks of a real device see each other's writes at the barrier, how many of them it
holds at once, fused multiply-adds, denormals, speed.
"""

import numpy as np
import pytest
from solvers.kernels import cpu

NONFINITE, INDEFINITE, NOT_HERMITIAN = 1, 2, 3
DTYPES = ("float32", "float64", "complex64", "complex128")
STORAGES = ("csr", "diagonals", "dense", "stencil")


@pytest.fixture
def gpu(emulated):
    from solvers.kernels import gpu

    return gpu


@pytest.fixture(params=DTYPES)
def dtype(request):
    return np.dtype(request.param)


def numbers(shape, dtype, seed=5):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def hermitian(n, dtype, centre=5.0):
    """An array of few diagonals, Hermitian positive definite."""
    array = np.zeros((n, n), dtype)
    for offset in (1, 7):
        if offset < n:
            beside = numbers(n - offset, dtype, seed=offset) / 4
            array += np.diag(beside, offset) + np.diag(beside.conj(), -offset)
    return array + centre * np.eye(n, dtype=dtype)


def pair(gpu, storage, array):
    """The same matrix for both backends; a stencil is one of the array's size and has nothing else from it."""
    n, dtype = array.shape[0], array.dtype
    if storage == "stencil":
        shape = next((a, n // a) for a in range(int(n**0.5), 0, -1) if n % a == 0)
        weights = np.array([6, -1, -1.2], dtype)
        return cpu.stencil(shape, weights), gpu.stencil(shape, weights)
    if storage == "dense":
        return cpu.dense(array), gpu.dense(gpu.to_device(array, dtype))
    if storage == "diagonals":
        offsets = np.flatnonzero([np.diag(array, k).any() for k in range(1 - n, n)]) + 1 - n
        data = np.zeros((offsets.size, n), dtype)
        for held, k in zip(data, offsets):
            held[max(0, -k) : min(n, n - k)] = np.diag(array, k)
        return cpu.Diagonals(offsets, data), gpu.Diagonals(gpu.to_device(offsets, np.int64), gpu.to_device(data, dtype))
    row, column = np.nonzero(array)
    indptr = np.searchsorted(row, np.arange(n + 1)).astype(np.int32)
    parts = indptr, column.astype(np.int32), array[row, column]
    return cpu.csr(*parts), gpu.csr(*(gpu.to_device(part, part.dtype) for part in parts))


class Run:
    """The arrays of ``cg_chunk`` for x = 0 on one backend."""

    def __init__(self, kernels, A, b, d=None):
        r = b.copy()
        p = r if d is None else (d * r).astype(b.dtype)
        rho = np.vdot(r.astype(complex), p.astype(complex)).real
        self.kernels, self.A, self.d = kernels, A, None if d is None else kernels.to_device(d, d.dtype)
        self.scalars = np.array([rho, 0.0, np.sqrt(np.finfo(b.dtype).eps)])
        start = (np.zeros_like(b), r, p, np.full_like(b, np.nan))
        self.x, self.r, self.p, self.q = (kernels.copy_to_device(v, b.dtype) for v in start)

    def advance(self, steps, threshold=0.0):
        norms = np.full(steps, np.nan)
        vectors = self.x, self.r, self.p, self.q
        taken, flag = self.kernels.cg_chunk(self.A, self.d, *vectors, self.scalars, norms, threshold, steps)
        assert np.isnan(norms[taken:]).all()
        return norms[:taken], flag

    def vector(self, name):
        return self.kernels.to_host(getattr(self, name))


def both(gpu, storage, array, b, d=None):
    A, B = pair(gpu, storage, array)
    return Run(cpu, A, b, d), Run(gpu, B, b, d)


def bits(run):
    return [run.vector(name).tobytes() for name in "xrp"] + [run.scalars.tobytes()]


@pytest.mark.parametrize("n", [1, 2, 63, 65, 700])
@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
def test_each_step_is_that_of_the_cpu(gpu, dtype, storage, preconditioned, n):
    real = np.finfo(dtype).dtype
    d = np.random.default_rng(1).uniform(0.5, 1.5, n).astype(real) if preconditioned else None
    b = numbers(n, dtype)
    ours, theirs = both(gpu, storage, hermitian(n, dtype), b, d)
    bound = 1e-12 if real == np.float64 else 1e-5
    for _ in range(min(n, 9)):
        (expected,), flag = ours.advance(1)
        (norm,), found = theirs.advance(1)
        assert flag == found == 0 or expected <= 8 * np.finfo(dtype).eps * np.linalg.norm(b)
        assert abs(norm - expected) <= bound * max(expected, 1e-2 * np.linalg.norm(b))
        for name in "xrp":
            v = ours.vector(name)
            assert np.linalg.norm(theirs.vector(name) - v) <= 10 * bound * np.linalg.norm(b)
        assert abs(theirs.scalars[0] - ours.scalars[0]) <= 10 * bound * np.linalg.norm(b) ** 2
        assert theirs.scalars[1] == ours.scalars[1] == 1.0

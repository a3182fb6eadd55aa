"""Chunks of conjugate gradients on the emulated device, step by step against the CPU's.

What this cannot show: that the blocks of a real device see each other's writes at the barrier, how many of them it
holds at once, fused multiply-adds, denormals, speed.
"""

import numpy as np
import pytest
from emulation import device, settings
from solvers.kernels import cpu

NONFINITE, INDEFINITE, NOT_HERMITIAN = 1, 2, 3
DTYPES = ("float32", "float64", "complex64", "complex128")
STORAGES = ("csr", "diagonals", "dense", "stencil")


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


@pytest.mark.parametrize("n", [1, 2, 65, 300])
@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
def test_each_step_is_that_of_the_cpu(gpu, dtype, storage, preconditioned, n):
    real = np.finfo(dtype).dtype
    d = np.random.default_rng(1).uniform(0.5, 1.5, n).astype(real) if preconditioned else None
    b = numbers(n, dtype)
    ours, theirs = both(gpu, storage, hermitian(n, dtype), b, d)
    bound = 1e-12 if real == np.float64 else 1e-5
    for _ in range(min(n, 5)):
        (expected,), flag = ours.advance(1)
        (norm,), found = theirs.advance(1)
        assert flag == found == 0 or expected <= 8 * np.finfo(dtype).eps * np.linalg.norm(b)
        assert abs(norm - expected) <= bound * max(expected, 1e-2 * np.linalg.norm(b))
        for name in "xrp":
            v = ours.vector(name)
            assert np.linalg.norm(theirs.vector(name) - v) <= 10 * bound * np.linalg.norm(b)
        assert abs(theirs.scalars[0] - ours.scalars[0]) <= 10 * bound * np.linalg.norm(b) ** 2
        assert theirs.scalars[1] == ours.scalars[1] == 1.0


def test_more_threads_and_blocks_take_the_same_steps(gpu, monkeypatch):
    """256 threads as on a real device, and grids from one block to eight."""
    from solvers.kernels.gpu import _device

    monkeypatch.setattr(_device, "THREADS", 256)
    for n in (200, 500, 2500):
        ours, theirs = (
            Run(kernels, kernels.stencil((n // 10, 10), np.array([5, -1, -1.2])), numbers(n, "float64"))
            for kernels in (cpu, gpu)
        )
        expected, _ = ours.advance(4)
        norms, flag = theirs.advance(4)
        assert flag == 0
        np.testing.assert_allclose(norms, expected, rtol=1e-12)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_chunks_of_one_step_give_the_bits_of_one_chunk(gpu, storage, dtype):
    array, b = hermitian(130, dtype), numbers(130, dtype)
    _, whole = both(gpu, storage, array, b)
    _, pieces = both(gpu, storage, array, b)
    norms, _ = whole.advance(20)
    own = [norm for _ in range(norms.size) for norm in pieces.advance(1)[0]]
    assert own == norms.tolist() and len(own) > 4
    assert bits(pieces) == bits(whole)


@pytest.mark.parametrize("storage", STORAGES)
def test_the_order_in_which_threads_run_does_not_change_a_bit(gpu, storage):
    answers = []
    for schedule, seed in (("forward", 0), ("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)):
        settings.schedule, settings.seed = schedule, seed
        _, run = both(gpu, storage, hermitian(300, "complex128"), numbers(300, "complex128"), np.full(300, 0.7))
        norms, _ = run.advance(4)
        answers.append([norms.tobytes(), *bits(run)])
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("threads", [64, 256])
def test_the_detector_of_races_and_bounds_is_content(gpu, mode, monkeypatch, storage, threads):
    from solvers.kernels.gpu import _device

    mode("checked")
    monkeypatch.setattr(_device, "THREADS", threads)
    for dtype in ("float32", "complex128"):
        d = np.ones(260, np.finfo(dtype).dtype)
        ours, theirs = both(gpu, storage, hermitian(260, dtype), numbers(260, dtype), d)
        expected, _ = ours.advance(3)
        np.testing.assert_allclose(theirs.advance(3)[0], expected, rtol=1e-4)


def test_a_chunk_is_one_launch_and_one_read_by_the_host(gpu):
    _, run = both(gpu, "csr", hermitian(300, "float64"), numbers(300, "float64"))
    launches, reads, uploads = settings.launches, device.host_reads, device.uploads
    norms, _ = run.advance(12)
    assert norms.size == 12
    assert (settings.launches - launches, device.host_reads - reads, device.uploads - uploads) == (1, 1, 0)


def test_a_chunk_ends_with_the_step_that_meets_the_threshold(gpu, dtype):
    array, b = hermitian(130, dtype), numbers(130, dtype)
    norms, _ = both(gpu, "diagonals", array, b)[1].advance(6)
    for threshold in (norms[3], np.nextafter(norms[3], np.inf), (norms[2] + norms[3]) / 2):
        short, flag = both(gpu, "diagonals", array, b)[1].advance(6, threshold)
        assert flag == 0
        assert short.tolist() == norms[:4].tolist()
    longer, _ = both(gpu, "diagonals", array, b)[1].advance(6, np.nextafter(norms[3], 0))
    assert longer.tolist() == norms[:5].tolist()


def failing(name, dtype, n=150):
    """A matrix that cg cannot solve, and the flag that says so."""
    array = np.eye(n, dtype=dtype)
    if name == "nan" or name == "infinity":
        array[99, 99] = np.nan if name == "nan" else np.inf
        return array, NONFINITE
    if name.startswith("not hermitian"):
        return (1 + (1j if name.endswith("upwards") else -1j)) * array, NOT_HERMITIAN
    if name == "skew beside the diagonal":
        return 2 * array + np.diag(np.full(n - 1, 0.5 + 0.5j), 1) + np.diag(np.full(n - 1, 0.5), -1), NOT_HERMITIAN
    array[1::2] *= -1.5 if name == "indefinite" else 1
    return (0 * array if name == "zero" else array), INDEFINITE


SKEW = ("not hermitian upwards", "not hermitian downwards", "skew beside the diagonal")


@pytest.mark.parametrize("name", ["nan", "infinity", "indefinite", "zero", *SKEW])
def test_a_matrix_that_cg_cannot_solve_is_named_as_on_the_cpu(gpu, dtype, name):
    array, flag = failing(name, dtype)
    if array.dtype != dtype:
        if dtype.kind != "c":
            return
        array = array.astype(dtype)
    ours, theirs = both(gpu, "dense" if name == "zero" else "diagonals", array, numbers(150, dtype))
    expected, _ = ours.advance(6)
    norms, found = theirs.advance(6)
    assert (norms.size, found) == (expected.size, flag)
    np.testing.assert_allclose(norms, expected, rtol=1e-4)
    np.testing.assert_allclose(theirs.vector("x"), ours.vector("x"), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(theirs.scalars, ours.scalars, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_an_overflow_is_named_and_leaves_x_and_p_finite(gpu, dtype):
    b = 1e20 * numbers(150, dtype)
    _, run = both(gpu, "diagonals", 1e30 * np.eye(150, dtype=dtype), b.astype(dtype))
    _, flag = run.advance(6)
    assert flag == NONFINITE
    assert np.isfinite(run.vector("x")).all() and np.isfinite(run.vector("p")).all()


def test_a_step_length_that_overflows_is_not_taken(gpu):
    """p^H A p is in the range of float64, rho / p^H A p is not."""
    ours, theirs = both(gpu, "diagonals", 1e-200 * np.eye(150), np.ones(150))
    for run in (ours, theirs):
        run.scalars[0] = 1e200
        norms, flag = run.advance(4)
        assert (flag, norms.size) == (NONFINITE, 0)
        assert not run.vector("x").any() and run.vector("r").tolist() == [1.0] * 150


def test_a_residual_that_overflows_ends_the_chunk_before_x_moves(gpu):
    """r - alpha q leaves the range of float32 while p^H A p and alpha do not."""
    _, run = both(gpu, "diagonals", np.eye(150, dtype=np.float32), numbers(150, "float32"))
    run.r[:] = np.float32(3e38)
    run.r[0] = -np.float32(3e38)
    run.p[:] = np.float32(1)
    run.p[1:] = 0
    run.scalars[0] = 3e38
    norms, flag = run.advance(4)
    assert (flag, norms.size) == (NONFINITE, 1) and np.isinf(norms[0])
    assert not run.vector("x").any() and run.vector("p").tolist() == [1.0] + 149 * [0.0]


def test_a_negative_definite_matrix_is_solved(gpu, dtype):
    array, b = hermitian(130, dtype), numbers(130, dtype)
    negative, positive = both(gpu, "csr", -array, b)[1], both(gpu, "csr", array, b)[1]
    assert negative.advance(5)[0].tolist() == positive.advance(5)[0].tolist()
    assert negative.scalars[1] == -1.0
    assert np.array_equal(negative.vector("x"), -positive.vector("x"))


def test_a_known_sign_is_kept_to(gpu):
    _, run = both(gpu, "csr", hermitian(130, "float64"), numbers(130, "float64"))
    run.scalars[1] = -1.0
    norms, flag = run.advance(5)
    assert (flag, norms.size) == (INDEFINITE, 0)
    assert not run.vector("x").any()


def test_a_change_of_sign_of_rho_is_named(gpu):
    """The preconditioner is indefinite."""
    d = np.where(np.arange(130) < 70, 1.0, -1.0)
    b = np.ones(130)
    array = np.diag(np.linspace(1, 2, 130))
    ours, theirs = both(gpu, "diagonals", array, b, d)
    expected, flag = ours.advance(20)
    norms, found = theirs.advance(20)
    assert found == flag == INDEFINITE
    np.testing.assert_allclose(norms, expected, rtol=1e-8)


VALUES = (0.0, 1.0, -1.0, 1e-9, np.nan, np.inf, -np.inf)


@pytest.mark.parametrize("sign", [0.0, 1.0, -1.0])
def test_both_backends_judge_alike(gpu, sign):
    for re in VALUES:
        for im in VALUES:
            for size, share in ((1.0, 1e-8), (1.0, np.inf), (0.0, np.inf), (0.0, 1e-8)):
                assert gpu.judge(re, im, size, sign, share) == cpu.judge(re, im, size, sign, share)

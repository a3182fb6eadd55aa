"""Chunks of conjugate gradients for many columns on the emulated device, each against the CPU's own run of it."""

import numpy as np
import pytest
from emulation import device, settings
from solvers.kernels import cpu
from test_gpu_cg import DTYPES, SKEW, STORAGES, Run, failing, hermitian, numbers, pair

NONFINITE, INDEFINITE, NOT_HERMITIAN, REACHED = 1, 2, 3, 4


@pytest.fixture(params=DTYPES)
def dtype(request):
    return np.dtype(request.param)


class Block:
    """The arrays of ``cg_chunk_many`` for X = 0, and the same columns one by one on the CPU."""

    def __init__(self, gpu, storage, array, B, d=None):
        n, self.k = B.shape
        A, self.A = pair(gpu, storage, array)
        self.gpu, self.alone = gpu, [Run(cpu, A, np.ascontiguousarray(b), d) for b in B.T]
        self.d = None if d is None else gpu.to_device(d, d.dtype)
        self.X, self.R, self.P, self.Q = (
            gpu.copy_to_device(np.stack([getattr(run, name) for run in self.alone], axis=1), B.dtype) for name in "xrpq"
        )
        self.scalars = np.stack([run.scalars for run in self.alone], axis=1)
        self.thresholds, self.states = np.zeros(self.k), np.zeros(self.k, dtype=np.int64)

    def advance(self, steps):
        """Take steps; returns the norms of each column's own steps."""
        norms, counts = np.full((steps, self.k), np.nan), np.full(self.k, -1)
        self.gpu.cg_chunk_many(
            self.A, self.d, self.X, self.R, self.P, self.Q, self.scalars, norms, self.thresholds, self.states, counts,
            steps,
        )  # fmt: skip
        return [norms[:count, j] for j, count in enumerate(counts)]

    def host(self, name):
        return self.gpu.to_host(getattr(self, name))

    def bits(self):
        return [self.host(name).tobytes() for name in "XRP"] + [self.scalars.tobytes(), self.states.tobytes()]


@pytest.mark.parametrize(
    "n, k, preconditioned", [(1, 8, False), (65, 24, True), (130, 8, False), (35, 40, True), (20, 72, True)]
)
@pytest.mark.parametrize("storage", STORAGES)
def test_each_column_takes_the_steps_it_takes_alone(gpu, storage, n, k, preconditioned):
    for dtype in map(np.dtype, DTYPES):
        real = np.finfo(dtype).dtype
        d = np.random.default_rng(1).uniform(0.5, 1.5, n).astype(real) if preconditioned else None
        B = numbers((n, k), dtype)
        block = Block(gpu, storage, hermitian(n, dtype), B, d)
        steps = 1 if n == 1 else 4
        norms = block.advance(steps)
        bound = 1e-12 if real == np.float64 else 1e-5
        for j, run in enumerate(block.alone):
            expected, flag = run.advance(steps)
            size = np.linalg.norm(B[:, j])
            assert norms[j].size == expected.size
            assert n == 1 or block.states[j] == flag == 0
            assert np.abs(norms[j] - expected).max() <= bound * size
            for name in "xrp":
                v = run.vector(name)
                assert np.linalg.norm(block.host(name.upper())[:, j] - v) <= 10 * bound * size
            assert abs(block.scalars[0, j] - run.scalars[0]) <= 10 * bound * size**2
            assert block.scalars[1, j] == 1.0


def test_chunks_of_one_step_give_the_bits_of_one_chunk(gpu):
    array, B = hermitian(70, "complex64"), numbers((70, 8), "complex64")
    whole, pieces = Block(gpu, "csr", array, B), Block(gpu, "csr", array, B)
    norms = whole.advance(6)
    own = [pieces.advance(1) for _ in range(6)]
    assert [[step[j][0] for step in own] for j in range(8)] == [each.tolist() for each in norms]
    assert pieces.bits() == whole.bits()


def test_the_order_in_which_threads_run_does_not_change_a_bit(gpu):
    answers = []
    for schedule, seed in (("forward", 0), ("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)):
        settings.schedule, settings.seed = schedule, seed
        block = Block(gpu, "csr", hermitian(90, "float64"), numbers((90, 24), "float64"), np.full(90, 0.7))
        answers.append([np.array(block.advance(3)).tobytes(), *block.bits()])
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("storage", STORAGES)
def test_the_detector_of_races_and_bounds_is_content(gpu, mode, monkeypatch, storage):
    from solvers.kernels.gpu import _device

    mode("checked")
    for threads, k in ((64, 24), (256, 40)):
        monkeypatch.setattr(_device, "THREADS", threads)
        block = Block(gpu, storage, hermitian(60, "float64"), numbers((60, k), "float64"), np.ones(60))
        norms = block.advance(2)
        for j in (0, k - 1):
            np.testing.assert_allclose(norms[j], block.alone[j].advance(2)[0], rtol=1e-12)


@pytest.mark.parametrize("threads", [32, 256])
def test_blocks_of_other_sizes_take_the_same_steps(gpu, monkeypatch, threads):
    """With 32 threads, 80 columns are three tiles, and the last one is not full."""
    from solvers.kernels.gpu import _device

    monkeypatch.setattr(_device, "THREADS", threads)
    block = Block(gpu, "csr", hermitian(100, "float64"), numbers((100, 80), "float64"))
    norms = block.advance(2)
    for j in (0, 26, 27, 79):
        np.testing.assert_allclose(norms[j], block.alone[j].advance(2)[0], rtol=1e-12)


def test_a_chunk_is_one_launch_and_one_read_by_the_host(gpu):
    block = Block(gpu, "csr", hermitian(60, "float64"), numbers((60, 8), "float64"))
    launches, reads, uploads = settings.launches, device.host_reads, device.uploads
    block.advance(5)
    assert (settings.launches - launches, device.host_reads - reads, device.uploads - uploads) == (1, 1, 1)


def test_each_column_stops_at_its_own_threshold_and_then_stays_as_it_is(gpu, dtype):
    array, B = hermitian(70, dtype), numbers((70, 8), dtype)
    full = Block(gpu, "csr", array, B).advance(6)
    block = Block(gpu, "csr", array, B)
    block.thresholds[:] = [full[j][min(j, 4)] for j in range(7)] + [0.0]
    norms = block.advance(6)
    assert block.states.tolist() == [REACHED] * 7 + [0]
    assert [each.tolist() for each in norms] == [full[j][: min(j, 4) + 1].tolist() for j in range(7)] + [
        full[7].tolist()
    ]
    for j in (0, 2, 4):
        short = Block(gpu, "csr", array, B)
        short.advance(j + 1)
        for name in "XRPQ":
            assert block.host(name)[:, j].tobytes() == short.host(name)[:, j].tobytes()
    held = {name: block.host(name)[:, :7].copy() for name in "XRPQ"}
    scalars = block.scalars[:, :7].copy()
    norms = block.advance(2)
    assert [each.size for each in norms] == [0] * 7 + [2]
    for name, values in held.items():
        assert block.host(name)[:, :7].tobytes() == values.tobytes()
    assert block.scalars[:, :7].tobytes() == scalars.tobytes()
    alone = Block(gpu, "csr", array, B)
    alone.advance(5)
    alone.advance(3)
    assert block.host("X")[:, 7].tobytes() == alone.host("X")[:, 7].tobytes()


def test_a_block_whose_columns_have_all_ended_is_left_as_it_is(gpu):
    block = Block(gpu, "csr", hermitian(70, "float64"), numbers((70, 8), "float64"))
    block.states[:] = [1, 2, 3, 4] * 2
    before = block.bits()
    assert [norms.size for norms in block.advance(3)] == [0] * 8
    assert block.bits() == before


def test_a_column_of_nan_is_named_and_does_not_touch_the_others(gpu, dtype):
    array, B = hermitian(70, dtype), numbers((70, 16), dtype)
    good, mixed = Block(gpu, "csr", array, B), Block(gpu, "csr", array, B)
    poisoned = [3, 8]
    mixed.P[:, 3] = np.nan
    mixed.R[5, 8] = np.nan
    mixed.Q[:, 9] = np.nan
    good.advance(4)
    norms = mixed.advance(4)
    others = [j for j in range(16) if j not in poisoned]
    assert mixed.states[poisoned].tolist() == [NONFINITE] * 2 and not mixed.states[others].any()
    assert [norms[j].size for j in poisoned] == [0, 0] and not mixed.host("X")[:, poisoned].any()
    for name in "XRP":
        assert mixed.host(name)[:, others].tobytes() == good.host(name)[:, others].tobytes()


@pytest.mark.parametrize("name", ["nan", "indefinite", "zero", *SKEW])
def test_columns_of_a_matrix_that_cg_cannot_solve_are_named(gpu, dtype, name):
    array, flag = failing(name, dtype)
    if array.dtype != dtype:
        if dtype.kind != "c":
            return
        array = array.astype(dtype)
    block = Block(gpu, "dense" if name == "zero" else "diagonals", array, numbers((150, 8), dtype))
    norms = block.advance(4)
    assert block.states.tolist() == [flag] * 8
    for j, run in enumerate(block.alone):
        expected, _ = run.advance(4)
        assert norms[j].size == expected.size
        np.testing.assert_allclose(block.host("X")[:, j], run.vector("x"), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(block.scalars[:, j], run.scalars, rtol=1e-4)


def test_a_change_of_sign_of_rho_is_named(gpu):
    """The preconditioner is indefinite; the step is taken, as alone."""
    d = np.where(np.arange(70) < 38, 1.0, -1.0)
    block = Block(gpu, "diagonals", np.diag(np.linspace(1, 2, 70)), np.ones((70, 8)), d)
    norms = block.advance(12)
    expected, flag = block.alone[0].advance(12)
    assert flag == INDEFINITE and block.states.tolist() == [INDEFINITE] * 8
    np.testing.assert_allclose(norms[0], expected, rtol=1e-8)

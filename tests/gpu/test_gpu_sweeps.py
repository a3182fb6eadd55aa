"""Sweeps over rows sorted by stages on the emulated device, iterate by iterate against the CPU's.

What this cannot show: that the blocks of a real device see each other's writes between two stages, fused
multiply-adds, and what a barrier costs.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from emulation import device, settings
from solvers.kernels import cpu

DTYPES = ("float32", "float64", "complex64", "complex128")
ORDERINGS = ("colours", "levels")
both_orderings = pytest.mark.parametrize("ordering", ORDERINGS)


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


def near(dtype):
    """How far apart two answers of size 1 may be."""
    return 1e-12 if np.finfo(dtype).dtype == np.float64 else 1e-5


def matrix(dtype, rows=12, columns=25, hermitian=True):
    """Neighbours on a grid and, with a phase, a row further; not Hermitian where that is not asked for."""
    dtype = np.dtype(dtype)
    phase = np.exp(0.4j) if dtype.kind == "c" else 1.0
    upper = sp.diags_array([np.full(columns - 1, -1.1)], offsets=[1], shape=(columns, columns))
    upper = sp.kron(sp.eye_array(rows), upper) + sp.kron(np.eye(rows, k=1), 0.9 * sp.eye_array(columns))
    lower = upper.T.conj() if hermitian else 0.6 * upper.T
    n = rows * columns
    return sp.csr_array(phase * upper + np.conj(phase) * lower + sp.diags_array(np.linspace(4.1, 5, n))).astype(dtype)


def wide_levels(dtype, groups=70, width=100):
    """More than 64 levels of 100 rows: row i of a group is coupled to rows i and i + 1 of the next."""
    n, one = groups * width, np.eye(width) + np.roll(np.eye(width), 1, axis=1)
    A = sp.kron(sp.diags_array([np.ones(groups - 1)], offsets=[1], shape=(groups, groups)), one)
    return sp.csr_array(-A - A.T + sp.diags_array(np.full(n, 4.5))).astype(dtype)


def parts_of(A, ordering):
    """The order, the stages and the triangles of a SciPy array."""
    operand, back = cpu.csr(A.indptr, A.indices, A.data), sp.csr_array(A.T)
    if ordering == "levels":
        order, stages = cpu.order_by_levels(operand.indptr, operand.indices)
    else:
        order, stages = cpu.order_by_colours(*operand[:2], *cpu.csr(back.indptr, back.indices, back.data)[:2])
    return order, stages, cpu.split_rows(operand.indptr, operand.indices, order)


def sweep(kernels, A, ordering):
    order, stages, triangles = parts_of(A, ordering)
    index = np.int64 if kernels is cpu else np.int32
    given = kernels.csr(*(kernels.to_device(part, part.dtype) for part in (A.indptr, A.indices, A.data)))
    made = []
    for indptr, indices, entries in triangles:
        data = kernels.empty(entries.shape, A.dtype)
        kernels.gather(given.data, kernels.to_device(entries, index), data)
        made.append(kernels.csr(*(kernels.to_device(p.view(np.int32), np.int32) for p in (indptr, indices)), data))
    return kernels.sweep(*made, kernels.diagonal(given, kernels.to_device(order, index)), stages)


class Run:
    """x, y and b of relaxation on one backend."""

    def __init__(self, kernels, A, ordering, name="sor_chunk", omega=1.3):
        n, dtype = A.shape[0], A.dtype
        self.S, self.omega, self.kernels = sweep(kernels, A, ordering), omega, kernels
        self.chunk = getattr(kernels, name)
        values = numbers(n, dtype, 1), numbers(n, dtype, 2), np.full(n, np.nan, dtype)
        self.b, self.x, self.y = (kernels.copy_to_device(v, dtype) for v in values)

    def advance(self, steps, threshold=0.0):
        norms = np.full(steps, np.nan)
        taken = self.chunk(self.S, self.b, self.x, self.y, self.omega, norms, threshold, steps)
        assert np.isnan(norms[taken:]).all()
        return norms[:taken]

    def iterate(self):
        return self.kernels.to_host(self.x)

    def bits(self):
        return self.iterate().tobytes()


class Krylov(Run):
    """The same for conjugate gradients with SSOR, started from x = 0."""

    def __init__(self, kernels, A, ordering, omega=1.3, share=None):
        super().__init__(kernels, A, ordering, "ssor_cg_chunk", omega)
        n, dtype = A.shape[0], A.dtype
        self.x, self.t = kernels.zeros(n, dtype), kernels.empty(n, dtype)
        self.s, self.p, self.u = (kernels.empty(n, dtype) for _ in range(3))
        rho = kernels.ssor_cg_start(self.S, omega, self.b, self.s, self.t)
        self.started = kernels.to_host(self.s).copy(), kernels.to_host(self.t).copy()
        kernels.scale(dtype.type(0), self.s, self.t)
        self.scalars = np.array([rho, 0.0, 0.0, np.sqrt(np.finfo(dtype).eps) if share is None else share])
        self.flag = None

    def advance(self, steps, threshold=0.0):
        norms = np.full(steps, np.nan)
        vectors = self.x, self.s, self.t, self.p, self.u
        taken, self.flag = self.chunk(self.S, self.omega, *vectors, self.scalars, norms, threshold, steps)
        assert np.isnan(norms[taken:]).all()
        return norms[:taken]

    def bits(self):
        return super().bits() + self.scalars.tobytes()


KINDS = {
    "sor": lambda kernels, A, ordering: Run(kernels, A, ordering),
    "ssor": lambda kernels, A, ordering: Run(kernels, A, ordering, "ssor_chunk"),
    "ssor_cg": Krylov,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


# ---- the pieces ----------------------------------------------------------------------------------------


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


# ---- iterates ------------------------------------------------------------------------------------------


@both_orderings
@every_kind
def test_each_iterate_and_its_norm_are_those_of_the_cpu(gpu, dtype, kind, ordering):
    A = matrix(dtype, hermitian=kind == "ssor_cg")
    ours, theirs = (KINDS[kind](kernels, A, ordering) for kernels in (cpu, gpu))
    order = parts_of(A, ordering)[0]
    size, wide = np.linalg.norm(numbers(300, dtype, 1)), np.result_type(dtype, np.float64)
    sorted_A = A.astype(wide)[order][:, order]
    for steps in (1, 1, 1, 2):
        expected, found = ours.advance(steps), theirs.advance(steps)
        assert np.all(abs(found - expected) <= near(dtype) * size)
        x = theirs.iterate()
        assert np.linalg.norm(x - ours.iterate()) <= near(dtype) * size
        assert abs(found[-1] - np.linalg.norm(numbers(300, dtype, 1) - sorted_A @ x)) <= 10 * near(dtype) * size


@every_kind
def test_stages_of_several_blocks_and_many_of_them_take_the_same_steps(gpu, kind):
    from solvers.kernels.gpu import relaxation

    A = wide_levels("float64")
    ours, theirs = (KINDS[kind](kernels, A, "levels") for kernels in (cpu, gpu))
    assert theirs.S.first.size == 71 and relaxation.stage_grid(theirs.S) == 2
    np.testing.assert_allclose(theirs.advance(3), ours.advance(3), rtol=1e-11)
    assert np.linalg.norm(theirs.iterate() - ours.iterate()) <= 1e-12 * np.linalg.norm(ours.iterate())


@every_kind
@pytest.mark.parametrize("threads, processors", [(256, 2), (64, 1), (32, 2)])
def test_more_threads_and_other_numbers_of_blocks_take_the_same_steps(gpu, monkeypatch, kind, threads, processors):
    from solvers.kernels.gpu import _device

    monkeypatch.setattr(_device, "THREADS", threads)
    device.multiprocessors = processors
    for rows in (3, 40):
        A = matrix("float64", rows)
        ours, theirs = (KINDS[kind](kernels, A, "colours") for kernels in (cpu, gpu))
        np.testing.assert_allclose(theirs.advance(3), ours.advance(3), rtol=1e-11)


@pytest.mark.parametrize("n", [1, 7])
@every_kind
def test_a_diagonal_matrix_has_one_stage(gpu, dtype, kind, n):
    A = sp.csr_array(sp.diags_array(np.linspace(1, 2, n).astype(dtype)))
    ours, theirs = (KINDS[kind](kernels, A, "levels") for kernels in (cpu, gpu))
    size = np.linalg.norm(numbers(n, dtype, 1))
    assert np.all(abs(theirs.advance(1) - ours.advance(1)) <= near(dtype) * size)
    assert np.linalg.norm(theirs.iterate() - ours.iterate()) <= near(dtype) * size


@both_orderings
@every_kind
def test_chunks_of_any_length_and_two_runs_give_the_same_bits(gpu, dtype, kind, ordering):
    A, answers = matrix(dtype), set()
    for pieces in ([7], [7], [1] * 7, [2, 5], [4, 3]):
        run = KINDS[kind](gpu, A, ordering)
        norms = np.concatenate([run.advance(steps) for steps in pieces])
        assert norms.size == 7
        answers.add((run.bits(), norms.tobytes()))
    assert len(answers) == 1


@every_kind
def test_the_order_in_which_threads_run_does_not_change_a_bit(gpu, kind):
    A, answers = matrix("complex128"), set()
    for settings.schedule, settings.seed in (("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)):
        run = KINDS[kind](gpu, A, "colours")
        answers.add((run.advance(3).tobytes(), run.bits()))
    assert len(answers) == 1


@both_orderings
@every_kind
def test_a_chunk_ends_at_the_first_iterate_below_the_threshold(gpu, kind, ordering):
    A = matrix("float64")
    norms, order = KINDS[kind](gpu, A, ordering).advance(6), parts_of(A, ordering)[0]
    assert np.all(np.diff(norms) < 0)
    for wanted in range(6):
        run = KINDS[kind](gpu, A, ordering)
        found = run.advance(6, norms[wanted])
        assert found.tolist() == norms[: wanted + 1].tolist()
        residual = numbers(300, "float64", 1) - A[order][:, order] @ run.iterate()
        assert abs(np.linalg.norm(residual) - found[-1]) <= 1e-12 * norms[0]
    longer = KINDS[kind](gpu, A, ordering).advance(6, np.nextafter(norms[2], 0))
    assert longer.tolist() == norms[:4].tolist()


@every_kind
def test_a_chunk_is_one_launch_and_one_read_by_the_host(gpu, kind):
    run = KINDS[kind](gpu, matrix("float64"), "colours")
    launches, reads, uploads = settings.launches, device.host_reads, device.uploads
    assert run.advance(12).size == 12
    assert (settings.launches - launches, device.host_reads - reads, device.uploads - uploads) == (1, 1, 0)


@every_kind
def test_where_there_are_many_stages_fewer_steps_are_taken_at_once(gpu, monkeypatch, kind):
    from solvers.kernels.gpu import relaxation

    run, other = (KINDS[kind](gpu, matrix("float64"), "levels") for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr(relaxation, "_MOST_STAGES", 100)
        norms = run.advance(20)
    assert norms.size == relaxation._FEWEST_STEPS
    assert other.advance(norms.size).tolist() == norms.tolist() and other.bits() == run.bits()


@both_orderings
@every_kind
@pytest.mark.parametrize("threads", [64, 256])
def test_the_detector_of_races_and_bounds_is_content(gpu, mode, monkeypatch, kind, ordering, threads):
    from solvers.kernels.gpu import _device

    mode("checked")
    monkeypatch.setattr(_device, "THREADS", threads)
    A = matrix("float64", 8, 90)  # colours of 360 rows
    run, plain = KINDS[kind](gpu, A, ordering), KINDS[kind](cpu, A, ordering)
    np.testing.assert_allclose(run.advance(3), plain.advance(3), rtol=1e-11)


# ---- SSOR as a preconditioner --------------------------------------------------------------------------


@both_orderings
@pytest.mark.parametrize("omega", [0.5, 1.7])
def test_a_solve_is_that_of_the_cpu(gpu, dtype, ordering, omega):
    A, r, answers = matrix(dtype), numbers(300, dtype), []
    for kernels in (cpu, gpu):
        S, z, right = sweep(kernels, A, ordering), kernels.empty(300, dtype), kernels.copy_to_device(r, dtype)
        kernels.ssor_solve(S, omega, right, z)
        assert np.array_equal(kernels.to_host(right), r)
        kernels.ssor_solve(S, omega, right, right)  # in place
        assert kernels.to_host(right).tobytes() == kernels.to_host(z).tobytes()
        answers.append(kernels.to_host(z))
    assert np.linalg.norm(answers[1] - answers[0]) <= near(dtype) * np.linalg.norm(answers[0])


@pytest.mark.parametrize("mixed", ["complex128", "float64", "float32"])
def test_factors_made_on_the_cpu_solve_on_the_device(gpu, mixed):
    A = matrix("float64")
    factors, failed = cpu.ilu0(sweep(cpu, A, "levels"), 0.0, 0.5)
    assert failed < 0
    dtype, answers = np.dtype(mixed), []
    for kernels in (cpu, gpu):
        z = kernels.copy_to_device(numbers(300, dtype), dtype)
        S = kernels.sweep_from(factors, dtype)
        assert S.lower.data.dtype == S.inverse.dtype == dtype
        kernels.ssor_solve(S, 1.0, z, z)
        answers.append(kernels.to_host(z))
    assert np.linalg.norm(answers[1] - answers[0]) <= near(dtype) * np.linalg.norm(answers[0])


@both_orderings
def test_conjugate_gradients_start_as_on_the_cpu(gpu, dtype, ordering):
    ours, theirs = (Krylov(kernels, matrix(dtype), ordering) for kernels in (cpu, gpu))
    assert abs(theirs.scalars[0] - ours.scalars[0]) <= near(dtype) * ours.scalars[0]
    for one, other in zip(ours.started, theirs.started):
        assert np.linalg.norm(one - other) <= near(dtype) * np.linalg.norm(one)


def failing(name):
    """A matrix, and the flag that says what is wrong with it."""
    A = matrix("complex128")
    if name == "nan":
        A.data[A.indptr[150]] = np.nan
        return A, 1
    if name == "indefinite":
        A.setdiag(np.where(np.arange(300) % 2, 4.2, -4.2))
        return A, 2
    return sp.csr_array(A + sp.diags_array(np.full(300, 0.5j))), 3


@pytest.mark.parametrize("name", ["nan", "indefinite", "not hermitian"])
def test_what_cannot_be_solved_is_named_as_on_the_cpu(gpu, name):
    A, flag = failing(name)
    ours, theirs = (Krylov(kernels, A, "levels") for kernels in (cpu, gpu))
    expected, found = ours.advance(6), theirs.advance(6)
    assert ours.flag == theirs.flag == flag
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(theirs.scalars, ours.scalars, rtol=1e-10)
    np.testing.assert_allclose(theirs.iterate(), ours.iterate(), rtol=1e-10)


def test_a_sweep_that_diverges_ends_at_the_norm_that_is_not_finite(gpu):
    A = sp.csr_array(np.array([[1.0, 1e200], [1e200, 1.0]]))
    ours, theirs = (Run(kernels, A, "levels", omega=1.0) for kernels in (cpu, gpu))
    expected, found = ours.advance(50), theirs.advance(50)
    assert found.size == expected.size < 50 and not np.isfinite(found[-1])

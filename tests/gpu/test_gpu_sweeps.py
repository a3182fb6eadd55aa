"""Sweeps over rows sorted by stages on the emulated device, iterate by iterate against the CPU's.

What this cannot show: that the blocks of a real device see each other's writes between two stages, fused
multiply-adds, and what a barrier costs.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from emulation import device, settings
from solvers.kernels import cpu
from staged import KINDS, Krylov, Run, matrix, near, numbers, parts_of, sweep, wide_levels

DTYPES = ("float32", "float64", "complex64", "complex128")
ORDERINGS = ("colours", "levels")
both_orderings = pytest.mark.parametrize("ordering", ORDERINGS)
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(params=DTYPES)
def dtype(request):
    return np.dtype(request.param)


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

    walks = 1 if kind == "sor" else 2
    for most, steps in ((1000, 1000 // 37 // walks), (100, 2 // walks), (10, 1), (0, 1)):
        run, other = (KINDS[kind](gpu, matrix("float64"), "levels") for _ in range(2))
        assert run.S.first.size == 37
        with monkeypatch.context() as patch:
            patch.setattr(relaxation, "_MOST_STAGES", most)
            norms = run.advance(40)
        assert norms.size == steps
        assert other.advance(norms.size).tolist() == norms.tolist() and other.bits() == run.bits()


@both_orderings
@every_kind
def test_no_steps_end_at_once_and_change_nothing(gpu, kind, ordering):
    run, other = (KINDS[kind](gpu, matrix("float64"), ordering) for _ in range(2))
    before, settings.patience = run.bits(), 5
    assert run.advance(0).size == 0 and run.bits() == before and getattr(run, "flag", 0) == 0
    assert run.advance(3).tolist() == other.advance(3).tolist() and run.bits() == other.bits()


def test_no_steps_of_jacobi_end_at_once_and_change_nothing(gpu):
    settings.patience = 5
    A = gpu.stencil((12, 25), np.array([4.0, -1.0, -1.0]))
    inverse, b, x, y = (gpu.copy_to_device(numbers(300, "float64", seed), np.float64) for seed in range(4))
    before = gpu.to_host(x).tobytes()
    assert gpu.jacobi_chunk(A, inverse, b, x, y, 0.9, np.empty(0), 0.0, 0) == 0
    assert gpu.to_host(x).tobytes() == before


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


@pytest.mark.parametrize("power", [-660, 660])
@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_the_scale_of_the_matrix_changes_no_norm(gpu, kind, power):
    """Squares of its entries are out of range; a power of two is exact."""
    A = matrix(kind)
    plain, scaled = (Krylov(gpu, each, "colours") for each in (A, sp.csr_array(A * 2.0**power)))
    norms, same = plain.advance(12), scaled.advance(12)
    assert plain.flag == scaled.flag == 0 and norms.tobytes() == same.tobytes()
    assert np.array_equal(plain.iterate(), scaled.iterate() * 2.0**power)


def test_a_sweep_that_diverges_ends_at_the_norm_that_is_not_finite(gpu):
    A = sp.csr_array(np.array([[1.0, 1e200], [1e200, 1.0]]))
    ours, theirs = (Run(kernels, A, "levels", omega=1.0) for kernels in (cpu, gpu))
    expected, found = ours.advance(50), theirs.advance(50)
    assert found.size == expected.size < 50 and not np.isfinite(found[-1])

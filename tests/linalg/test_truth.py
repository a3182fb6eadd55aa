"""Truth in convergence: info 0 means that the residual was recomputed; a failure has a name."""

import numpy as np
import pytest
from krylov import MANY, METHODS, SHORT_CYCLES, every_dtype, every_method, every_storage, hermitian, true_residual
from scipy import sparse
from scipy.sparse import linalg as scipy_linalg
from scipy.sparse.linalg import LinearOperator
from small_systems import poisson

from solvers import InvalidInput, Status, linalg


@every_method
@every_dtype
@every_storage
def test_success_on_the_last_permitted_iteration_is_success(solve, dtype, storage):
    A, b = storage(hermitian(np.linspace(1, 2, 30), dtype)), np.ones(30, dtype)
    options = {"rtol": 1e-3, **SHORT_CYCLES.get(solve, {})}
    needed = solve(A, b, **options).iterations
    assert needed > 1
    result = solve(A, b, maxiter=needed, **options)
    assert (result.info, result.status, result.iterations) == (0, Status.CONVERGED, needed)


@every_method
@every_dtype
@every_storage
def test_one_iteration_less_than_needed_is_maxiter(solve, dtype, storage):
    A, b = storage(hermitian(np.linspace(1, 2, 30), dtype)), np.ones(30, dtype)
    options = {"rtol": 1e-3, **SHORT_CYCLES.get(solve, {})}
    needed = solve(A, b, **options).iterations
    result = solve(A, b, maxiter=needed - 1, **options)
    assert (result.info, result.status, result.iterations) == (needed - 1, Status.MAXITER, needed - 1)
    assert result.residual > result.threshold


@pytest.mark.parametrize("dtype, rtol", [("f", 1e-8), ("F", 1e-8), ("d", 1e-16), ("D", 1e-16)])
@every_method
def test_a_tolerance_below_rounding_ends_as_stagnated_with_the_true_residual(solve, dtype, rtol):
    A = poisson(20, 20)
    b = np.random.default_rng(0).standard_normal(400).astype(dtype)
    result = solve(A.astype(dtype), b, rtol=rtol, maxiter=MANY[solve])
    true, size = true_residual(A.toarray(), result.x, b)
    assert result.status is Status.STAGNATED
    assert true > result.threshold
    assert result.residual == pytest.approx(true, rel=1e-2)
    # It gave up at the level of rounding, not before.
    assert true <= 100 * np.finfo(dtype).eps * size


def test_scipys_cg_says_success_where_ours_says_stagnated():
    A, b = poisson(60, 60).astype("f"), np.random.default_rng(0).standard_normal(3600).astype("f")
    x, info = scipy_linalg.cg(A, b, rtol=1e-8)
    theirs = np.linalg.norm(b - A.astype("d") @ x.astype("d"))
    result = linalg.cg(A, b, rtol=1e-8)
    assert info == 0 and theirs > 10 * result.threshold
    assert result.status is Status.STAGNATED
    assert result.residual <= theirs


@every_method
def test_restarts_reach_a_tolerance_that_the_first_recurrence_missed(solve):
    # 1e-14 is above the attainable residual, yet below where the recursive one parts from the true.
    A = hermitian(np.geomspace(1, 1e3, 100))
    b = np.random.default_rng(1).standard_normal(100)
    result = solve(A, A @ b, rtol=1e-14, maxiter=MANY[solve])
    true, size = true_residual(A, result.x, A @ b)
    assert result.converged == (true <= result.threshold + 4e-16 * size)
    assert true <= 2e-14 * np.linalg.norm(A @ b)


@every_method
@every_storage
def test_nan_in_b_is_refused_with_a_count_and_the_first_index(solve, storage):
    b = np.array([1.0, 2.0, np.nan, np.inf])
    with pytest.raises(InvalidInput, match=r"^`b` must be finite, got 2 NaN .* the first at \[2\]"):
        solve(storage(np.eye(4)), b)


@every_dtype
@every_storage
def test_cg_names_an_indefinite_matrix(dtype, storage):
    A = hermitian(np.array([-3.0, -1.0, 1.0, 2.0, 3.0, 5.0]), dtype)
    result = linalg.cg(storage(A), np.ones(6, dtype), rtol=1e-4)
    assert (result.status, result.info) == (Status.INDEFINITE, -11)
    assert np.isfinite(result.x).all()


@every_storage
def test_cg_names_a_direction_without_curvature(storage):
    # p^H A p = 0 at the first step: SciPy divides by it.
    result = linalg.cg(storage(np.diag([1.0, -1.0])), np.ones(2))
    assert result.status is Status.INDEFINITE
    assert np.array_equal(result.x, np.zeros(2))


@every_dtype
@every_storage
def test_cg_solves_a_negative_definite_matrix(dtype, storage):
    A = -hermitian(np.linspace(1, 2, 10), dtype)
    result = linalg.cg(storage(A), np.ones(10, dtype), rtol=1e-4)
    assert result.status is Status.CONVERGED
    assert true_residual(A, result.x, np.ones(10, dtype))[0] <= 1.01e-4 * np.sqrt(10)


@pytest.mark.parametrize("solve", [linalg.cg, linalg.minres], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["F", "D"])
@every_storage
def test_a_complex_matrix_that_is_not_hermitian_is_named(solve, dtype, storage):
    A = hermitian(np.linspace(1, 2, 10), dtype)
    A += 0.5j * np.diag(np.arange(1, 11)).astype(dtype)
    result = solve(storage(A.astype(dtype)), np.ones(10, dtype), rtol=1e-4)
    assert (result.status, result.info) == (Status.NOT_HERMITIAN, -11)


@every_method
@every_dtype
@every_storage
def test_nan_in_the_matrix_is_nonfinite_at_the_first_step(solve, dtype, storage):
    A = np.eye(6, dtype=dtype)
    A[2, 2] = np.nan
    result = solve(storage(A), np.ones(6, dtype))
    assert (result.status, result.info, result.iterations) == (Status.NONFINITE, -12, 0)
    assert np.array_equal(result.x, np.zeros(6))


@every_method
@every_dtype
@every_storage
@pytest.mark.parametrize("x0", [None, "ones"])
def test_b_zero_gives_a_fresh_zero_vector(solve, dtype, storage, x0):
    b = np.zeros(5, dtype)
    x0 = np.ones(5, dtype) if x0 else None
    result = solve(storage(np.eye(5, dtype=dtype)), b, x0=x0)
    assert (result.info, result.iterations, result.residual) == (0, 0, 0.0)
    assert np.array_equal(result.x, b) and result.x.dtype == dtype
    assert not np.shares_memory(result.x, b)
    assert x0 is None or not np.shares_memory(result.x, x0)


@every_method
@pytest.mark.parametrize("options", [{"maxiter": 0}, {"rtol": -1.0}, {"x0": np.ones(3)}], ids=str)
def test_what_has_no_meaning_is_refused_with_one_sentence(solve, options):
    (name,) = options
    with pytest.raises(InvalidInput, match=f"^`{name}` must [^\n]*\\.$"):
        solve(np.eye(4), np.ones(4), **options)


@every_method
@every_dtype
@pytest.mark.parametrize("fails_at", range(1, 9))
def test_nan_in_a_product_gives_the_finite_iterate_at_hand_and_its_residual(solve, dtype, fails_at):
    A, b = hermitian(np.geomspace(1, 100, 20), dtype), np.arange(1, 21).astype(dtype)
    count = 0

    def matvec(v):
        nonlocal count
        count += 1
        return A @ v if count != fails_at else np.full(20, np.nan)

    result = solve(LinearOperator(A.shape, matvec=matvec, dtype=A.dtype), b, rtol=1e-6)
    assert result.status is Status.NONFINITE
    true, size = true_residual(A, result.x, b)
    assert result.residual == pytest.approx(true, abs=8 * float(np.finfo(dtype).eps) * size)
    assert result.residual <= np.linalg.norm(b) * (1 + 1e-6)


@every_method
def test_nan_with_a_good_x0_gives_x0(solve):
    A, x0 = np.diag([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.9])
    count = 0

    def matvec(v):
        nonlocal count
        count += 1
        return A @ v if count != 2 else np.full(3, np.nan)

    result = solve(LinearOperator(A.shape, matvec=matvec, dtype=float), A @ np.ones(3), x0=x0)
    assert result.status is Status.NONFINITE
    assert np.array_equal(result.x, x0)


@every_method
@every_dtype
@every_storage
@pytest.mark.parametrize("x0", [None, "given"])
def test_an_infinite_tolerance_is_met_at_once(solve, dtype, storage, x0):
    x0 = np.arange(6).astype(dtype) if x0 else None
    result = solve(storage(np.eye(6, dtype=dtype)), np.ones(6, dtype), x0=x0, rtol=np.inf)
    assert (result.info, result.iterations) == (0, 0)
    assert np.array_equal(result.x, np.zeros(6) if x0 is None else x0)


@every_method
@every_dtype
@every_storage
def test_a_tolerance_of_zero_runs_until_stagnation_or_the_exact_answer(solve, dtype, storage):
    A, b = hermitian(np.linspace(1, 3, 25), dtype), np.arange(1, 26).astype(dtype)
    result = solve(storage(A), b, rtol=0, maxiter=MANY[solve])
    true, size = true_residual(A, result.x, b)
    assert result.status in (Status.STAGNATED, Status.CONVERGED)
    assert true <= 20 * np.finfo(dtype).eps * size
    assert result.status is Status.STAGNATED or true == 0.0


@every_method
def test_a_tolerance_of_zero_accepts_an_exact_answer(solve):
    result = solve(2.0 * np.eye(4), np.array([4.0, 0.0, 0.0, 0.0]), rtol=0)
    assert (result.status, result.residual) == (Status.CONVERGED, 0.0)


@pytest.mark.parametrize("n", [8, 12, 14, 20])
def test_gmres_starts_again_where_rounding_ends_a_full_cycle_above_the_tolerance(n):
    # After n steps the Krylov space is exhausted, yet a large x0 has left more than the tolerance.
    A = hermitian(np.geomspace(1, 1e6, n), seed=n)
    b, x0 = np.random.default_rng(n).standard_normal((2, n))
    result = linalg.gmres(A, b, x0=1e4 * x0, rtol=1e-8)
    assert result.status is Status.CONVERGED


@every_dtype
@pytest.mark.parametrize("scale", [1e-9, 1e6, 1e9, 1e15, 1e18])
def test_minres_does_not_call_a_regular_system_with_a_large_b_inconsistent(dtype, scale):
    A, b = hermitian(np.linspace(1, 2, 40), dtype), np.full(40, scale, dtype)
    assert linalg.minres(A, b, rtol=1e-3).status is Status.CONVERGED


def test_minres_returns_the_least_squares_solution_of_an_inconsistent_system():
    A, b = np.diag([1.0, 2.0, 3.0, 0.0]), np.array([1.0, 2.0, 3.0, 4.0])
    result = linalg.minres(A, b, rtol=1e-10)
    assert (result.status, result.info) == (Status.INCONSISTENT, -13)
    assert np.allclose((A @ (b - A @ result.x)), 0, atol=1e-9)
    assert result.residual == pytest.approx(4.0)


@every_method
def test_a_singular_system_with_b_in_the_range_is_solved(solve):
    A = poisson(6, 6).toarray()
    A -= np.diag(A.sum(axis=1))  # Neumann values: the constants are the null space
    b = A @ np.random.default_rng(0).standard_normal(36)
    result = solve(A, b, rtol=1e-6)
    assert result.status is Status.CONVERGED
    assert true_residual(A, result.x, b)[0] <= 1.001e-6 * np.linalg.norm(b)


@pytest.mark.parametrize("solve", METHODS, ids=lambda s: s.__name__)
def test_an_answer_beyond_the_range_of_its_dtype_is_no_success(solve):
    A = np.diag([1e-20, 2e-20, 3e-20]).astype(np.float32)
    result = solve(A, np.full(3, 1e25, dtype=np.float32))
    assert not result.converged and np.isfinite(result.x).all() and np.isfinite(result.residual)


@pytest.mark.parametrize("solve", METHODS, ids=lambda s: s.__name__)
def test_an_answer_that_underflows_is_no_success_with_a_residual_it_does_not_have(solve):
    A = np.diag([1.0, 2.0, 3.0]) * 1e15
    b = np.array([1.0, 5.0, 7.0]) * 1e-306
    result = solve(A, b, rtol=1e-10)
    gap = np.linalg.norm((b - A @ result.x) * 2.0**1000) / 2.0**1000
    assert result.converged == (gap <= 1e-10 * np.linalg.norm(b * 2.0**1000) / 2.0**1000)
    assert result.residual == pytest.approx(gap, rel=1e-3)


@pytest.mark.parametrize("many", [1, 8, 20])
def test_a_zero_column_gives_zero_whatever_x0_is_among_any_number_of_columns(many):
    rng = np.random.default_rng(0)
    n = 400
    draws = rng.random((n, n))
    G = sparse.csr_array(np.where(draws < 0.1, 10 * draws, 0))
    A = (G + G.T + 60 * sparse.eye_array(n)).tocsr()
    B, X0 = rng.standard_normal((2, n, many + 1))
    B[:, 0] = 0
    result = linalg.cg(A, B, X0, rtol=1e-8)
    assert result.converged and not result.x[:, 0].any() and result.iterations[0] == 0


def test_minres_on_a_singular_inconsistent_system_stops_at_the_least_squares_solution():
    A = np.array(
        [
            [-6, -1, 3, 2, -5, -3, -6],
            [-1, -2, -2, 1, 0, 0, -1],
            [3, -2, -2, 2, 2, 0, 3],
            [2, 1, 2, 2, 1, 1, 2],
            [-5, 0, 2, 1, -2, -1, -5],
            [-3, 0, 0, 1, -1, 2, -3],
            [-6, -1, 3, 2, -5, -3, -6],
        ],
        float,
    )
    b = np.array([1.0, -2, 3, 2, 2, 1, -3])
    result = linalg.minres(A, b)
    least = np.linalg.norm(b - A @ np.linalg.lstsq(A, b)[0])
    assert result.status is Status.INCONSISTENT
    assert result.residual == pytest.approx(least, rel=1e-6) and np.abs(result.x).max() < 1e3


@pytest.mark.parametrize("dtype, smallest", [("float32", 1e-4), ("float64", 1e-12)])
def test_minres_does_not_call_an_ill_conditioned_definite_matrix_inconsistent(dtype, smallest):
    A = np.diag([1, 2, 3, smallest]).astype(dtype)
    assert linalg.minres(A, np.ones(4, dtype), rtol=1e-3).status is not Status.INCONSISTENT


def test_minres_names_a_preconditioner_that_overflows():
    result = linalg.minres(np.diag([1.0, 2, 3]), np.ones(3), M=np.eye(3) * 1e300 * 1e8)
    assert result.status is Status.NONFINITE and np.isfinite(result.x).all()


def test_every_callback_of_many_columns_gets_vectors():
    rng = np.random.default_rng(0)
    draws = rng.random((300, 300))
    G = sparse.csr_array(np.where(draws < 0.1, 10 * draws, 0))
    A, B, shapes = (G + G.T + 60 * sparse.eye_array(300)).tocsr(), rng.standard_normal((300, 8)), set()
    linalg.cg(A, B, rtol=1e-8, callback=lambda xk: shapes.add(xk.shape))
    assert shapes == {(300,)}

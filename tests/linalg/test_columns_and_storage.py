"""Columns are what they are one by one; storage, threads, preparation and calls before change no bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from krylov import close, every_dtype, every_method, quick, seeds, sizes, system
from scipy import sparse
from small_systems import operator, poisson

import solvers
from solvers import Status, linalg

# --------------------------------------------------------------------------------- many right-hand sides


@every_method
@every_dtype
@pytest.mark.parametrize("storage", ["dense", "csr", "operator"])
def test_many_right_hand_sides_are_what_they_are_one_by_one(solve, dtype, storage):
    A, _ = system(30, 7, dtype)
    rng = np.random.default_rng(3)
    B = rng.standard_normal((30, 5)).astype(dtype) * np.array([1, 1e-3, 1e3, 0, 1]).astype(dtype)
    B[:, 4] = A @ np.eye(30, dtype=dtype)[:, 0]
    A = {"dense": np.asarray, "csr": sparse.csr_array, "operator": operator}[storage](A)
    together = solve(A, B, rtol=1e-3)
    singles = [solve(A, b, rtol=1e-3) for b in B.T]
    assert together.x.shape == (30, 5) and together.x.dtype == dtype
    assert together.info == 0
    assert together.status == tuple(s.status for s in singles)
    assert np.abs(together.iterations - [s.iterations for s in singles]).max() <= 1
    for column, single, residual in zip(together.x.T, singles, together.residual):
        assert np.linalg.norm(column - single.x) <= 2e-3 * 100 * np.linalg.norm(single.x)
        assert residual <= single.threshold
    assert together.residuals.shape == (together.iterations.max() + 1, 5)


@every_method
@quick
@given(n=sizes, k=st.integers(2, 7), seed=seeds)
def test_many_right_hand_sides_agree_to_rounding(solve, n, k, seed):
    A, _ = system(n, seed)
    B = np.random.default_rng(seed).standard_normal((n, k))
    together = solve(sparse.csr_array(A), B, rtol=1e-10)
    singles = [solve(sparse.csr_array(A), b, rtol=1e-10) for b in B.T]
    assert together.converged
    counts = np.array([s.iterations for s in singles])
    apart = np.abs(together.iterations - counts)
    assert apart[counts <= n].max(initial=0) <= 1
    # After n steps exact arithmetic would have ended; from there on rounding alone says when.
    assert apart.max() <= 1 + n // 10
    assert all(close(x, s.x, 1e-7) for x, s in zip(together.x.T, singles))


@every_method
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_many_right_hand_sides_in_memory_does_not_matter(solve, order):
    A, _ = system(20, 1)
    B = np.random.default_rng(0).standard_normal((20, 3))
    assert np.array_equal(solve(A, np.array(B, order=order)).x, solve(A, B[:, :]).x)


@every_method
def test_one_column_gives_a_vector(solve):
    A, b = system(12, 0)
    column, vector = solve(A, b[:, None], rtol=1e-8), solve(A, b, rtol=1e-8)
    assert column.x.shape == (12,)
    assert np.array_equal(column.x, vector.x)
    assert isinstance(column.status, Status)


@every_method
def test_x0_of_many_columns_is_taken_column_by_column(solve):
    A, _ = system(12, 0)
    X = np.random.default_rng(0).integers(1, 5, (12, 3)).astype(float)
    B = A @ X
    X0 = X.copy()
    X0[:, 1] = 0
    result = solve(sparse.csr_array(A), B, x0=X0, rtol=1e-8)
    assert result.converged
    assert result.iterations[0] == result.iterations[2] == 0 < result.iterations[1]


@every_method
def test_a_column_that_fails_does_not_hold_up_the_others(solve):
    A = np.diag([1.0, 2.0, 3.0, 0.0])
    B = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    result = solve(sparse.csr_array(A), B, rtol=1e-8)
    assert result.status[0] is Status.CONVERGED
    assert result.status[1] is not Status.CONVERGED
    assert result.info != 0 and not result.converged
    assert close(A @ result.x[:, 0], B[:, 0], 1e-8)


# ---------------------------------------------------------------------------------- storage and threads


@every_method
@every_dtype
@pytest.mark.parametrize("make", [sparse.csr_array, np.asarray])
def test_a_prepared_matrix_gives_the_same_bits(solve, dtype, make):
    A, b = system(40, 5, dtype)
    A = make(A)
    prepared = linalg.prepare(A)
    assert np.array_equal(solve(prepared, b, rtol=1e-4).x, solve(A, b, rtol=1e-4).x)
    assert solve(prepared, b, rtol=1e-4).iterations == solve(A, b, rtol=1e-4).iterations


@every_method
def test_a_prepared_banded_matrix_gives_the_same_bits(solve):
    A, b = poisson(20, 20), np.random.default_rng(0).standard_normal(400)
    assert np.array_equal(solve(linalg.prepare(A), b, rtol=1e-8).x, solve(A, b, rtol=1e-8).x)


def test_a_prepared_matrix_is_a_copy():
    A, b = system(10, 0)
    prepared = linalg.prepare(A)
    before = linalg.cg(prepared, b).x
    A[:] = 0
    assert np.array_equal(linalg.cg(prepared, b).x, before)
    assert np.array_equal(prepared @ before, prepared.matvec(before))
    assert close(prepared @ before, b, 1e-4)


@every_method
@every_dtype
def test_all_storages_of_one_matrix_agree(solve, dtype):
    A = poisson(16, 16).astype(dtype)
    b = np.random.default_rng(0).standard_normal(256).astype(dtype)
    order = np.random.default_rng(1).permutation(256)  # scattered: no longer a matrix of few diagonals
    back = np.argsort(order)
    forms = {
        "diagonals": (A, b, slice(None)),
        "csr": (sparse.csr_array(A[order][:, order]), b[order], back),
        "dense": (A.toarray(), b, slice(None)),
        "operator": (operator(A), b, slice(None)),
        "function": (lambda v: A @ v, b, slice(None)),
        "stencil": (linalg.stencil((16, 16), np.array([4, -1, -1], dtype=dtype)), b, slice(None)),
    }
    results = {name: (solve(M, right, rtol=1e-3), where) for name, (M, right, where) in forms.items()}
    first = results["diagonals"][0]
    for name, (result, where) in results.items():
        assert result.status is Status.CONVERGED, name
        assert abs(result.iterations - first.iterations) <= 1, name
        assert close(result.x[where], first.x, 1e-2), name


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("form", ["diagonals", "csr", "stencil"])
@every_method
def test_the_number_of_threads_does_not_change_a_bit(solve, form, dtype):
    m = 245  # 60,025 unknowns
    few = {"maxiter": 15} if solve is not linalg.gmres else {"maxiter": 1, "restart": 10}
    A = poisson(m, m).astype(dtype)
    b = np.random.default_rng(0).standard_normal(m * m).astype(dtype)
    if form == "csr":
        far = sparse.coo_array(([1e-3, 1e-3], ([0, m * m - 1], [m * m - 1, 0])), shape=A.shape)
        order = np.random.default_rng(1).permutation(m * m)
        A = sparse.csr_array((A + far).astype(dtype))[order][:, order]
    elif form == "stencil":
        A = linalg.stencil((m, m), np.array([4, -1, -1], dtype=dtype))
    results = []
    before = solvers.get_threads()
    try:
        for threads in (1, 2):
            solvers.set_threads(threads)
            results.append(solve(A, b, rtol=1e-12, **few))
    finally:
        solvers.set_threads(before)
    one, two = results
    assert one.iterations == two.iterations >= 10
    assert np.array_equal(one.x, two.x)
    assert np.array_equal(one.residuals, two.residuals)


def test_the_number_of_threads_does_not_change_a_bit_of_many_columns():
    m = 245
    A, B = poisson(m, m), np.random.default_rng(0).standard_normal((m * m, 3))
    before = solvers.get_threads()
    try:
        solvers.set_threads(1)
        one = linalg.cg(A, B, maxiter=15)
        solvers.set_threads(2)
        two = linalg.cg(A, B, maxiter=15)
    finally:
        solvers.set_threads(before)
    assert np.array_equal(one.x, two.x)


@every_method
def test_the_same_call_gives_the_same_bits(solve):
    A, b = poisson(30, 30), np.random.default_rng(0).standard_normal(900)
    assert np.array_equal(solve(A, b, rtol=1e-8).x, solve(A, b, rtol=1e-8).x)


# ---------------------------------------------------------------------------------------------- the dtype


@every_method
@every_dtype
@pytest.mark.parametrize("storage", ["dense", "csr", "operator"])
@pytest.mark.parametrize("k", [None, 3])
def test_the_dtype_is_kept(solve, dtype, storage, k):
    A, b = system(10, 0, dtype)
    A = {"dense": np.asarray, "csr": sparse.csr_array, "operator": operator}[storage](A)
    b = b if k is None else np.stack([b] * k, axis=1)
    assert solve(A, b, rtol=1e-3).x.dtype == np.dtype(dtype)


@every_method
@pytest.mark.parametrize("pair", ["fdd", "dfd", "fFF", "dFD", "FdD"])
def test_the_dtype_is_the_wider_of_a_and_b(solve, pair):
    a, b, x = pair
    A, right = system(10, 0, a)[0], system(10, 0, b)[1]
    assert solve(A, right, rtol=1e-3).x.dtype == np.dtype(x)

"""Matrices with NaN, singular or near the ends of the range end with a named status and a finite x."""

import numpy as np
import pytest
from hostile import N, is_solution, solved, spd
from krylov import every_method
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from solvers import Status


@every_method
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, aslinearoperator])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_matrix_with_a_nan_or_inf_is_nonfinite_with_a_finite_x(solve, value, storage):
    A = spd()
    A[1, 2] = A[2, 1] = value
    result = solved(solve, storage(A), np.ones(N))
    assert result.status is Status.NONFINITE


@every_method
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_a_complex_matrix_with_a_nan_is_nonfinite_with_a_finite_x(solve, storage):
    A = spd(dtype=complex)
    A[1, 2], A[2, 1] = complex(0, np.nan), complex(0, np.nan)
    assert solved(solve, storage(A), np.ones(N)).status is Status.NONFINITE


@every_method
def test_of_x0_and_zero_the_better_comes_back_from_a_nonfinite_matrix(solve):
    A = spd()
    A[0, 1] = A[1, 0] = np.nan
    result = solved(solve, A, np.ones(N), x0=np.full(N, 1e6))
    assert result.status is Status.NONFINITE
    assert np.array_equal(result.x, np.zeros(N))
    assert result.residual == np.linalg.norm(np.ones(N))


@every_method
def test_a_matrix_with_nan_among_many_right_hand_sides_is_nonfinite_in_each(solve):
    A = spd()
    A[1, 2] = A[2, 1] = np.nan
    result = solve(sparse.csr_array(A), np.arange(1.0, 9).reshape(N, 2))
    assert set(result.status) == {Status.NONFINITE}
    assert np.isfinite(result.x).all() and not np.isnan(result.residuals).any()


@every_method
def test_the_zero_matrix_ends_with_a_name_and_a_finite_x(solve):
    result = solved(solve, np.zeros((N, N)), np.ones(N))
    assert result.info < 0
    assert result.residual == 2.0


@every_method
def test_a_singular_system_ends_with_a_name_and_a_finite_x(solve):
    A = np.diag([1.0, 2.0, 3.0, 0.0])
    result = solved(solve, A, np.ones(N))
    assert result.info != 0
    assert result.residual >= 1.0 - 1e-12


@every_method
def test_a_skew_symmetric_matrix_ends_with_a_name_and_a_finite_x(solve):
    A = np.array([[0, 1.0, 0, 0], [-1.0, 0, 0, 0], [0, 0, 0, 2.0], [0, 0, -2.0, 0]])
    b = np.array([1.0, 2.0, 3.0, 4.0])
    result = solved(solve, A, b)
    assert is_solution(result, A, b) == (result.info == 0)


@every_method
def test_a_matrix_of_norm_near_overflow_ends_with_a_name_and_a_finite_x(solve):
    solved(solve, spd() * 1e307, np.ones(N))


@every_method
def test_a_matrix_of_norm_near_underflow_ends_with_a_name_and_a_finite_x(solve):
    solved(solve, spd() * 1e-307, np.ones(N))


@every_method
def test_a_float32_system_near_overflow_ends_with_a_name_and_a_finite_x(solve):
    solved(solve, spd(dtype="f") * np.float32(1e30), np.full(N, 1e30, dtype="f"))


@every_method
def test_an_x0_near_overflow_ends_with_a_name_and_a_finite_x(solve):
    solved(solve, spd(), np.ones(N), x0=np.full(N, 1e305))

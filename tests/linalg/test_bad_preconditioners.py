"""Preconditioners that are zero, indefinite, not finite, or return nonsense."""

import numpy as np
import pytest
from hostile import N, is_one_sentence, is_solution, solved, spd
from krylov import every_method
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from solvers import InvalidInput, Status, linalg


@every_method
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.dia_array, aslinearoperator])
def test_a_zero_preconditioner_ends_with_a_name_and_a_finite_x(solve, make):
    result = solved(solve, spd(), np.ones(N), M=make(np.zeros((N, N))))
    assert result.info < 0
    assert result.residual <= np.linalg.norm(np.ones(N))


@pytest.mark.parametrize("solve", [linalg.cg, linalg.minres], ids=lambda f: f.__name__)
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.dia_array, aslinearoperator])
def test_an_indefinite_preconditioner_is_named_or_converges(solve, make):
    result = solved(solve, spd(), np.array([1.0, 2, 3, 5]), M=make(np.diag([1.0, -1.0, 1.0, -1.0])))
    assert result.status in (Status.INDEFINITE, Status.CONVERGED)


@pytest.mark.parametrize("solve", [linalg.bicgstab, linalg.gmres], ids=lambda f: f.__name__)
def test_an_indefinite_preconditioner_is_no_obstacle_to_the_general_methods(solve):
    b = np.array([1.0, 2, 3, 5])
    assert is_solution(solved(solve, spd(), b, M=np.diag([1.0, -1.0, 1.0, -1.0])), spd(), b)


@every_method
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.dia_array, aslinearoperator])
def test_a_preconditioner_with_nan_is_nonfinite_with_a_finite_x(solve, make):
    M = np.diag([1.0, np.nan, 1.0, 1.0])
    assert solved(solve, spd(), np.ones(N), M=make(M)).status is Status.NONFINITE


@every_method
def test_a_preconditioner_that_returns_the_wrong_shape_is_refused(solve):
    with pytest.raises(InvalidInput) as caught:
        solve(spd(), np.ones(N), M=lambda v: v[:-1])
    assert is_one_sentence(str(caught.value))
    assert "(3,)" in str(caught.value)


@every_method
def test_an_exception_of_the_preconditioner_propagates_unchanged(solve):
    error = KeyError("mine")

    def M(v):
        raise error

    with pytest.raises(KeyError) as caught:
        solve(spd(), np.ones(N), M=M)
    assert caught.value is error


@every_method
def test_a_preconditioner_that_gives_complex_products_for_a_real_system_is_refused(solve):
    with pytest.raises(InvalidInput, match="`M`.*real.*complex") as caught:
        solve(spd(), np.ones(N), M=lambda v: v * 1j)
    assert is_one_sentence(str(caught.value))


@every_method
def test_a_preconditioner_that_writes_to_its_input_does_not_hurt_the_caller(solve):
    def M(v):
        v *= 0.5
        return v

    solved(solve, spd(), np.ones(N), M=M)

"""Every registered method x dtype x form of the matrix, clause by clause."""

import numpy as np
import pytest

from solvers import linalg, testing

METHODS = [
    testing.Method(linalg.cg, definite=True, hermitian=True),
    testing.Method(linalg.minres, hermitian=True, atol=False),
    testing.Method(linalg.bicgstab),
    testing.Method(linalg.gmres),
]


@pytest.mark.parametrize("clause", testing.CLAUSES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("form", testing.FORMS)
@pytest.mark.parametrize("dtype", testing.DTYPES)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_contract(method, dtype, form, clause):
    clause(method, dtype, form)


def test_the_checker_refuses_a_solver_that_says_success_too_early():
    def lazy(A, b, x0=None, **options):
        options.pop("rtol", None)
        result = linalg.gmres(A, b, x0, rtol=1e-1, **options)
        return result

    with pytest.raises(AssertionError, match="converged_means_a_small_true_residual"):
        testing.check_method(lazy, dtypes=["float64"], forms=["dense"])


def test_the_checker_refuses_a_solver_that_writes_to_b():
    def careless(A, b, x0=None, **options):
        result = linalg.gmres(A, b, x0, **options)
        b *= 2
        return result

    with pytest.raises(AssertionError):
        testing.check_method(careless, dtypes=["float64"], forms=["dense"])


def test_the_checker_accepts_ours():
    testing.check_method(METHODS[0], dtypes=["float64"], forms=["csr"])


def test_matrix_of_the_checker_is_what_it_says():
    A = testing.test_matrix(8, "complex128")
    assert np.allclose(A, A.conj().T) and np.linalg.eigvalsh(A)[0] > 0.9

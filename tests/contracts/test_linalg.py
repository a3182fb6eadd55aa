"""Every registered method x dtype x form of the matrix, clause by clause."""

import numpy as np
import pytest

from solvers import linalg, testing


def damped_jacobi(A, b, x0=None, **options):
    """With the damping that converges for every well-conditioned definite matrix."""
    return linalg.jacobi(A, b, x0, omega=0.5, **{"maxiter": 1000} | options)


def symmetric_sor(A, b, x0=None, **options):
    return linalg.sor(A, b, x0, omega=1.2, symmetric=True, **options)


def adaptive_sor(A, b, x0=None, **options):
    return linalg.sor(A, b, x0, **options)


def block_sor(A, b, x0=None, **options):
    return linalg.sor(A, b, x0, omega=1.1, blocks=3, **options)


def dcdm_without_a_model(A, b, x0=None, **options):
    return linalg.dcdm(A, b, x0, model=None, **options)


def dcdm_with_a_window(A, b, x0=None, **options):
    return linalg.dcdm(A, b, x0, model=lambda r: -3 * r, n_ortho=5, **options)


SWEEPS = linalg.gauss_seidel, adaptive_sor, symmetric_sor, block_sor, damped_jacobi, linalg.ssor_cg

METHODS = [
    testing.Method(linalg.cg, definite=True, hermitian=True),
    testing.Method(dcdm_without_a_model, definite=True, hermitian=True),
    testing.Method(dcdm_with_a_window, definite=True, hermitian=True),
    testing.Method(linalg.minres, hermitian=True, atol=False),
    testing.Method(linalg.bicgstab),
    testing.Method(linalg.gmres),
    *(testing.Method(solve, definite=True, hermitian=True, forms=("dense", "csr")) for solve in SWEEPS),
]
CASES = [(method, form) for method in METHODS for form in method.forms]


@pytest.mark.parametrize("clause", testing.CLAUSES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("dtype", testing.DTYPES)
@pytest.mark.parametrize("method, form", CASES, ids=lambda each: getattr(each, "name", each))
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


def test_the_checker_asks_for_the_forms_that_a_method_takes():
    seen = set()

    def entries_only(A, b, x0=None, **options):
        seen.add(type(A))
        return linalg.cg(A, b, x0, **options)

    testing.check_method(testing.Method(entries_only, hermitian=True, forms=("dense",)), dtypes=["float64"])
    assert seen == {np.ndarray}

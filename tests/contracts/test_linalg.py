"""Every method of ours, clause by clause, in every dtype and form of the matrix; and that the checker finds faults."""

import numpy as np
import pytest
import scipy.sparse.linalg

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
    testing.Method(linalg.gmres, restarted=True),
    *(testing.Method(solve, definite=True, hermitian=True, forms=("dense", "csr")) for solve in SWEEPS),
]


@pytest.mark.parametrize("clause", testing.CLAUSES, ids=lambda clause: clause.__name__)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_contract(method, clause):
    """Every dtype and form in one test: the message names those that fail, and pytest's share of the time is small."""
    testing.check_method(method, clauses=[clause])


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


def pair(A, b, x0=None, **options):
    return tuple(linalg.cg(A, b, x0, **options))


PAIR = testing.Method(pair, definite=True, hermitian=True, results=False)


def test_a_plain_pair_is_held_to_what_it_can_show():
    testing.check_method(PAIR, dtypes=["float32", "complex128"])


def faulty(change):
    """The pair of cg after ``change(A, b, x0, options, x, info)``."""

    def solver(A, b, x0=None, **options):
        return change(A, b, x0, options, *linalg.cg(A, b, x0, **options))

    return testing.Method(solver, definite=True, hermitian=True, results=False)


def with_result(change):
    def solver(A, b, x0=None, **options):
        return change(linalg.cg(A, b, x0, **options))

    return testing.Method(solver, definite=True, hermitian=True)


def first_column(result):
    return result if result.x.ndim == 1 else linalg.cg(np.eye(12), result.x[:, 0])


def unpicklable(result):
    result.hook = lambda: None
    return result


SCIPYS = testing.Method(scipy.sparse.linalg.cg, definite=True, hermitian=True, results=False)
FAULTS = {
    "converged_means_a_small_true_residual": faulty(lambda A, b, x0, options, x, info: (1.01 * x, info)),
    "an_absolute_tolerance_counts": faulty(lambda A, b, x0, options, x, info: (x, int(options.get("atol", 0) > 0))),
    "dtype_and_shape_are_those_of_the_system": faulty(lambda A, b, x0, options, x, info: (x + 0j, info)),
    "nothing_of_the_callers_is_changed_or_aliased": faulty(lambda A, b, x0, options, x, info: (b, info)),
    "zero_right_hand_side_gives_a_fresh_zero": faulty(lambda A, b, x0, options, x, info: (x + 1e-9, info)),
    "the_last_permitted_iteration_counts": SCIPYS,
    "a_tolerance_out_of_reach_is_stagnation": faulty(lambda A, b, x0, options, x, info: (x, 0)),
    "a_nan_in_the_matrix_is_nonfinite": faulty(lambda A, b, x0, options, x, info: (x, abs(info))),
    "an_exact_start_takes_no_iteration": faulty(lambda A, b, x0, options, x, info: linalg.cg(A, b, rtol=1e-3)),
    "infinite_tolerance_is_met_at_once": faulty(lambda A, b, x0, o, x, info: (x, int(o.get("rtol") == np.inf))),
    "many_right_hand_sides_are_solved_each": with_result(first_column),
    "callbacks_get_copies_and_may_stop": SCIPYS,
    "a_result_travels": with_result(unpicklable),
}


def test_there_is_a_fault_for_every_clause():
    assert list(FAULTS) == [clause.__name__ for clause in testing.CLAUSES]


@pytest.mark.parametrize("clause", testing.CLAUSES, ids=lambda clause: clause.__name__)
def test_each_clause_finds_its_fault_and_the_message_names_it(clause):
    with pytest.raises(AssertionError) as caught:
        testing.check_method(FAULTS[clause.__name__], ["float64"], ["csr"], clauses=[clause])
    said, _, seen = str(caught.value).partition(" Seen: ")
    place = f"{FAULTS[clause.__name__].name} breaks `{clause.__name__}` (float64, csr): "
    assert said == place + clause.__doc__ and seen.partition("\n")[0].strip()


@pytest.mark.parametrize(
    "solver, seen",
    [
        (lambda A, b: linalg.cg(A, b), "Seen: TypeError: "),
        (pair, "it returned a tuple without x, info, converged, status: return a linalg.LinearResult, or say testing."),
    ],
    ids=["without options", "without a result"],
)
def test_a_method_of_another_form_is_told_what_it_lacks(solver, seen):
    with pytest.raises(AssertionError) as caught:
        testing.check_method(testing.Method(solver, definite=True), dtypes=["float64"])
    assert seen in str(caught.value)

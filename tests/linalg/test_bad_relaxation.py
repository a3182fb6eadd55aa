"""Bad arguments of the sweeps and the preconditioners: one sentence each, before any work."""

import inspect
import re

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from solvers import InvalidInput, UnsupportedType, linalg

A = sparse.csr_array(4 * np.eye(6) - np.eye(6, k=1) - np.eye(6, k=-1))
B = np.ones(6)
OPERATOR = LinearOperator((6, 6), matvec=lambda v: A @ v, dtype=float)
SOLVERS = [linalg.sor, linalg.gauss_seidel, linalg.jacobi, linalg.ssor_cg]
MAKERS = [linalg.ssor, linalg.incomplete_cholesky, linalg.chebyshev, linalg.omega_optimal]


def refused(kind, name, call, *arguments, **options):
    """Assert that the call raises ``kind`` with one sentence about `name`."""
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.startswith(f"`{name}`") and message.endswith(".") and "\n" not in message
    assert "np.float64(" not in message
    return message


@pytest.mark.parametrize("omega", [0, 2, 2.0, -1.0, 2.5, np.inf, -np.inf, np.nan, "1.5", "", np.float32(2)])
def test_omega_out_of_range(omega):
    for solve in (linalg.sor, linalg.ssor_cg):
        refused(InvalidInput, "omega", solve, A, B, omega=omega)
    refused(InvalidInput, "omega", linalg.ssor, A, omega)


@pytest.mark.parametrize("omega", [None, True, 1j, [1.2], np.array([1.2]), {}, object()])
def test_omega_of_the_wrong_kind(omega):
    for solve in (linalg.sor, linalg.jacobi, linalg.ssor_cg):
        refused(UnsupportedType, "omega", solve, A, B, omega=omega)
    refused(UnsupportedType, "omega", linalg.ssor, A, omega)


@pytest.mark.parametrize("omega", [np.float32(1.25), np.float64(1.25), np.array(1.25), 1.25])
def test_omega_may_be_any_real_number(omega):
    assert np.array_equal(linalg.sor(A, B, omega=omega).x, linalg.sor(A, B, omega=1.25).x)
    assert linalg.sor(A, B, omega=1).iterations == linalg.gauss_seidel(A, B).iterations


def test_the_damping_of_jacobi():
    for omega in (0, -1.0, np.inf):
        assert "> 0" in refused(InvalidInput, "omega", linalg.jacobi, A, B, omega=omega)
    refused(InvalidInput, "omega", linalg.jacobi, A, B, omega=np.nan)
    refused(UnsupportedType, "omega", linalg.jacobi, A, B, omega="auto")


@pytest.mark.parametrize("solve", [linalg.sor, linalg.gauss_seidel])
def test_orderings_and_symmetric(solve):
    for ordering in ("coloured", "", None, 3, ["natural"], np.ones(3)):
        assert "'natural', 'reversed', 'colored'" in refused(InvalidInput, "ordering", solve, A, B, ordering=ordering)
    for symmetric in (1, 0, "yes", None):
        refused(UnsupportedType, "symmetric", solve, A, B, symmetric=symmetric)
    refused(InvalidInput, "ordering", linalg.ssor, A, 1.2, ordering="random")


def test_blocks():
    for blocks in (0, -2, np.arange(5), np.ones((6, 6)), [], np.full(6, np.nan), np.full(6, np.inf), np.arange(6) / 2):
        refused(InvalidInput, "blocks", linalg.sor, A, B, blocks=blocks)
    refused(InvalidInput, "blocks", linalg.sor, A, B, blocks=np.arange(6) * 1j)
    for blocks in (2.5, True, "rows", np.array(list("abcdef"))):
        refused(UnsupportedType, "blocks", linalg.sor, A, B, blocks=blocks)
    refused(InvalidInput, "ordering", linalg.sor, A, B, blocks=2, ordering="colored")
    refused(InvalidInput, "blocks", linalg.sor, A - 5 * sparse.eye_array(6), B, blocks=2)
    for blocks in (3, np.int64(3), np.float64(3), np.array(3), [0, 0, 0, 1, 1, 1], np.array([0, 0, 0, 9, 9, 9.0])):
        assert np.array_equal(linalg.sor(A, B, blocks=blocks).x, linalg.sor(A, B, blocks=3).x)


@pytest.mark.parametrize("form", [sparse.csr_array, np.asarray, linalg.prepare], ids=["csr", "dense", "prepared"])
def test_zeros_on_the_diagonal_are_named_with_the_first_row(form):
    bad = A.toarray()
    bad[4, 4] = bad[2, 2] = 0
    bad = form(bad)
    calls = [(solve, (bad, B)) for solve in SOLVERS] + [(make, (bad,)) for make in MAKERS]
    for call, arguments in calls:
        assert "got 2, the first in row 2;" in refused(InvalidInput, "A", call, *arguments)
    for options in (dict(ordering="reversed"), dict(ordering="colored"), dict(blocks=3), dict(omega=1.0)):
        assert "row 2;" in refused(InvalidInput, "A", linalg.sor, bad, B, **options)
    # Also where nothing would be computed.
    assert "row 2;" in refused(InvalidInput, "A", linalg.sor, bad, np.zeros(6))


def test_stored_and_cancelling_zeros_on_the_diagonal_are_zeros():
    ends, columns = np.array([0, 2, 4]), np.array([0, 0, 0, 1])
    bad = sparse.csr_array((np.array([1.0, -1.0, 1.0, 3.0]), columns, ends), shape=(2, 2))
    for solve in SOLVERS:
        assert "row 0;" in refused(InvalidInput, "A", solve, bad, np.ones(2))


@pytest.mark.parametrize("form", [OPERATOR, lambda v: A @ v], ids=["operator", "function"])
def test_operators_are_refused(form):
    for solve in SOLVERS:
        assert "entries" in refused(UnsupportedType, "A", solve, form, B)
    if form is OPERATOR:
        for make in MAKERS:
            assert "entries" in refused(UnsupportedType, "A", make, form)


def test_matrices_that_are_none():
    for call in (*SOLVERS, *MAKERS):
        arguments = (B,) if call in SOLVERS else ()
        refused(UnsupportedType, "A", call, [[4.0, 1.0], [1.0, 4.0]], *arguments)
        refused(InvalidInput, "A", call, np.ones((2, 3)), *arguments)
        refused(UnsupportedType, "A", call, None, *arguments)
        refused(UnsupportedType, "A", call, np.full((6, 6), "x"), *arguments)


@pytest.mark.parametrize("solve", SOLVERS)
def test_what_all_solvers_refuse(solve):
    refused(InvalidInput, "b", solve, A, np.ones(5))
    refused(InvalidInput, "b", solve, A, np.where(B == 1, np.nan, 0))
    refused(InvalidInput, "x0", solve, A, B, np.ones(5))
    refused(InvalidInput, "x0", solve, A, B, np.full(6, np.nan))
    refused(InvalidInput, "rtol", solve, A, B, rtol=-1)
    refused(InvalidInput, "atol", solve, A, B, atol=None)
    refused(InvalidInput, "maxiter", solve, A, B, maxiter=0)
    refused(UnsupportedType, "callback", solve, A, B, callback=3)


@pytest.mark.parametrize("call", [*SOLVERS, *MAKERS], ids=lambda f: f.__name__)
def test_misspelt_keywords_and_what_is_given_by_position(call):
    arguments = (A, B) if call in SOLVERS else (A,)
    for wrong in ("omga", "tol", "relax", "M"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{wrong}'"):
            call(*arguments, **{wrong: 1})
    if call in SOLVERS:
        with pytest.raises(TypeError, match="positional"):
            call(A, B, None, 1.5)
    kinds = {p.kind for p in inspect.signature(call).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds


def test_arguments_of_the_preconditioners():
    for degree in (0, -1):
        refused(InvalidInput, "degree", linalg.chebyshev, A, degree)
    for degree in (2.5, "4", None, True):
        refused(UnsupportedType, "degree", linalg.chebyshev, A, degree)
    for bounds in (3, (1,), (1, 2, 3), (2, 1), (1, 1), (0, 1), (-1, 1), (np.nan, 1), (1, np.inf), (1, 2j)):
        refused(InvalidInput, "bounds", linalg.chebyshev, A, 4, bounds=bounds)
    for bounds in ("ab", {1: 2, 3: 4}):
        refused(UnsupportedType, "bounds", linalg.chebyshev, A, 4, bounds=bounds)
    for relaxation in (-0.1, 1.1, np.nan):
        refused(InvalidInput, "relaxation", linalg.incomplete_cholesky, A, relaxation)
    for shift in (-0.1, np.inf, np.nan):
        refused(InvalidInput, "shift", linalg.incomplete_cholesky, A, shift=shift)
    refused(UnsupportedType, "relaxation", linalg.incomplete_cholesky, A, "much")
    refused(InvalidInput, "n_steps", linalg.omega_optimal, A, n_steps=0)
    refused(UnsupportedType, "n_steps", linalg.omega_optimal, A, n_steps=2.5)


def test_diagonals_that_are_not_positive():
    for bad in (-A, A - 8 * sparse.eye_array(6), A * 1j):
        for make in (linalg.chebyshev, linalg.omega_optimal, linalg.ssor, linalg.incomplete_cholesky):
            refused(InvalidInput, "A", make, bad)
        refused(InvalidInput, "A", linalg.chebyshev, bad, 4, bounds=(0.1, 2.0))
        refused(InvalidInput, "A", linalg.ssor_cg, bad, B)


def test_a_preconditioner_of_another_size_is_refused():
    for M in (linalg.ssor(A, 1.2), linalg.incomplete_cholesky(A), linalg.chebyshev(A)):
        message = refused(InvalidInput, "M", linalg.cg, sparse.eye_array(5).tocsr(), np.ones(5), M=M)
        assert re.search(r"\(5, 5\), got \(6, 6\)", message)

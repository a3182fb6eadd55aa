"""The contract of an iterative linear solver, as a checker that anyone can run on a function of their own.

``check_method(fn)`` calls ``fn(A, b, ...)`` on a list of small cases and raises an AssertionError that names
the first clause it breaks. The library's own methods are held to it in ``tests/contracts``.
"""

import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike, NDArray
from scipy.sparse.linalg import LinearOperator

from .._result import Status

__all__ = ["CLAUSES", "DTYPES", "FORMS", "Method", "as_form", "check_method", "test_matrix"]

DTYPES = ("float32", "float64", "complex64", "complex128")
FORMS = ("dense", "csr", "operator")


@dataclass(frozen=True)
class Method:
    """A solver and what it may be asked.

    Attributes
    ----------
    solve : callable (A, b, x0=None, *, rtol, maxiter, M, callback) -> (x, info) with attributes
    definite : bool
        Whether A must be Hermitian positive definite.
    hermitian : bool
        Whether A must be Hermitian.
    atol : bool
        Whether it takes ``atol``.
    forms : sequence of str
        Those of ``FORMS`` that it takes.
    """

    solve: Callable[..., Any]
    definite: bool = False
    hermitian: bool = False
    atol: bool = True
    forms: Sequence[str] = FORMS

    @property
    def name(self) -> str:
        return self.solve.__name__


def test_matrix(n: int, dtype: DTypeLike, hermitian: bool = True, seed: int = 0) -> NDArray[Any]:
    """A well-conditioned dense matrix (kappa about 10), Hermitian positive definite or not symmetric."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    G = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype.kind == "c" else 0)
    Q = np.linalg.qr(G)[0]
    A = (Q * np.linspace(1, 10, n)) @ Q.conj().T
    A = (A + A.conj().T) / 2
    return (A if hermitian else A + 0.3 * np.triu(G, 1) / np.sqrt(n)).astype(dtype)


test_matrix.__test__ = False  # pytest collects functions of this name


def as_form(A: NDArray[Any], form: str) -> Any:
    """The dense matrix A as it is, as a CSR array, or as an operator that hides its entries."""
    if form == "dense":
        return A
    if form == "csr":
        return scipy.sparse.csr_array(A)
    return LinearOperator(A.shape, matvec=lambda v: A @ v, dtype=A.dtype)


def check_method(
    method: Method | Callable[..., Any], dtypes: Sequence[str] = DTYPES, forms: Sequence[str] = FORMS
) -> None:
    """Hold a solver to every clause of the contract.

    Parameters
    ----------
    method : Method or callable
        A callable is taken as a method for general matrices.
    dtypes, forms : sequences of str

    Raises
    ------
    AssertionError
        Names the clause, the dtype and the form of the first case that fails.
    """
    method = method if isinstance(method, Method) else Method(method)
    for clause in CLAUSES:
        for dtype in dtypes:
            for form in (each for each in forms if each in method.forms):
                try:
                    clause(method, dtype, form)
                except AssertionError as error:
                    place = f"{method.name}, {clause.__name__}, {dtype}, {form}"
                    raise AssertionError(f"{place}: {clause.__doc__} {error}") from error


def _case(method, dtype, form, n=12):
    A = test_matrix(n, dtype, hermitian=method.hermitian or method.definite)
    rng = np.random.default_rng(1)
    b = rng.standard_normal(n) + (1j * rng.standard_normal(n) if A.dtype.kind == "c" else 0)
    return as_form(A, form), A, b.astype(dtype)


def _tolerance(dtype):
    return 1e-4 if np.dtype(dtype).char in "fF" else 1e-10


def _gap(A, x, b):
    """||b - A x|| in the widest precision."""
    wide = np.complex128 if np.iscomplexobj(A) or np.iscomplexobj(b) else np.float64
    return float(np.linalg.norm(b.astype(wide) - A.astype(wide) @ x))


def converged_means_a_small_true_residual(method, dtype, form):
    """info == 0 implies ||b - A x|| <= rtol ||b||, with status, residual and counts to match."""
    operator, A, b = _case(method, dtype, form)
    rtol = _tolerance(dtype)
    result = method.solve(operator, b, rtol=rtol)
    x, info = result
    assert info == 0 and result.converged and result.status is Status.CONVERGED, repr(result)
    gap, noise = _gap(A, x, b), 8 * np.finfo(dtype).eps * np.linalg.norm(b)
    assert gap <= rtol * np.linalg.norm(b) + noise, gap
    assert abs(result.residual - gap) <= 1e-2 * gap + noise, (result.residual, gap)
    assert len(result.residuals) == result.iterations + 1
    assert result.n_matvec >= result.iterations


def dtype_and_shape_are_those_of_the_system(method, dtype, form):
    """x has the dtype of A and b and shape (n,), also for b of shape (n, 1)."""
    operator, _, b = _case(method, dtype, form)
    for right in (b, b[:, None]):
        x, _ = method.solve(operator, right)
        assert x.shape == b.shape and x.dtype == b.dtype, (x.shape, x.dtype)


def nothing_of_the_callers_is_changed_or_aliased(method, dtype, form):
    """A, b and x0 keep their bits, and x shares no memory with them."""
    operator, A, b = _case(method, dtype, form)
    x0 = np.ones_like(b)
    copies = A.copy(), b.copy(), x0.copy()
    for start in (x0, None):
        x, _ = method.solve(operator, b, start)
        assert all(np.array_equal(a, c) for a, c in zip((A, b, x0), copies))
        assert not any(np.shares_memory(x, a) for a in (A, b, x0))


def zero_right_hand_side_gives_a_fresh_zero(method, dtype, form):
    """b = 0 gives x = 0 in memory of its own, whatever x0 is."""
    operator, _, b = _case(method, dtype, form)
    zero = np.zeros_like(b)
    result = method.solve(operator, zero, np.ones_like(b))
    assert result.converged and not result.x.any() and not np.shares_memory(result.x, zero)


def the_last_permitted_iteration_counts(method, dtype, form):
    """Convergence on iteration maxiter is convergence; one less is MAXITER with that count."""
    operator, _, b = _case(method, dtype, form)
    rtol = _tolerance(dtype)
    needed = method.solve(operator, b, rtol=rtol)
    outer = getattr(needed, "iterations", 0)
    if method.name == "gmres":  # its limit counts cycles, of which this one takes one
        return
    assert method.solve(operator, b, rtol=rtol, maxiter=outer).converged
    short = method.solve(operator, b, rtol=rtol, maxiter=outer - 1)
    assert short.status is Status.MAXITER and short.info == short.iterations == outer - 1, repr(short)


def a_tolerance_out_of_reach_is_stagnation(method, dtype, form):
    """Below rounding the answer is STAGNATED (or MAXITER), never success with a larger residual."""
    operator, A, b = _case(method, dtype, form)
    rtol = 1e-3 * float(np.finfo(dtype).eps)
    result = method.solve(operator, b, rtol=rtol)
    if result.converged:
        assert _gap(A, result.x, b) <= rtol * np.linalg.norm(b) * (1 + 1e-6)
    else:
        assert result.status in (Status.STAGNATED, Status.MAXITER, Status.BREAKDOWN), repr(result)
    assert result.residual <= 1e3 * np.finfo(dtype).eps * np.linalg.norm(b), repr(result)


def a_nan_in_the_matrix_is_nonfinite(method, dtype, form):
    """A NaN in A ends as NONFINITE with a finite x, with and without x0."""
    _, A, b = _case(method, dtype, form)
    A = A.copy()
    A[3, 4] = A[4, 3] = np.nan
    for x0 in (None, np.ones_like(b)):
        result = method.solve(as_form(A, form), b, x0)
        assert result.status is Status.NONFINITE and result.info == -12, repr(result)
        assert np.isfinite(result.x).all() and np.isfinite(result.residual)
        assert np.isfinite(result.residuals[1:]).all()


def an_exact_start_takes_no_iteration(method, dtype, form):
    """x0 that solves the system is returned after zero iterations."""
    operator, A, b = _case(method, dtype, form)
    x0 = np.linalg.solve(A, b).astype(dtype)
    result = method.solve(operator, b, x0, rtol=1e-3)
    assert result.converged and result.iterations == 0, repr(result)
    assert np.array_equal(result.x, x0)


def infinite_tolerance_is_met_at_once(method, dtype, form):
    """rtol = inf accepts the start."""
    operator, _, b = _case(method, dtype, form)
    result = method.solve(operator, b, rtol=np.inf)
    assert result.converged and result.iterations == 0, repr(result)


def many_right_hand_sides_are_solved_each(method, dtype, form):
    """b of shape (n, k) gives x (n, k) and k statuses, iterations and residuals."""
    operator, A, b = _case(method, dtype, form)
    B = np.stack([b, 2 * b, np.zeros_like(b)], axis=1)
    result = method.solve(operator, B, rtol=_tolerance(dtype))
    assert result.info == 0 and result.x.shape == B.shape, repr(result)
    assert len(result.status) == len(result.iterations) == len(result.residual) == 3
    assert result.residuals.shape == (max(result.iterations) + 1, 3)
    assert all(_gap(A, x, c) <= t * (1 + 1e-2) + 1e-30 for x, c, t in zip(result.x.T, B.T, result.threshold))


def callbacks_get_copies_and_may_stop(method, dtype, form):
    """callback(xk) gets an array of its own; StopIteration ends as STOPPED with that x."""
    operator, _, b = _case(method, dtype, form)
    seen = []

    def spoil(xk):
        seen.append(xk.copy())
        xk[:] = np.nan

    kind = {"callback_type": "x"} if method.name == "gmres" else {}
    result = method.solve(operator, b, rtol=_tolerance(dtype), callback=spoil, **kind)
    assert result.converged and seen and np.isfinite(result.x).all(), repr(result)

    def stop(xk):
        raise StopIteration

    stopped = method.solve(operator, b, rtol=1e-30, callback=stop, **kind)
    assert stopped.status is Status.STOPPED and stopped.info >= 1, repr(stopped)


def a_result_travels(method, dtype, form):
    """The result pickles, unpacks as two, prints in one line, and turns into JSON."""
    operator, _, b = _case(method, dtype, form)
    result = method.solve(operator, b)
    again = pickle.loads(pickle.dumps(result))
    assert isinstance(again, tuple) and len(again) == 2
    assert again.status is result.status and np.array_equal(again[0], result.x)
    assert "\n" not in repr(result) and json.loads(json.dumps(result.to_dict()))["converged"] is True
    assert result.check() is result


CLAUSES: tuple[Callable[[Method, str, str], None], ...] = (
    converged_means_a_small_true_residual,
    dtype_and_shape_are_those_of_the_system,
    nothing_of_the_callers_is_changed_or_aliased,
    zero_right_hand_side_gives_a_fresh_zero,
    the_last_permitted_iteration_counts,
    a_tolerance_out_of_reach_is_stagnation,
    a_nan_in_the_matrix_is_nonfinite,
    an_exact_start_takes_no_iteration,
    infinite_tolerance_is_met_at_once,
    many_right_hand_sides_are_solved_each,
    callbacks_get_copies_and_may_stop,
    a_result_travels,
)

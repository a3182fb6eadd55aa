"""The clauses of the contract of an iterative linear solver: each is a demand on a method, a dtype and a form.

They raise an AssertionError that says what was seen; ``check_method`` adds which clause it was, and for what.
"""

import json
import pickle

import numpy as np

from .._result import Status
from ._systems import as_form, test_matrix

__all__ = ["CLAUSES"]


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
    result = method(operator, b, rtol=rtol)
    gap, noise = _gap(A, result.x, b), 8 * np.finfo(dtype).eps * np.linalg.norm(b)
    assert result.info == 0 and result.converged, f"no convergence to rtol = {rtol:g}: {result!r}"
    assert gap <= rtol * np.linalg.norm(b) + noise, f"a residual of {gap:.2e}, {rtol * np.linalg.norm(b):.2e} permitted"
    if method.results:
        assert result.status is Status.CONVERGED, f"status {result.status}"
        assert abs(result.residual - gap) <= 1e-2 * gap + noise, f"`residual` {result.residual:.3e}, it is {gap:.3e}"
        assert len(result.residuals) == result.iterations + 1, (
            f"{len(result.residuals)} `residuals` of {result.iterations} iterations, the initial one included"
        )
        assert result.n_matvec >= result.iterations, f"{result.n_matvec} products in {result.iterations} iterations"


def an_absolute_tolerance_counts(method, dtype, form):
    """rtol = 0 and atol > 0 end with ||b - A x|| <= atol; a method without `atol` says Method(..., atol=False)."""
    if method.atol:
        operator, A, b = _case(method, dtype, form)
        atol = _tolerance(dtype) * float(np.linalg.norm(b))
        result = method(operator, b, rtol=0.0, atol=atol)
        gap, noise = _gap(A, result.x, b), 8 * np.finfo(dtype).eps * np.linalg.norm(b)
        assert result.converged and gap <= atol + noise, f"a residual of {gap:.2e} at atol = {atol:.2e}: {result!r}"


def dtype_and_shape_are_those_of_the_system(method, dtype, form):
    """x has the dtype of A and b and shape (n,), also for b of shape (n, 1)."""
    operator, _, b = _case(method, dtype, form)
    for right in (b, b[:, None]):
        x = method(operator, right).x
        assert x.shape == b.shape and x.dtype == b.dtype, f"{x.dtype} {x.shape} for b of {b.dtype} {right.shape}"


def nothing_of_the_callers_is_changed_or_aliased(method, dtype, form):
    """A, b and x0 keep their bits, and x shares no memory with them."""
    operator, A, b = _case(method, dtype, form)
    x0 = np.ones_like(b)
    given = {"A": A, "b": b, "x0": x0}
    copies = {name: array.copy() for name, array in given.items()}
    for start in (x0, None):
        x = method(operator, b, start).x
        for name, array in given.items():
            assert np.array_equal(array, copies[name]), f"{name} was written to"
            assert not np.shares_memory(x, array), f"x lies in the memory of {name}"


def zero_right_hand_side_gives_a_fresh_zero(method, dtype, form):
    """b = 0 gives x = 0 in memory of its own, whatever x0 is."""
    operator, _, b = _case(method, dtype, form)
    zero = np.zeros_like(b)
    result = method(operator, zero, np.ones_like(b))
    assert result.converged, f"no convergence: {result!r}"
    assert not result.x.any(), f"x with entries up to {abs(result.x).max():.2e}"
    assert not np.shares_memory(result.x, zero), "x lies in the memory of b"


def the_last_permitted_iteration_counts(method, dtype, form):
    """Convergence on iteration maxiter is convergence; one less is MAXITER with that count."""
    if method.restarted:  # its limit counts cycles, of which this one takes one
        return
    operator, _, b = _case(method, dtype, form)
    rtol, seen = _tolerance(dtype), []
    needed = method(operator, b, rtol=rtol, callback=lambda xk: seen.append(None))
    count = needed.iterations if method.results else len(seen)
    assert needed.converged and count > 1, f"{count} iterations, counted by its callback: {needed!r}"
    exact = method(operator, b, rtol=rtol, maxiter=count)
    assert exact.converged, f"with maxiter = {count}, the number that it needs: {exact!r}"
    short = method(operator, b, rtol=rtol, maxiter=count - 1)
    assert short.info == count - 1 if method.results else short.info > 0, (
        f"info = {short.info} with maxiter = {count - 1}, where it needs {count}"
    )
    if method.results:
        assert short.status is Status.MAXITER and short.iterations == count - 1, f"{short!r}"


def a_tolerance_out_of_reach_is_stagnation(method, dtype, form):
    """Below rounding the answer is STAGNATED (or MAXITER), never success with a larger residual."""
    operator, A, b = _case(method, dtype, form)
    rtol = 1e-3 * float(np.finfo(dtype).eps)
    result = method(operator, b, rtol=rtol)
    gap, size = _gap(A, result.x, b), np.linalg.norm(b)
    if result.converged:
        assert gap <= rtol * size * (1 + 1e-6), f"success with a residual of {gap:.2e}, {rtol * size:.2e} permitted"
    elif method.results:
        assert result.status in (Status.STAGNATED, Status.MAXITER, Status.BREAKDOWN), f"{result!r}"
    assert gap <= 1e3 * np.finfo(dtype).eps * size, f"a residual of {gap:.2e}, far above rounding: {result!r}"


def a_nan_in_the_matrix_is_nonfinite(method, dtype, form):
    """A NaN in A ends as NONFINITE with a finite x, with and without x0."""
    _, A, b = _case(method, dtype, form)
    A = A.copy()
    A[3, 4] = A[4, 3] = np.nan
    for x0 in (None, np.ones_like(b)):
        result = method(as_form(A, form), b, x0)
        assert result.info < 0, f"info = {result.info}, and a breakdown is negative"
        assert np.isfinite(result.x).all(), "a NaN or an infinity in x"
        if method.results:
            assert result.status is Status.NONFINITE and result.info == -12, f"{result!r}"
            assert np.isfinite(result.residual) and np.isfinite(result.residuals[1:]).all(), f"{result!r}"


def an_exact_start_takes_no_iteration(method, dtype, form):
    """x0 that solves the system is returned after zero iterations."""
    operator, A, b = _case(method, dtype, form)
    x0 = np.linalg.solve(A, b).astype(dtype)
    result = method(operator, b, x0, rtol=1e-3)
    assert result.converged, f"no convergence: {result!r}"
    assert np.array_equal(result.x, x0), f"an x that is not x0, which solves the system: {result!r}"
    assert not method.results or result.iterations == 0, f"{result.iterations} iterations"


def infinite_tolerance_is_met_at_once(method, dtype, form):
    """rtol = inf accepts the start."""
    operator, _, b = _case(method, dtype, form)
    result = method(operator, b, rtol=np.inf)
    assert result.converged, f"no convergence: {result!r}"
    assert not method.results or result.iterations == 0, f"{result.iterations} iterations"


def many_right_hand_sides_are_solved_each(method, dtype, form):
    """b of shape (n, k) gives x (n, k) and k statuses, iterations and residuals; not asked of a pair."""
    if not method.results:
        return
    operator, A, b = _case(method, dtype, form)
    B = np.stack([b, 2 * b, np.zeros_like(b)], axis=1)
    result = method(operator, B, rtol=_tolerance(dtype))
    assert result.info == 0 and result.x.shape == B.shape, f"x of shape {result.x.shape} for {B.shape}: {result!r}"
    lengths = [len(result.status), len(result.iterations), len(result.residual)]
    assert lengths == [3, 3, 3], f"{lengths} statuses, iterations and residuals of 3 columns"
    shape = (max(result.iterations) + 1, 3)
    assert result.residuals.shape == shape, f"`residuals` of shape {result.residuals.shape}, not {shape}"
    for k, (x, c, t) in enumerate(zip(result.x.T, B.T, result.threshold)):
        gap = _gap(A, x, c)
        assert gap <= t * (1 + 1e-2) + 1e-30, f"a residual of {gap:.2e} in column {k}, {t:.2e} asked"


def callbacks_get_copies_and_may_stop(method, dtype, form):
    """callback(xk) gets an array of its own; of a result, StopIteration ends as STOPPED with that x."""
    operator, _, b = _case(method, dtype, form)
    seen = []

    def spoil(xk):
        seen.append(xk.copy())
        xk[:] = np.nan

    kind = {"callback_type": "x"} if method.restarted else {}
    result = method(operator, b, rtol=_tolerance(dtype), callback=spoil, **kind)
    assert seen, "the callback was never called"
    assert result.converged and np.isfinite(result.x).all(), f"a callback that writes to xk spoils x: {result!r}"

    def stop(xk):
        raise StopIteration

    if method.results:
        stopped = method(operator, b, rtol=1e-30, callback=stop, **kind)
        assert stopped.status is Status.STOPPED and stopped.info >= 1, f"{stopped!r} after StopIteration"


def a_result_travels(method, dtype, form):
    """The result pickles, unpacks as two, prints in one line, and turns into JSON; not asked of a pair."""
    if not method.results:
        return
    operator, _, b = _case(method, dtype, form)
    result = method(operator, b)
    again = pickle.loads(pickle.dumps(result))
    assert isinstance(again, tuple) and len(again) == 2, f"a {type(again).__name__} out of a pickle"
    assert again.status is result.status and np.array_equal(again[0], result.x), f"{again!r} out of a pickle"
    assert "\n" not in repr(result), f"lines in {result!r}"
    assert json.loads(json.dumps(result.to_dict()))["converged"] is True, "`converged` is lost in JSON"
    assert result.check() is result, "check() of a success must return the result"


CLAUSES = (
    converged_means_a_small_true_residual,
    an_absolute_tolerance_counts,
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

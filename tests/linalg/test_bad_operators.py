"""Operators that return nonsense, raise, write to their input, or are written in an unusual way."""

import numpy as np
import pytest
from hostile import N, is_one_sentence, is_solution, solved, spd
from krylov import every_method
from scipy.sparse.linalg import LinearOperator

from solvers import InvalidInput, Status, UnsupportedType


def operator(matvec, dtype=float, n=N):
    return LinearOperator((n, n), matvec=matvec, dtype=dtype)


@every_method
@pytest.mark.parametrize(
    "product, shows",
    [
        (lambda v: v[:-1], "(3,)"),
        (lambda v: np.append(v, 1.0), "(5,)"),
        (lambda v: np.outer(v, v), "(4, 4)"),
        (lambda v: v.reshape(1, -1), "(1, 4)"),
        (lambda v: 1.0, "()"),
        (lambda v: v.reshape(2, 2), "(2, 2)"),
    ],
    ids=["short", "long", "square", "row", "number", "two by two"],
)
def test_an_operator_that_returns_the_wrong_shape_is_refused(solve, product, shows):
    for A in (operator(product), product):
        with pytest.raises(InvalidInput) as caught:
            solve(A, np.ones(N))
        assert shows in str(caught.value)
        assert is_one_sentence(str(caught.value))


@every_method
@pytest.mark.parametrize("product", [lambda v: None, lambda v: "abcd", lambda v: v.astype(str)])
def test_an_operator_that_returns_no_numbers_is_refused(solve, product):
    for A in (operator(product), product):
        with pytest.raises((InvalidInput, UnsupportedType)) as caught:
            solve(A, np.ones(N))
        assert is_one_sentence(str(caught.value))


@every_method
@pytest.mark.parametrize("raised_at", [1, 2, 3])
def test_an_exception_of_the_operator_propagates_unchanged(solve, raised_at):
    error = ZeroDivisionError("mine")
    count = 0

    def matvec(v):
        nonlocal count
        count += 1
        if count == raised_at:
            raise error
        return spd() @ v

    with pytest.raises(ZeroDivisionError) as caught:
        solve(operator(matvec), np.arange(1.0, 5), rtol=1e-12)
    assert caught.value is error


@every_method
def test_a_stop_iteration_of_the_operator_does_not_pass_for_an_answer(solve):
    def matvec(v):
        raise StopIteration

    with pytest.raises((StopIteration, RuntimeError)):
        solve(operator(matvec), np.ones(N))


@every_method
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("midway", [1, 2, 3, 5])
def test_an_operator_that_returns_nan_midway_is_nonfinite_with_a_finite_x(solve, midway, value):
    n, count = 12, 0

    def matvec(v):
        nonlocal count
        count += 1
        return spd(n) @ v if count < midway else np.full(n, value)

    result = solved(solve, operator(matvec, n=n), np.arange(1.0, n + 1), rtol=1e-12)
    assert result.status is Status.NONFINITE


@every_method
def test_an_operator_that_fails_late_keeps_a_finite_iterate_no_worse_than_zero(solve):
    n, count = 12, 0
    b = np.arange(1.0, n + 1)

    def matvec(v):
        nonlocal count
        count += 1
        return spd(n) @ v if count != 6 else np.full(n, np.nan)

    result = solved(solve, operator(matvec, n=n), b, rtol=1e-12)
    assert result.status is Status.NONFINITE
    assert result.residual <= np.linalg.norm(b)
    assert np.linalg.norm(b - spd(n) @ result.x) == pytest.approx(result.residual)


@every_method
def test_an_operator_of_real_dtype_with_complex_products_is_refused(solve):
    with pytest.raises(InvalidInput, match="`A`.*real.*complex") as caught:
        solve(operator(lambda v: v * (1 + 1j)), np.ones(N))
    assert is_one_sentence(str(caught.value))


@every_method
def test_an_operator_that_returns_its_own_input_is_the_identity(solve):
    b = np.arange(1.0, 5)
    for A in (operator(lambda v: v), lambda v: v):
        result = solved(solve, A, b)
        assert np.allclose(result.x, b)
        assert result.iterations == 1


@every_method
def test_an_operator_that_returns_one_buffer_each_time_is_solved(solve):
    buffer = np.empty(N)

    def matvec(v):
        np.matmul(spd(), v, out=buffer)
        return buffer

    b = np.arange(1.0, 5)
    result = solved(solve, operator(matvec), b, rtol=1e-10)
    assert is_solution(result, spd(), b, 1e-10)
    assert not np.shares_memory(result.x, buffer)


@every_method
@pytest.mark.parametrize("x0", [None, np.arange(4.0)])
def test_an_operator_that_writes_to_its_input_never_writes_to_the_callers_arrays(solve, x0):
    def matvec(v):
        y = spd() @ v
        v[:] = 0
        return y

    result = solved(solve, operator(matvec), np.arange(1.0, 5), x0=x0)
    assert result.info != 0 or is_solution(result, spd(), np.arange(1.0, 5))


@every_method
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(
    "product",
    [
        lambda v: (spd() @ v).tolist(),
        lambda v: (spd() @ v).reshape(-1, 1),
        lambda v: (spd() @ v).astype(np.longdouble),
        lambda v: np.asmatrix(spd() @ v).T,
        lambda v: (spd() @ v).astype(">f8"),
    ],
    ids=["list", "column", "longdouble", "numpy.matrix", "big-endian"],
)
def test_an_operator_that_returns_an_unusual_vector_is_solved(solve, product):
    b = np.arange(1.0, 5)
    for A in (operator(product), product):
        assert is_solution(solved(solve, A, b, rtol=1e-8), spd(), b, 1e-8)


@every_method
def test_an_operator_without_a_dtype_is_solved(solve):
    class Bare:
        shape = (N, N)

        def matvec(self, v):
            return spd() @ v

    assert is_solution(solved(solve, Bare(), np.ones(N)), spd(), np.ones(N))


@every_method
def test_an_operator_of_integer_dtype_is_solved_in_floats(solve):
    A = operator(lambda v: spd() @ v, dtype=int)
    assert is_solution(solved(solve, A, np.arange(1, 5)), spd(), np.arange(1, 5))

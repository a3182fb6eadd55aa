"""Kronecker products and their inverses against the explicit matrix."""

from functools import reduce

import numpy as np
import pytest
import scipy.sparse.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import InvalidInput, UnsupportedType, linalg

DTYPES = [np.float64, np.complex128]


def made(rng, dtype, *shape):
    X = rng.standard_normal(shape)
    return (X + 1j * rng.standard_normal(shape)).astype(dtype) if np.dtype(dtype).kind == "c" else X.astype(dtype)


def explicit(As):
    return reduce(np.kron, As)


@settings(deadline=None, max_examples=40, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4), st.integers(0, 99))
def test_it_is_the_explicit_product(shapes, seed):
    rng = np.random.default_rng(seed)
    As = [rng.standard_normal(shape) for shape in shapes]
    K = explicit(As)
    for columns in ((), (1,), (3,)):
        if (K.shape[1], *columns) == tuple(n for _, n in shapes) and columns:
            continue  # an array of the factors' sizes is that of one vector
        x = rng.standard_normal((K.shape[1], *columns))
        assert linalg.kron_matvec(As, x).shape == (K.shape[0], *columns)
        np.testing.assert_allclose(linalg.kron_matvec(As, x), K @ x, rtol=0, atol=1e-12 * np.linalg.norm(K) * 10)
    X = rng.standard_normal([n for _, n in shapes])
    out = linalg.kron_matvec(As, X)
    assert out.shape == tuple(m for m, _ in shapes)
    np.testing.assert_allclose(out.ravel(), K @ X.ravel(), rtol=0, atol=1e-12 * np.linalg.norm(K) * 10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(4,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("kind", ["general", "hermitian"])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_it_solves(sizes, dtype, kind, shift):
    rng = np.random.default_rng(0)
    As = [made(rng, dtype, n, n) for n in sizes]
    if kind == "hermitian":
        As = [A @ A.conj().T for A in As]
    K = explicit(As) + shift * np.eye(int(np.prod(sizes)))
    for columns in ((), (2,)):
        y = made(rng, dtype, len(K), *columns)
        before = y.copy()
        x = linalg.kron_solve(As, y, shift)
        assert x.dtype == dtype and x.shape == y.shape
        np.testing.assert_allclose(x, np.linalg.solve(K, y), rtol=1e-8, atol=1e-8)
        assert np.array_equal(y, before)
    tensor = linalg.kron_solve(As, before.T[0].reshape(sizes), shift)
    np.testing.assert_allclose(tensor.ravel(), x.T[0], rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_operator(dtype):
    rng = np.random.default_rng(1)
    As = [made(rng, dtype, 3, 4), made(rng, dtype, 5, 2)]
    op, K = linalg.KroneckerOperator(As), explicit(As)
    X = made(rng, dtype, 8, 3)
    np.testing.assert_allclose(op @ X, K @ X, atol=1e-12)
    np.testing.assert_allclose(op @ X[:, 0], K @ X[:, 0], atol=1e-12)
    y = made(rng, dtype, 15)
    np.testing.assert_allclose(op.H @ y, K.conj().T @ y, atol=1e-12)
    np.testing.assert_allclose(op.T @ y, K.T @ y, atol=1e-12)
    assert op.dtype == dtype and op.shape == (15, 8)


def test_the_operator_in_solvers():
    rng = np.random.default_rng(2)
    As = [B @ B.T + np.eye(n) for n in (5, 6) for B in [rng.standard_normal((n, n))]]
    op, b = linalg.KroneckerOperator(As, shift=0.5), rng.standard_normal(30)
    x, info = linalg.cg(op, b, rtol=1e-12, maxiter=300)
    theirs, code = scipy.sparse.linalg.cg(op, b, rtol=1e-12, maxiter=300)
    assert info == code == 0
    np.testing.assert_allclose(x, op.solve(b), rtol=1e-8)
    np.testing.assert_allclose(theirs, x, rtol=1e-8)


def test_the_caller_s_matrices_are_copied():
    A = np.eye(2)
    op = linalg.KroneckerOperator([A, A])
    A[0, 0] = 7.0
    assert np.array_equal(op @ np.ones(4), np.ones(4))


def test_memory_stays_near_the_vector():
    import tracemalloc

    rng = np.random.default_rng(3)
    As, x = [rng.standard_normal((100, 100)) for _ in range(3)], rng.standard_normal(10**6)
    linalg.kron_matvec(As, x)
    tracemalloc.start()
    linalg.kron_matvec(As, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * x.nbytes


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: linalg.kron_matvec([], np.ones(1)), "`As` must be a list of matrices"),
        (lambda: linalg.kron_matvec([np.ones(2)], np.ones(2)), r"`As\[0\]` must be a matrix"),
        (lambda: linalg.kron_matvec([np.eye(2), np.eye(3)], np.ones(5)), r"`x` must have shape \(2, 3\), \(6,\)"),
        (lambda: linalg.kron_solve([np.ones((2, 3))], np.ones(2)), r"`As\[0\]` must be square"),
        (lambda: linalg.kron_solve([np.ones((2, 2))], np.ones(2)), r"`As\[0\]` must be nonsingular"),
        (lambda: linalg.kron_solve([np.eye(2)], np.ones(2), shift=-1.0), "`shift` must be no eigenvalue"),
        (lambda: linalg.kron_solve([np.eye(2)], np.ones(2), shift=np.inf), "`shift` must be finite"),
        (lambda: linalg.KroneckerOperator([np.ones((2, 3))], shift=1.0), "`shift` must be 0"),
    ],
)
def test_bad_input_is_one_sentence(call, sentence):
    with pytest.raises((InvalidInput, UnsupportedType), match=sentence):
        call()

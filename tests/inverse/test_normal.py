"""Conjugate gradients on the normal equations of stacks."""

import numpy as np
import pytest

from solvers.inverse._normal import conjugate_gradients, inner_rows, solve_normal
from solvers.inverse._wrapped import as_imaging_operator


def problem(complex_, rows=3, m=7, n=9):
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape) + 1j * complex_ * rng.standard_normal(shape)
    real = (lambda a: a) if complex_ else np.real
    return real(draw(m, n)), real(draw(rows, n)), real(draw(rows, n))


@pytest.mark.parametrize("complex_", [False, True])
def test_each_row_has_its_shift_its_weight_and_the_same_more(complex_):
    M, rhs, x0 = problem(complex_)
    shift, weight, L = np.array([0.1, 1.0, 2.0]), np.array([1.0, 0.5, 3.0]), np.diff(np.eye(9), axis=0)
    more = lambda X: 0.3 * X @ (L.T @ L)
    A = as_imaging_operator(M)
    options = dict(shift=shift, weight=weight, x0=x0, maxiter=100, rtol=1e-12, more=more)
    X, iterations, n_matvec = solve_normal(A, rhs, **options)
    for x, b, s, w in zip(X, rhs, shift, weight, strict=True):
        H = s * np.eye(9) + w * M.conj().T @ M + 0.3 * L.T @ L
        np.testing.assert_allclose(x, np.linalg.solve(H, b), rtol=1e-9)
    assert (iterations <= 12).all() and n_matvec == 2 * 3 * (iterations.max() + 1)


def test_iterates_are_those_of_conjugate_gradients():
    M, rhs, x0 = problem(True)
    X, iterations, _ = solve_normal(as_imaging_operator(M), rhs, shift=0.2, x0=x0, maxiter=3)
    H = 0.2 * np.eye(9) + M.conj().T @ M
    for found, b, x in zip(X, rhs, x0, strict=True):  # as in the textbook
        r = p = b - H @ x
        for _ in range(3):
            alpha = np.vdot(r, r) / np.vdot(p, H @ p)
            x, r, last = x + alpha * p, r - alpha * H @ p, r
            p = r + np.vdot(r, r) / np.vdot(last, last) * p
        np.testing.assert_allclose(found, x, rtol=1e-10)
    assert iterations.tolist() == [3, 3, 3]


def test_a_row_does_not_see_the_others_and_stops_on_its_own():
    rhs, d = np.ones((4, 6)), np.arange(1.0, 7.0)
    rhs[1] = 0
    rhs[2] = np.eye(6)[3]  # an eigenvector: one step
    rhs[3, 0] = np.nan
    kept = rhs.copy()
    X, iterations, n_products = conjugate_gradients(lambda X: X * d, rhs, maxiter=50)
    assert iterations.tolist() == [6, 0, 1, 0] and n_products == 6
    alone, _, _ = conjugate_gradients(lambda X: X * d, rhs[:1], maxiter=50)
    np.testing.assert_array_equal(X[0], alone[0])
    np.testing.assert_allclose(X[:3], rhs[:3] / d, rtol=1e-12)
    np.testing.assert_array_equal(X[3], 0)
    np.testing.assert_array_equal(rhs, kept)


@pytest.mark.parametrize("spoilt", [lambda X: X * 0, lambda X: -X, lambda X: X * np.nan, lambda X: X * np.inf])
def test_no_operator_brings_a_nan(spoilt):
    x0 = np.full((2, 5), 2.0)
    X, iterations, _ = conjugate_gradients(spoilt, np.ones((2, 5)), x0=x0)
    np.testing.assert_array_equal(X, x0)
    assert not iterations.any()


def test_a_singular_system_stays_at_its_solution():
    Q = np.linalg.qr(np.random.default_rng(3).standard_normal((32, 12)))[0].T  # solved by one step, up to rounding
    X, _, _ = solve_normal(as_imaging_operator(Q), np.ones((1, 12)) @ Q, maxiter=200)
    np.testing.assert_allclose(X @ Q.T, 1, rtol=1e-12)
    np.testing.assert_allclose(X, np.ones((1, 12)) @ Q, rtol=1e-12)


def test_single_precision_stays_and_sums_are_wide():
    A = as_imaging_operator(np.eye(4, dtype=np.float32))
    X, _, _ = solve_normal(A, np.full((1, 4), 3e-25, np.float32), shift=np.array([1.0]))  # its square is 0 in float32
    assert X.dtype == np.float32
    np.testing.assert_allclose(X, 1.5e-25, rtol=1e-6)
    z = np.array([[1 + 2j, 3j]], np.complex64)
    assert inner_rows(z, z).tolist() == [14.0]

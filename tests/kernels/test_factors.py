"""Rows of a factor against NumPy's least squares, row by row."""

import numpy as np
import pytest
from scipy import sparse


def drawn(rng, n=40, m=30, k=3, share=0.5):
    M = sparse.csr_array(np.where(rng.random((n, m)) < share, rng.random((n, m)), 0))
    return (M.indptr, M.indices, M.data), rng.standard_normal((m, k)), M


def row(M, i):
    part = slice(M.indptr[i], M.indptr[i + 1])
    return M.indices[part], M.data[part]


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_each_row_is_its_least_squares_problem(cpu, rng, ridge):
    known, V, M = drawn(rng)
    fitted, improved = np.full((40, 3), np.nan), rng.standard_normal((40, 3))
    misfits = np.full((2, 40), np.nan)
    cpu.fit_rows(known, V, ridge, fitted, misfits[0])
    cpu.improve_rows(known, V, ridge, 3, improved, misfits[1])  # as many steps as unknowns
    for i in range(40):
        at, values = row(M, i)
        right = np.linalg.solve(V[at].T @ V[at] + ridge * np.eye(3), V[at].T @ values)
        np.testing.assert_allclose([fitted[i], improved[i]], [right, right], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(misfits[:, i], np.sum((values - V[at] @ right) ** 2), rtol=1e-8, atol=1e-12)


def test_a_step_is_the_steepest_descent_of_the_row(cpu, rng):
    known, V, M = drawn(rng)
    U = rng.standard_normal((40, 3))
    before, misfits = U.copy(), np.empty(40)
    cpu.improve_rows(known, V, 0.1, 1, U, misfits)
    at, values = row(M, 7)
    g = V[at].T @ (values - V[at] @ before[7]) - 0.1 * before[7]
    step = g @ g / (np.sum((V[at] @ g) ** 2) + 0.1 * g @ g)
    np.testing.assert_allclose(U[7], before[7] + step * g)


def test_rows_with_too_few_entries_stay_finite_and_are_fitted(cpu, rng):
    known = np.array([0, 0, 1, 3]), np.array([2, 0, 4]), np.array([3.0, -1.0, 2.0])
    V, U, misfits = rng.standard_normal((5, 4)), np.full((3, 4), np.nan), np.full(3, np.nan)
    cpu.fit_rows(known, V, 0.0, U, misfits)
    assert not U[0].any() and np.isfinite(U).all()
    np.testing.assert_allclose([V[2] @ U[1], V[0] @ U[2], V[4] @ U[2]], [3.0, -1.0, 2.0])
    np.testing.assert_allclose(misfits, 0.0, atol=1e-20)


def test_the_bits_do_not_depend_on_the_number_of_threads(cpu, rng):
    import solvers

    known, V, _ = drawn(rng, 900, 400, 12)
    answers = []
    for threads in (1, 2):
        solvers.set_threads(threads)
        U, misfits = np.ones((900, 12)), np.empty(900)
        cpu.improve_rows(known, V, 0.0, 2, U, misfits)
        W = np.empty_like(U)
        cpu.fit_rows(known, V, 0.0, W, misfits)
        answers.append((U, W))
    solvers.set_threads(None)
    np.testing.assert_array_equal(answers[0], answers[1])

"""Kronecker products and differential equations on the (emulated) device beside the same on the CPU."""

import numpy as np
import pytest

import solvers
from solvers import BackendUnavailable, UnsupportedType, linalg, pde


@pytest.fixture
def cupy(emulated):
    import cupy

    return cupy


def test_products_and_solves_stay_where_x_is(cupy):
    rng = np.random.default_rng(0)
    As, X = [rng.standard_normal((3, 3)), rng.standard_normal((4, 4))], rng.standard_normal((12, 2))
    on_host = linalg.kron_matvec(As, X)
    for factors in (As, [cupy.asarray(A) for A in As]):
        there = linalg.kron_matvec(factors, cupy.asarray(X))
        assert isinstance(there, cupy.ndarray)
        np.testing.assert_allclose(there.get(), on_host, rtol=1e-12, atol=1e-12)
    solution = linalg.kron_solve(As, cupy.asarray(X))
    assert isinstance(solution, cupy.ndarray)
    np.testing.assert_allclose(solution.get(), linalg.kron_solve(As, X), rtol=1e-10, atol=1e-10)
    with solvers.backend("gpu"):
        back = linalg.kron_matvec(As, X)
    assert isinstance(back, np.ndarray)
    np.testing.assert_allclose(back, on_host, rtol=1e-12, atol=1e-12)


def test_hermitian_factors_with_a_shift(cupy):
    rng = np.random.default_rng(1)
    As = [B @ B.T for n in (3, 4) for B in [rng.standard_normal((n, n))]]
    op, b = linalg.KroneckerOperator(As, shift=0.5), rng.standard_normal(12)
    np.testing.assert_allclose(op.solve(cupy.asarray(b)).get(), op.solve(b), rtol=1e-10)
    x, info = linalg.cg(op, cupy.asarray(b), rtol=1e-12, maxiter=200)
    assert info == 0 and isinstance(x, cupy.ndarray)
    np.testing.assert_allclose(x.get(), op.solve(b), rtol=1e-8)
    with pytest.raises(UnsupportedType, match="Hermitian"):
        linalg.kron_solve([np.array([[1.0, 2.0], [0.0, 1.0]])], cupy.ones(2), shift=1.0)


@pytest.mark.parametrize(
    "op", [pde.laplacian(2), {(2, 0): 1.0, (0, 2): 1.0, (0, 0): lambda x, y: -1.0 - x * y}], ids=["constant", "varying"]
)
def test_an_equation_is_solved_alike(cupy, op):
    def u(x, y):
        return np.sin(5 * x) * np.cos(3 * y)

    def f(x, y):
        reaction = op.get((0, 0), 0.0)
        return (-34.0 + (reaction(x, y) if callable(reaction) else reaction)) * u(x, y)

    box = [(0, 1)] * 2
    here = pde.solve_gp(op, f, box, u, n=24)
    with solvers.backend("gpu"):
        there = pde.solve_gp(op, f, box, u, n=24)
    assert (here.backend, there.backend) == ("cpu", "gpu") and here.converged and there.converged
    assert isinstance(there.u, np.ndarray)
    np.testing.assert_allclose(there.u, here.u, rtol=0, atol=1e-10)


def test_what_the_device_does_not_do_is_said(cupy):
    with solvers.backend("gpu"), pytest.raises(UnsupportedType, match="runs on the CPU only"):
        pde.solve_gp(pde.laplacian(1), 1.0, [(0, 1)], 0.0, form="weak")


def test_without_a_device():
    if solvers.backends()["gpu"] is None:
        pytest.skip("there is a GPU")
    with pytest.raises(BackendUnavailable):
        with solvers.backend("gpu"):
            pde.solve_gp(pde.laplacian(1), 1.0, [(0, 1)], 0.0)

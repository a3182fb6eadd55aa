"""The pieces: bases of axes, and sums of Kronecker factors by their triangular forms."""

import numpy as np
import pytest
import scipy.linalg

from solvers import pde
from solvers.pde._axis import Axis, nodes_of
from solvers.pde._kernels import Automatic
from solvers.pde._sylvester import KroneckerSum


@pytest.fixture(params=["legendre", "uniform"])
def axis(request):
    ends = [(0, 0), (1, 1)]
    return Axis(0.5, 2.0, 60, Automatic(np.array([60.0]), 30), ends, [0, 1, 2], request.param)


def test_the_basis_is_orthonormal_in_the_quadrature(axis):
    np.testing.assert_allclose(axis.Q.T @ axis.Q, np.eye(axis.r), atol=1e-12)


def test_the_basis_between_the_nodes_is_that_at_them_to_rounding_over_its_deviations(axis):
    gap = np.abs(axis.root[:, None] * axis.at(axis.x) - axis.Q)
    assert np.all(gap <= 1e-13 * axis.deviations[0] / axis.deviations)


def test_derivatives_against_differences(axis):
    x, h = np.linspace(0.6, 1.9, 7), 1e-4
    weight = axis.deviations / axis.deviations[0]
    for order in (1, 2, 3):
        rough = (axis.at(x + h, order - 1) - axis.at(x - h, order - 1)) / (2 * h)
        scale = np.abs(axis.at(x, order) * weight).max()
        assert np.max(np.abs(rough - axis.at(x, order)) * weight) < 1e-4 * scale


def test_what_is_zero_at_the_ends_and_what_is_lifted(axis):
    np.testing.assert_allclose(axis.B @ axis.Z, 0.0, atol=1e-9 * np.abs(axis.B).max())
    np.testing.assert_allclose(axis.Z.T @ axis.Z, np.eye(axis.r - 2), atol=1e-12)
    np.testing.assert_allclose(axis.B @ axis.lift, np.eye(2), atol=1e-8)
    np.testing.assert_allclose(axis.B[0], axis.at(np.array([0.5]))[0])
    np.testing.assert_allclose(axis.B[1], axis.at(np.array([2.0]), 1)[0])


@pytest.mark.parametrize("grid", ["legendre", "uniform"])
def test_nodes_integrate(grid):
    x, w = nodes_of(-1.0, 3.0, 40, grid)
    assert np.isclose(w @ np.ones(40), 4.0)
    assert np.isclose(w @ x, 4.0)
    assert x.min() >= -1.0 and x.max() <= 3.0 and np.all(np.diff(x) > 0)


def test_points_between_lie_between(axis):
    edges = np.concatenate([[axis.low], axis.x, [axis.high]])
    assert np.all((axis.between >= edges[:-1]) & (axis.between <= edges[1:]))


@pytest.mark.parametrize("sizes", [(5,), (6, 7), (4, 5, 6), (1, 3, 2)])
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_sum_of_factors_is_inverted(sizes, symmetric):
    rng = np.random.default_rng(3)
    Ms = [rng.standard_normal((n, n)) for n in sizes]
    Ms = [M @ M.T + np.eye(len(M)) if symmetric else M + 3 * np.eye(len(M)) for M in Ms]
    full = 0.0
    for i, M in enumerate(Ms):
        term = np.eye(1)
        for j, n in enumerate(sizes):
            term = np.kron(term, M if i == j else np.eye(n))
        full = full + term
    right = rng.standard_normal(sizes)
    solver = KroneckerSum(Ms)
    found = solver.solve(right)
    np.testing.assert_allclose(found.ravel(), np.linalg.solve(full, right.ravel()), rtol=1e-9, atol=1e-10)
    values = np.abs(np.linalg.eigvals(full))
    assert np.isclose(solver.gap, values.min() / values.max(), rtol=1e-6)


def test_equal_factors_and_a_shift(monkeypatch):
    schur, calls = scipy.linalg.schur, []
    monkeypatch.setattr(scipy.linalg, "schur", lambda M, **how: calls.append(M) or schur(M, **how))
    rng = np.random.default_rng(4)
    M, right = rng.standard_normal((6, 6)) + 2 * np.eye(6), rng.standard_normal((6, 6))
    full = np.kron(M, np.eye(6)) + np.kron(np.eye(6), M) + 1.5 * np.eye(36)
    solver = KroneckerSum([M, M.copy()], 1.5)
    np.testing.assert_allclose(solver.solve(right).ravel(), np.linalg.solve(full, right.ravel()), rtol=1e-10)
    assert len(calls) == 1
    assert np.isclose(solver.least, np.abs(np.linalg.eigvals(full)).min())


def test_equal_axes_are_one_and_others_are_not():
    sol = pde.solve_gp(pde.laplacian(3), lambda x, y, z: np.sin(9 * x) * np.sin(9 * y) * z,
                       [(0, 1), (0, 1), (0, 2)], 0, n=16)  # fmt: skip
    first, second, third = sol._grid.axes
    assert first is second and third is not first
    one_sided = {(0, 0): 0, (0, 1): 0, (1, 0): 0, (1, 1): ("neumann", 0)}
    sol = pde.solve_gp(pde.laplacian(2), 1.0, [(0, 1)] * 2, one_sided, n=16)
    assert sol._grid.axes[0] is not sol._grid.axes[1]


def test_a_singular_sum_has_no_gap():
    M = np.diag([1.0, 2.0, 3.0])
    assert KroneckerSum([M, -M]).gap < 1e-15
    assert KroneckerSum([np.zeros((2, 2)), np.zeros((3, 3))]).gap == 0.0

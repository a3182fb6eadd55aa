"""A source given by its values at the nodes."""

import numpy as np
import pytest
from oscillating import PROBLEMS, SQUARE, TWO_PI, plane, relative_error

from solvers import pde


@pytest.mark.parametrize("grid", ["legendre", "uniform"])
def test_on_a_line(grid):
    def u(x):
        return np.sin(100 * x)

    box = [(0, TWO_PI)]
    (x,) = pde.nodes(box, 300, grid=grid)
    values = -1e4 * u(x)
    before = values.copy()
    solution = pde.solve_gp({(2,): 1.0}, values, box, u, grid=grid)
    assert solution.converged and solution.u.shape == (300,)
    assert relative_error(solution, u, box) <= 1e-9
    np.testing.assert_array_equal(solution.axes[0], x)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("grid", ["legendre", "uniform"])
def test_on_a_square(grid):
    axes = pde.nodes(SQUARE, (280, 300), grid=grid)
    solution = pde.solve_gp(pde.laplacian(2), -2e4 * plane(*np.ix_(*axes)), SQUARE, plane, grid=grid)
    assert solution.converged and solution.u.shape == (280, 300)
    assert relative_error(solution, plane, SQUARE) <= 1e-8


def test_the_estimate_holds_on_nodes_alone():
    call, u = PROBLEMS["three scales"]
    for n in (60, 100, 180, 210, 230, 250, 300, 400):
        (x,) = pde.nodes(call["box"], n)
        solution = pde.solve_gp(call["op"], call["f"](x), call["box"], u)
        error = relative_error(solution, u, call["box"], 1000)
        assert error <= 1e-6 or not solution.converged
        # Three frequencies are pursued, one after another.
        assert n < 300 or solution.converged
        assert error <= 1e-9 or solution.error_estimate >= 0.1 * error, (n, error, solution)


def test_noisy_values_are_no_success():
    rng = np.random.default_rng(5)
    (x,) = pde.nodes([(0, 1)], 200)
    values = -np.pi**2 * np.sin(np.pi * x) * (1 + 0.01 * rng.standard_normal(200))
    solution = pde.solve_gp({(2,): 1.0}, values, [(0, 1)], 0)
    error = relative_error(solution, lambda x: np.sin(np.pi * x), [(0, 1)])
    assert not solution.converged
    assert 0.1 * error <= solution.error_estimate <= 100 * error


def test_nodes_are_copies():
    first = pde.nodes([(-1, 1)], 8)[0]
    first[:] = 0
    assert pde.nodes([(-1, 1)], 8)[0].any()


def test_rounding_of_the_data_at_the_sides_shows_no_frequencies():
    x, y = np.ix_(*pde.nodes([(0, 1)] * 2, 40))
    f = 1e6 * np.sin(3 * x) * np.sin(3 * y)
    rounding = lambda x, y: 1e-12 * np.sin(90 * x) * np.sin(90 * y)
    clean, shaken = (pde.solve_gp(pde.laplacian(2), f, [(0, 1)] * 2, bc) for bc in (0, rounding))
    assert clean.frequencies[0].max() == shaken.frequencies[0].max()

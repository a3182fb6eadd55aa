"""The estimate of the error against the error: it may be too large, and not much too small."""

import numpy as np
import pytest
from oscillating import PROBLEMS, TWO_PI, UNIT_SQUARE, relative_error, solve

from solvers import pde

TOL = 1e-8
SEEN = 1e-9


def honest(solution, error):
    assert error <= 100 * TOL or not solution.converged, (error, solution)
    assert error <= SEEN or solution.error_estimate >= 0.1 * error, (error, solution, solution.estimate)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if PROBLEMS[name][0]["op"] == {(2,): 1.0}])
def test_on_a_line_at_fifty_random_sizes(name):
    call, u = PROBLEMS[name]
    for n in np.random.default_rng(7).integers(20, 420, 50):
        solution = solve(call, n=int(n))
        honest(solution, relative_error(solution, u, call["box"], 1000))


@pytest.mark.parametrize("name", [name for name in PROBLEMS if len(PROBLEMS[name][0]["box"]) == 2])
def test_on_a_square_at_random_sizes(name):
    call, u = PROBLEMS[name]
    for n in np.random.default_rng(8).integers(16, 300, 4 if "nonlinear" in call else 12):
        solution = solve(call, n=int(n))
        honest(solution, relative_error(solution, u, call["box"]))


def test_for_a_coefficient_that_varies():
    def a(x, y):
        return 1.1 + np.sin(6 * x) * np.cos(5 * y)

    def u(x, y):
        return np.exp(np.sin(4 * x + 3 * y))

    def f(x, y):
        p, q = np.cos(4 * x + 3 * y), -np.sin(4 * x + 3 * y)
        a_x, a_y = 6 * np.cos(6 * x) * np.cos(5 * y), -5 * np.sin(6 * x) * np.sin(5 * y)
        return u(x, y) * (a(x, y) * 25 * (p * p + q) + (4 * a_x + 3 * a_y) * p)

    for n in (8, 12, 16, 20, 24, 32, 40):
        solution = pde.solve_gp(pde.div_grad(a), f, UNIT_SQUARE, u, n=n)
        honest(solution, relative_error(solution, u, UNIT_SQUARE))


@pytest.mark.parametrize("width", [0.02, 0.05, 0.2])
def test_for_a_bump_that_no_wave_resembles(width):
    def u(x):
        return np.exp(-((x - 0.4) ** 2) / (2 * width**2))

    def f(x):
        return u(x) * ((x - 0.4) ** 2 / width**4 - 1 / width**2)

    for n in (10, 20, 30, 50, 80, 120):
        solution = pde.solve_gp({(2,): 1.0}, f, [(0, 1)], u, n=n)
        honest(solution, relative_error(solution, u, [(0, 1)], 1000))


def test_waves_too_short_for_the_nodes_are_seen():
    def u(x):
        return np.sin(x) + 0.1 * np.sin(199 * x)

    def f(x):
        return -np.sin(x) - 0.1 * 199**2 * np.sin(199 * x)

    solution = pde.solve_gp({(2,): 1.0}, f, [(0, TWO_PI)], u, n=101, grid="uniform")
    honest(solution, relative_error(solution, u, [(0, TWO_PI)], 1000))
    assert not solution.converged


def test_the_parts_add_up():
    solution = solve(PROBLEMS["a sum of beats"][0])
    parts = solution.estimate
    total = parts.residual + parts.beyond + parts.sides + parts.rounding
    assert np.isclose(parts.error, total / (1 - total), rtol=1e-12)
    assert solution.residuals[-1] == solution.error_estimate


@pytest.mark.parametrize("grid", ["legendre", "uniform"])
def test_where_almost_as_many_unknowns_as_nodes_leave_no_residual_at_these(grid):
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 2001)
    for _ in range(60):
        k, size, phase = rng.uniform(0, 300, 3), 10.0 ** rng.uniform(-6, 0, 3), rng.uniform(0, 6, 3)

        def u(x, k=k, size=size, phase=phase):
            return np.sin(np.multiply.outer(x, k) + phase) @ size

        def f(x, k=k, size=size, phase=phase):
            return -np.sin(np.multiply.outer(x, k) + phase) @ (size * k * k)

        for n in ("auto", int(rng.integers(20, 200))):
            solution = pde.solve_gp({(2,): 1.0}, f, [(0, 1)], u, n=n, grid=grid)
            honest(solution, float(np.linalg.norm(solution.predict((x,)) - u(x)) / np.linalg.norm(u(x))))


@pytest.mark.parametrize("box", [[(0, 3)], [(0, 1)] * 2])
def test_a_constant_is_known(box):
    sol = pde.solve_gp(pde.laplacian(len(box)), 0, box, 2.0)
    assert sol.converged and np.max(np.abs(sol.u - 2.0)) < 1e-9

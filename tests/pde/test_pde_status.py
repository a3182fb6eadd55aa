"""How a solution ends where it cannot be a success, and that it then says so."""

import numpy as np
import pytest
from oscillating import CUBIC, SQUARE, UNIT_SQUARE, grid_of_scales, grid_of_scales_source, relative_error

from solvers import pde
from solvers._result import Status

FLAT = ("neumann", 0)
CLOSED = {(axis, side): FLAT for axis in (0, 1) for side in (0, 1)}
CLOSED_LINE = {(0, 0): FLAT, (0, 1): FLAT}


def mode(x, y):
    return np.cos(np.pi * x) * np.cos(2 * np.pi * y)


def test_derivatives_on_all_sides_give_the_solution_of_mean_zero():
    solution = pde.solve_gp(pde.laplacian(2), lambda x, y: -5 * np.pi**2 * mode(x, y), UNIT_SQUARE, CLOSED)
    assert solution.converged
    assert relative_error(solution, mode, UNIT_SQUARE) <= 1e-8
    solution = pde.solve_gp({(2,): 1.0}, lambda x: np.cos(np.pi * x), [(0, 1)], CLOSED_LINE)
    assert solution.converged
    assert relative_error(solution, lambda x: -np.cos(np.pi * x) / np.pi**2, [(0, 1)]) <= 1e-8


def test_a_coefficient_that_varies_with_derivatives_on_all_sides():
    def f(x, y):
        return -3 * np.pi**2 * (1 + 0.5 * np.cos(np.pi * x)) * mode(x, y)

    # div(a grad u) with a = 1 + cos(pi x) / 2 and u = mode, by hand.
    def source(x, y):
        a, a_x = 1 + 0.5 * np.cos(np.pi * x), -0.5 * np.pi * np.sin(np.pi * x)
        return -5 * np.pi**2 * a * mode(x, y) - a_x * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)

    op = pde.div_grad(lambda x, y: 1 + 0.5 * np.cos(np.pi * x) + 0 * y)
    solution = pde.solve_gp(op, source, UNIT_SQUARE, CLOSED)
    assert solution.converged
    assert relative_error(solution, mode, UNIT_SQUARE) <= 1e-7


@pytest.mark.parametrize(
    ("op", "f", "box", "bc"),
    [
        (pde.laplacian(2), lambda x, y: 1 + x * y, UNIT_SQUARE, CLOSED),
        ({(2,): 1.0}, lambda x: 1 + x, [(0, 1)], CLOSED_LINE),
    ],
)
def test_a_source_that_the_sides_do_not_balance_is_inconsistent(op, f, box, bc):
    solution = pde.solve_gp(op, f, box, bc)
    assert solution.status is Status.INCONSISTENT
    assert "bc" in solution.message and np.all(np.isfinite(solution.u))


@pytest.mark.parametrize(
    ("op", "f", "box", "bc"),
    [
        (pde.helmholtz(2, np.pi * 5**0.5), lambda x, y: np.sin(np.pi * x) * np.sin(2 * np.pi * y), UNIT_SQUARE, 0),
        (pde.helmholtz(1, 3 * np.pi), lambda x: np.sin(3 * np.pi * x), [(0, 1)], 0),
        ({(2,): 1.0}, 1.0, [(0, 1)], {(0, 0): 0.0, (0, 1): None}),
    ],
)
def test_no_single_solution_is_a_breakdown(op, f, box, bc):
    solution = pde.solve_gp(op, f, box, bc)
    assert solution.status is Status.BREAKDOWN
    assert np.all(np.isfinite(solution.u))


@pytest.mark.parametrize(
    ("op", "f", "bc"),
    [
        ({(2,): 1.0}, lambda x: np.sign(x - 0.3), 0),
        ({(2,): 1e-6, (1,): 1.0}, 1.0, 0),
        pytest.param({(2,): 1.0}, lambda x: np.exp(-((x - 0.4) ** 2) / 2e-10), 0, marks=pytest.mark.slow),
        ({(1,): 1.0}, lambda x: 1 + x, {(0, 0): 0, (0, 1): 5}),
    ],
)
def test_jumps_layers_needles_and_too_much_data_are_no_success(op, f, bc):
    solution = pde.solve_gp(op, f, [(0, 1)], bc)
    assert not solution.converged
    assert np.all(np.isfinite(solution.u)) and solution.error_estimate > 1e-6


def test_the_wrong_derivative_of_a_nonlinear_term_is_slow_and_never_wrong():
    def u(x):
        return np.sin(3 * x)

    nonlinear = (lambda u: u**3, lambda u: 0.3 * u**2)
    solution = pde.solve_gp({(2,): 1.0}, lambda x: -9 * u(x) + u(x) ** 3, [(0, 2)], u, nonlinear=nonlinear)
    assert not solution.converged or relative_error(solution, u, [(0, 2)]) <= 1e-6


def test_no_solution_of_a_nonlinear_equation():
    """u'' + 9 exp(u) = 0 with u = 0 at both ends of [0, 1] has none: Bratu's limit is 3.51."""
    nonlinear = (lambda u: 9 * np.exp(u), lambda u: 9 * np.exp(u))
    solution = pde.solve_gp({(2,): 1.0}, 0, [(0, 1)], 0, nonlinear=nonlinear)
    assert solution.status is Status.DIVERGED
    assert np.all(np.isfinite(solution.u)) and "Newton" in solution.message


def test_newton_is_limited_by_maxiter():
    nonlinear = (lambda u: 3.5 * np.exp(u), lambda u: 3.5 * np.exp(u))
    solution = pde.solve_gp({(2,): 1.0}, 0, [(0, 1)], 0, nonlinear=nonlinear, maxiter=1, n=40)
    assert solution.status is Status.MAXITER


@pytest.mark.slow
def test_the_indefinite_allen_cahn_problem_is_solved_or_named():
    solution = pde.solve_gp(pde.laplacian(2), grid_of_scales_source, SQUARE, grid_of_scales, nonlinear=CUBIC)
    if solution.converged:
        assert relative_error(solution, grid_of_scales, SQUARE) <= 1e-6
    else:
        assert solution.status in (Status.DIVERGED, Status.MAXITER, Status.STAGNATED)


def test_callbacks_see_refinements_and_may_end_them():
    seen, norms = [], []

    class Observer:
        def on_chunk(self, iteration, norm):
            norms.append((iteration, norm))

    def bump(x):
        return np.exp(-((x - 0.4) ** 2) / (2 * 0.03**2))

    solution = pde.solve_gp({(2,): 1.0}, bump, [(0, 1)], 0, callback=seen.append)
    again = pde.solve_gp({(2,): 1.0}, bump, [(0, 1)], 0, callback=Observer())
    assert len(seen) == len(solution.residuals) > 1
    assert norms == [(i + 1, norm) for i, norm in enumerate(again.residuals)]

    def stop(u):
        raise StopIteration

    stopped = pde.solve_gp({(2,): 1.0}, bump, [(0, 1)], 0, callback=stop)
    assert stopped.status is Status.STOPPED and len(stopped.residuals) == 1


def test_the_result_is_json():
    import json

    solution = pde.solve_gp({(2,): 1.0}, 1.0, [(0, 1)], 0)
    assert json.loads(json.dumps(solution.to_dict()))["status"] == "converged"

"""solve_gp against solutions that are known; no frequency is supplied anywhere."""

import numpy as np
import pytest
from oscillating import PROBLEMS, TWO_PI, UNIT_SQUARE, relative_error, solve

from solvers import pde
from solvers._result import Status


@pytest.mark.parametrize("name", PROBLEMS)
def test_published_problems_are_solved_to_nine_digits(name):
    call, u = PROBLEMS[name]
    solution = solve(call)
    assert solution.converged, solution.message
    assert relative_error(solution, u, call["box"]) <= 1e-9


def test_the_result_names_what_solved_it():
    def name(problem):
        return solve(PROBLEMS[problem][0]).choice

    assert (name("sin 100x"), name("advection"), name("Allen-Cahn on a square")) == (
        "least squares",
        "sylvester",
        "gmres",
    )


def test_fewer_than_two_point_seven_points_to_a_wavelength():
    call, u = PROBLEMS["sin 100x"]
    solution = solve(call, n=266)
    assert solution.converged
    assert solution.u.size <= 2.7 * 100
    assert relative_error(solution, u, call["box"]) <= 1e-9


def unit_load_at_the_centre():
    """-Delta u = 1, u = 0 at the sides: the sine series in x, summed in y, at the centre."""
    k = np.arange(1, 60, 2.0)
    signs = np.where(np.arange(k.size) % 2 == 0, 1.0, -1.0)
    return 1 / 8 - float(np.sum(4 / (np.pi * k) ** 3 * signs / np.cosh(np.pi * k / 2)))


def test_the_centre_of_a_unit_load_in_spite_of_its_corners():
    solution = pde.solve_gp(pde.laplacian(2), -1, UNIT_SQUARE, 0, n=64)
    assert abs(solution.predict([[0.5, 0.5]])[0] - unit_load_at_the_centre()) <= 1e-9


def test_a_solution_driven_by_its_sides_alone():
    def u(x, y):
        return np.exp(3 * x) * np.cos(3 * y) / 20 + np.sin(40 * x) * np.sinh(40 * (y - 1)) / np.cosh(40)

    solution = pde.solve_gp(pde.laplacian(2), 0, UNIT_SQUARE, u, n=100)
    assert relative_error(solution, u, UNIT_SQUARE) <= 1e-8


def cube(x, y, z):
    return np.sin(60 * x) * np.sin(60 * y) * np.sin(60 * z)


@pytest.mark.slow
def test_three_dimensions_of_high_frequency():
    box = [(0, TWO_PI)] * 3
    solution = pde.solve_gp(pde.laplacian(3), lambda x, y, z: -3 * 3600 * cube(x, y, z), box, cube)
    assert solution.converged
    assert relative_error(solution, cube, box, 40) <= 1e-9


def test_three_dimensions_with_neumann_sides():
    def u(x, y, z):
        return np.cos(3 * x) * np.exp(y) * np.sin(2 * z + 1)

    sides = {(axis, side): u for axis in range(3) for side in (0, 1)}
    sides[0, 1] = ("neumann", lambda x, y, z: -3 * np.sin(3 * x) * np.exp(y) * np.sin(2 * z + 1))
    box = [(0, 1)] * 3
    solution = pde.solve_gp(pde.laplacian(3), lambda x, y, z: -12 * u(x, y, z), box, sides)
    assert solution.converged
    assert relative_error(solution, u, box, 20) <= 1e-8


def test_the_elliptic_problem_of_chen_et_al_with_1024_points():
    """-Delta u + u^3 = f with u = sin(pi x) sin(pi y) + 4 sin(4 pi x) sin(4 pi y) (doi:10.1016/j.jcp.2021.110668)."""

    def first(x, y):
        return np.sin(np.pi * x) * np.sin(np.pi * y)

    def second(x, y):
        return 4 * np.sin(4 * np.pi * x) * np.sin(4 * np.pi * y)

    def u(x, y):
        return first(x, y) + second(x, y)

    def f(x, y):
        return 2 * np.pi**2 * first(x, y) + 32 * np.pi**2 * second(x, y) + u(x, y) ** 3

    op = {(2, 0): -1.0, (0, 2): -1.0}
    solution = pde.solve_gp(op, f, UNIT_SQUARE, u, n=32, nonlinear=(lambda u: u**3, lambda u: 3 * u**2))
    x = tuple(np.linspace(0, 1, 300) for _ in range(2))
    assert np.sqrt(np.mean((solution.predict(x) - u(*np.ix_(*x))) ** 2)) <= 1e-7


def smooth(x, y):
    return np.sin(3 * x) * np.exp(y)


def test_a_coefficient_under_the_divergence():
    def a(x, y):
        return 2 + np.sin(np.pi * x) * np.cos(np.pi * y)

    def f(x, y):
        a_x, a_y = np.pi * np.cos(np.pi * x) * np.cos(np.pi * y), -np.pi * np.sin(np.pi * x) * np.sin(np.pi * y)
        return -8 * a(x, y) * smooth(x, y) + a_x * 3 * np.cos(3 * x) * np.exp(y) + a_y * smooth(x, y)

    solution = pde.solve_gp(pde.div_grad(a), f, UNIT_SQUARE, smooth)
    assert solution.converged and solution.choice == "gmres"
    assert relative_error(solution, smooth, UNIT_SQUARE) <= 1e-8


def test_helmholtz_between_resonances():
    k = 20.0

    def u(x, y):
        return np.sin(12 * x + 16 * y)

    solution = pde.solve_gp(pde.helmholtz(2, k), 0, UNIT_SQUARE, u)
    assert solution.converged
    assert relative_error(solution, u, UNIT_SQUARE) <= 1e-8


def test_mixed_derivatives():
    op = {(2, 0): 1.0, (1, 1): 0.5, (0, 2): 1.0}

    def f(x, y):
        return -8 * smooth(x, y) + 1.5 * np.cos(3 * x) * np.exp(y)

    solution = pde.solve_gp(op, f, UNIT_SQUARE, smooth)
    assert solution.converged
    assert relative_error(solution, smooth, UNIT_SQUARE) <= 1e-8


def test_neumann_on_a_line():
    sides = {(0, 0): 1.0, (0, 1): ("neumann", -7 * np.sin(7.0))}
    solution = pde.solve_gp({(2,): 1.0}, lambda x: -49 * np.cos(7 * x), [(0, 1)], sides)
    assert solution.converged
    assert relative_error(solution, lambda x: np.cos(7 * x), [(0, 1)]) <= 1e-8


def test_first_order_on_a_line_from_one_end():
    sides = {(0, 0): 0.0, (0, 1): None}
    op = {(1,): 1.0, (0,): 5.0}
    solution = pde.solve_gp(op, lambda x: 5 * np.sin(x) + np.cos(x), [(0, 4)], sides)
    assert solution.converged
    assert relative_error(solution, np.sin, [(0, 4)]) <= 1e-8


def test_peaks_alone_do_not_do_where_the_solution_has_other_frequencies():
    """-u'' + 100 u = 1 has boundary layers of which f shows nothing."""
    call = {"op": {(2,): -1.0, (0,): 100.0}, "f": lambda x: 1 + 0 * x, "box": [(0, 1)], "bc": 0}

    def u(x):
        return (1 - np.cosh(10 * (x - 0.5)) / np.cosh(5)) / 100

    narrow = solve(call, n=40, kernel=pde.SpectralMixture([0.0], scales=8.0))
    assert relative_error(solve(call, n=40), u, [(0, 1)]) <= 1e-8
    assert relative_error(narrow, u, [(0, 1)]) > 1e-6
    assert not narrow.converged


def test_nothing_of_the_caller_is_kept():
    solution = solve(PROBLEMS["a sum of beats"][0])
    before = solution.predict([[1.0, 2.0]])
    solution.u[:] = 0
    solution.axes[0][:] = 0
    assert solution.predict([[1.0, 2.0]]) == before


def test_zero_in_zero_out():
    solution = pde.solve_gp(pde.laplacian(2), 0, UNIT_SQUARE, 0)
    assert solution.status is Status.CONVERGED
    assert not solution.u.any()


def test_the_weak_form_agrees_to_its_own_floor():
    call, u = PROBLEMS["three scales"]
    solution = solve(call, form="weak", tol=1e-7)
    assert solution.converged and solution.choice == "weak"
    assert relative_error(solution, u, call["box"]) <= 1e-7


def test_peaks_of_the_nonlinear_term_alone_cost_no_nodes():
    call, u = PROBLEMS["Allen-Cahn sin 6x cos 100x"]
    solution = solve(call)
    assert solution.converged and solution.u.size < 400
    assert relative_error(solution, u, call["box"]) < 1e-8


def test_strong_nonlinear_terms_have_peaks_that_count():
    def u(x):
        return np.sin(40 * x)

    solution = pde.solve_gp({(2,): 1.0}, lambda x: -1600 * u(x) - 400 * u(x) ** 3, [(0, 3)], u,
                            nonlinear=(lambda v: -400 * v**3, lambda v: -1200 * v**2))  # fmt: skip
    assert solution.converged and np.max(np.abs(solution.u - u(solution.axes[0]))) < 1e-7
    # Three times the frequency of u is in f.
    assert solution.frequencies[0].max() > 120


def test_newton_gives_up_early_where_a_grid_cannot_hold_the_solution():
    call, _ = PROBLEMS["Allen-Cahn on a square"]
    assert solve(call, n=53).n_matvec < 5000

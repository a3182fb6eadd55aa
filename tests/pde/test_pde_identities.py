"""What must hold whatever the problem: linearity, translation, scaling, order of the axes, exactness in the span."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import pde

LINE, SQUARE = [(0.0, 1.0)], [(0.0, 1.0), (0.0, 1.0)]
numbers = st.floats(-3, 3).map(lambda x: round(x, 3))
quick = settings(max_examples=15, deadline=None)


def f(x, y):
    return np.exp(x) * np.sin(5 * y)


def g(x, y):
    return np.cos(4 * x + y)


def values(problem_f, bc, n=32, op=None, box=SQUARE, at=(0.37, 0.61)):
    solution = pde.solve_gp(pde.laplacian(2) if op is None else op, problem_f, box, bc, n=n)
    return solution.predict(([at[0]], [at[1]])).item()


@quick
@given(a=numbers, b=numbers)
def test_linear_in_source_and_data(a, b):
    both = values(lambda x, y: a * f(x, y) + b * g(x, y), lambda x, y: a * g(x, y) + b * f(x, y))
    assert abs(both - a * values(f, g) - b * values(g, f)) <= 1e-9 * (1 + abs(a) + abs(b))


@quick
@given(shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_translation_and_scaling_of_the_box(shift, scale):
    def moved(h):
        return lambda x, y: h((x - shift) / scale, (y - shift) / scale)

    box = [(shift, shift + scale)] * 2
    op = {index: scale**2 * c for index, c in pde.laplacian(2).items()}
    at = (shift + 0.37 * scale, shift + 0.61 * scale)
    assert abs(values(moved(f), moved(g), op=op, box=box, at=at) - values(f, g)) <= 1e-9


def test_order_of_the_axes_in_two_dimensions():
    op = {(2, 0): 1.0, (0, 2): 2.0, (1, 0): 0.5}
    swapped = {(0, 2): 1.0, (2, 0): 2.0, (0, 1): 0.5}
    other = values(lambda x, y: f(y, x), lambda x, y: g(y, x), (30, 40), swapped, at=(0.61, 0.37))
    assert abs(values(f, g, (40, 30), op) - other) <= 1e-9


def test_order_of_the_axes_in_three_dimensions():
    def u(x, y, z):
        return np.sin(2 * x) * np.exp(y) * np.cos(3 * z)

    found = []
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        # Axis i of the box is coordinate order[i].
        back = [order.index(k) for k in range(3)]

        def moved(*x, back=back):
            return u(*(x[i] for i in back))

        solution = pde.solve_gp(pde.laplacian(3), lambda *x, m=moved: -12 * m(*x), [(0, 1)] * 3, moved, n=20)
        point = np.array([0.3, 0.5, 0.8])[list(order)]
        found.append(solution.predict(point[None])[0])
    np.testing.assert_allclose(found, u(0.3, 0.5, 0.8), atol=1e-6)
    assert np.ptp(found) <= 1e-8


@quick
@given(k=st.integers(0, 12), phase=st.floats(0, 6))
def test_exact_for_functions_in_the_span(k, phase):
    """The frequencies of the band are multiples of pi / 1.5."""
    omega = k * np.pi / 1.5

    def u(x):
        return np.cos(omega * x + phase)

    solution = pde.solve_gp({(2,): 1.0, (0,): -1.0}, lambda x: -(omega**2 + 1) * u(x), LINE, u, n=48)
    x = np.linspace(0, 1, 50)
    assert np.max(np.abs(solution.predict((x,)) - u(x))) <= 1e-9


def test_derivatives_of_the_solution():
    def u(x, y):
        return np.sin(3 * x) * np.exp(y)

    solution = pde.solve_gp(pde.laplacian(2), lambda x, y: -8 * u(x, y), SQUARE, u)
    x = np.linspace(0.1, 0.9, 9)
    X, Y = np.ix_(x, x)
    np.testing.assert_allclose(solution.predict((x, x), derivative=(1, 0)), 3 * np.cos(3 * X) * np.exp(Y), atol=1e-6)
    np.testing.assert_allclose(solution.predict((x, x), derivative=(1, 2)), 3 * np.cos(3 * X) * np.exp(Y), atol=1e-4)


def test_points_and_grids_give_the_same():
    solution = pde.solve_gp(pde.laplacian(2), f, SQUARE, g)
    x, y = np.linspace(0, 1, 4), np.linspace(0, 1, 5)
    points = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    np.testing.assert_allclose(solution.predict((x, y)).ravel(), solution.predict(points), rtol=1e-13)


def test_both_grids_agree():
    def u(x, y):
        return np.exp(np.sin(3 * x + y))

    def source(x, y):
        return 10 * u(x, y) * (np.cos(3 * x + y) ** 2 - np.sin(3 * x + y))

    found = [pde.solve_gp(pde.laplacian(2), source, SQUARE, u, grid=grid) for grid in ("legendre", "uniform")]
    assert all(solution.converged for solution in found)
    x = np.linspace(0, 1, 11)
    np.testing.assert_allclose(found[0].predict((x, x)), found[1].predict((x, x)), atol=1e-7)

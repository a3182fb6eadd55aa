"""The symmetric form."""

import numpy as np
import pytest

from solvers import pde
from solvers._errors import UnsupportedType
from solvers.pde._boundary import Boundary
from solvers.pde._grid import Grid
from solvers.pde._kernels import Automatic
from solvers.pde._operators import Terms
from solvers.pde._weak import Modes, smooth_lifts


def grid_of(bc, kind="legendre", n=48, box=((0, 2),)):
    return Grid(list(box), (n,), [Automatic(np.array([]), 100)], Boundary(bc, list(box)), Terms({(2,): 1.0}, 1), kind)


@pytest.mark.parametrize("at_nodes", [True, False])
@pytest.mark.parametrize(
    ("bc", "first"),
    [(0.0, 1.0), ({(0, 0): ("neumann", 0), (0, 1): ("neumann", 0)}, 0.0), ({(0, 0): 0, (0, 1): ("neumann", 0)}, 0.5)],
)
def test_the_modes_of_an_axis_are_sines_and_cosines(bc, first, at_nodes):
    values = Modes(grid_of(bc), at_nodes).values[0]
    exact = ((first + np.arange(12)) * np.pi / 2) ** 2
    assert np.allclose(values[:12], exact, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", ["legendre", "uniform"])
def test_modes_are_orthonormal_and_noise_is_white_in_them(kind):
    modes = Modes(grid_of(0.0, kind), at_nodes=True)
    phi = modes.at([modes.grid.axes[0].x], (0,))[0]
    product = modes.analyse(phi[:, 4]), modes.analyse(phi[:, 9])
    assert np.allclose(product, np.eye(len(modes.values[0]))[[4, 9]], atol=1e-9)
    if kind == "uniform":
        assert np.allclose(modes.noise() * 47 / 2, 1, atol=0.1)


def test_lifts_of_values_are_straight_lines():
    grid = grid_of(0.0)
    x = np.linspace(0, 2, 9)
    lines = grid.axes[0].at(x) @ smooth_lifts(grid)[0]
    assert np.allclose(lines, np.stack([1 - x / 2, x / 2], axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("op", "k"), [({(2, 0): 1.0, (0, 2): 3.0}, 0.0), ({(2, 0): 1.0, (0, 2): 3.0, (0, 0): -5.0}, -5.0)]
)
def test_the_weak_form_solves_what_the_strong_one_does(op, k):
    def u(x, y):
        return np.sin(3 * x) * np.exp(y)

    solution = pde.solve_gp(op, lambda x, y: (k - 6) * u(x, y), [(0, 1)] * 2, u, form="weak", tol=1e-6)
    assert solution.converged and solution.choice == "weak"
    x = (np.linspace(0, 1, 60),) * 2
    assert np.max(np.abs(solution.predict(x) - u(*np.ix_(*x)))) <= 1e-7


def test_the_weak_form_at_high_frequency_with_few_nodes_to_a_wavelength():
    def u(x, y):
        return np.sin(100 * x) * np.sin(100 * y)

    solution = pde.solve_gp(
        pde.laplacian(2), lambda x, y: -2e4 * u(x, y), [(0, 2 * np.pi)] * 2, u, form="weak", n=266, tol=1e-5
    )
    x = (np.linspace(0, 2 * np.pi, 200),) * 2
    assert solution.converged
    assert np.sqrt(np.mean((solution.predict(x) - u(*np.ix_(*x))) ** 2)) <= 1e-7


def test_mixed_sides_on_a_line_and_a_cube():
    sides = {(0, 0): 1.0, (0, 1): ("neumann", -7 * np.sin(7.0))}
    line = pde.solve_gp({(2,): 1.0}, lambda x: -49 * np.cos(7 * x), [(0, 1)], sides, form="weak", tol=1e-5)
    assert np.max(np.abs(line.u - np.cos(7 * line.axes[0]))) <= 2e-5

    def u(x, y, z):
        return np.sin(2 * x) * np.cos(3 * y) * np.exp(z)

    cube = pde.solve_gp(pde.laplacian(3), lambda *x: -12 * u(*x), [(0, 1)] * 3, u, form="weak", n=24, tol=1e-4)
    assert np.max(np.abs(cube.u - u(*np.ix_(*cube.axes)))) <= 2e-5


@pytest.mark.parametrize(
    ("op", "bc", "named"),
    [
        (pde.advection([1.0, 2.0]), 0.0, "the term"),
        ({(2, 0): 1.0, (1, 1): 1.0, (0, 2): 1.0}, 0.0, "the term"),
        (pde.laplacian(2), {(0, 0): 0, (0, 1): None, (1, 0): 0, (1, 1): 0}, "a side of axis 0"),
    ],
)
def test_others_are_refused(op, bc, named):
    with pytest.raises(UnsupportedType, match=f"`form` must .*{named}"):
        pde.solve_gp(op, 1.0, [(0, 1)] * 2, bc, form="weak")

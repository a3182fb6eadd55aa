"""The eleven problems of the published solver, each with its solution: op, f, u, box, and what else the call takes."""

import numpy as np

from solvers import pde

TWO_PI = 2 * np.pi
CUBIC = (lambda u: u**3 - u, lambda u: 3 * u**2 - 1)


def _line(f, u, high=TWO_PI):
    return {"op": {(2,): 1.0}, "f": f, "box": [(0, high)], "bc": u}, u


def _allen_cahn(f, u):
    call, _ = _line(lambda x: f(x) + u(x) ** 3 - u(x), u)
    return call | {"nonlinear": CUBIC}, u


def sine(x):
    return np.sin(100 * x)


def product(x):
    return np.sin(6 * x) * np.cos(100 * x)


def product2(x):
    return -(36 + 1e4) * np.sin(6 * x) * np.cos(100 * x) - 1200 * np.cos(6 * x) * np.sin(100 * x)


def growing(x):
    return x * np.sin(200 * x)


def mixed(x):
    return np.sin(x) + 0.1 * np.sin(20 * x) + 0.05 * np.sin(100 * x)


def parabola(x):
    return np.sin(500 * x) - 2 * (x - 0.5) ** 2


def plane(x, y):
    return np.sin(100 * x) * np.sin(100 * y)


def beat(x):
    return np.sin(6 * x) * np.cos(20 * x)


def beat2(x):
    return -436 * np.sin(6 * x) * np.cos(20 * x) - 240 * np.cos(6 * x) * np.sin(20 * x)


def scales(x):
    return np.sin(x) + 0.1 * np.sin(20 * x) + np.cos(100 * x)


def scales2(x):
    return -np.sin(x) - 40 * np.sin(20 * x) - 1e4 * np.cos(100 * x)


def grid_of_scales(x, y):
    return scales(x) * scales(y)


def grid_of_scales_source(x, y):
    u = grid_of_scales(x, y)
    return scales2(x) * scales(y) + scales(x) * scales2(y) + u**3 - u


def wave(x, y):
    return np.sin(x - 200 * y)


SQUARE, UNIT_SQUARE = [(0, TWO_PI)] * 2, [(0, 1)] * 2

PROBLEMS = {
    "sin 100x": _line(lambda x: -1e4 * sine(x), sine),
    "sin 6x cos 100x": _line(product2, product),
    "x sin 200x": _line(lambda x: 400 * np.cos(200 * x) - 4e4 * growing(x), growing),
    "three scales": _line(lambda x: -np.sin(x) - 40 * np.sin(20 * x) - 500 * np.sin(100 * x), mixed),
    "sin 500x and a parabola": _line(lambda x: -25e4 * np.sin(500 * x) - 4, parabola, 1),
    "Allen-Cahn sin 100x": _allen_cahn(lambda x: -1e4 * sine(x), sine),
    "Allen-Cahn sin 6x cos 100x": _allen_cahn(product2, product),
    "sin 100x sin 100y": (
        {"op": pde.laplacian(2), "f": lambda x, y: -2e4 * plane(x, y), "box": SQUARE, "bc": plane},
        plane,
    ),
    "a sum of beats": (
        {
            "op": pde.laplacian(2),
            "f": lambda x, y: beat2(x) + beat2(y),
            "box": SQUARE,
            "bc": lambda x, y: beat(x) + beat(y),
        },
        lambda x, y: beat(x) + beat(y),
    ),
    "Allen-Cahn on a square": (
        {
            "op": pde.laplacian(2),
            "f": grid_of_scales_source,
            "box": UNIT_SQUARE,
            "bc": grid_of_scales,
            "nonlinear": CUBIC,
        },
        grid_of_scales,
    ),
    "advection": (
        {
            "op": pde.advection([200.0, 1.0]),
            "f": 0,
            "box": UNIT_SQUARE,
            "bc": {(0, 0): wave, (0, 1): None, (1, 0): wave, (1, 1): None},
        },
        wave,
    ),
}


def solve(call, **options):
    call = call | options
    op, f, box, bc = (call.pop(name) for name in ("op", "f", "box", "bc"))
    return pde.solve_gp(op, f, box, bc, **call)


def relative_error(solution, u, box, points=300):
    """In the mean square, on uniform points of each axis."""
    axes = tuple(np.linspace(*side, points) for side in box)
    truth = u(*np.ix_(*axes))
    return float(np.linalg.norm(solution.predict(axes) - truth) / np.linalg.norm(truth))

"""What cannot be worked with is refused in one sentence that names it."""

import numpy as np
import pytest

from solvers import pde
from solvers._errors import InvalidInput, UnsupportedType
from solvers.pde import _memory

SQUARE = [(0, 1), (0, 1)]


def zero(x, y):
    return 0 * x * y


GOOD = {"op": pde.laplacian(2), "f": 1.0, "box": SQUARE, "bc": 0.0}
SIDES = {(0, 0): 0, (0, 1): 0, (1, 0): 0, (1, 1): 0}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"op": pde.laplacian(3)}, InvalidInput, "`op` must have multi-indices of 2 orders"),
        ({"op": {(2, -1): 1.0}}, InvalidInput, "`op` must have multi-indices"),
        ({"op": {(2, 0): np.inf}}, InvalidInput, "must be finite"),
        ({"op": {(2, 0): "1"}}, UnsupportedType, "must be a real number"),
        ({"op": 3}, UnsupportedType, "`op` must be a mapping"),
        ({"op": {(2, 0): lambda x, y: np.ones(7), (0, 2): 1.0}}, UnsupportedType, "must give real numbers"),
        ({"op": {(2, 0): lambda x, y: x * np.nan, (0, 2): 1.0}}, InvalidInput, "must be finite, got nan at"),
        ({"f": lambda x, y: np.ones((3, 4))}, UnsupportedType, "`f` must give real numbers that broadcast"),
        ({"f": lambda x, y: np.log(x - 0.5 + 0j).real * np.nan}, InvalidInput, "`f` must be finite, got nan at"),
        ({"f": lambda x, y: "no"}, UnsupportedType, "`f` must give real numbers"),
        ({"f": lambda x, y: 1j * x * y}, UnsupportedType, "`f` must give real numbers"),
        ({"f": None}, UnsupportedType, "`f` must be a function of 2 coordinate arrays"),
        ({"f": np.ones(9)}, InvalidInput, "`f` must have 2 axes"),
        ({"f": np.full((9, 9), np.nan)}, InvalidInput, "`f` must be finite"),
        ({"f": np.inf}, InvalidInput, "`f` must be finite"),
        ({"f": np.ones((9, 8)), "n": 9}, InvalidInput, r"`n` must be the shape of `f`, \(9, 8\)"),
        ({"box": [(0, 1), (1, 0)]}, InvalidInput, r"low < high, got \(1.0, 0.0\) on axis 1"),
        ({"box": [(0, 1), (0, np.inf)]}, InvalidInput, "finite sides"),
        ({"box": [(0, 1)] * 4}, InvalidInput, "1 to 3 dimensions, got 4"),
        ({"box": 1.0}, UnsupportedType, "`box` must be a sequence of pairs"),
        ({"box": [(0, 1, 2)]}, UnsupportedType, "`box` must be a sequence of pairs"),
        ({"box": (0, 1)}, UnsupportedType, r"such as \[\(0, 1\)\] for a line, got \(0, 1\)"),
        ({"bc": [0.0, 1.0]}, UnsupportedType, r"a value for each side of axis 0 is {\(0, 0\): low, \(0, 1\): high}"),
        ({"bc": np.zeros(2)}, UnsupportedType, "a value for each side of axis 0"),
        ({"bc": {(0, 0): 0}}, InvalidInput, "`bc` must say what is known at side 1 of axis 0"),
        ({"bc": SIDES | {(2, 0): 0}}, InvalidInput, r"`bc` must have keys .*got \(2, 0\)"),
        ({"bc": SIDES | {(1, 1): 1.0}}, InvalidInput, "`bc` must agree where side 0 of axis 0 meets side 1 of axis 1"),
        ({"bc": SIDES | {(1, 1): ("robin", 1.0)}}, InvalidInput, r"`bc\[1, 1\]` must be a function"),
        ({"bc": SIDES | {(1, 1): "0"}}, UnsupportedType, r"`bc\[1, 1\]` must be a function"),
        ({"bc": lambda x, y: x * y * np.nan}, InvalidInput, r"`bc\[1, 0\]` must be finite"),
        ({"bc": lambda x, y: np.ones(7)}, UnsupportedType, r"`bc\[1, 0\]` must give real numbers"),
        ({"n": 3}, InvalidInput, "`n` must be >= 4"),
        ({"n": (8, 8, 8)}, InvalidInput, "`n` must be a number of nodes, or 2 of them"),
        ({"n": "many"}, InvalidInput, "`n` must be"),
        ({"n": 8.5}, UnsupportedType, "`n` must be an integer"),
        ({"kernel": "rbf"}, InvalidInput, "`kernel` must be"),
        ({"kernel": [pde.Matern(1.0)]}, UnsupportedType, "`kernel` must be"),
        ({"nonlinear": abs}, UnsupportedType, "`nonlinear` must be a pair"),
        ({"nonlinear": (abs, 1.0)}, UnsupportedType, "`nonlinear` must be a pair"),
        ({"tol": -1.0}, InvalidInput, "`tol` must be >= 0"),
        ({"maxiter": 0}, InvalidInput, "`maxiter` must be >= 1"),
        ({"grid": "chebyshev"}, InvalidInput, "`grid` must be"),
        ({"callback": 3}, UnsupportedType, "`callback`"),
    ],
)
def test_one_sentence(change, error, words):
    call = GOOD | change
    data = [call.pop(name) for name in ("op", "f", "box", "bc")]
    with pytest.raises(error, match=words) as caught:
        pde.solve_gp(*data, **call)
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")


def test_a_grid_too_large_is_refused_before_anything_is_allocated():
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(InvalidInput, match="`n` must be a grid that fits in memory, got 100000 x 100000 x 100000"):
        pde.solve_gp(pde.laplacian(3), 1.0, [(0, 1)] * 3, 0.0, n=100000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21


def test_refinement_ends_where_memory_does(monkeypatch):
    monkeypatch.setattr(_memory, "available", lambda: _memory.needed((40, 40), 0, False))
    solution = pde.solve_gp(pde.laplacian(2), lambda x, y: np.sign(x - y), SQUARE, 0.0)
    assert not solution.converged
    assert solution.u.size <= 1600


def test_what_is_said_to_be_needed_is_about_what_is_taken():
    import tracemalloc

    n = 500
    pde.nodes(SQUARE, n)
    tracemalloc.start()
    pde.solve_gp(pde.laplacian(2), zero, SQUARE, lambda x, y: x * y, n=n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.2 * _memory.needed((n, n), 0, False) <= peak <= _memory.needed((n, n), 0, False)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([[0.5, 1.5]], "`points` must lie in the box"),
        (tuple(np.meshgrid([0.1, 0.2], [0.3])), r"must be arrays of one axis .*, got an array of shape \(1, 2\)"),
        ([[0.5, np.nan]], "`points` must lie in the box"),
        ([0.5, 0.5, 0.5], r"`points` must have shape \(m, 2\)"),
        ((np.array([0.5]),), "`points` must be a tuple of 2 coordinate arrays"),
    ],
)
def test_predictions_outside_are_refused(points, words):
    solution = pde.solve_gp(pde.laplacian(2), 0, SQUARE, lambda x, y: x * y)
    with pytest.raises(InvalidInput, match=words):
        solution.predict(points)


@pytest.mark.parametrize("order", [(1,), (0, -1), (1, 2, 3)])
def test_derivatives_of_the_wrong_kind_are_refused(order):
    solution = pde.solve_gp(pde.laplacian(2), 0, SQUARE, lambda x, y: x * y)
    with pytest.raises(InvalidInput, match="`derivative"):
        solution.predict([[0.5, 0.5]], derivative=order)

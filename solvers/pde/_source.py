"""The source of an equation: a function, a number, or values at the nodes; and the frequencies along its lines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._types import Box
from ._axis import nodes_of
from ._sampling import SAMPLES, bounded, evaluate, pursue, real

__all__ = ["Source", "checked_box", "nodes", "sizes_of"]

_LINES = 3
# Lengths whose fourth powers times other large numbers stay in the range of float64; and how far a box may be off.
_LONGEST, _FURTHEST = 1e25, 1e8


class Source:
    """f on a mesh.

    Attributes
    ----------
    shape : tuple of int or None
        The grid that f's values are of; None for a function.
    """

    def __init__(self, f, box, grid):
        self._box, self._grid, self.shape, d = box, grid, None, len(box)
        if _checks.is_function(f):
            self._at = lambda mesh: evaluate("f", f, mesh)
        elif isinstance(f, int | float | np.number) and not isinstance(f, bool):
            value = bounded("f", _checks.number("f", f))
            self._at = lambda mesh: np.full(np.broadcast_shapes(*(x.shape for x in mesh)), value)
        else:
            values = self._array(f, d)
            self.shape, self._at = values.shape, lambda mesh: values

    @staticmethod
    def _array(f, d):
        if not isinstance(f, np.ndarray | list | tuple):
            raise UnsupportedType(
                f"`f` must be a function of {d} coordinate arrays, a number, or an array of values at the nodes, "
                f"got {_checks.brief(f)}."
            )
        values = real("f", f)
        if values.ndim != d or min(values.shape) < 4:
            raise InvalidInput(
                f"`f` must have {d} axes of at least 4 values at the nodes, as `box` has {d} dimensions, "
                f"got shape {values.shape}."
            )
        return values

    def __call__(self, mesh):
        return self._at(mesh)

    def frequencies(self, axis):
        """Angular frequencies along an axis, as far as values at the nodes show them."""
        low, high = self._box[axis]
        x, w = nodes_of(low, high, self.shape[axis], self._grid)
        lines = np.moveaxis(self(None), axis, 0).reshape(self.shape[axis], -1)
        chosen = np.random.default_rng(0).choice(lines.shape[1], min(_LINES, lines.shape[1]), replace=False)
        return pursue(lines[:, chosen], x, w, low, high)

    def lines(self, axis):
        """Values of a function on some lines along an axis, at the midpoints of equal cells."""
        low, high = self._box[axis]
        rng = np.random.default_rng(0)
        line = low + (high - low) * (np.arange(SAMPLES) + 0.5) / SAMPLES
        values = []
        for _ in range(_LINES if len(self._box) > 1 else 1):
            point = [np.array([a + (b - a) * rng.random()]) for a, b in self._box]
            mesh = np.ix_(*(line if i == axis else p for i, p in enumerate(point)))
            values.append(self(mesh).ravel())
        return values


def nodes(box: Box, n: int | Sequence[int], *, grid: str = "legendre") -> tuple[NDArray[Any], ...]:
    """Return the nodes of each axis, where ``solve_gp`` takes an array ``f``.

    Parameters
    ----------
    box : sequence of (low, high)
    n : int or sequence of int
        Nodes of each axis.
    grid : {"legendre", "uniform"}, default "legendre"
        Gauss and Legendre's points, or equal steps from end to end.

    Returns
    -------
    tuple of ndarray, shapes (n_i,)

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError.

    Examples
    --------
    >>> from solvers import pde
    >>> pde.nodes([(0, 1), (0, 2)], [4, 5], grid="uniform")[1]
    array([0. , 0.5, 1. , 1.5, 2. ])
    """
    box = checked_box(box)
    grid = _checks.choice("grid", grid, ("legendre", "uniform"))
    sizes = sizes_of(n, len(box))
    _checks.room("n", n, 100 * max(sizes))
    return tuple(nodes_of(*side, size, grid)[0].copy() for side, size in zip(box, sizes, strict=True))


def checked_box(box):
    """Pairs of floats, low < high."""
    try:
        if isinstance(box, str | set | Mapping) or any(isinstance(side, str | set | Mapping) for side in box):
            raise TypeError
        sides = [(low, high) for low, high in box]
    except (TypeError, ValueError):
        raise UnsupportedType(
            "`box` must be a sequence of pairs (low, high), one for each axis, such as [(0, 1)] for a line, got "
            f"{_checks.brief(box)}."
        ) from None
    sides = [tuple(_checks.number(f"box[{axis}]", end) for end in side) for axis, side in enumerate(sides)]
    if not 1 <= len(sides) <= 3:
        raise InvalidInput(f"`box` must have 1 to 3 dimensions, got {len(sides)}.")
    for axis, (low, high) in enumerate(sides):
        if not np.isfinite(high - low) or low >= high:
            raise InvalidInput(f"`box` must have finite sides with low < high, got {(low, high)} on axis {axis}.")
        if not 1.0 / _LONGEST <= high - low <= _LONGEST:
            raise InvalidInput(
                f"`box` must have sides from {1 / _LONGEST:g} to {_LONGEST:g} long, got {(low, high)} on axis {axis}; "
                "take another unit of length."
            )
        if max(abs(low), abs(high)) > _FURTHEST * (high - low):
            raise InvalidInput(
                f"`box` must lie within {_FURTHEST:g} of its sides' lengths from 0, where coordinates have digits to "
                f"tell its points apart, got {(low, high)} on axis {axis}; move the origin."
            )
    return sides


def sizes_of(n, d):
    """Nodes of each axis, from one number for all or a sequence."""
    alone = isinstance(n, str) or not np.iterable(n)
    try:
        sizes = (n,) * d if alone else tuple(n)
    except TypeError:
        sizes = ()
    if len(sizes) != d:
        raise InvalidInput(f"`n` must be a number of nodes, or {d} of them, got {_checks.brief(n)}.")
    return tuple(_checks.count("n" if alone else f"n[{i}]", size, 4) for i, size in enumerate(sizes))

"""What is known at the sides of the box."""

from collections.abc import Mapping

import numpy as np

from .._checks import brief, is_function
from .._errors import InvalidInput, UnsupportedType
from ._sampling import evaluate

__all__ = ["Boundary"]

# Data of two sides may differ by so much of their size where the sides meet.
_SAME = 1e-6
_NUMBERS = int | float | np.number


class Boundary:
    """The data of each side.

    Attributes
    ----------
    ends : list, one for each axis, of lists of (side, derivative)
    data : dict, (axis, side) to function or number
    """

    def __init__(self, bc, box):
        d = len(box)
        self.box, self.ends, self.data = box, [[] for _ in range(d)], {}
        if not isinstance(bc, Mapping):
            listed = isinstance(bc, list | tuple) or (getattr(bc, "ndim", 0) == 1 and not hasattr(bc, "tocsr"))
            if listed and len(bc) and all(isinstance(value, _NUMBERS) for value in bc):
                raise UnsupportedType(
                    f"`bc` must be a function, a number or a mapping, got {brief(bc)}; a value for each side of axis 0 "
                    "is {(0, 0): low, (0, 1): high}."
                )
            bc = dict.fromkeys(((axis, side) for axis in range(d) for side in (0, 1)), bc)
        for axis in range(d):
            for side in (0, 1):
                if (axis, side) not in bc:
                    raise InvalidInput(
                        f"`bc` must say what is known at side {side} of axis {axis}, got no entry {(axis, side)}; "
                        "None stands for no data."
                    )
                self._add(axis, side, bc[axis, side])
        unknown = [key for key in bc if key not in {(a, s) for a in range(d) for s in (0, 1)}]
        if unknown:
            got = brief(unknown[0])
            raise InvalidInput(f"`bc` must have keys (axis, side) with axis < {d} and side 0 or 1, got {got}.")
        self._check_corners()

    def _add(self, axis, side, given):
        if given is None:
            return
        derivative = 0
        if isinstance(given, tuple):
            if len(given) != 2 or given[0] not in ("neumann", "dirichlet"):
                raise InvalidInput(
                    f"`bc[{axis}, {side}]` must be a function, a number, ('neumann', g), ('dirichlet', g) or None, "
                    f"got {brief(given)}."
                )
            derivative, given = int(given[0] == "neumann"), given[1]
        if not is_function(given) and (isinstance(given, bool) or not isinstance(given, _NUMBERS)):
            raise UnsupportedType(
                f"`bc[{axis}, {side}]` must be a function, a number, ('neumann', g) or None, got {brief(given)}."
            )
        self.ends[axis].append((side, derivative))
        self.data[axis, side] = given

    def values(self, axis, side, coordinates):
        """The data of a side on a grid of the other axes; ``coordinates`` has one array for each of these, in order."""
        d = len(self.box)
        here = self.box[axis][side]
        others = np.ix_(*coordinates)
        grid = [others[i - (i > axis)] if i != axis else np.float64(here) for i in range(d)]
        name = "bc" if d == 1 else f"bc[{axis}, {side}]"
        return evaluate(name, self.data[axis, side], grid)

    def _check_corners(self):
        """Two sides with values must agree where they meet."""
        d = len(self.box)
        sides = [(axis, side) for axis in range(d) for side, derivative in self.ends[axis] if derivative == 0]
        for k, (axis, side) in enumerate(sides):
            for other, end in sides[k + 1 :]:
                # One function for both cannot disagree with itself.
                if other == axis or self.data[axis, side] is self.data[other, end]:
                    continue
                first = self._along(axis, side, other, end)
                second = self._along(other, end, axis, side)
                gap = float(np.max(np.abs(first - second)))
                if gap > _SAME * max(1.0, float(np.max(np.abs(first)))):
                    raise InvalidInput(
                        f"`bc` must agree where side {side} of axis {axis} meets side {end} of axis {other}, got "
                        f"{first.flat[0]:.9g} and {second.flat[0]:.9g}; a corner has one value."
                    )

    def _along(self, axis, side, other, end):
        """The data of side (axis, side) on the edge that it has in common with (other, end)."""
        coordinates = [
            np.array([self.box[i][end]]) if i == other else np.linspace(*self.box[i], 5)
            for i in range(len(self.box))
            if i != axis
        ]
        return self.values(axis, side, coordinates).ravel()

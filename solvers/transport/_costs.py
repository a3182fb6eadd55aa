"""The costs of transport as they are given: a matrix, checked, or two clouds of points."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._arrays import enter, leaving
from .._errors import InvalidInput
from .._place import at
from ._measures import points, real

__all__ = ["PointCloud", "checked", "ratio_is_finite"]


class PointCloud:
    """The costs between two clouds of points, |x_i - y_j|^p, which are computed where they are needed.

    Parameters
    ----------
    X : array_like, shape (n, d)
        An array of the GPU stays there, and the solve runs there.
    Y : array_like, shape (m, d)
        On the same device.
    cost : {"sqeuclidean", "euclidean"} or float, default "sqeuclidean"
        A number is the power p > 0 of the distance.

    Raises
    ------
    InvalidInput
        If the points have no common dimension, are not finite, or the cost is unknown.
    UnsupportedType
        If one of the clouds lives on the GPU and the other does not.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import transport
    >>> transport.PointCloud(np.zeros((3, 2)), np.ones((4, 2)))
    <point cloud, 3 x 4, 2 dimensions, sqeuclidean>
    """

    def __init__(self, X: ArrayLike, Y: ArrayLike, cost: str | float = "sqeuclidean") -> None:
        backend, self._leave = _backend.pick(X=X, Y=Y), leaving(X)
        X, Y = enter("X", X), enter("Y", Y)
        with at(backend, X):
            self.X, self.Y = points("X", X), points("Y", Y)
        for name, cloud in (("X", self.X), ("Y", self.Y)):
            if 0 in cloud.shape:
                raise InvalidInput(f"`{name}` must have points and coordinates, got shape {cloud.shape}.")
        if self.X.shape[1] != self.Y.shape[1]:
            raise InvalidInput(
                f"`Y` must have points of {self.X.shape[1]} coordinates as `X` has, got {self.Y.shape[1]}."
            )
        self.cost = cost
        if isinstance(cost, str):
            self.power = {"sqeuclidean": 2.0, "euclidean": 1.0}[
                _checks.choice("cost", cost, ("sqeuclidean", "euclidean"))
            ]
        else:
            self.power = _checks.number("cost", cost)
            if not 0.0 < self.power < math.inf:
                raise InvalidInput(f"`cost` must be a power > 0, got {self.power!r}.")

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self.X.shape[0], self.Y.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the potentials: float32 where both clouds are."""
        return np.result_type(self.X.dtype, self.Y.dtype)

    def __repr__(self):
        n, m = self.shape
        return f"<point cloud, {n} x {m}, {self.X.shape[1]} dimensions, {self.cost}>"


def checked(C):
    """The costs as they are used, their shape and dtype."""
    if isinstance(C, PointCloud):
        return C, _not_empty(C.shape), C.dtype
    C = real("C", C)
    if C.ndim != 2:
        raise InvalidInput(
            f"`C` must have shape (n, m), got {C.shape}; costs come first, weights after them: (C, a, b, eps=...)."
        )
    _not_empty(C.shape)
    if not float(C.min()) > -math.inf:
        bad = ~(C > -math.inf)
        i, j = np.unravel_index(int(bad.argmax()), C.shape)
        raise InvalidInput(
            f"`C` must hold numbers, or inf for forbidden pairs, got {int(bad.sum())} that are NaN or -inf, the first "
            f"at [{i}, {j}]."
        )
    return C, C.shape, C.dtype


def ratio_is_finite(C, reg, dtype):
    """Refuse costs over eps that overflow: no digit of the plan would be left, and no status would explain it."""
    room = float(np.finfo(dtype).max) / 16
    if not reg < room:
        raise InvalidInput(f"`eps` must be below {room:.0e} in {np.dtype(dtype)}, got {reg!r}; rescale the costs.")
    most = _largest_distance(C, room) if isinstance(C, PointCloud) else _largest(C)
    if not max(most, 1.0) < room * min(reg, 1.0):
        raise InvalidInput(
            f"`eps` must leave C / eps below {room:.0e} in {np.dtype(dtype)}, got {reg!r} for costs of up to {most:.3g}"
            "; rescale the costs."
        )


def _largest(C):
    """The largest absolute value of a pair that is permitted."""
    least, most = float(C.min()), float(C.max())
    if most == math.inf:
        permitted = C[C < math.inf]
        most = float(permitted.max()) if permitted.size else 0.0
        least = most if least == math.inf else least
    return max(abs(least), abs(most))


def _largest_distance(cloud, room):
    """A bound on the costs of a cloud; infinity where a square of a distance overflows."""
    clouds = cloud.X, cloud.Y
    # Python's numbers, which do not warn.
    high, low = zip(*(p.max(axis=0).tolist() for p in clouds)), zip(*(p.min(axis=0).tolist() for p in clouds))
    distance = math.hypot(*(max(highs) - min(lows) for highs, lows in zip(high, low)))
    if not distance < math.sqrt(room):
        return math.inf
    # In logarithms: a power of Python's raises an error where it overflows.
    exponent = cloud.power * math.log(distance) if distance > 0.0 else -math.inf
    return math.exp(exponent) if exponent < math.log(room) else math.inf


def _not_empty(shape):
    if 0 in shape:
        raise InvalidInput(f"`C` must have rows and columns, got shape {shape}.")
    return shape


"""Points of the box as users give them, and functions given by coefficients there."""

import numpy as np

from .. import _checks
from .._errors import InvalidInput, UnsupportedType
from .._tensors import mode_products

__all__ = ["drawn", "evaluated", "orders_of", "points_of"]


# Beyond this order rounding is all that is left of a derivative.
_HIGHEST = 6


def points_of(points, box):
    """Coordinates along each axis, and whether they are those of scattered points instead of a grid's."""
    d = len(box)
    if isinstance(points, tuple):
        if len(points) != d:
            raise InvalidInput(f"`points` must be a tuple of {d} coordinate arrays, got {len(points)}.")
        arrays = [np.atleast_1d(_real(f"points[{i}]", x)) for i, x in enumerate(points)]
        return [_inside(box, i, x) for i, x in enumerate(arrays)], False
    points = _real("points", points)
    points = points[:, None] if points.ndim == 1 and d == 1 else points
    if points.ndim != 2 or points.shape[1] != d:
        raise InvalidInput(
            f"`points` must have shape (m, {d}), one point a row, or be a tuple of {d} arrays, got shape "
            f"{points.shape}."
        )
    return [_inside(box, i, points[:, i]) for i in range(d)], True


def orders_of(derivative, d):
    """The order of a derivative along each axis."""
    if derivative is None:
        return (0,) * d
    orders = derivative if isinstance(derivative, tuple | list) else (derivative,)
    if len(orders) != d:
        together = "; the arrays of a grid go together: predict((x, y))" if isinstance(derivative, np.ndarray) else ""
        raise InvalidInput(f"`derivative` must have {d} orders, got {_checks.brief(derivative)}{together}.")
    orders = tuple(_checks.count(f"derivative[{i}]", k, 0) for i, k in enumerate(orders))
    if max(orders) > _HIGHEST:
        raise InvalidInput(f"`derivative` must be at most {_HIGHEST} along an axis, got {max(orders)}.")
    return orders


def evaluated(bases, U, scattered):
    """A function with coefficients U on a grid, or at scattered points, from the bases of each axis there."""
    if not scattered:
        return mode_products(bases, U)
    values = np.tensordot(bases[0], U, (1, 0))
    for basis in bases[1:]:
        values = np.einsum("mr,mr...->m...", basis, values)
    return values


def drawn(ax, result, box, points=400):
    """A map of what ``result.predict`` gives, in three dimensions of the middle slice."""
    fine = [np.linspace(*side, points) for side in box[:2]]
    middle = [np.array([0.5 * sum(side)]) for side in box[2:]]
    image = result.predict((*fine, *middle)).reshape(points, points).T
    ax.imshow(image, origin="lower", extent=[e for side in box[:2] for e in side], aspect="auto")
    ax.set(xlabel="x", ylabel="y", title=repr(result))
    return ax


def _real(name, values):
    values = _checks.array(name, values)
    if values.dtype.kind == "c":
        raise UnsupportedType(f"`{name}` must hold real numbers, got an array of dtype {values.dtype}.")
    return values


def _inside(box, i, x):
    if x.ndim != 1:
        raise InvalidInput(
            "`points` must be arrays of one axis where they are a tuple, which is a grid, got an array of shape "
            f"{x.shape}; for points of any arrangement pass shape (m, d)."
        )
    low, high = box[i]
    slack = 1e-12 * (high - low)
    outside = (x < low - slack) | (x > high + slack) | ~np.isfinite(x)
    if np.any(outside):
        where = x[outside][0].item()
        raise InvalidInput(f"`points` must lie in the box, from {low:g} to {high:g} on axis {i}, got {where!r}.")
    return x.astype(np.float64)

"""Discrete measures as they are given: points and weights, checked; one rule for totals in all of transport."""

import math

import numpy as np

from .. import _checks
from .._arrays import enter, module_of
from .._errors import InvalidInput, UnsupportedType

__all__ = ["SAME_TOTAL", "is_single", "points", "real", "same_totals", "weights"]

# Totals of a and b may differ by rounding in the sums that made them, by this part of the larger.
SAME_TOTAL = 1e-6
_COSTS = "to go with the costs"


def is_single(given):
    """Whether something stands for one number, and not for an array of them."""
    return getattr(given, "ndim", 0) == 0 and not isinstance(given, list | tuple | range)


def points(name, given):
    """Checked points of shape (points, dimensions); a vector is points on a line."""
    values = _checks.finite(name, real(name, given))
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] == 0:
        raise InvalidInput(f"`{name}` must have shape (points, dimensions), got {values.shape}.")
    return module_of(values).ascontiguousarray(values)


def real(name, values):
    """A real array, float32 as it came and other numbers in float64."""
    values = _checks.array(name, enter(name, values))
    if values.dtype.kind == "c":
        raise UnsupportedType(f"`{name}` must be real, got complex numbers.")
    return values


def weights(name, given, size, dtype, because=_COSTS):
    """Checked weights of shape (size,), uniform by default, and their total."""
    if given is None:
        return np.full(size, 1.0 / size, dtype), 1.0
    values = _checks.finite(name, real(name, given))
    if because == _COSTS and (values.ndim == 2 or not values.size):
        remedy = "for two clouds of points pass PointCloud(X, Y) as the costs"
        remedy = f"pass numpy.ravel({name})" if values.shape in ((size, 1), (1, size)) else remedy
        remedy = remedy if values.size else "for uniform weights pass None"
        raise InvalidInput(f"`{name}` must have shape ({size},) {because}, got {values.shape}; {remedy}.")
    _checks.shape_is(name, values, [(size,)], because)
    if values.size and float(values.min()) < 0:
        where = int((values < 0).argmax())
        raise InvalidInput(f"`{name}` must have no negative weight, got {values[where].item()!r} at [{where}].")
    total = float(values.sum(dtype=np.float64))
    if not 0.0 < total < math.inf:
        raise InvalidInput(f"`{name}` must have a positive, finite total, got {total!r}.")
    return values, total


def same_totals(total_a, total_b):
    """Refuse totals that do not agree."""
    if abs(total_a - total_b) > SAME_TOTAL * max(total_a, total_b):
        raise InvalidInput(
            f"`a` and `b` must have the same total, got {total_a:.9g} and {total_b:.9g}; pass normalize=True, or "
            "marginal_penalty for unbalanced transport."
        )

"""What operators are described by: sizes of images, masks, and the scale of data."""

import numpy as np

from .. import _checks
from .._arrays import enter, on_host
from .._errors import InvalidInput
from .._scale import to_one

__all__ = ["boolean", "power_of_two", "sizes"]


def sizes(name, shape):
    """A tuple of positive integers."""
    if not isinstance(shape, tuple | list) and getattr(shape, "ndim", 0) == 0:
        shape = (shape,)
    try:
        shape = tuple(shape)
    except TypeError:  # an operator, or a sparse matrix
        raise _checks.wrong_kind(name, "an integer or a sequence of integers", shape) from None
    if not shape:
        raise InvalidInput(f"`{name}` must have at least one size, got ().")
    return tuple(_checks.count(name, n) for n in shape)


def boolean(name, mask):
    """A mask as a new NumPy array of bool in which something is True; zeros and ones are taken, too."""
    mask = on_host(enter(name, mask))  # what operators are made of is kept on the host
    try:
        values = np.array(mask)
    except (ValueError, TypeError):
        raise _checks.wrong_kind(name, "an array of True and False", mask) from None
    if values.dtype.kind not in "biuf" or not ((values == 0) | (values == 1)).all():
        remedy = f"; pass {name} > 0 to take those above zero" if values.dtype.kind in "iuf" else ""
        raise InvalidInput(f"`{name}` must hold True and False, got other values, of dtype {values.dtype}{remedy}.")
    if values.ndim == 0 or not values.any():
        raise InvalidInput(f"`{name}` must be an array with at least one True, got shape {values.shape} without.")
    values = values.astype(bool)
    values.flags.writeable = False
    return values


def power_of_two(values):
    """What brings the largest entry to between 1/2 and 1, exactly; 1 for zeros."""
    return to_one(float(np.abs(values).max(initial=0.0)))

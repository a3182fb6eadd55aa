"""What operators are described by: sizes of images, masks, and the scale of data."""

import math

import numpy as np

from .. import _checks
from .._arrays import enter
from .._errors import InvalidInput

__all__ = ["boolean", "host", "power_of_two", "sizes"]


def sizes(name, shape):
    """A tuple of positive integers."""
    shape = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    if not shape:
        raise InvalidInput(f"`{name}` must have at least one size, got ().")
    return tuple(_checks.count(name, n) for n in shape)


def boolean(name, mask):
    """A mask as a new NumPy array of bool in which something is True; zeros and ones are taken, too."""
    mask = host(enter(name, mask))
    values = np.array(mask)
    if values.dtype.kind not in "biuf" or not ((values == 0) | (values == 1)).all():
        raise InvalidInput(f"`{name}` must hold True and False, got other values, of dtype {values.dtype}.")
    if values.ndim == 0 or not values.any():
        raise InvalidInput(f"`{name}` must be an array with at least one True, got shape {values.shape} without.")
    values = values.astype(bool)
    values.flags.writeable = False
    return values


def host(array):
    """The same as NumPy's where it is CuPy's: what operators are made of is kept on the host."""
    return array.get() if hasattr(array, "get") and hasattr(array, "device") else array


def power_of_two(values):
    """What brings the largest entry to between 1/2 and 1, exactly; 1 for zeros."""
    return 2.0 ** min(1000, -math.frexp(np.abs(values).max(initial=0.0))[1])

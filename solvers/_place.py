"""Where a call works: on the device of an array, with one name for full memory."""

import numpy as np

from . import _backend
from ._errors import DeviceMemoryError

__all__ = ["at", "drops_when_full", "inner"]

# What is called where the memory of a device is full: each drops something that an area keeps there between calls.
_drops = []


def drops_when_full(function):
    """Have the function called whenever the memory of a device is full; returns it."""
    _drops.append(function)
    return function


def at(backend, array):
    """A context: allocations happen where the array lives, and full memory is a ``DeviceMemoryError``."""
    place = _backend.kernels(backend).device_of(array)
    return place if backend == "cpu" else _Place(place)


class _Place:
    """Full memory also drops what is kept there between calls, so that the caller may try again."""

    def __init__(self, place):
        self._place = place

    def __enter__(self):
        self._place.__enter__()

    def __exit__(self, kind, error, trace):
        try:
            self._place.__exit__(kind, error, trace)
        except DeviceMemoryError:
            _drop()
            raise
        if isinstance(error, DeviceMemoryError):
            _drop()
        return False


def _drop():
    for function in _drops:
        function()


def inner(x, y):
    """The sum of x y as a Python float, accumulated in float64; not by BLAS, whose threads stay awake beside ours."""
    with np.errstate(all="ignore"):  # what is not finite shows in the sum
        return float((x * y).sum(dtype=np.float64))

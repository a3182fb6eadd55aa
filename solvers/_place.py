"""Where a call works: on the device of an array, with one name for full memory."""

import math

import numpy as np

from . import _backend
from ._arrays import module_of, on_host
from ._errors import DeviceMemoryError

__all__ = ["at", "drops_when_full", "inner", "inner_rows"]

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


# From so many entries on, passes over memory cost more than a call for each row.
_LONG = 500


def inner_rows(x, y):
    """Re <x, y> of each pair of rows, accumulated in float64, on the host.

    The last bits do not depend on how many rows there are: short products are formed in float64 before they are summed,
    as a sum that casts goes through a buffer, whose borders are those of the whole stack.
    """
    xp, size = module_of(x), math.prod(x.shape[1:])
    y = None if x is y else xp.ascontiguousarray(y).reshape(len(y), size)
    x = xp.ascontiguousarray(x).reshape(len(x), size)
    y = x if y is None else y
    if xp is np and size >= _LONG and x.dtype == y.dtype:
        inner_of = _backend.kernels("cpu").inner
        return np.array([inner_of(a, b).real for a, b in zip(x, y, strict=True)], float)
    if x.dtype.kind == "c":
        x, y = (a.view(a.real.dtype) for a in (x, y))
    with np.errstate(all="ignore"):  # what is not finite shows in the sum
        sums = xp.multiply(x, y, dtype=np.float64).sum(axis=1)
    return on_host(sums)

"""Memory of this backend: NumPy's own."""

from contextlib import nullcontext

import numpy as np

__all__ = ["copy_to_device", "device_id", "device_of", "empty", "is_ready", "to_device", "to_host", "zeros"]


def empty(shape, dtype):
    """An array of that shape with arbitrary entries."""
    return np.empty(shape, dtype)


def zeros(shape, dtype):
    """An array of that shape full of zeros."""
    return np.zeros(shape, dtype)


def to_device(values, dtype):
    """The values in the memory of this backend, C-contiguous and of that dtype; copied only where they must be."""
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        values = np.ascontiguousarray(values, dtype=dtype)
    # Compiled code knows read-only arrays as another type, and would be compiled for it anew.
    return values if values.flags.writeable else values.copy()


def copy_to_device(values, dtype):
    """A fresh array with these values in the memory of this backend, C-contiguous and of that dtype."""
    return np.array(values, dtype=dtype, order="C")


def to_host(array):
    """The values as a NumPy array."""
    return array


def device_of(array):
    """A context in which allocations and launches happen where the array lives."""
    return nullcontext()


def device_id():
    """The number of the device on which this backend works now."""
    return 0


def is_ready(array):
    """Whether the kernels can read the array as it is."""
    return array.flags.carray

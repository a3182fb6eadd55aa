"""Where a call works: on the device of an array, with one name for full memory."""

from .. import _backend
from .._errors import DeviceMemoryError
from . import _sweeps

__all__ = ["at"]


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
            _sweeps.forget_devices()
            raise
        if isinstance(error, DeviceMemoryError):
            _sweeps.forget_devices()
        return False

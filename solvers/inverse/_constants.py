"""Arrays that an operator is made of, in the memory and the precision of what it is applied to."""

from .. import _backend
from .._arrays import kinds

__all__ = ["Constants"]


class Constants:
    """Named NumPy arrays; ``constants(name, X)`` is the one to work on the array X with.

    Numbers come in the precision of X, or in ``dtype`` where that is given, indices as they are. A copy is kept for
    every device and precision that was asked for.
    """

    def __init__(self, **arrays):
        self._arrays, self._kept = arrays, {}

    def __call__(self, name, X, dtype=None):
        array = self._arrays[name]
        backend = "gpu" if kinds[type(X)] == "gpu" else "cpu"
        if dtype is None:
            dtype = array.dtype if array.dtype.kind in "bi" else _precision(array.dtype, X.dtype)
        key = name, dtype, X.device.id if backend == "gpu" else None
        if key not in self._kept:
            self._kept[key] = _backend.kernels(backend).to_device(array, dtype)
        return self._kept[key]

    def __reduce__(self):
        return _again, (self._arrays,)


def _again(arrays):
    return Constants(**arrays)


def _precision(dtype, like):
    double = like.char in "dD"
    return {"f": "fd", "c": "FD"}[dtype.kind][double]

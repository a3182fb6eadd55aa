"""cupy.ndarray: NumPy memory that does not pretend to be NumPy, and every read of it by the host counted."""

import operator
from types import SimpleNamespace

import numpy as np

from . import memory

__all__ = ["ndarray"]


def _values(value):
    """What NumPy computes with: CuPy refuses NumPy arrays, and takes scalars."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray) or not np.isscalar(value):
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def on_device(values):
    """A fresh array of the device with these NumPy values."""
    values = np.asarray(values)
    array = memory.allocate(values.shape, values.dtype)
    array[...] = values
    return ndarray._of(array)


def _read():
    memory.device.host_reads += 1


class ndarray:
    """Where CuPy's and NumPy's rules differ (no implicit conversion, no mixing), these are CuPy's."""

    __module__ = "cupy"
    __array_ufunc__ = None  # NumPy's operators leave the word to ours
    __hash__ = None

    def __init__(self, shape, dtype=float):
        self._array = memory.allocate(shape, dtype)

    @classmethod
    def _of(cls, array):
        made = object.__new__(cls)
        made._array = array
        return made

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    size = property(lambda self: self._array.size)
    ndim = property(lambda self: self._array.ndim)
    nbytes = property(lambda self: self._array.nbytes)
    itemsize = property(lambda self: self._array.itemsize)
    strides = property(lambda self: self._array.strides)
    flags = property(lambda self: self._array.flags)
    T = property(lambda self: self._of(self._array.T))
    data = property(lambda self: SimpleNamespace(ptr=self._array.ctypes.data))
    real = property(lambda self: self._of(self._array.real))
    imag = property(lambda self: self._of(self._array.imag) if self.dtype.kind == "c" else on_device(self._array.imag))

    @property
    def device(self):
        from .package import Device

        return Device(0)

    def __array__(self, *_, **__):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    # Transfers.
    def get(self):
        _read()
        return self._array.copy()

    def set(self, values):
        if not isinstance(values, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if values.dtype != self.dtype or values.shape != self.shape:
            raise ValueError(f"cannot set {values.dtype} {values.shape} to {self.dtype} {self.shape}")
        memory.device.uploads += 1
        self._array[...] = values

    def item(self, *index):
        _read()
        return self._array.item(*index)

    def tolist(self):
        _read()
        return self._array.tolist()

    def __float__(self):
        _read()
        return float(self._array)

    def __complex__(self):
        _read()
        return complex(self._array)

    def __int__(self):
        _read()
        return int(self._array)

    __index__ = __int__

    def __bool__(self):
        _read()
        return bool(self._array)

    def __repr__(self):
        return repr(self._array)

    def __dlpack_device__(self):
        return 2, 0  # kDLCUDA

    def __dlpack__(self, **_):
        return self._array.__dlpack__()

    # Shapes and copies.
    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def copy(self, order="C"):
        return on_device(self._array)

    def astype(self, dtype, order="K", copy=True):
        return self if not copy and self.dtype == dtype else on_device(self._array.astype(dtype))

    def reshape(self, *shape):
        changed = self._array.reshape(*shape)
        return self._of(changed) if np.shares_memory(changed, self._array) else on_device(changed)

    def ravel(self, order="C"):
        return self.reshape(-1) if order == "C" or self.ndim < 2 else on_device(self._array.ravel(order))

    def flatten(self):
        return on_device(self._array.ravel())

    def view(self, dtype=None):
        return self._of(self._array.view() if dtype is None else self._array.view(dtype))

    def transpose(self, *axes):
        return self._of(self._array.transpose(*axes))

    def fill(self, value):
        self._array.fill(_values(value))

    def __getitem__(self, index):
        taken = self._array[_index(index)]
        if isinstance(taken, np.ndarray) and np.may_share_memory(taken, self._array):
            return self._of(taken)
        if not isinstance(taken, np.ndarray):  # one entry: an array of no dimensions that shares memory, as in CuPy
            index = index if isinstance(index, tuple) else (index,)
            return self._of(self._array[(*_index(index), ...)])
        return on_device(taken)

    def __setitem__(self, index, value):
        self._array[_index(index)] = _values(value)


def _index(index):
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    return index._array if isinstance(index, ndarray) else index


def _operator(name, reflected=False):
    function = getattr(operator, name)

    def forward(self, other):
        try:
            value = _values(other)
        except TypeError:
            if isinstance(other, np.ndarray):
                raise
            return NotImplemented
        return on_device(function(value, self._array) if reflected else function(self._array, value))

    return forward


def _in_place(name):
    function = getattr(operator, name)

    def forward(self, other):
        self._array = function(self._array, _values(other))
        return self

    return forward


def _unary(function):
    return lambda self: on_device(function(self._array))


def _reduction(name):
    def reduce(self, axis=None, **options):
        return on_device(getattr(self._array, name)(axis=axis, **options))

    return reduce


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(ndarray, f"__{_name}__", _operator(_name))
    setattr(ndarray, f"__r{_name}__", _operator(_name, reflected=True))
    setattr(ndarray, f"__i{_name}__", _in_place(f"i{_name}"))
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "xor"):
    setattr(ndarray, f"__{_name.rstrip('_')}__", _operator(_name))
for _name in ("neg", "abs", "invert", "pos"):
    setattr(ndarray, f"__{_name}__", _unary(getattr(operator, _name)))
for _name in ("sum", "min", "max", "any", "all", "mean", "argmax", "argmin", "prod"):
    setattr(ndarray, _name, _reduction(_name))
for _name in ("conj", "conjugate"):
    setattr(ndarray, _name, lambda self: on_device(self._array.conj()))
ndarray.dot = ndarray.__matmul__

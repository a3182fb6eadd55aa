"""The fake `cupy` and `cupyx`: modules in sys.modules, as far as solvers and its tests reach into them."""

import importlib.machinery
import sys
import time
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np
from scipy import fft

from . import memory, sparse
from .arrays import ndarray, on_device
from .launch import RawKernel, RawModule


class Device:
    """The only kind of device there is."""

    def __init__(self, device=0):
        if not 0 <= int(device) < memory.device.devices:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self.id = int(device)

    @property
    def attributes(self):
        return {"MultiProcessorCount": memory.device.multiprocessors, "CooperativeLaunch": 1}

    @property
    def mem_info(self):
        return mem_get_info()

    compute_capability = "90"

    def use(self):
        return self

    def synchronize(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def __eq__(self, other):
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self):
        return self.id

    def __int__(self):
        return self.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"


class CUDARuntimeError(RuntimeError):
    __module__ = "cupy_backends.cuda.api.runtime"


class Event:
    """Records the time of the host; enough for what measures."""

    def __init__(self, *_, **__):
        self.time = None

    def record(self, stream=None):
        self.time = time.perf_counter()

    def synchronize(self):
        pass


def mem_get_info():
    return memory.device.total - memory.device.live, memory.device.total


class _Pool:
    """Keeps nothing: what is freed is free at once."""

    def used_bytes(self):
        return memory.device.live

    total_bytes = used_bytes

    def free_bytes(self):
        return 0

    def free_all_blocks(self, stream=None):
        pass

    def n_free_blocks(self):
        return 0


_pool = _Pool()


def _asarray(values, dtype=None, order=None):
    if isinstance(values, ndarray):
        values = values if dtype is None or values.dtype == dtype else values.astype(dtype)
        return on_device(values._array) if order == "C" and not values.flags.c_contiguous else values
    memory.device.uploads += 1
    return on_device(np.asarray(values, dtype=dtype))


def _array(values, dtype=None, copy=True, **_):
    made = _asarray(values, dtype)
    return made.copy() if copy and made is values else made


def _asnumpy(values, **_):
    return values.get() if hasattr(values, "get") else np.asarray(values)


def _lifted(function):
    """NumPy's function for arrays of the device."""

    def call(*values, **options):
        return on_device(function(*(v._array if isinstance(v, ndarray) else v for v in values), **options))

    return call


class _OnHost:
    """An array that says it is CUDA's, as NumPy may read it."""

    def __init__(self, array):
        self._array = array

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self, **_):
        return self._array.__dlpack__()


def _from_dlpack(array):
    if array.__dlpack_device__()[0] not in (2, 13):
        raise ValueError("the array does not live on a CUDA device")
    return ndarray._of(np.from_dlpack(_OnHost(array)))


def _joined(function):
    def call(arrays, *rest, **options):
        return on_device(function([array._array for array in arrays], *rest, **options))

    return call


_LIFTED = (
    "abs absolute add all allclose any arange argmax argsort array_equal conj count_nonzero diag diff dot exp eye "
    "flatnonzero full_like hypot imag isfinite isinf isnan linspace log matmul max maximum min minimum multiply "
    "ones_like outer partition real repeat roll searchsorted sign sqrt subtract sum take tile tril triu vdot where "
    "zeros_like"
).split()


def _contents():
    names = ("float32", "float64", "complex64", "complex128", "int8", "int32", "int64", "uint32", "uint64", "bool_")
    names += ("dtype", "inf", "nan", "pi", "newaxis", "finfo", "result_type", "isscalar")
    made = {name: getattr(np, name) for name in names}
    made |= {name: _lifted(getattr(np, name)) for name in _LIFTED}
    made |= {name: _joined(getattr(np, name)) for name in ("stack", "concatenate", "vstack", "hstack", "column_stack")}
    made |= {
        "ndarray": ndarray,
        "empty": lambda shape, dtype=float, order="C": ndarray(shape, dtype),
        "zeros": lambda shape, dtype=float, order="C": _filled(shape, dtype, 0),
        "ones": lambda shape, dtype=float: _filled(shape, dtype, 1),
        "full": lambda shape, value, dtype=float: _filled(shape, dtype, value),
        "empty_like": lambda a, dtype=None: ndarray(a.shape, dtype or a.dtype),
        "array": _array,
        "asarray": _asarray,
        "ascontiguousarray": lambda a, dtype=None: _asarray(a, dtype, order="C"),
        "asnumpy": _asnumpy,
        "from_dlpack": _from_dlpack,
        "is_available": lambda: memory.device.devices > 0,
        "get_default_memory_pool": lambda: _pool,
        "get_array_module": lambda *arrays: sys.modules["cupy"] if any(map(_is_ours, arrays)) else np,
        "RawModule": RawModule,
        "RawKernel": RawKernel,
        "__version__": "14.2.0",
        "linalg": SimpleNamespace(norm=_lifted(np.linalg.norm), solve=_lifted(np.linalg.solve)),
    }
    return made


def _is_ours(value):
    return type(value).__module__.partition(".")[0] in ("cupy", "cupyx")


def _filled(shape, dtype, value):
    array = ndarray(shape, dtype)
    array.fill(value)
    return array


def _runtime():
    return {
        "memGetInfo": mem_get_info,
        "getDeviceCount": lambda: memory.device.devices,
        "getDeviceProperties": _properties,
        "driverGetVersion": lambda: 13000,
        "runtimeGetVersion": lambda: 13000,
        "getDevice": lambda: 0,
        "deviceSynchronize": lambda: None,
        "CUDARuntimeError": CUDARuntimeError,
    }


def _properties(_):
    processors, total = memory.device.multiprocessors, memory.device.total
    return {
        "name": b"Emulated device",
        "multiProcessorCount": processors,
        "totalGlobalMem": total,
        "major": 9,
        "minor": 0,
    }


def modules():
    """The fake modules by name."""
    stream = SimpleNamespace(synchronize=lambda: None, ptr=0)
    cuda = {
        "Device": Device,
        "Event": Event,
        "get_elapsed_time": lambda start, end: 1e3 * (end.time - start.time),
        "Stream": SimpleNamespace(null=stream),
        "get_current_stream": lambda: stream,
        "is_available": lambda: memory.device.devices > 0,
    }
    contents = {
        "cupy": _contents(),
        "cupy.cuda": cuda,
        "cupy.cuda.memory": {"OutOfMemoryError": memory.OutOfMemoryError},
        "cupy.cuda.runtime": _runtime(),
        "cupy.cuda.nvrtc": {"getVersion": lambda: (13, 0)},
    }
    transforms = {name: _lifted(getattr(fft, name)) for name in ("fftn", "ifftn", "rfftn", "irfftn")}
    contents |= {"cupyx": {}, "cupyx.scipy": {}, "cupyx.scipy.fft": transforms} | sparse.contents()
    made = {}
    for name, values in contents.items():
        module = made[name] = ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        module.__path__ = []
        module.__dict__.update(values)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(made[parent], child, module)
    return made


@contextmanager
def installed():
    """The fake in place of whatever `cupy` there is; yields it."""
    saved = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("cupy", "cupyx")}
    for name in saved:
        del sys.modules[name]
    made = modules()
    sys.modules.update(made)
    try:
        yield made["cupy"]
    finally:
        for name in made:
            sys.modules.pop(name, None)
        sys.modules.update(saved)

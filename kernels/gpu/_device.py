"""The device: every compilation, launch, allocation and transfer of the GPU kernels happens here.

CUDA sources lie beside the Python that launches them and include nothing. Kernels are templates; each
instance is compiled by NVRTC when it is first launched, and CuPy keeps the binary between processes.
"""

import re
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import DeviceMemoryError

__all__ = [
    "BLOCKS_PER_PROCESSOR",
    "OPTIONS",
    "SOURCES",
    "THREADS",
    "Source",
    "TYPES",
    "allocations",
    "blocks",
    "copy_to_device",
    "device_id",
    "device_of",
    "empty",
    "forget",
    "is_ready",
    "reads",
    "to_device",
    "to_host",
    "type_of",
    "zeros",
]

#: C++ names of the dtypes that the kernels are compiled for.
TYPES = {"f": "float", "d": "double", "F": "complex<float>", "D": "complex<double>"}
#: What NVRTC is told beside CuPy's own options.
OPTIONS = ("--std=c++17",)
# Threads of a block, and blocks that a multiprocessor holds at once: __launch_bounds__ in common.cuh promises it
# to the compiler, so that a grid of this size can meet at a barrier.
THREADS = 256
BLOCKS_PER_PROCESSOR = 4

#: Every source, in the order of import.
SOURCES: list["Source"] = []


@dataclass
class _Count:
    """What was allocated, or came back to the host, since the last ``forget``."""

    number: int = 0
    bytes: int = 0


allocations = _Count()
reads = _Count()
_functions = {}
_processors = {}


class Source:
    """A ``.cu`` file and its kernels, each with the template arguments that it may get.

    Parameters
    ----------
    name : str
        The file without its suffix; the headers, ``.cuh``, are put in front of it.
    headers : sequence of str
    kernels : sequence of tuples of str, by kernel name
    """

    def __init__(self, name, headers=("common",), **kernels):
        self.name, self.headers = name, headers
        self.kernels = {kernel: tuple(arguments) for kernel, arguments in kernels.items()}
        SOURCES.append(self)

    @cached_property
    def code(self):
        """The text that is compiled; its line numbers are those of the files."""
        files = [*(f"{header}.cuh" for header in self.headers), f"{self.name}.cu"]
        folder = Path(__file__).parent
        return "".join(f'#line 1 "{file}"\n{(folder / file).read_text(encoding="utf-8")}\n' for file in files)

    @property
    def expressions(self):
        """Every instance that may be launched, as C++ writes it."""
        return [_expression(kernel, each) for kernel, arguments in self.kernels.items() for each in arguments]

    def launch(self, kernel, template, grid, *arguments):
        """Start ``kernel<template>`` on ``grid`` blocks of ``THREADS`` threads; None is a null pointer."""
        _launch(self, kernel, template, grid, arguments, together=False)

    def launch_together(self, kernel, template, grid, *arguments):
        """The same for a kernel whose blocks meet at barriers: all run at once, or the launch is refused."""
        _launch(self, kernel, template, grid, arguments, together=True)


def _expression(kernel, template):
    return f"{kernel}<{', '.join(template)}>"


def _launch(source, kernel, template, grid, arguments, together):
    key = source.name, kernel, template, together
    function = _functions.get(key)
    if function is None:
        function = _functions[key] = _compile(source, _expression(kernel, template), together)
    function((grid,), (THREADS,), tuple(_NULL if value is None else value for value in arguments))


_NULL = np.uint64(0)


def _compile(source, expression, together):
    import cupy

    if expression not in source.expressions:
        raise AssertionError(f"{source.name}.cu does not list {expression}")
    module = cupy.RawModule(
        code=source.code, options=OPTIONS, name_expressions=[expression], enable_cooperative_groups=together
    )
    return module.get_function(expression)


def forget():
    """Drop what was compiled and counted; a test that changes the device under us calls it."""
    _functions.clear()
    _processors.clear()
    allocations.number = allocations.bytes = reads.number = reads.bytes = 0


def blocks(n, each=BLOCKS_PER_PROCESSOR):
    """How many blocks share n pieces of work, one a thread: no more than processors hold at once, ``each`` so many."""
    return max(1, min(-(-n // THREADS), _multiprocessors() * each))


def _multiprocessors():
    import cupy

    device = cupy.cuda.Device()
    if device.id not in _processors:
        _processors[device.id] = device.attributes["MultiProcessorCount"]
    return _processors[device.id]


def type_of(*arrays):
    """The template arguments that the dtypes of these arrays are."""
    return tuple(TYPES[array.dtype.char] for array in arrays)


def empty(shape, dtype):
    """An array of that shape with arbitrary entries."""
    import cupy

    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    with _memory(size):
        array = cupy.empty(shape, dtype)
    allocations.number += 1
    allocations.bytes += size
    return array


def zeros(shape, dtype):
    """An array of that shape full of zeros."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def to_device(values, dtype):
    """The values in the memory of this backend, C-contiguous and of that dtype; copied only where they must be."""
    import cupy

    if isinstance(values, cupy.ndarray) and values.dtype == dtype and is_ready(values):
        return values
    return copy_to_device(values, dtype)


def is_ready(array):
    """Whether the kernels can read the array as it is: C-contiguous, and each entry where one load can take it."""
    return array.flags.c_contiguous and _is_aligned(array)


def _is_aligned(array):
    """A view of other numbers, or memory of another library, may begin anywhere."""
    return array.data.ptr % array.itemsize == 0


def copy_to_device(values, dtype):
    """A fresh array with these values in the memory of this backend, C-contiguous and of that dtype."""
    array = empty(values.shape, dtype)
    if isinstance(values, np.ndarray):
        array.set(np.ascontiguousarray(values, dtype=dtype))
    else:
        array[...] = values if _is_aligned(values) else _aligned(values)
    return array


def _aligned(values):
    """The same values at an address that a load of a whole entry may have, which CuPy's kernels rely on as ours do."""
    made = empty(values.shape, values.dtype)
    if values.flags.c_contiguous:
        made.ravel().view(np.uint8)[...] = values.ravel().view(np.uint8)
    else:  # the halves of complex numbers, each aligned
        made.real[...], made.imag[...] = values.real, values.imag
    return made


def to_host(array):
    """The values as a NumPy array; the host waits for them."""
    reads.number += 1
    reads.bytes += array.nbytes
    return array.get()


def device_id():
    """The number of the device on which this backend works now."""
    from cupy.cuda import runtime

    return runtime.getDevice()


def device_of(array):
    """A context in which allocations and launches happen where the array lives, and CuPy's full memory is ours."""
    there = hasattr(array, "device") and not isinstance(array, np.ndarray)
    return _memory(None, array.device if there else _HERE)


_HERE = nullcontext()


class _memory:
    """Turns the device's word for full memory into ours, on a device; ``size`` is asked for, if that is known."""

    def __init__(self, size, device=_HERE):
        self.size, self.device = size, device

    def __enter__(self):
        self.device.__enter__()
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is not None:
                self._translate(error)
        finally:
            self.device.__exit__(kind, error, trace)
        return False

    def _translate(self, error):
        import cupy

        if isinstance(error, cupy.cuda.memory.OutOfMemoryError):
            free, total = cupy.cuda.runtime.memGetInfo()
            free += cupy.get_default_memory_pool().free_bytes()
            raise DeviceMemoryError(_requested(error) if self.size is None else self.size, free, total) from error


def _requested(error):
    """The bytes that CuPy's error speaks of: it keeps them nowhere else."""
    found = re.search(r"allocating ([\d,]+) bytes", str(error))
    return int(found[1].replace(",", "")) if found else 0

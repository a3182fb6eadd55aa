"""RawModule: compile with g++, compare what is passed with what the kernel takes, run, and raise what went wrong."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

from . import build, memory
from .arrays import ndarray

#: C++ names to dtypes.
DTYPES = {
    "float": "float32",
    "double": "float64",
    "complex<float>": "complex64",
    "complex<double>": "complex128",
    "int": "int32",
    "unsigned int": "uint32",
    "long long int": "int64",
    "long long unsigned int": "uint64",
    "bool": "bool",
}
SCHEDULES = ("forward", "reverse", "random")


class EmulationError(Exception):
    """A kernel did what a kernel must not do, or was launched as it must not be."""


class _Settings:
    """How the next launches run; `reset` puts the defaults back."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.mode, self.schedule, self.seed = "fast", "forward", 0
        self.patience = 30  # seconds that a thread may run without waiting for another
        self.whole_sources = True  # compile every instance of a source at once
        self.launches = 0
        self.kernels = []  # the expression of every launch, in order


settings = _Settings()


class _Buffer(ctypes.Structure):
    _fields_ = [
        ("start", ctypes.c_void_p),
        ("bytes", ctypes.c_size_t),
        ("parameter", ctypes.c_int),
        ("constant", ctypes.c_int),
    ]


class _Kernel(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("invoke", ctypes.c_void_p),
        ("function", ctypes.c_void_p),
        ("count", ctypes.c_int),
        ("sizes", ctypes.POINTER(ctypes.c_int)),
        ("types", ctypes.POINTER(ctypes.c_char_p)),
    ]


class _Launch(ctypes.Structure):
    _fields_ = [
        ("kernel", ctypes.c_char_p),
        ("invoke", ctypes.c_void_p),
        ("function", ctypes.c_void_p),
        ("arguments", ctypes.POINTER(ctypes.c_void_p)),
        ("blocks", ctypes.c_uint),
        ("threads", ctypes.c_uint),
        ("together", ctypes.c_int),
        ("schedule", ctypes.c_int),
        ("seed", ctypes.c_uint64),
        ("checked", ctypes.c_int),
        ("patience", ctypes.c_int),
        ("shared_anchor", ctypes.c_void_p),
        ("buffers", ctypes.POINTER(_Buffer)),
        ("buffer_count", ctypes.c_int),
    ]


class RawModule:
    """A source of which one instance at a time is compiled, or all that its owner lists where it lists them."""

    def __init__(self, *, code, options=(), name_expressions=None, enable_cooperative_groups=False):
        self._code, self._expressions = code, tuple(name_expressions)
        self._together = enable_cooperative_groups
        unknown = set(options) - {"--std=c++17"}
        if unknown:
            raise EmulationError(f"options that the emulation does not know: {sorted(unknown)}")

    def get_function(self, name):
        if name not in self._expressions:
            raise EmulationError(f"{name} is not among the name expressions {self._expressions}")
        return RawKernel(self._code, name, self._together)


def _instances(code, name):
    """Every instance of that source where it is one of ours: one compilation is cheaper than many."""
    from solvers.kernels.gpu import _device

    for source in _device.SOURCES:
        if settings.whole_sources and source.code == code and name in source.expressions:
            return tuple(source.expressions)
    return (name,)


class RawKernel:
    """One instance; calling it launches it."""

    def __init__(self, code, name, together):
        self._code, self._name, self._together = code, name, together
        self._built = {}
        self._bound = _launch_bound(code, re.match(r"\w+", name)[0])
        self._constant = _constant_parameters(code, re.match(r"\w+", name)[0])

    def __call__(self, grid, block, args):
        library, kernel = self._kernel()
        (blocks,), (threads,) = grid, block
        self._check_shape(blocks, threads)
        types = [_type(kernel.types[i].decode()) for i in range(kernel.count)]
        if len(types) != len(args):
            raise EmulationError(f"{self._name} takes {len(types)} arguments, got {len(args)}")
        for position, (type_, value) in enumerate(zip(types, args, strict=True)):
            _check_argument(self._name, position, type_, value)
        self._run(library, kernel, blocks, threads, args)

    def _kernel(self):
        mode = settings.mode
        if mode not in self._built:
            expressions = _instances(self._code, self._name)
            library = build.kernels(self._code, expressions, mode)
            library.emulation_anchor.restype = ctypes.c_void_p
            kernel = _Kernel()
            library.emulation_describe(expressions.index(self._name), ctypes.byref(kernel))
            self._built[mode] = library, kernel
        return self._built[mode]

    def _check_shape(self, blocks, threads):
        if blocks < 1 or not 1 <= threads <= 1024:
            raise EmulationError(f"{self._name}: a grid of {blocks} blocks of {threads} threads is invalid")
        if self._bound and threads > self._bound[0]:
            raise EmulationError(f"{self._name}: {threads} threads, but __launch_bounds__ says {self._bound[0]}")
        most = memory.device.multiprocessors * (self._bound[1] if self._bound else 1)
        if self._together and blocks > most:
            raise EmulationError(f"{self._name}: {blocks} blocks cannot run at once, only {most}")

    def _run(self, library, kernel, blocks, threads, args):
        values = [np.uintp(a._array.ctypes.data) if isinstance(a, ndarray) else a for a in args]
        holders = [np.array(value) for value in values]
        pointers = (ctypes.c_void_p * (len(args) + 1))(*(holder.ctypes.data for holder in holders))
        buffers = _buffers(args, self._constant)
        launch = _Launch(
            self._name.encode(), kernel.invoke, kernel.function, pointers, blocks, threads, self._together,
            SCHEDULES.index(settings.schedule), settings.seed, settings.mode == "checked", settings.patience,
            library.emulation_anchor(), buffers, len(buffers),
        )  # fmt: skip
        settings.launches += 1
        settings.kernels.append(self._name)
        error = build.runtime().emulation_launch(ctypes.byref(launch))
        if error is not None:
            raise EmulationError(f"{self._name}: {_with_lines(error.decode(), library._name)}")
        for array in args:
            if isinstance(array, ndarray):
                memory.check_guards(array._array, self._name)


def _with_lines(message, library):
    """The message with file and line in place of the addresses of instructions."""

    def line(found):
        done = subprocess.run(["addr2line", "-e", library, found[1]], capture_output=True, text=True)
        return f"at {Path(done.stdout.split(' ')[0].strip()).name}" if done.returncode == 0 else found[0]

    return re.sub(r"@(0x[0-9a-f]+)", line, message) if shutil.which("addr2line") else message


def _buffers(args, constant):
    """The memory that this launch may touch, each piece once."""
    found = {}
    for position, value in enumerate(args):
        if isinstance(value, ndarray) and value.nbytes:
            key = value._array.ctypes.data, value.nbytes
            first, marked = found.get(key, (position, False))
            found[key] = first, marked or position in constant
    rows = [(start, size, first, marked) for (start, size), (first, marked) in found.items()]
    return (_Buffer * len(rows))(*rows)


def _type(spelling):
    """(dtype or None for unknown, whether a pointer, whether to constant) from GCC's words for a type."""
    name = re.search(r"\[with T = (.*)\]$", spelling)[1]
    pointer = name.endswith("*")
    bare = name.rstrip("* ")
    constant = bare.startswith("const ") and pointer
    return DTYPES.get(bare.removeprefix("const ").strip()), pointer, constant, name


def _check_argument(kernel, position, type_, value):
    dtype, pointer, _, name = type_
    where = f"{kernel}, argument {position} ({name})"
    if pointer:
        if isinstance(value, np.uint64) and value == 0:
            return
        if not isinstance(value, ndarray):
            raise EmulationError(f"{where}: a cupy.ndarray or a null pointer is expected, got {type(value).__name__}")
        if "void" not in name and (dtype is None or value.dtype != dtype):
            raise EmulationError(f"{where}: got an array of {value.dtype}")
        if not value.flags.c_contiguous:
            raise EmulationError(f"{where}: the array is not C-contiguous")
        if value.data.ptr % value.itemsize:
            raise EmulationError(f"{where}: the array is misaligned for {value.dtype}")
    elif not isinstance(value, np.generic) or value.dtype != dtype:
        raise EmulationError(f"{where}: got {type(value).__name__}")


def _launch_bound(code, kernel):
    """(threads, blocks per multiprocessor) that __launch_bounds__ promises, or None."""
    between = re.search(rf"__global__([^{{}};]*?)\bvoid\s+([^{{}};]*?)\b{kernel}\s*\(", code)
    if between is None:
        raise EmulationError(f"no `__global__ ... void {kernel}(` in the source")
    words = between[1] + between[2]
    for name, meaning in re.findall(r"^#define (\w+) (__launch_bounds__\(.*\))$", code, re.M):
        words = re.sub(rf"\b{name}\b", meaning, words)
    bound = re.search(r"__launch_bounds__\((\d+)(?:,\s*(\d+))?\)", words)
    return bound and (int(bound[1]), int(bound[2] or 1))


def _constant_parameters(code, kernel):
    """Positions of the parameters that the compiler may read through the cache that is not coherent."""
    parameters = re.search(rf"__global__[^{{}};]*?\b{kernel}\s*\(([^)]*)\)", code)[1].split(",")
    # A comma inside <...> would shift the positions; the sources name such types by an alias.
    return {i for i, each in enumerate(parameters) if re.search(r"\bconst\b.*\*\s*__restrict__", each)}

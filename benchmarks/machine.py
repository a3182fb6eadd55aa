"""Where a measurement was made: without this a figure cannot be compared with another."""

import datetime
import os
import platform
from importlib import metadata

from ._registry import present

__all__ = ["cores", "cpu_model", "describe", "kernel_cache", "one_line", "pot", "versions"]

_PACKAGES = ("numpy", "scipy", "numba", "pyamg", "POT", "matplotlib", "tqdm", "cupy", "torch", "scikit-image")
# Rivals of one benchmark: recorded where they are.
_RIVALS = ("scikit-learn", "pylops", "astra-toolbox")
# One library, built for several versions of CUDA.
_ALSO_CALLED = {"cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy")}


def versions():
    """Installed versions by name, None where absent; read from metadata, so that nothing is imported."""
    import solvers

    found = {"solvers": solvers.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        found[name] = next(filter(None, map(_version, _ALSO_CALLED.get(name, (name,)))), None)
    return found | {name: version for name in _RIVALS if (version := _version(name))}


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu_model():
    """The processor's own name where the system tells it, else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def cores():
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(threads=None):
    """What goes into a recorded result."""
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "system": platform.system(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def kernel_cache():
    """Where compiled kernels are kept between processes, in the folder that Numba settled on."""
    from types import ModuleType

    if not present("numba"):
        return "none: numba is not installed"
    from solvers.kernels import cpu

    modules = [m for m in vars(cpu).values() if isinstance(m, ModuleType)]
    caches = [getattr(f, "_cache", None) for m in modules for f in vars(m).values()]
    paths = [cache.cache_path for cache in caches if getattr(cache, "cache_path", None)]
    return paths[0] if paths else "none can be written here: kernels are compiled in each process"


def one_line():
    """The machine above a table."""
    v = versions()
    libraries = ", ".join(f"{name} {v[name]}" for name in ("numpy", "scipy", "numba", "pyamg") if v[name])
    return f"{cpu_model()}, {cores()} cores; Python {v['python']}, {libraries}"


def pot():
    """POT's name and version, or that there is none."""
    version = _version("POT")
    return f"POT {version}" if version else "no POT"

"""The GPU as the benchmark sees it: what it is, how data gets there, how its work is timed."""

import statistics
from dataclasses import replace

import numpy as np

__all__ = ["can_move", "copy_bandwidth", "describe", "missing", "move", "moved", "one_line", "on_host", "timed"]

_COPY_BYTES = 2**30


def missing(with_cupyx=False):
    """The part that is missing here, in words, or an empty string."""
    import solvers

    why = solvers.backends()["gpu"]
    if why is None and with_cupyx:
        from solvers._backend import cupyx_missing

        why = cupyx_missing()
    return why or ""


def describe():
    """The device, its driver and libraries; what a recorded figure needs to be compared with another."""
    import cupy

    device, runtime = cupy.cuda.Device(), cupy.cuda.runtime
    properties = runtime.getDeviceProperties(device.id)
    name = properties["name"]
    return {
        "device": name.decode() if isinstance(name, bytes) else name,
        "compute_capability": str(device.compute_capability),
        "multiprocessors": int(properties["multiProcessorCount"]),
        "memory_bytes": int(device.mem_info[1]),
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
        "clocks": "as found: not set, not locked",
    }


def one_line():
    """The device above a table."""
    d = describe()
    return (
        f"{d['device']}, {d['memory_bytes'] / 1e9:.0f} GB, compute capability {d['compute_capability']}; "
        f"driver {d['driver']}, CUDA {d['runtime']}, cupy {d['cupy']}"
    )


def can_move(M):
    """Whether a preconditioner is none, an array or a sparse matrix."""
    from scipy import sparse

    return M is None or isinstance(M, np.ndarray) or sparse.issparse(M)


def move(value):
    """A NumPy array or a sparse matrix as CuPy has it; None and what is there stays."""
    import cupy
    from scipy import sparse

    if isinstance(value, np.ndarray):
        return cupy.asarray(value)
    if not sparse.issparse(value):
        return value
    import cupyx.scipy.sparse

    A = sparse.csr_array(value)
    parts = cupy.asarray(A.data), cupy.asarray(A.indices), cupy.asarray(A.indptr)
    return cupyx.scipy.sparse.csr_matrix(parts, shape=A.shape)


def moved(task):
    """The same task with its matrix, right-hand side and preconditioner on the device."""
    return replace(task, problem=replace(task.problem, A=move(task.A), b=move(task.b)), M=move(task.M))


def on_host(x):
    """An answer as a NumPy array."""
    return x.get() if hasattr(x, "get") else x


def timed(run):
    """The answer of ``run()`` and its seconds on the device's clock, in which it also waits for the host."""
    import cupy

    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    answer = run()
    end.record()
    end.synchronize()
    return answer, cupy.cuda.get_elapsed_time(start, end) / 1e3


def copy_bandwidth(size=_COPY_BYTES, repeats=20):
    """Bytes per second, read and written, of copies from one place of the device's memory to another."""
    import cupy

    count = min(size, cupy.cuda.Device().mem_info[0] // 4) // 8
    source, target = cupy.zeros(count, np.float64), cupy.zeros(count, np.float64)

    def copy():
        target[...] = source

    timed(copy)
    return 2 * 8 * count / statistics.median(timed(copy)[1] for _ in range(repeats))

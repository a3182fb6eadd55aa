"""The emulated device: a fake `cupy` under which solvers and its kernels run unmodified."""

import importlib
import os
import re
import sys

import pytest
import scipy.sparse
from emulation import SCHEDULES, build, device, installed, settings


@pytest.fixture(scope="session", autouse=True)
def _libraries(request):
    """Compiled libraries are kept between runs, by the hash of what they were made from."""
    cache = getattr(request.config, "cache", None)  # pytest may run without
    if cache is not None:
        build.folder = cache.mkdir("emulation")
        build.forget_old()


@pytest.fixture
def emulated(monkeypatch):
    """The fake `cupy`, on a device of two multiprocessors, with 64 threads a block; a clean state before and after."""
    if not build.available():
        if os.environ.get("CI"):
            pytest.fail(f"no C++ compiler ({build.COMPILER}): CI must run the CUDA sources")
        pytest.skip(f"no C++ compiler ({build.COMPILER}) to run the CUDA sources with")
    with installed() as cupy:
        import solvers.kernels.gpu._device as launches

        import solvers._backend

        _clean(launches, solvers._backend)
        monkeypatch.setattr(launches, "THREADS", 64)
        yield cupy
        _clean(launches, solvers._backend)
    solvers._backend.forget()


@pytest.fixture
def gpu(emulated):
    """The kernels of the GPU, on the emulated device."""
    return importlib.import_module("solvers.kernels.gpu")


@pytest.fixture(params=["64 threads", "256 threads, checked"])
def both_gpus(request, emulated, monkeypatch):
    """The same with blocks of two sizes, the larger ones with every access checked and threads in a random order."""
    kernels = importlib.import_module("solvers.kernels.gpu")
    if request.param != "64 threads":
        monkeypatch.setattr(kernels._device, "THREADS", 256)
        settings.mode, settings.schedule = "checked", "random"
    return kernels


@pytest.fixture
def sent(emulated):
    """``sent(value)``: the same on the device."""
    from cupyx.scipy import sparse

    return lambda value: sparse.csr_array(value) if scipy.sparse.issparse(value) else emulated.asarray(value)


def _clean(launches, backend):
    settings.reset()
    device.reset()
    launches.forget()
    backend.kernels.cache_clear()
    backend.forget()
    sorted_patterns = sys.modules.get("solvers.linalg._sweeps")
    if sorted_patterns:
        sorted_patterns.forget()


@pytest.fixture
def start(emulated):
    """``start(code, grid, threads, *arguments)`` launches the only kernel of a source."""

    def launch(code, grid, threads, *arguments, together=False):
        name = re.search(r"__global__ .*?\bvoid (\w+)\(", code)[1]
        module = emulated.RawModule(code=code, name_expressions=[name], enable_cooperative_groups=together)
        module.get_function(name)((grid,), (threads,), arguments)

    return launch


@pytest.fixture(params=["fast", "checked"])
def either(request, emulated):
    """The test runs without and with the detector of races and of accesses out of bounds."""
    settings.mode = request.param


@pytest.fixture(params=SCHEDULES)
def schedule(request, emulated):
    """The test runs under every order of threads."""
    settings.schedule, settings.seed = request.param, 3


@pytest.fixture
def mode(emulated):
    """``mode("checked")``: the following launches run under the detector; ``mode("fast")``: they no longer do."""

    def choose(name):
        settings.mode = name

    return choose

"""The emulated device: a fake `cupy` under which solvers and its kernels run unmodified."""

import os

import pytest
from emulation import build, device, installed, settings


@pytest.fixture(scope="session", autouse=True)
def _libraries(request):
    """Compiled libraries are kept between runs, by the hash of what they were made from."""
    if not build.available():
        yield
        return
    build.folder = request.config.cache.mkdir("emulation")
    yield


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


def _clean(launches, backend):
    settings.reset()
    device.reset()
    launches.forget()
    backend.kernels.cache_clear()
    backend.forget()


@pytest.fixture
def mode():
    """``mode("checked")``: the following launches run under the detector of races and of reads out of bounds."""

    def choose(name):
        settings.mode = name

    return choose

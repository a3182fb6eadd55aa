"""The switch: who decides where a call runs, and the sentence where it cannot; the GPU is a fake, piece by piece."""

import asyncio
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator

import solvers
from solvers import _arrays, _backend


class OnGpu:
    """As CuPy's array: of a module called cupy, and nothing else."""


OnGpu.__module__ = "cupy"
A, b, on_gpu = sp.csr_array(np.eye(2)), np.ones(2), OnGpu()


class _CUDARuntimeError(RuntimeError):
    pass


def fake_cupy(devices=1, driver=13000, nvrtc=True, capability="90", is_hip=False):
    """A cupy that answers the questions of the switch; an exception is raised where one is given."""

    def answer(value):
        def ask():
            if isinstance(value, Exception):
                raise value
            return value

        return ask

    cupy, cuda = types.ModuleType("cupy"), types.ModuleType("cupy.cuda")
    cuda.runtime = types.SimpleNamespace(
        CUDARuntimeError=_CUDARuntimeError,
        getDeviceCount=answer(devices),
        driverGetVersion=answer(driver),
        is_hip=is_hip,
    )
    cuda.nvrtc = types.SimpleNamespace(getVersion=answer((13, 0) if nvrtc is True else nvrtc))
    cuda.Device = lambda: types.SimpleNamespace(compute_capability=capability)
    cupy.cuda = cuda
    return {"cupy": cupy, "cupy.cuda": cuda}


@pytest.fixture
def machine(monkeypatch):
    """``machine(**fake)`` puts a fake cupy in; ``machine(None)`` removes it."""

    def install(cupy=True, **properties):
        found = {"cupy": None, "cupy.cuda": None} if cupy is None else fake_cupy(**properties)
        for name, module in found.items():
            monkeypatch.setitem(sys.modules, name, module)
        _backend.forget()

    yield install
    monkeypatch.undo()
    _backend.forget()


# ---- who decides ----


def test_arrays_decide_by_default():
    assert _backend.pick(A=A, b=b, x0=None) == "cpu"
    assert _backend.pick(b=[1.0, 2.0]) == "cpu"


def test_arrays_on_the_gpu_decide_for_the_gpu(machine):
    machine()
    assert _backend.pick(A=on_gpu, b=on_gpu, x0=None, M=None) == "gpu"
    assert _backend.pick(A=lambda v: v, b=on_gpu) == "gpu"


@pytest.mark.parametrize("value", [np.float64(1), np.random.default_rng(0), np.dtype("f"), None, 1.0, [1.0], "Mb"])
def test_what_is_no_array_goes_with_either(machine, value):
    machine()
    assert _backend.pick(A=on_gpu, x0=value) == "gpu"
    assert _backend.pick(A=A, x0=value) == "cpu"


def test_mixtures_are_refused_and_both_are_named():
    for arguments in ({"A": A, "b": on_gpu}, {"b": on_gpu, "A": A}):
        with pytest.raises(solvers.UnsupportedType, match="`b` lives on the GPU and `A` does not"):
            _backend.pick(**arguments)


def test_a_subclass_counts_as_what_it_is_made_of():
    class Mine(np.ndarray):
        pass

    class Operator(LinearOperator):
        pass

    assert _arrays.kinds[Mine] == _arrays.kinds[Operator] == "cpu"
    assert _arrays.kinds[type("Theirs", (OnGpu,), {})] == "gpu"


def test_a_block_rules_over_the_arrays_and_ends(machine):
    machine()
    with solvers.backend("cpu"):
        with pytest.raises(solvers.UnsupportedType, match="`b` lives on the GPU while the backend is set to 'cpu'"):
            _backend.pick(b=on_gpu)
    assert _backend.pick(b=on_gpu) == "gpu"


def test_blocks_nest_and_one_object_serves_twice(machine):
    machine()
    gpu = solvers.backend("gpu")
    with gpu:
        with solvers.backend("cpu"):
            assert _backend.pick(b=b) == "cpu"
            with gpu:
                assert _backend.pick(b=b) == "gpu"
            assert _backend.pick(b=b) == "cpu"
        assert _backend.pick(b=b) == "gpu"
    with gpu:
        assert _backend.pick(b=b) == "gpu"
    assert _backend.pick(b=b) == "cpu"


def test_a_block_ends_with_an_exception(machine):
    machine()
    with pytest.raises(KeyError), solvers.backend("gpu"):
        raise KeyError
    assert _backend.pick(b=b) == "cpu"


def test_set_backend_holds_in_every_thread_and_auto_takes_it_back(machine):
    machine()
    seen = []
    try:
        solvers.set_backend("gpu")
        thread = threading.Thread(target=lambda: seen.append(_backend.pick(b=b)))
        thread.start()
        thread.join()
    finally:
        solvers.set_backend("auto")
    assert seen == ["gpu"] and _backend.pick(b=b) == "cpu"


def test_a_block_is_its_threads_own_though_the_object_is_shared(machine):
    machine()
    gpu, inside, leave, seen = solvers.backend("gpu"), threading.Barrier(3), threading.Barrier(3), []

    def work():
        with gpu:
            inside.wait(10)
            seen.append(_backend.pick(b=b))
            leave.wait(10)
        seen.append(_backend.pick(b=b))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    outside = _backend.pick(b=b)
    leave.wait(10)
    for thread in threads:
        thread.join()
    assert outside == "cpu" and sorted(seen) == ["cpu", "cpu", "gpu", "gpu"]


def test_a_block_is_its_tasks_own_though_tasks_take_turns(machine):
    machine()
    gpu = solvers.backend("gpu")

    async def on(block, first, second):
        with block:
            first.set()
            await second.wait()
            return _backend.pick(b=b)

    async def both():
        one, two = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(on(gpu, one, two), on(solvers.backend("cpu"), two, one))

    assert asyncio.run(both()) == ["gpu", "cpu"]


@pytest.mark.parametrize("name", ["GPU", "cuda", "", None, 1])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(solvers.InvalidInput, match="`name` must be one of 'cpu', 'gpu', 'auto'"):
        solvers.backend(name)
    with pytest.raises(solvers.InvalidInput, match="`name`"):
        solvers.set_backend(name)


SOLVE = "import numpy as np, solvers.linalg; print(solvers.linalg.cg(np.eye(2), np.ones(2)).backend)"


def run_with(value, script=SOLVE):
    import os

    home = os.path.dirname(os.path.dirname(solvers.__file__))
    path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"SOLVERS_BACKEND": value, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("value", ["cpu", "auto", ""])
def test_the_environment_variable_chooses(value):
    assert run_with(value).stdout == "cpu\n"


def test_a_bad_environment_variable_is_named_at_the_first_solve_and_not_at_import():
    done = run_with("gppu", "import solvers.linalg; print('imported'); " + SOLVE)
    assert done.stdout == "imported\n"
    assert done.stderr.splitlines()[-1].endswith(
        "the environment variable SOLVERS_BACKEND must be one of 'cpu', 'gpu', 'auto', got 'gppu'."
    )


def test_asking_the_environment_for_a_missing_gpu_is_no_silent_fall_back():
    if solvers.backends()["gpu"] is None:
        pytest.skip("there is a GPU here")
    done = run_with("gpu")
    assert done.returncode != 0 and "The GPU backend cannot run here" in done.stderr.splitlines()[-1]


# ---- which part is missing ----


def test_a_complete_machine_lacks_nothing(machine):
    machine()
    assert solvers.backends() == {"cpu": None, "gpu": None}


@pytest.mark.parametrize(
    "properties, words",
    [
        ({"cupy": None}, ["cupy is not installed", "pip install 'cupy-cuda13x[ctk]'"]),
        (
            {"devices": _CUDARuntimeError("cudaErrorInsufficientDriver: ..."), "driver": 0},
            ["no NVIDIA driver", "nvidia-smi", "pip install 'cupy-cuda13x[ctk]'"],
        ),
        (
            {"devices": _CUDARuntimeError("cudaErrorInsufficientDriver: ..."), "driver": 12040},
            ["driver is too old", "CUDA 12.4", "pip install 'cupy-cuda12x[ctk]'"],
        ),
        ({"devices": _CUDARuntimeError("cudaErrorNoDevice: ...")}, ["no CUDA device", "CUDA_VISIBLE_DEVICES"]),
        ({"devices": 0}, ["no CUDA device", "CUDA_VISIBLE_DEVICES"]),
        (
            {"nvrtc": RuntimeError('Failure finding "libnvrtc.so"\nmore')},
            ["NVRTC", 'Failure finding "libnvrtc.so");', "pip install 'cupy-cuda13x[ctk]'"],
        ),
        ({"capability": "61"}, ["older than compute capability 7.0"]),
        ({"is_hip": True}, ["AMD", "pip install"]),
    ],
    ids=["cupy", "driver", "old driver", "no device", "0 devices", "nvrtc", "old device", "hip"],
)
def test_the_missing_part_and_its_remedy_are_named(machine, properties, words):
    machine(**properties)
    reason = solvers.backends()["gpu"]
    assert [w for w in words if w not in reason] == []
    assert reason.endswith(".") and reason.count(". ") == 0 and "\n" not in reason
    for ask in (solvers.backend, solvers.set_backend):
        with pytest.raises(solvers.BackendUnavailable) as caught:
            ask("gpu")
        assert str(caught.value) == f"The GPU backend cannot run here: {reason}"


def test_a_broken_cupy_is_told_from_a_missing_one(monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "cupy":
                raise ImportError("libcudart.so: cannot open\nsecond line")

    for name in [n for n in sys.modules if n.partition(".")[0] == "cupy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    _backend.forget()
    try:
        assert "cupy cannot be imported (libcudart.so: cannot open);" in solvers.backends()["gpu"]
    finally:
        _backend.forget()


def test_availability_is_asked_once(machine):
    machine()
    count = []
    sys.modules["cupy.cuda"].runtime.getDeviceCount = lambda: count.append(1) or 1
    for _ in range(3):
        assert _backend.pick(b=on_gpu) == "gpu"
    assert len(count) == 1


def test_missing_libraries_of_cupyx_are_named(machine, monkeypatch):
    machine()
    monkeypatch.setitem(sys.modules, "cupyx", None)
    _backend.forget()
    assert "pip install 'cupy-cuda13x[ctk]'" in _backend.cupyx_missing()
    assert solvers.backends()["gpu"] is None


def test_full_memory_of_the_device_has_a_public_name():
    error = solvers.DeviceMemoryError(5_000_000, 2_000, 9_000_000_000)
    assert isinstance(error, MemoryError) and "5.0 MB" in str(error) and "2.0 kB of 9.0 GB" in str(error)

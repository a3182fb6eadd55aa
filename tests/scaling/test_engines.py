"""Everything that takes an executor, on four engines: the bits of the call without one; failures are named."""

import importlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import scaling_calls
from scaling_calls import CALLS, bits, deadly, failures, one_wrong
from solvers.benchmarks import engines

from solvers import TaskError

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@contextmanager
def dask():
    pytest.importorskip("distributed")
    # A task whose worker died would be tried on three more.
    with importlib.import_module("dask").config.set({"distributed.scheduler.allowed-failures": 0}):
        with engines.ENGINES["dask"]() as pool:
            yield pool


ALL = [
    pytest.param(engines.ENGINES["threads"], id="threads"),
    pytest.param(engines.ENGINES["processes"], id="processes"),
    pytest.param(dask, id="dask", marks=pytest.mark.slow),
]


class Counting:
    """An executor that counts its tasks."""

    def __init__(self, pool):
        self.pool, self.tasks = pool, 0

    def submit(self, function, task):
        self.tasks += 1
        return self.pool.submit(function, task)


@pytest.fixture(scope="module")
def serial():
    return {name: bits(call(None)) for name, call in CALLS.items()}


def check(found, told, serial):
    """The numbers of all calls, and what was said and kept of those that fail."""
    assert found == serial
    for name, (words, kept) in scaling_calls.expected_failures().items():
        sentence, others = told[name]
        assert f" tasks failed: {words}" in sentence and "`results` has the answers of the others." in sentence
        assert others == kept, name
    assert "Stubborn: a hole in the operator" in told["wrong_column"][0]


@pytest.mark.parametrize("engine", ALL)
def test_every_call_gives_the_bits_of_the_serial_one_and_names_its_failures(engine, serial):
    with engine() as pool:
        pools = {name: Counting(pool) for name in CALLS}
        found, told = {name: bits(call(pools[name])) for name, call in CALLS.items()}, failures(pool)
    check(found, told, serial)
    assert all(each.tasks > 2 for each in pools.values())
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_pool_of_mpi_too(tmp_path, serial):
    pytest.importorskip("mpi4py")
    mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpirun is None:
        pytest.skip("there is no mpirun")
    command = [mpirun, "-n", "3", "--oversubscribe", "--allow-run-as-root", sys.executable, "-m", "mpi4py.futures"]
    path = os.pathsep.join(each for each in [str(ROOT), os.environ.get("PYTHONPATH", "")] if each)
    environment = os.environ | {"PYTHONPATH": path, "TMPDIR": str(tmp_path)}
    run = subprocess.run(
        [*command, HERE / "mpi_script.py", tmp_path / "found.json"],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found.pop("workers") == 2
    check(found, found.pop("failures"), serial)


@pytest.mark.parametrize("engine", ALL[1:])
def test_a_process_that_dies_is_named_and_nobody_waits_for_it(engine):
    with engine() as pool:
        bits(CALLS["columns"](pool))
        words = r"^\d of 5 tasks failed: column \d \((BrokenProcessPool|KilledWorker): "
        with pytest.raises(TaskError, match=words) as caught:
            one_wrong(deadly, pool)
    error, whole = caught.value, one_wrong(None, None)
    assert 2 in error.failures
    for j, part in enumerate(error.results):
        assert (part is None) == (j in error.failures)
        assert part is None or part.x.tobytes() == whole.x[:, j].tobytes()
    assert not multiprocessing.active_children()

"""Random calls of every public function: what ends badly is found, and nothing does."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import soak
from scipy import sparse

import solvers
from solvers import InvalidInput, linalg

# What a call returns, what is no call, and what needs a package beyond the tests' own.
RETURNED = re.compile(r".*(Result|Estimate|Solution|Divergence|Batch|Preconditioner|Cholesky|Operator|Poisson|OURS)$")
ELSEWHERE = {"from_torch", "to_petsc", "Tuned"}


@pytest.mark.parametrize("area", soak.AREAS)
def test_some_calls_of_each_area_end_well(area):
    failed = soak.soak(area, range(38))
    assert not failed, soak.report(area, failed)


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="this system does not tell resident memory")
def test_two_thousand_calls_end_well_and_leave_no_memory_behind():
    command = [sys.executable, soak.__file__, "--calls", "2000"]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    assert run.returncode == 0, run.stdout + run.stderr
    first, again = (float(size) for size in re.findall(r"([\d.]+) MiB", run.stdout))
    assert again <= 1.05 * first, run.stdout


@pytest.mark.parametrize("area", soak.AREAS)
def test_every_public_function_is_drawn(area):
    drawn = set()
    for seed in range(800):
        call = soak.make(area, seed)
        drawn |= {call.function.__name__, *(v for v in call.arguments.values() if isinstance(v, str))}
        drawn |= set(getattr(call.function, "covers", ()))
    module = getattr(solvers, area)
    public = {name for name in getattr(module, "OURS", module.__all__) if not RETURNED.match(name)}
    assert not public - drawn - ELSEWHERE


def good(A, b):
    return linalg.cg(A, b)


def changing(A, b):
    b[0] = 7.0
    return linalg.cg(A, b)


def aliasing(A, b):
    return b


def wrong(A, b):
    return linalg.cg(A, b + 1)


def nan(A, b):
    return np.nan * b


def foreign(A, b):
    return sparse.csr_array(A)[7, 7]


def plain(A, b):
    raise InvalidInput("A must be something else.")


def warning(A, b):
    return np.log(0 * b)


def nameless(A, b):
    return linalg.kron_solve([A], b, shift="a")


FAULTS = {
    good: None,
    changing: "an array of the caller's was changed",
    aliasing: "shares memory",
    wrong: "judged wrong",
    nan: "a NaN in",
    foreign: "a foreign exception",
    plain: "no parameter in backticks",
    warning: "a foreign exception",
    nameless: "no parameter in backticks",
}


@pytest.mark.parametrize("function", FAULTS)
def test_the_examiner_sees(function):
    A, b = 2 * np.eye(3), np.ones(3)

    def judge(result):
        assert np.allclose(A @ result.x, b)

    reason = soak.examine(soak.Call(function, {"A": A, "b": b}, judge))
    assert reason is None if FAULTS[function] is None else FAULTS[function] in reason


def test_a_call_that_does_not_end_is_told_with_its_seed():
    script = """
import threading, soak
soak.make = lambda area, seed: soak.Call(threading.Event().wait, {"timeout": 60})
soak.soak("pde", [5], limit=1.0)
"""
    folder = str(pathlib.Path(soak.__file__).parent)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, env=_environment())
    assert run.returncode == 3 and "--area pde --seed 5" in run.stderr, run.stderr


def _environment():
    root = str(pathlib.Path(soak.__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}

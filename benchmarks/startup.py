"""What a first call costs: imports and compilation, each measured in a process of its own."""

import os
import statistics
import subprocess
import sys
import tempfile

from ._registry import UsageError

__all__ = ["measure", "table"]

_CHILD = """
import time
start = time.perf_counter()
import scipy.sparse.linalg
scipy_done = time.perf_counter()
import solvers.linalg
ours_done = time.perf_counter()
import numpy
from scipy import sparse
A = sparse.diags_array([numpy.full(100, 2.0), -numpy.ones(99), -numpy.ones(99)], offsets=[0, -1, 1])
A = A.tocsr()
ready = time.perf_counter()
solvers.linalg.cg(A, numpy.ones(100), maxiter=500)
print(scipy_done - start, ours_done - scipy_done, time.perf_counter() - ready)
"""


def measure(repeats=5):
    """Medians in seconds: SciPy's import, ours beyond it, the first cg without and with a cache."""
    with tempfile.TemporaryDirectory() as home:
        cold = [_child(os.path.join(home, str(i))) for i in range(repeats)]
        warm = [_child(os.path.join(home, "0")) for _ in range(repeats)]
    imports = cold + warm
    return {
        "import scipy.sparse.linalg": statistics.median(t[0] for t in imports),
        "import solvers.linalg, beyond it": statistics.median(t[1] for t in imports),
        "first cg, warm cache": statistics.median(t[2] for t in warm),
        "first cg, empty cache": statistics.median(t[2] for t in cold),
    }


def _child(cache):
    os.makedirs(cache, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        env=child_environment(NUMBA_CACHE_DIR=cache),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UsageError(f"A fresh process could not solve: {done.stderr.strip().splitlines()[-1]}")
    return [float(word) for word in done.stdout.split()]


def child_environment(**more):
    """The environment of a child that finds the same library, installed or not."""
    import solvers

    home = os.path.dirname(os.path.dirname(os.path.abspath(solvers.__file__)))
    paths = [home, os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | more


def table(seconds):
    """The measurements as text."""
    width = max(map(len, seconds))
    return "\n".join(f"{name.ljust(width)}  {value:8.3f} s" for name, value in seconds.items())

"""What a task costs on each engine that ``executor=`` takes: ``python -m solvers.benchmarks.engines``.

For MPI: ``mpirun -n 3 python -m mpi4py.futures -m solvers.benchmarks.engines mpi``. A task here does nothing, so that
what is measured is the way there and back: of a task that is empty, and of one that takes a matrix along.
"""

import argparse
import multiprocessing
import os
import pickle
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp

from solvers._tasks import run_tasks

__all__ = ["ENGINES", "main", "measure"]

WORKERS = 2


@contextmanager
def _threads():
    with ThreadPoolExecutor(WORKERS) as pool:
        yield pool


@contextmanager
def _processes():
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@contextmanager
def _dask():
    from distributed import Client, LocalCluster

    # Without a page to look at. The scheduler serves its figures all the same, by default on one and the same port of
    # the machine, and warns where a second cluster has it: port 0 is one that is free.
    quiet = dict(dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False})
    with LocalCluster(n_workers=WORKERS, threads_per_worker=1, processes=True, **quiet) as cluster:
        with Client(cluster) as client:
            yield client.get_executor(pure=False)


@contextmanager
def _mpi():
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as pool:
        yield pool


#: Engine: a context that gives its executor.
ENGINES = {"threads": _threads, "processes": _processes, "dask": _dask, "mpi": _mpi}


def nothing(task):
    """A task without work."""
    return len(task)


def poisson(side):
    """The 5-point matrix of a square."""
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    return sp.csr_array(sp.kronsum(line, line))


def measure(engine, count=32, repeats=5, side=316):
    """Seconds until the first answer, and of one of ``count`` tasks: empty, and with the matrix."""
    A = poisson(side)
    began = time.perf_counter()
    with ENGINES[engine]() as pool:
        _all(pool, [()])
        first = time.perf_counter() - began
        return first, *(_median(pool, [task] * count, repeats) for task in ((), (A, np.ones(A.shape[0]))))


def _median(pool, tasks, repeats):
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        _all(pool, tasks)
        seconds.append((time.perf_counter() - began) / len(tasks))
    return statistics.median(seconds)


def _all(pool, tasks):
    run_tasks(pool, nothing, tasks, [str(k) for k in range(len(tasks))])


def main(arguments=None):
    """Print one line an engine."""
    parser = argparse.ArgumentParser(prog="python -m solvers.benchmarks.engines", description=main.__doc__)
    default = ["threads", "processes"]
    parser.add_argument("engines", nargs="*", metavar="engine", help=", ".join(ENGINES), default=default)
    parser.add_argument("--side", type=int, default=316, help="of the square that the matrix is of (default 316)")
    chosen = parser.parse_args(arguments)
    size = len(pickle.dumps((poisson(chosen.side), np.ones(chosen.side**2)))) / 1e6
    rows = chosen.side**2
    print(f"{WORKERS} workers, {os.cpu_count()} processors; the matrix and a vector of {rows} rows: {size:.1f} MB")
    print(f"{'engine':<12}{'first answer':>14}{'empty task':>14}{'with matrix':>14}")
    for engine in chosen.engines:
        first, empty, loaded = measure(engine, side=chosen.side)
        print(f"{engine:<12}{first:>12.2f} s{1e3 * empty:>11.2f} ms{1e3 * loaded:>11.2f} ms", flush=True)


if __name__ == "__main__":
    main()

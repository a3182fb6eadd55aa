"""Executors with arrays on the emulated device: threads give the same bits, other processes are refused by name."""

import pickle
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

import solvers
from solvers import TaskError, linalg

CALLS = [
    (linalg.cg, 1),  # all columns in one compiled loop, whose sums depend on how many there are
    (linalg.minres, 3),
    (linalg.lsqr, 0),  # all columns in one product
]


class Counting:
    """A thread that counts its tasks, or tries to pickle them."""

    def __init__(self, pool=None):
        self.pool, self.tasks = pool, 0

    def submit(self, function, task):
        self.tasks += 1
        if self.pool is not None:
            return self.pool.submit(function, task)
        future = Future()
        try:
            pickle.dumps((function, task))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize("method, tasks", CALLS, ids=lambda each: getattr(each, "__name__", None))
def test_threads_give_the_bits_of_the_call_without(emulated, method, tasks):
    A = np.diag(np.arange(1.0, 13.0)) + 0.1
    B = np.random.default_rng(0).standard_normal((12, 3))
    with ThreadPoolExecutor(1) as pool, solvers.backend("gpu"):
        executor = Counting(pool)
        here, there = method(A, B), method(A, B, executor=executor)
    assert executor.tasks == tasks and here.backend == there.backend == "gpu"
    assert isinstance(there.x, np.ndarray) and np.array_equal(here.x, there.x)
    assert np.array_equal(here.iterations, there.iterations) and here.n_matvec == there.n_matvec


def test_other_processes_are_refused_by_name(emulated):
    A, B = emulated.asarray(np.diag(np.arange(1.0, 13.0))), emulated.asarray(np.ones((12, 2)))
    with pytest.raises(TaskError, match="UnsupportedType: `executor` must run its tasks in threads where these are on"):
        linalg.minres(A, B, executor=Counting())

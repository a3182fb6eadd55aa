"""What runs the tasks of a batch: order, failures that are named, backends and threads of the workers."""

import copy
import multiprocessing
import pickle
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

import solvers
from solvers import InvalidInput, TaskError, UnsupportedType
from solvers._tasks import check_executor, run_tasks


def seldom(task):
    if task % 4 == 2:
        raise ValueError(f"no answer to {task}.\nmore")
    time.sleep(0.01 * (task % 3))
    return 10 * task


def names(n):
    return [f"part {k}" for k in range(n)]


@pytest.fixture(params=["here", "threads"])
def executor(request):
    if request.param == "here":
        yield None
        return
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_answers_come_in_the_order_of_the_tasks(executor):
    assert run_tasks(executor, seldom, [5, 4, 3, 1, 0], names(5)) == [50, 40, 30, 10, 0]
    assert run_tasks(executor, seldom, [], []) == []


def test_failures_are_named_and_the_rest_is_kept(executor):
    with pytest.raises(TaskError) as caught:
        run_tasks(executor, seldom, list(range(8)), names(8))
    error = caught.value
    assert str(error) == (
        "2 of 8 tasks failed: part 2 (ValueError: no answer to 2) and 1 more; mend or leave out what `failures` "
        "names, `results` has the answers of the others."
    )
    assert error.results == [0, 10, None, 30, 40, 50, None, 70] and sorted(error.failures) == [2, 6]
    assert error.__cause__ is error.failures[2]
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert str(twin) == str(error) and twin.results == error.results and twin.names == error.names


def test_failures_show_the_answers_as_the_user_knows_them(executor):
    shown = lambda task, answer: f"{task}: {answer}"
    with pytest.raises(TaskError) as caught:
        run_tasks(executor, seldom, [1, 2, 3], names(3), shown)
    assert caught.value.results == ["1: 10", None, "3: 30"]
    assert run_tasks(executor, seldom, [1, 3], names(2), shown) == [10, 30]


def test_what_cannot_go_to_another_process_is_told_how_to():
    local = lambda task: task
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(TaskError, match="define functions in a module, not by lambda[^.]*ThreadPoolExecutor, `res"):
            run_tasks(pool, local, [1], names(1))
    error = TaskError(["part 0"], [None], {0: BrokenProcessPool("A process ended abruptly.")})
    assert "could not import what it was sent: define functions in a module and guard" in str(error)
    assert "; open a new executor, as this one is broken; a process" in str(error)


def test_a_worker_takes_the_backend_and_one_thread():
    def seen(_):
        return solvers._backend.chosen(), solvers.get_threads()

    with ThreadPoolExecutor(1) as pool, solvers.backend("cpu"):
        assert run_tasks(pool, seen, [0], names(1)) == [("cpu", 1)]
        assert pool.submit(solvers._backend.chosen).result() != "cpu" and pool.submit(seen, 0).result()[1] >= 1
        assert run_tasks(None, seen, [0], names(1)) == [("cpu", solvers.get_threads())]


def test_a_task_that_exits_is_a_failure_of_its_own_and_does_not_end_the_program():
    def leaves(task):
        if task == 1:
            raise SystemExit(4)
        return task

    with ThreadPoolExecutor(1) as pool, pytest.raises(TaskError, match="part 1 .RuntimeError: SystemExit: 4") as caught:
        run_tasks(pool, leaves, [0, 1, 2], names(3))
    assert caught.value.results == [0, None, 2]


def test_a_worker_takes_the_users_errstate(executor):
    with np.errstate(divide="ignore", over="raise"):
        assert run_tasks(executor, np.log, [np.zeros(1)], names(1)) == [-np.inf]
        with pytest.raises(TaskError, match="FloatingPointError: overflow"):
            run_tasks(executor, np.exp, [np.array([1e9])], names(1))
    with np.errstate(divide="call", call=lambda *_: None):
        modes = run_tasks(executor, lambda _: np.geterr()["divide"], [0], names(1))
    assert modes == ["call" if executor is None else "warn"]  # the function may not travel


def test_tasks_within_a_task_of_the_same_executor_wait_for_no_worker():
    with ThreadPoolExecutor(1) as outer, ThreadPoolExecutor(1) as inner:
        bottom = lambda task: run_tasks(outer, lambda k: 10 * k, [task, task + 1], names(2))
        middle = lambda task: run_tasks(inner, bottom, [task], names(1))
        future = outer.submit(lambda: None)
        found = []
        caller = threading.Thread(target=lambda: found.extend(run_tasks(outer, middle, [1, 2], names(2))), daemon=True)
        caller.start()
        caller.join(20)
        hangs = caller.is_alive()
        if hangs:  # so that the test can end: another thread helps out
            outer._max_workers = inner._max_workers = 9
            outer.submit(future.result), inner.submit(future.result)
            caller.join()
        assert not hangs and found == [[[10, 20]], [[20, 30]]]


def test_an_error_that_cannot_say_anything_is_named():
    class Mute(Exception):
        def __str__(self):
            raise ValueError("nothing to say")

    def fails(task):
        raise Mute

    with pytest.raises(TaskError, match="1 of 1 tasks failed: part 0 .Mute: no message"):
        run_tasks(None, fails, [0], names(1))


def test_an_interrupt_ends_the_batch_and_calls_off_what_has_not_begun():
    begun = []

    def interrupted(task):
        begun.append(task)
        if task == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        run_tasks(pool, interrupted, list(range(100)), names(100))
    assert len(begun) < 50


@pytest.mark.parametrize("wrong", [3, "threads", ThreadPoolExecutor], ids=["number", "str", "class"])
def test_what_takes_no_tasks_is_refused(wrong):
    with pytest.raises(UnsupportedType, match=r"^`executor` must be None or an open executor with submit[^\n]*\.$"):
        check_executor(wrong)


def test_a_closed_executor_is_refused():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(InvalidInput, match="^`executor` must be open: cannot schedule new futures after shutdown[.]$"):
        run_tasks(pool, seldom, [1], names(1))


def test_an_executor_that_breaks_halfway_keeps_what_was_done():
    class Breaks:
        def __init__(self, pool):
            self.pool, self.left = pool, 2

        def submit(self, function, task):
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("a worker died")
            return self.pool.submit(function, task)

    with ThreadPoolExecutor(1) as pool, pytest.raises(TaskError, match="part 2 .RuntimeError: a worker died") as caught:
        run_tasks(Breaks(pool), seldom, [0, 1, 3, 4], names(4))
    assert caught.value.results == [0, 10, None, None]


def test_a_task_that_cannot_be_sent_is_named_and_the_others_are_done():
    class Picky:
        def __init__(self, pool):
            self.pool = pool

        def submit(self, function, task):
            if task in (0, 3):
                raise TypeError("Could not serialize object of type int")
            return self.pool.submit(function, task)

    with ThreadPoolExecutor(1) as pool, pytest.raises(TaskError, match="2 of 4 .*: part 0 .TypeError: Could") as caught:
        run_tasks(Picky(pool), seldom, [0, 1, 3, 4], names(4))
    assert caught.value.results == [None, 10, None, 40] and "define functions in a module" in str(caught.value)

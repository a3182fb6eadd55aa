"""The number of kernel threads: for good and for a block, in threads of Python and in processes."""

import multiprocessing
import os
import random
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import solvers
from solvers._backend import threads


@pytest.fixture(autouse=True)
def from_five():
    """Each test begins with a plain call and leaves the number as it was."""
    with solvers.set_threads(None):
        solvers.set_threads(5)
        yield


def test_a_plain_call_holds_until_the_next_and_none_is_the_default(monkeypatch):
    solvers.set_threads(2)
    assert solvers.get_threads() == 2
    solvers.set_threads(7)
    assert solvers.get_threads() == 7
    monkeypatch.setenv("SOLVERS_NUM_THREADS", "6")
    solvers.set_threads(None)
    assert solvers.get_threads() == 6


def test_a_block_restores_the_number_also_after_an_exception():
    with pytest.raises(ZeroDivisionError), solvers.set_threads(2):
        assert solvers.get_threads() == 2
        raise ZeroDivisionError
    assert solvers.get_threads() == 5


def test_nested_blocks_each_restore_what_was_around_them():
    with solvers.set_threads(2):
        with solvers.set_threads(3), solvers.set_threads(4):
            assert solvers.get_threads() == 4
        assert solvers.get_threads() == 2
    assert solvers.get_threads() == 5


def test_a_block_takes_back_the_plain_calls_made_in_it():
    with solvers.set_threads(2):
        solvers.set_threads(3)
        with solvers.set_threads(4):
            solvers.set_threads(1)
        assert solvers.get_threads() == 3
    assert solvers.get_threads() == 5


def test_one_object_serves_several_blocks_within_and_after_one_another():
    two = solvers.set_threads(2)
    solvers.set_threads(3)
    with two, solvers.set_threads(4), two:
        assert solvers.get_threads() == 2
    assert solvers.get_threads() == 3
    with two:
        assert solvers.get_threads() == 2
    assert solvers.get_threads() == 3


def test_a_block_says_what_it_is_in_one_line():
    with solvers.set_threads(2) as block:
        assert repr(block) == "set_threads(2)"
    assert repr(solvers.set_threads(None)) == "set_threads(None)"


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True, np.array([1, 2])], ids=str)
def test_what_is_no_number_of_threads_is_refused_and_changes_nothing(n):
    with pytest.raises(solvers.InvalidInput, match="`n` must be an integer >= 1 or None, got"):
        solvers.set_threads(n)
    assert solvers.get_threads() == 5


def test_a_block_holds_in_other_threads_of_python():
    with ThreadPoolExecutor(1) as pool, solvers.set_threads(2):
        assert pool.submit(solvers.get_threads).result() == 2


def test_overlapping_blocks_of_two_threads_leave_nothing_behind():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with solvers.set_threads(3):
            inside.set()
            leave.wait(60)

    worker = threading.Thread(target=other)
    with solvers.set_threads(2):
        worker.start()
        assert inside.wait(60) and solvers.get_threads() == 3
    assert solvers.get_threads() == 3  # the other's block is still open
    leave.set()
    worker.join()
    assert solvers.get_threads() == 5


def test_what_another_thread_sets_for_good_survives_the_end_of_a_block():
    with solvers.set_threads(2):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(solvers.set_threads, 4).result()
        assert solvers.get_threads() == 4
    assert solvers.get_threads() == 4


def test_blocks_opened_and_closed_at_random_by_eight_threads_leave_the_number_as_it_was():
    def work(seed):
        draw = random.Random(seed)
        for _ in range(300):
            with solvers.set_threads(draw.randint(1, 9)):
                if draw.random() < 0.5:
                    solvers.set_threads(draw.randint(1, 9))
                assert 1 <= solvers.get_threads() <= 9

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert solvers.get_threads() == 5


def test_many_plain_calls_are_not_remembered():
    before = len(threads._choices)
    for k in range(100):
        solvers.set_threads(1 + k % 3)
    assert len(threads._choices) <= before + 2


def test_a_spawned_process_begins_with_its_own_default(monkeypatch):
    monkeypatch.setenv("SOLVERS_NUM_THREADS", "3")
    spawn = multiprocessing.get_context("spawn")
    with solvers.set_threads(2), ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert pool.submit(solvers.get_threads).result(60) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_begins_with_the_number_of_its_parent_and_changes_its_own_only():
    with solvers.set_threads(2), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own advice against fork with threads
        child = os.fork()
        if child == 0:
            right = solvers.get_threads() == 2
            solvers.set_threads(9)
            os._exit(0 if right and solvers.get_threads() == 9 else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert solvers.get_threads() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_another_thread_changes_the_number_can_change_it():
    held = threading.Event()

    def hold():
        with threads._lock:
            held.set()
            threading.Event().wait(0.2)

    worker = threading.Thread(target=hold)
    worker.start()
    assert held.wait(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if threads._lock.acquire(timeout=5) else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    worker.join()

"""Calls from many threads, and from forked and spawned processes, have the bits of serial ones."""

import itertools
import multiprocessing
import os
import threading

import mixed
import pytest

import solvers

NAMES = tuple(mixed.CALLS)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
# Python 3.12 and later warn of a fork with threads about, which is what is tried here.
quiet = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(scope="module")
def serial():
    before = solvers.get_threads()
    with solvers.set_threads(1):
        expected = mixed.answers()
    assert solvers.get_threads() == before
    return expected


def at_once(works):
    """Run functions in threads that start together; what each of them raised, or None."""
    gate, outcomes = threading.Barrier(len(works)), [None] * len(works)

    def run(number):
        gate.wait()
        try:
            works[number]()
        except BaseException as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return [outcome for outcome in outcomes if outcome is not None]


def turned(names, k):
    return (*names[k:], *names[:k])


def compare(names, serial):
    for name in names:
        assert mixed.answer(name) == serial[name], name


def test_threads_of_kernels_change_no_bit(serial, four):
    compare(NAMES, serial)


def test_eight_threads_at_once_give_the_serial_answers(serial, four):
    step = len(NAMES) // 8
    errors = at_once([lambda k=k: compare(turned(NAMES, k * step), serial) for k in range(8)])
    assert not errors, errors


def test_one_thread_changes_the_number_of_threads_while_others_solve(serial):
    before, over = solvers.get_threads(), threading.Event()

    def change():
        for n in itertools.cycle((1, 2, 3, 8)):
            with solvers.set_threads(n):
                if over.wait(1e-3):
                    return

    def work():
        compare(NAMES, serial)
        left.release()
        if not left_over():
            over.set()

    left, taken = threading.Semaphore(0), itertools.count(1)

    def left_over():
        return next(taken) < 3

    errors = at_once([change, work, work, work])
    assert not errors, errors
    assert solvers.get_threads() == before


@forks
@quiet
def test_children_forked_after_parallel_kernels_give_the_serial_answers(serial, four):
    compare(("cg", "sinkhorn", "tomography"), serial)  # so that pools and locks are there
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(mixed.answer, NAMES).get(120)
    assert dict(zip(NAMES, found)) == serial


def child(names, expected):
    os._exit(0 if all(mixed.answer(name) == expected[name] for name in names) else 1)


@forks
@quiet
def test_children_forked_while_other_threads_solve_neither_hang_nor_differ(serial, four):
    over = threading.Event()

    def work():
        while not over.is_set():
            compare(("sor", "cg", "batch", "solve"), serial)

    def fork():
        try:
            context = multiprocessing.get_context("fork")
            for _ in range(8):
                process = context.Process(target=child, args=(("sor", "cg", "batch", "gp"), serial))
                process.start()
                process.join(60)
                hangs = process.exitcode is None
                if hangs:
                    process.kill()
                assert not hangs and process.exitcode == 0, process.exitcode
        finally:
            over.set()

    errors = at_once([fork, work, work])
    assert not errors, errors


@pytest.mark.slow
def test_spawned_processes_give_the_serial_answers(serial):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map_async(mixed.answer, NAMES).get(300)
    assert dict(zip(NAMES, found)) == serial

"""After an interruption everything is as before: answers, locks, the backend, the caller's arrays."""

import _thread
import signal
import threading
import time

import mixed
import numpy as np
import pytest
from interrupt import interrupted_at, places_of
from solvers.kernels.cpu import _team

import solvers
from solvers import inverse, linalg, pde, transport

pytestmark = pytest.mark.usefixtures("four")

# Calls that take few enough lines to be interrupted at many of them.
NAMES = (
    "cg",
    "many",
    "sor",
    "preconditioned",
    "solve",
    "least_squares",
    "sinkhorn",
    "newton",
    "batch",
    "sliced",
    "pairwise",
    "partial",
    "gp",
    "tomography",
    "pnp",
    "sample",
    "complete",
)


def is_untouched(before):
    return all(np.array_equal(array, copy) for array, copy in zip(mixed.watched(), before))


def check_interruptions(name, places):
    """Interrupt one call at some of its lines, in turn; all that a user can see is as before after each."""
    call = mixed.CALLS[name]
    expected, before = mixed.answer(name), [array.copy() for array in mixed.watched()]
    threads = solvers.get_threads()
    for place in places:
        interrupted_at(call, place)
        assert not _team._region.locked(), place
        assert solvers.get_threads() == threads, place
        assert linalg.cg(np.eye(2), np.ones(2)).backend == "cpu", place
        assert mixed.answer(name) == expected, place
    assert is_untouched(before)


@pytest.mark.parametrize("name", NAMES)
def test_an_interruption_at_some_line_leaves_nothing_behind(name):
    places = places_of(mixed.CALLS[name])
    check_interruptions(name, np.random.default_rng(0).choice(places, 5, replace=False))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_interruption_at_any_line_leaves_nothing_behind(name):
    check_interruptions(name, places_of(mixed.CALLS[name]))


def test_an_interruption_at_any_line_of_a_parallel_region_frees_it():
    for name in ("cg", "sinkhorn"):
        places = [place for place in places_of(mixed.CALLS[name]) if "/_team.py:" in place]
        assert len(places) > 20
        check_interruptions(name, places)


@pytest.fixture
def ctrl_c():
    """Python's own handler, which a process that pytest-xdist started has not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ["cg", "sor", "sinkhorn", "batch", "sliced", "gp", "tomography", "sample"])
def test_ctrl_c_while_kernels_run_leaves_nothing_behind(ctrl_c, name):
    expected, before = mixed.answer(name), [array.copy() for array in mixed.watched()]
    end = time.monotonic() + 60

    def until_interrupted():
        while time.monotonic() < end:
            mixed.CALLS[name]()

    timer = threading.Timer(0.1, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        until_interrupted()
    timer.join()
    assert not _team._region.locked()
    assert mixed.answer(name) == expected
    assert is_untouched(before)


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "call",
    [
        lambda: linalg.cg(2 * np.eye(3), np.ones(3), callback=interrupt),
        lambda: linalg.solve(np.diag([1.0, 2.0]), np.ones(2), method="cg", callback=interrupt),
        lambda: transport.sinkhorn(np.eye(3), eps=0.1, callback=interrupt),
        lambda: pde.solve_gp(pde.laplacian(1), 1.0, [(0, 1)], 0, callback=interrupt),
        lambda: inverse.least_squares(np.diag([1.0, 2.0]), np.ones(2), callback=interrupt),
        lambda: inverse.pnp(np.eye(4), np.ones(4), interrupt, noise_level=0.1),
    ],
)
def test_ctrl_c_in_a_users_function_comes_out_as_it_is(call):
    with solvers.backend("cpu"):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert linalg.cg(np.eye(2), np.ones(2)).backend == "cpu"
    assert not _team._region.locked()


@pytest.mark.parametrize("policy", ["chebyshev", "tsallis-inf", "chebcb"])
def test_an_interruption_leaves_whole_records_of_a_tuned_solver(policy, tmp_path):
    A, b = mixed.data()["small"], np.ones(144)

    def two(solver):
        for context in (0.1, 0.2):
            solver(A, b, context=context, maxiter=100)

    def made():
        solver = linalg.TunedSOR(policy, rng=0)
        two(solver)
        return solver

    places = [p for p in places_of(lambda: two(made())) if "/_tuned.py" in p or "/_policies/" in p]
    assert len(places) > 20
    for place in places:
        solver = made()
        interrupted_at(lambda solver=solver: two(solver), place)
        taken = len(solver.costs)
        two(solver)
        records = solver.values, solver.iterations, solver.costs, solver.contexts
        assert {len(each) for each in records} == {taken + 2} and taken in (2, 3, 4), place
        solver.save(tmp_path / "saved.npz")
        assert np.array_equal(linalg.TunedSOR(policy).load(tmp_path / "saved.npz").costs, solver.costs), place

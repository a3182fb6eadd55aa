"""After an interruption everything is as before: answers, locks, the backend, the caller's arrays."""

import mixed
import numpy as np
import pytest
from interrupt import interrupted_at, places_of
from solvers.kernels.cpu import _team

import solvers
from solvers import linalg

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

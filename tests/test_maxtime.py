"""The time limit in the box: it stops, it passes on what it is told, and it starts anew."""

import itertools

import numpy as np
import pytest

import solvers
from solvers import InvalidInput, Status, UnsupportedType, linalg, transport


class Listener:
    def __init__(self):
        self.told, self.ended = [], []

    def on_chunk(self, iteration, norm):
        self.told.append((iteration, norm))

    def on_end(self, result):
        self.ended.append(result)


@pytest.fixture
def clock(monkeypatch):
    """A clock that is a second further on at every look."""
    ticks = itertools.count()
    monkeypatch.setattr("solvers._maxtime.time.monotonic", lambda: float(next(ticks)))


def test_a_solve_ends_when_its_time_is_over_with_its_true_residual(clock):
    A, b, listener = linalg.stencil((300, 300), [4, -1, -1]), np.ones(90_000), Listener()
    res = linalg.cg(A, b, callback=solvers.maxtime(2.5, callback=listener), rtol=1e-12)
    assert res.status is Status.STOPPED and res.info > 0
    assert res.residual == pytest.approx(np.linalg.norm(b - A @ res.x)) and listener.ended == [res]
    assert listener.told[-1][0] == res.iterations


def test_enough_time_changes_nothing_and_each_solve_has_its_own(clock):
    A, b, limit = np.diag([1.0, 2.0, 3.0]), np.ones(3), solvers.maxtime(6.0)
    for _ in range(5):
        assert linalg.cg(A, b, callback=limit).converged


def test_transport_takes_it_too():
    C = np.random.default_rng(0).random((40, 40))
    res = transport.sinkhorn(C, eps=1e-3, tol=1e-12, method="log", callback=solvers.maxtime(1e-9))
    assert res.status is Status.STOPPED


def test_what_is_no_time_or_no_callback_is_one_sentence():
    with pytest.raises(InvalidInput, match="`seconds` must be > 0"):
        solvers.maxtime(0)
    with pytest.raises(UnsupportedType, match="`callback` must be an object with on_chunk"):
        solvers.maxtime(1, callback=print)
    assert repr(solvers.maxtime(2)) == "maxtime(2 seconds)"

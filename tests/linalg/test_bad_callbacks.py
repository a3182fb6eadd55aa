"""Callbacks that raise, stop, or write into what they are shown."""

import numpy as np
import pytest
from hostile import N, solved, spd
from krylov import every_method

from solvers import Status, linalg

by_x = {linalg.gmres: {"callback_type": "x", "restart": 2}}


def with_callback(solve, callback, n=12, **options):
    b = np.arange(1.0, n + 1)
    return solved(solve, spd(n), b, callback=callback, rtol=1e-10, **by_x.get(solve, {}), **options)


@every_method
def test_an_exception_of_the_callback_propagates_unchanged(solve):
    error = LookupError("mine")

    def callback(x):
        raise error

    with pytest.raises(LookupError) as caught:
        with_callback(solve, callback)
    assert caught.value is error


@every_method
def test_keyboard_interrupt_in_the_callback_propagates(solve):
    def callback(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_callback(solve, callback)


@every_method
@pytest.mark.parametrize("after", [1, 2])
def test_stop_iteration_in_the_callback_stops_with_the_iterate_of_that_moment(solve, after):
    seen = []

    def callback(x):
        seen.append(x)
        if len(seen) == after:
            raise StopIteration

    result = with_callback(solve, callback)
    assert result.status is Status.STOPPED
    assert result.info > 0
    assert np.array_equal(result.x, seen[-1])


@every_method
def test_a_callback_that_writes_into_x_changes_nothing(solve):
    def callback(x):
        x[:] = np.nan

    assert np.array_equal(with_callback(solve, callback).x, with_callback(solve, lambda x: None).x)


@every_method
def test_the_iterates_a_callback_keeps_stay_what_they_were(solve):
    kept, copies = [], []

    def callback(x):
        kept.append(x)
        copies.append(x.copy())

    result = with_callback(solve, callback)
    assert len(kept) > 1
    assert all(np.array_equal(k, c) for k, c in zip(kept, copies))
    assert not any(np.shares_memory(result.x, k) for k in kept)
    assert len({k.ctypes.data for k in kept}) == len(kept)


@every_method
def test_a_callback_changes_nothing_in_the_answer(solve):
    b = np.arange(1.0, 13)
    options = {"rtol": 1e-10, **{k: v for k, v in by_x.get(solve, {}).items() if k == "restart"}}
    plain = solve(spd(12), b, **options)
    watched = with_callback(solve, lambda x: None)
    assert np.array_equal(plain.x, watched.x)
    assert plain.iterations == watched.iterations


@every_method
def test_an_exception_of_on_chunk_propagates_unchanged(solve):
    class Observer:
        def on_chunk(self, iteration, norm):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        solve(spd(), np.arange(1.0, 5), callback=Observer())


@every_method
def test_stop_iteration_of_on_chunk_stops_the_solve(solve):
    class Observer:
        def on_chunk(self, iteration, norm):
            raise StopIteration

    result = solve(spd(60), np.arange(1.0, 61), rtol=0, callback=Observer())
    assert result.status is Status.STOPPED
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize("kind", ["pr_norm", "legacy"])
def test_stop_iteration_of_a_norm_callback_stops_gmres(kind):
    seen = []

    def callback(norm):
        seen.append(norm)
        if len(seen) == 3:
            raise StopIteration

    result = solved(linalg.gmres, spd(12), np.arange(1.0, 13), callback=callback, callback_type=kind, rtol=1e-10)
    assert result.status is Status.STOPPED
    assert result.iterations == 3


def test_gmres_without_a_callback_type_warns_as_scipy_does():
    with pytest.warns(DeprecationWarning, match="callback_type"):
        linalg.gmres(spd(), np.ones(N), callback=lambda norm: None)

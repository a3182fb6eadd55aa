"""A team of threads that walks through one compiled function together.

Every thread runs the *whole* loop on its own share of the blocks and waits at a barrier between the
phases. One compiled function is so both the serial and the parallel version: Numba's own parallel
regions take seconds to compile, start anew in every iteration, and depend on a threading layer that
is not safe everywhere. Sums are taken per block of fixed size and added in block order by every
thread, so the answer does not depend on the number of threads.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .. import threads
from ._jit import jit, strict

__all__ = ["BLOCK", "barrier", "block_count", "even_shares", "launch", "total"]

# Rows of a block: its part of some vectors stays in the first-level cache between two passes, and a dense
# matrix of 2,000 rows has blocks for several threads.
BLOCK = 512
# Multiply-adds of a chunk's single iteration below which a second thread costs more than it brings (measured).
_WORK_PER_THREAD = 100_000
# Loads of the barrier's flag before the thread offers its processor to others.
_SPINS = 1000

_ARRIVED, _ROUND, _ABORT = 0, 8, 16  # a cache line apart
_FLAGS_SIZE = 24


@intrinsic
def _fetch_add(typing_context, flags, index, value):
    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.atomic_rmw("add", builder.gep(array.data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(types.Array(types.int64, 1, "C"), types.int64, types.int64), generate


@intrinsic
def _load(typing_context, flags, index):
    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(builder.gep(array.data, [arguments[1]]), "acquire", 8)

    return types.int64(types.Array(types.int64, 1, "C"), types.int64), generate


@intrinsic
def _store(typing_context, flags, index, value):
    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        builder.store_atomic(arguments[2], builder.gep(array.data, [arguments[1]]), "release", 8)
        return context.get_dummy_value()

    return types.none(types.Array(types.int64, 1, "C"), types.int64, types.int64), generate


_YIELD = "SwitchToThread" if os.name == "nt" else "sched_yield"


@intrinsic
def _offer_processor(typing_context):
    def generate(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), []), _YIELD
        )
        builder.call(function, [])
        return context.get_dummy_value()

    return types.none(), generate


@jit
def barrier(flags, team):
    """Wait until all of the team are here; True if the team was called off instead."""
    if team == 1:
        return False
    this_round = _load(flags, _ROUND)
    if _fetch_add(flags, _ARRIVED, 1) == team - 1:
        _store(flags, _ARRIVED, 0)
        _fetch_add(flags, _ROUND, 1)
        return False
    spins = 0
    while _load(flags, _ROUND) == this_round:
        if _load(flags, _ABORT) != 0:
            return True
        spins += 1
        if spins > _SPINS:
            _offer_processor()
    return False


@strict
def total(parts):
    """Add the blocks' parts in block order."""
    s = 0.0
    for i in range(parts.size):
        s += parts[i]
    return s


def block_count(n):
    """Blocks of ``BLOCK`` rows that n rows make; at least one, so that empty systems need no special case."""
    return max(1, -(-n // BLOCK))


def even_shares(blocks, team):
    """The blocks at which the shares of a team's members begin, where all blocks are the same work."""
    return np.array([blocks * i // team for i in range(team + 1)], dtype=np.int64)


# Seconds: shorter regions are not judged; then the pause in which a busy machine is left to others.
_JUDGED_FROM, _SHORTEST_PAUSE, _LONGEST_PAUSE = 2e-3, 0.05, 1.0
# What a team must bring, as a multiple of one thread: less than the first number is given up at once, less than
# the second after so many regions in a row (threads that have just woken may share a processor for 20 ms).
_LEAST_GAIN, _FAIR_GAIN, _PATIENCE = 0.7, 1.2, 3

_region = threading.Lock()
_pool = None
_busy_until, _pause, _slow_regions = 0.0, _SHORTEST_PAUSE, 0


def _forget():
    """The threads and a lock held by another thread do not survive a fork."""
    global _region, _pool
    _region, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def launch(kernel, work, blocks, shares, *arguments):
    """Run ``kernel(*arguments, flags, share, member, team)`` on as many threads as the work is worth.

    ``shares(team)`` gives the team + 1 block numbers at which the members' shares begin. One team runs
    at a time; who comes meanwhile works alone, with the same answer.
    """
    if work < 2 * _WORK_PER_THREAD:
        return kernel(*arguments, _NOBODY, _alone(blocks), 0, 1)
    team = min(threads.limit(), int(work // _WORK_PER_THREAD))
    if team < 2 or time.perf_counter() < _busy_until or _region.locked():
        return kernel(*arguments, _NOBODY, _alone(blocks), 0, 1)
    # Not acquire() and try: an interruption between the two would keep the lock for good. Who finds the lock free and
    # then taken waits for one region.
    with _region:
        return _run(kernel, team, shares(team), arguments)


_NOBODY = np.zeros(_FLAGS_SIZE, dtype=np.int64)


@lru_cache(maxsize=256)
def _alone(blocks):
    return np.array([0, blocks], dtype=np.int64)


def _run(kernel, team, share, arguments):
    global _pool
    if _pool is None or _pool._max_workers < team - 1:
        _pool = ThreadPoolExecutor(team - 1, thread_name_prefix="solvers")
    flags = np.zeros(_FLAGS_SIZE, dtype=np.int64)
    ran = [0.0] * team

    def member(number):
        if flags[_ABORT]:
            return None
        began = time.thread_time()
        try:
            return kernel(*arguments, flags, share, number, team)
        except BaseException:
            flags[_ABORT] = 1
            raise
        finally:
            ran[number] = time.thread_time() - began

    began, helpers = time.perf_counter(), []
    try:
        if not _gather(member, team, helpers):
            flags[_ABORT] = 1
            _wait_for_all(helpers)
            return kernel(*arguments, _NOBODY, _alone(int(share[-1])), 0, 1)
        answer = member(0)
        for helper in helpers:
            helper.result()
        return answer
    except BaseException:
        flags[_ABORT] = 1
        raise
    finally:
        _wait_for_all(helpers)
        _note_contention(time.perf_counter() - began, team * min(ran))


def _gather(member, team, helpers):
    """Start the other members; False if no thread can be started (a limit, or the interpreter is ending)."""
    try:
        for number in range(1, team):
            helpers.append(_pool.submit(member, number))
    except RuntimeError:
        return False
    return True


def _wait_for_all(helpers):
    """Whatever comes up: until the last one has ended it writes to the caller's arrays."""
    interrupted = None
    while any(not helper.done() for helper in helpers):
        try:
            wait(helpers)
        except BaseException as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted


def _note_contention(elapsed, useful):
    """Members wait for each other awake: one that others keep from its processor holds up all of them.

    So the slowest member's time on a processor, times the team, is what was got. Where that is hardly more than
    the time that went by, the next work is done alone, for a pause that doubles each time. The answers do
    not change.
    """
    global _busy_until, _pause, _slow_regions
    if elapsed < _JUDGED_FROM:
        return
    if useful > _FAIR_GAIN * elapsed:
        _pause, _slow_regions = _SHORTEST_PAUSE, 0
        return
    _slow_regions += 1
    if useful < _LEAST_GAIN * elapsed or _slow_regions >= _PATIENCE:
        _busy_until = time.perf_counter() + _pause
        _pause = min(2 * _pause, _LONGEST_PAUSE)

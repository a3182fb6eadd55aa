"""Sweeps of a batch: many small problems in one compiled call, each with its own omega and its own end.

The rules are those of the single solve, written for arrays. What sweeps do not settle soon is handed over to it, one
problem at a time, so that a batch never answers worse than a loop.
"""

import math

import numpy as np

from .._loop import told
from ._feasibility import RESTS, rounding_floor
from ._over_relaxation import Rates, remaining_of_many

__all__ = [
    "BROKEN", "FAR", "FITS", "GUARDED", "NEAR", "NEAR_COSTS", "REACHED", "RUNNING", "SLOW", "begin", "sweep",
]  # fmt: skip

# Problems of more entries (2 MB) fill the threads themselves, and are solved one by one.
FITS = 2**18
# An error with which Newton's method does not start at the eps in hand; and one below which it needs no path, and
# costs this part of what it costs else (measured: 0.3 to 0.6).
FAR, NEAR, NEAR_COSTS = 0.2, 0.03, 0.5
# Entries of one compiled call: some 50 ms on one thread, so that Ctrl-C and a progress report are prompt.
_CALL_ENTRIES = 4e7
# Sweeps in a row without over-relaxation, at first, then twice as many each time, and at most: at their end it is asked
# whether a problem has a plan, so that they must not depend on what else is in the batch.
_PLAIN, _MOST_PLAIN = 40, 640

# Sweeps after which a problem with forbidden pairs goes to the single solve, which asks whether it has a plan at all;
# as it asks, after more of them, whether only rounding is left of an error.
_UNGUARDED = 64

# How the sweeps of a problem ended. RUNNING: at a limit, or stopped; REACHED: its error says that it is solved; SLOW:
# Newton's method will be faster; GUARDED: see above; BROKEN: with no finite error, or never begun.
RUNNING, REACHED, SLOW, GUARDED, BROKEN = range(5)


def begin(batch, threshold):
    """Note the errors of the start, and which problems have to be solved."""
    everyone = np.arange(len(batch))
    errors = batch.errors(batch.marginals())
    errors = np.where(np.isfinite(errors), errors, 2.0)  # potentials of nothing have no plan worth its name
    batch.history.append((everyone, errors[:, None], np.ones(len(batch), np.int64)))
    # Below about this, the sweeps' own errors say nothing.
    batch.thresholds = np.maximum(threshold, float(np.finfo(batch.dtype).eps) / 8 * errors)
    batch.live = everyone[~(errors <= threshold)]
    batch.ends[errors <= threshold] = REACHED


def sweep(batch, limits, over_relaxed, patience):
    """Sweep until every problem has reached its threshold, or will not soon; True if the callback asked to stop.

    It leaves the potentials, the errors, ``iterations`` and ``ends`` in the batch.
    """
    rates = Rates(len(batch))
    live, plain = batch.live, _PLAIN
    while live.size:
        allowed = rates.steps[live] if over_relaxed else np.full(live.size, plain)
        plain = min(2 * plain, _MOST_PLAIN)
        steps = np.minimum(allowed, limits.maxiter - batch.iterations[live])
        omega = rates.omega[live]
        saved = (batch.u[live], batch.v[live]) if over_relaxed else None
        with np.errstate(all="ignore"):
            errors, taken = _round(batch, live, omega, steps)
            last = errors[np.arange(live.size), taken - 1]
            ended = _ended(batch, live, last, limits.maxiter)
            if over_relaxed:
                # A run that the limit has cut short is not judged.
                grew = rates.observe(live, errors, taken) & (steps == allowed)
                batch.u[live[grew]], batch.v[live[grew]] = saved[0][grew], saved[1][grew]
                # As the single solve has it: errors after a change of omega promise too little, and growth ends it.
                now = rates.omega[live]
                most = np.where(now < omega + 0.02, 1.0, 1.5) * np.where(last < NEAR, NEAR_COSTS, 1.0) * patience
                slow = remaining_of_many(errors, taken, batch.thresholds[live], omega) > most
                slow = ~ended & (slow | (now < omega) & (patience < math.inf))
                batch.ends[live[slow]] = SLOW
                ended |= slow
        live = live[~ended]
        if told(limits.callback, int(batch.iterations.max()), np.max(last), None):  # on_chunk alone is taken
            return True
    return False


def _round(batch, live, omega, steps):
    """Sweeps of the problems that are live, in calls of bounded length; their errors and numbers."""
    errors, taken = np.empty((live.size, int(steps.max()))), np.zeros(live.size, np.int64)
    entries = batch.C.shape[1] * batch.C.shape[2] * errors.shape[1]
    at_once = max(1, int(_CALL_ENTRIES / entries))
    for lo in range(0, live.size, at_once):
        part = slice(lo, lo + at_once)
        which = live[part]
        batch.kernels.log_chunk_many(
            batch.C, batch.inv_eps, batch.a, batch.b, batch.u, batch.v, which, omega[part], errors[part],
            batch.thresholds[which], steps[part], taken[part],
        )  # fmt: skip
    batch.iterations[live] += taken
    batch.history.append((live, errors, taken))
    return errors, taken


def _ended(batch, live, last, maxiter):
    """Which problems have come to their end, noted in the batch."""
    reached, broken = last <= batch.thresholds[live], ~np.isfinite(last)
    batch.ends[live[reached]] = REACHED
    batch.ends[live[broken]] = BROKEN
    guarded = batch.forbids[live] & (batch.iterations[live] >= _UNGUARDED) & ~(reached | broken)
    guarded |= _may_rest(batch, live, last) & ~(reached | broken)
    batch.ends[live[guarded]] = GUARDED
    return reached | broken | guarded | (batch.iterations[live] >= maxiter)


def _may_rest(batch, live, last):
    """Which errors rounding may explain."""
    small = batch.iterations[live] >= RESTS
    which = live[small]
    if which.size:
        # Where there is no weight, the potentials are -inf.
        u, v = (np.where(np.isfinite(p), p, 0.0) for p in (batch.u[which], batch.v[which]))
        small[small] = last[small] <= rounding_floor(float(np.finfo(batch.dtype).eps), u, v)
    return small

"""Many right-hand sides: in one compiled loop of conjugate gradients, or one by one on all threads.

In the one loop the matrix is read once for all columns of an iteration. Every column has its own step lengths
and its own end, and is verified on its own; columns that are done leave the loop at the next chunk.
"""

import math
import time

import numpy as np

from .. import _backend
from .._loop import Limits, run
from .._result import Status
from ._system import trivial

__all__ = ["run_many", "run_spread"]

# The kernel's word for a column that met its threshold; lower numbers are flags, 0 is a column that runs.
_REACHED = 4


def run_many(steps, flags, operand, systems, limits):
    """Return one record per system; x is left in each system.

    Parameters
    ----------
    steps : generator function
        The single method, which takes over a column whose claim the true residual refutes.
    flags : sequence of Status
        The kernel's flags by number.
    operand : a form of A that ``cg_chunk_many`` takes
    systems, limits : sequences of System and Limits
    """
    began = time.perf_counter()
    records = [trivial(system) for system in systems]
    live = [j for j, record in enumerate(records) if record is None]
    columns = [_Column(systems[j], limits[j]) for j in live]
    stopped = _sweep(columns, operand, limits[0])
    for j, column in zip(live, columns):
        records[j] = _finish(steps, flags, column, stopped)
    for record in records:
        record.seconds = (time.perf_counter() - began) / len(records)
    return records


class _Column:
    """One right-hand side: its system, its vectors while it is out of the block, what it has done so far."""

    def __init__(self, system, limits):
        self.system, self.limits = system, limits
        self.r = system.empty()
        norm = system.residual(self.r)
        z = system.psolve(self.r, system.empty())
        self.p = z.copy() if z is self.r else z
        self.norms = [np.array([norm])]
        self.taken, self.state = 0, 0
        self.threshold = max(limits.threshold, system.eps / 8 * norm)
        self.scalars = np.array([system.inner(self.r, self.p).real, 0.0, math.sqrt(system.eps)])
        if norm <= limits.threshold:
            self.state = _REACHED
        elif not math.isfinite(self.scalars[0]):
            self.state = 1
        elif self.scalars[0] == 0.0:
            self.state = 2


class _Block:
    """The vectors of some columns side by side, filled up with zero columns to whole registers."""

    def __init__(self, columns):
        self.columns = columns
        system = columns[0].system
        self.kernels, self.d = system.kernels, system.diagonal
        k = len(columns)
        width = k + -k % self.kernels.LANES
        self.X, self.R, self.P, self.Q = (self.kernels.zeros((system.n, width), system.dtype) for _ in range(4))
        self.scalars, self.thresholds = np.zeros((3, width)), np.zeros(width)
        self.states, self.counts = np.full(width, _REACHED), np.zeros(width, dtype=np.int64)
        self.states[:k] = 0
        for j, column in enumerate(columns):
            self.X[:, j], self.R[:, j], self.P[:, j] = column.system.x, column.r, column.p
            self.scalars[:, j], self.thresholds[j] = column.scalars, column.threshold

    def advance(self, operand, steps):
        """Take up to that many steps; True if a column came to its end."""
        norms = np.empty((steps, self.states.size))
        self.kernels.cg_chunk_many(
            operand, self.d, self.X, self.R, self.P, self.Q, self.scalars, norms, self.thresholds,
            self.states, self.counts, steps,
        )  # fmt: skip
        for j, column in enumerate(self.columns):
            column.norms.append(norms[: self.counts[j], j].copy())
            column.taken += int(self.counts[j])
            column.state = int(self.states[j])
        return any(column.state for column in self.columns)

    def hand_back(self):
        """Leave the vectors with their columns."""
        for j, column in enumerate(self.columns):
            column.system.x[:], column.r, column.p = self.X[:, j], self.R[:, j], self.P[:, j]
            column.scalars = self.scalars[:, j]


def _sweep(columns, operand, limits):
    """Iterate until every column is at its end or the limit; True if the callback asked to stop."""
    total, block = 0, None
    while total < limits.maxiter:
        if block is None:
            running = [column for column in columns if column.state == 0]
            if not running:
                return False
            block = _Block(running)
        steps = min(limits.chunk, limits.maxiter - total)
        ended = block.advance(operand, steps)
        total = max(column.taken for column in columns)
        if ended or limits.callback is not None or total >= limits.maxiter:
            block.hand_back()
        if limits.callback is not None and _stopped(limits.callback, columns, total):
            return True
        if ended:
            block = None
    return False


def _stopped(callback, columns, total):
    try:
        callback.on_chunk(total, max((float(c.norms[-1][-1]) for c in columns if c.norms[-1].size), default=0.0))
    except StopIteration:
        return True
    return False


def _finish(steps, flags, column, stopped):
    """Verify one column; where its claim is refuted, the single method takes over."""
    column.system.n_matvec += column.taken
    if column.state == _REACHED:
        status = Status.STOPPED if stopped else Status.CONVERGED
    elif column.state == 0:
        status = Status.STOPPED if stopped else Status.MAXITER
    else:
        status = flags[column.state]
        if status is Status.NOT_HERMITIAN:  # the single method is to see it, too
            status = Status.CONVERGED
    return run(steps, column.system, column.limits, begun=(np.concatenate(column.norms), status))


class _Halt:
    """An observer that ends the solves it watches."""

    def __init__(self):
        self.called = False

    def call(self):
        self.called = True

    def on_chunk(self, iteration, norm):
        if self.called:
            raise StopIteration


def run_spread(steps, systems, limits):
    """Return one record per system, each solved on one thread, all threads busy; the bits are those of one by one."""
    halt = _Halt()

    def one(pair):
        system, each = pair
        return trivial(system) or run(steps, system, Limits(each.threshold, each.maxiter, each.chunk, halt))

    return _backend.threads.spread(one, list(zip(systems, limits)), halt.call)

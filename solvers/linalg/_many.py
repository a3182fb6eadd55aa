"""Conjugate gradients for many right-hand sides in one compiled loop, then each column's own verification.

The matrix is read once for all columns of an iteration. Every column has its own step lengths and its own
end; columns that are done leave the loop at the next chunk.
"""

import math
import time

import numpy as np

from .._loop import Record, run
from .._result import Status

__all__ = ["run_many"]

_REACHED = 4


def run_many(steps, flags, systems, limits):
    """Return one record per system; x is left in each system.

    Parameters
    ----------
    steps : generator function
        The single method, which takes over a column whose claim the true residual refutes.
    flags : sequence of Status
        The kernel's flags by number.
    systems, limits : sequences of System and Limits
    """
    began = time.perf_counter()
    block = _Block(systems, limits)
    stopped = not block.sweep(limits[0])
    block.hand_out()
    records = [_finish(steps, flags, s, each, block, j, stopped) for j, (s, each) in enumerate(zip(systems, limits))]
    for record in records:
        record.seconds = (time.perf_counter() - began) / len(records)
    return records


class _Block:
    """The columns as arrays of shape (n, k), C-contiguous; ``ids`` says which columns are still in them."""

    def __init__(self, systems, limits):
        self.systems = systems
        first = systems[0]
        self.kernels, self.operand, self.d = first.kernels, first.operand, first.diagonal
        n, k = first.n, len(systems)
        self.X, self.R, self.P = (np.empty((n, k), first.dtype) for _ in range(3))
        self.scalars = np.zeros((3, k))
        self.scalars[2] = math.sqrt(first.eps)
        self.ids = np.arange(k)
        self.states = np.zeros(k, dtype=np.int64)
        self.taken = np.zeros(k, dtype=np.int64)
        self.thresholds = np.empty(k)
        self.history = [[] for _ in systems]
        self.final = np.zeros(k, dtype=np.int64)
        self._fill(limits)

    def _fill(self, limits):
        r, z = np.empty_like(self.systems[0].x), np.empty_like(self.systems[0].x)
        for j, (system, each) in enumerate(zip(self.systems, limits)):
            norm = system.residual(r)
            self.X[:, j], self.R[:, j] = system.x, r
            self.P[:, j] = system.psolve(r, z)
            self.scalars[0, j] = np.vdot(r, self.P[:, j]).real
            self.thresholds[j] = max(each.threshold, system.eps / 8 * norm)
            self.history[j].append(np.array([norm]))
            if norm <= each.threshold:
                self.states[j] = _REACHED
            elif not math.isfinite(self.scalars[0, j]):
                self.states[j] = 1
            elif self.scalars[0, j] == 0.0:
                self.states[j] = 2

    def sweep(self, limits):
        """Iterate until every column is done or at the limit; False if the callback asked to stop."""
        total = 0
        while True:
            self._drop_done()
            steps = min(limits.chunk, limits.maxiter - total)
            if not self.ids.size or steps <= 0:
                return True
            norms = np.empty((steps, self.ids.size))
            norms[0] = [self.history[j][-1][-1] for j in self.ids]
            Q = np.empty_like(self.X)
            taken = self.kernels.cg_chunk_many(
                self.operand, self.d, self.X, self.R, self.P, Q, self.scalars, norms, self.thresholds, self.states, steps
            )
            total += taken
            self._record(norms[:taken])
            if limits.callback is not None and self._stopped(limits.callback, total):
                return False

    def _record(self, norms):
        for column, j in enumerate(self.ids):
            own = norms[:, column]
            if self.states[column] != 0 and own.size:
                # The kernel repeats the last norm of a column that is done: keep its first occurrence.
                own = own[: int(np.argmax(own == own[-1])) + 1] if math.isfinite(own[-1]) else own[np.isfinite(own)]
                if self.states[column] != _REACHED and self.history[j][-1][-1] == own[-1:]:
                    own = own[:0]
            self.history[j].append(own)
            self.taken[j] += own.size

    def _drop_done(self):
        done = self.states != 0
        if done.any():
            self._save(done)
            stay = ~done
            self.X, self.R, self.P = (np.ascontiguousarray(V[:, stay]) for V in (self.X, self.R, self.P))
            self.scalars = np.ascontiguousarray(self.scalars[:, stay])
            self.ids, self.states, self.thresholds = self.ids[stay], self.states[stay], self.thresholds[stay]

    def _save(self, which):
        for column in np.flatnonzero(which):
            j = self.ids[column]
            self.systems[j].x[:] = self.X[:, column]
            self.final[j] = self.states[column]

    def hand_out(self):
        """Give the columns that are still in the block back to their systems."""
        self._save(np.ones(self.ids.size, dtype=bool))

    def _stopped(self, callback, total):
        try:
            if hasattr(callback, "on_chunk"):
                callback.on_chunk(total, max((h[-1][-1] for h in self.history if h[-1].size), default=0.0))
            else:
                self.hand_out()
                callback(np.stack([s.iterate() for s in self.systems], axis=1))
        except StopIteration:
            return True
        return False


def _finish(steps, flags, system, limits, block, j, stopped):
    """Verify one column; where its claim is refuted, the single method takes over."""
    taken = int(block.taken[j])
    system.n_matvec += taken
    history = np.concatenate(block.history[j])
    residual = history[0] if taken == 0 else system.true_norm()
    flag = int(block.final[j])
    if residual <= limits.threshold:
        return Record(Status.CONVERGED, taken, history, float(residual), 0.0)
    if flag == 0:
        status = Status.STOPPED if stopped else Status.MAXITER
        return Record(status, taken, history, float(residual), 0.0)
    if taken >= limits.maxiter:
        return Record(Status.MAXITER, taken, history, float(residual), 0.0)
    if flag != _REACHED and flags[flag] is not Status.NOT_HERMITIAN:
        status = flags[flag]
        if status is Status.NONFINITE or not math.isfinite(residual):
            status, residual = Status.NONFINITE, system.last_finite(residual)
        return Record(status, taken, history, float(residual), 0.0)
    rest = run(steps, system, type(limits)(limits.threshold, limits.maxiter - taken, limits.chunk, limits.callback))
    rest.iterations += taken
    rest.residuals = np.concatenate([history[:-1], rest.residuals])
    return rest

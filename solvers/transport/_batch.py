"""Batches of transport problems of one size: the result, and the way to it."""

import operator
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from .._errors import UnsupportedType
from .._loop import Limits, Record, ended, run
from .._result import Result, Status
from .._tasks import run_tasks
from ._feasibility import guarded, named
from ._many import BROKEN, FAR, FITS, RUNNING, SLOW, begin, sweep
from ._newton import newton_steps
from ._problem import threshold_of
from ._result import TransportResult, chosen, sentence

__all__ = ["TransportBatch", "solve_batch"]

# Methods whose sweeps are taken together.
_TOGETHER = ("auto", "log", "sor")
# Entries of one chunk of a problem that is solved by itself: some 50 ms.
_CHUNK_ENTRIES = 4e7
# Entries of the problems that are one task of an executor: some 50 ms, and 2 MB on their way.
_TASK_ENTRIES = 2**18


class TransportBatch(Result):
    """The outcomes of a batch of entropic transport problems; ``batch[i]`` is the ``TransportResult`` of one.

    Attributes
    ----------
    value, regularized_value, dual_value, mass : ndarray, shape (B,)
        As in ``TransportResult``, for each problem.
    status : tuple of Status, length B
    converged : bool
        Whether all are; ``residual <= threshold`` says which.
    residual : ndarray, shape (B,)
        The L1 error of both marginals relative to the mass, recomputed; also ``marginal_error``.
    iterations, newton_steps : ndarray of int, shape (B,)
        Sweeps and Newton steps.
    choice : tuple of str, length B
        As in ``TransportResult``.
    potentials : (ndarray of shape (B, n), ndarray of shape (B, m))
    plan : ndarray, shape (B, n, m)
        Made when it is first asked for.
    """

    _not_in_dict = frozenset(("potentials", "_batch", "_plan"))
    _answer = "plan"

    def __init__(
        self,
        *,
        batch: Any,
        newton_steps: NDArray[Any],
        potentials: tuple[NDArray[Any], NDArray[Any]],
        objectives: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]],
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        self._batch, self._plan, self.newton_steps, self.potentials = batch, None, newton_steps, potentials
        self.value, self.regularized_value, self.dual_value, self.mass = objectives

    @property
    def marginal_error(self) -> NDArray[Any]:
        """``residual`` by its name."""
        return self.residual

    @property
    def residuals(self) -> NDArray[Any]:
        """The errors tested, shape (steps + 1, B); a problem that stopped earlier repeats its last one."""
        curves = [self._batch.curve(k) for k in range(len(self))]
        out = np.empty((max(map(len, curves), default=1), len(curves)))
        for k, curve in enumerate(curves):
            out[: len(curve), k], out[len(curve) :, k] = curve, curve[-1]
        return out

    @residuals.setter
    def residuals(self, nothing: Any) -> None:
        """One hard problem would make the array of all large: it is made when it is asked for."""

    @property
    def plan(self) -> NDArray[Any]:
        """P of shape (B, n, m); it owns its memory."""
        if self._plan is None:
            self._plan = self._batch.leave(self._batch.plans())
        return self._plan

    @property
    def message(self) -> str:
        """One line: how many problems failed, which, and what to do about the worst."""
        failed = [k for k, status in enumerate(self.status) if status is not Status.CONVERGED]
        if not failed:
            return f"{self!r}: {sentence(Status.CONVERGED, self.method)}"
        shown = ", ".join(f"{k} ({self.status[k]})" for k in failed[:10]) + (", ..." if len(failed) > 10 else "")
        remedy = sentence(self.status[self._worst], self.method)
        return f"{self.method}: {len(failed)} of {len(self)} problems did not converge: {shown}. {remedy}"

    def plot(self, ax: Any = None) -> Any:
        """Draw the marginal errors over the steps, a curve for each problem; returns the axes."""
        ax = super().plot(ax)
        ax.set(xlabel="step", ylabel="marginal error (L1)")
        return ax

    def __repr__(self):
        sweeps, newton = (int(np.max(counts, initial=0)) for counts in (self.iterations, self.newton_steps))
        steps = f"{sweeps} sweep{'' if sweeps == 1 else 's'}" + (f" and {newton} Newton steps" if newton else "")
        return (
            f"TransportBatch({self.status.count(Status.CONVERGED)} of {len(self)} converged in at most {steps}, "
            f"marginal error <= {np.max(self.residual, initial=0.0):.1e}, {self.backend})"
        )

    def __len__(self) -> int:
        return len(self.status)

    def __iter__(self) -> Iterator[TransportResult]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: SupportsIndex) -> TransportResult:
        try:
            k = operator.index(k)
        except TypeError:
            raise UnsupportedType(
                f"A batch must be indexed by one integer, got {type(k).__name__}; use its arrays, such as `value`."
            ) from None
        if not -len(self) <= k < len(self):
            raise IndexError(f"A batch of {len(self)} problems must be indexed by less than that, got {k}.")
        k %= len(self)
        problem = self._batch.single(k)
        problem.own()
        return TransportResult(
            problem=problem,
            status=self.status[k],
            iterations=problem.sweeps,
            newton_steps=problem.newton_steps,
            residuals=self._batch.curve(k),
            residual=float(self.residual[k]),
            threshold=float(self.threshold[k]),
            n_matvec=problem.sweeps,
            seconds=self.seconds / len(self),
            backend=self.backend,
            method=self.method,
            choice=self.choice[k],
        )


def solve_batch(problems, method, steps, patience, tol, maxiter, callback, executor):
    """Solve checked ``Problems`` by a method whose single steps are given, and make the result."""
    began, entries = time.perf_counter(), problems.C.shape[1] * problems.C.shape[2]
    _can_be_told(callback)
    limits = Limits(threshold_of(tol), maxiter, max(1, min(1000, int(_CHUNK_ENTRIES / entries))), callback)
    solve = partial(_solved, method=method, steps=steps, patience=patience, limits=limits)
    if executor is None or not len(problems):
        statuses, marginals, _ = solve(problems)
    else:
        statuses, marginals = _solved_elsewhere(executor, solve, problems, limits)
    return ended(callback, _result(problems, statuses, marginals, limits, method, time.perf_counter() - began))


def _can_be_told(callback):
    if callback is not None and not hasattr(callback, "on_chunk"):
        raise UnsupportedType(
            "`callback` must have on_chunk(iteration, norm) where `C` has shape (B, n, m), such as solvers.progress(), "
            "got a function of one problem's potentials."
        )


def _solved(problems, *, method, steps, patience, limits):
    """Solve a batch or a block of it in place; returns statuses, marginals and seconds.

    No bit of a problem's answer depends on the others in its block.
    """
    began = time.perf_counter()
    begin(problems, limits.threshold)
    stopped = False
    if method in _TOGETHER and problems.C.shape[1] * problems.C.shape[2] <= FITS:
        stopped = sweep(problems, limits, method != "log", patience if method == "auto" else np.inf)
    else:
        problems.ends[problems.live] = BROKEN
    marginals = problems.marginals()
    errors = problems.errors(marginals)
    statuses = _verified(problems, errors, limits, stopped)
    left = np.flatnonzero([status is None for status in statuses])
    for k in left:
        record = None if stopped else _single(problems, int(k), method, steps, limits)
        statuses[k] = Status.STOPPED if record is None else record.status
        stopped = stopped or record.status is Status.STOPPED
    if left.size or not np.isfinite(errors).all():
        _make_finite(problems, statuses)
        marginals = problems.marginals()
    return tuple(statuses), marginals, time.perf_counter() - began


def _solved_elsewhere(executor, solve, problems, limits):
    """The same by an executor, in blocks of so many problems as their size says."""
    size = max(1, _TASK_ENTRIES // (problems.C.shape[1] * problems.C.shape[2]))
    blocks = [slice(first, min(first + size, len(problems))) for first in range(0, len(problems), size)]
    tasks = [(solve, problems.part(rows)) for rows in blocks]
    names = [f"problem {r.start}" if r.stop == r.start + 1 else f"problems {r.start} to {r.stop - 1}" for r in blocks]
    answers = run_tasks(executor, _block, tasks, names, partial(_shown, limits=limits, method=solve.keywords["method"]))
    for rows, (state, _) in zip(blocks, answers):
        problems.take_state(rows, state)
    statuses, sums, _ = zip(*(found for _, found in answers))
    return tuple(status for each in statuses for status in each), tuple(map(np.concatenate, zip(*sums)))


def _block(task):
    solve, problems = task
    found = solve(problems)
    return problems.state(), found


def _shown(task, answer, limits, method):
    """What a user sees of a block where another one has failed."""
    _, problems = task
    state, (statuses, marginals, seconds) = answer
    problems = problems.part(slice(0, len(problems)))
    problems.take_state(slice(0, len(problems)), state)
    return _result(problems, statuses, marginals, limits, method, seconds)


def _verified(problems, errors, limits, stopped):
    """The status of each problem; None where the single solve is to take over."""
    statuses = []
    for error, end, forbids in zip(errors, problems.ends, problems.forbids):
        if error <= limits.threshold:
            status = Status.CONVERGED
        elif stopped:
            status = Status.STOPPED
        else:
            status = Status.MAXITER if end == RUNNING and not forbids else None
        statuses.append(status)
    return statuses


def _single(problems, k, method, steps, limits):
    """Solve one problem by itself, from where the sweeps have left it, or anew; returns the record."""
    end, left = problems.ends[k], limits.maxiter - int(problems.iterations[k])
    if end == BROKEN:
        left, problems.iterations[k] = limits.maxiter, 0
        (problems.u[k],), (problems.v[k],) = problems.start([k])
    problem = problems.single(k)
    if end == SLOW and method == "auto":
        steps = newton_steps
        if problem.true_norm() > FAR:
            (problems.u[k],), (problems.v[k],) = problems.start([k])
            problem = problems.single(k)
    if left > 0:
        record = problem.infeasible() or run(
            guarded(steps), problem, Limits(limits.threshold, left, limits.chunk, limits.callback)
        )
        problems.tails[k] = record.residuals
    else:
        error = problem.true_norm()
        record = Record(Status.MAXITER, limits.maxiter, np.array([error]), error, 0.0)
    problems.take(k, problem)
    return named(record, problem, limits.threshold)


def _make_finite(problems, statuses):
    """No NaN comes out: where sweeps that ended at a limit have left one, back to finite potentials."""
    for k in np.flatnonzero(~np.isfinite(problems.errors(problems.marginals()))):
        problem = problems.single(k)
        with np.errstate(all="ignore"):
            problem.last_finite(np.nan)
        problems.take(k, problem)
        statuses[k] = Status.NONFINITE if statuses[k] is Status.MAXITER else statuses[k]


def _result(problems, statuses, marginals, limits, method, seconds):
    with np.errstate(all="ignore"):
        f, g = problems.potentials()
        objectives = problems.objectives(f, g, marginals)
    return TransportBatch(
        batch=problems,
        newton_steps=problems.newton_steps,
        potentials=tuple(problems.leave(p.astype(problems.dtype)) for p in (f, g)),
        objectives=objectives,
        status=statuses,
        iterations=problems.iterations,
        residuals=None,
        residual=problems.errors(marginals),
        threshold=np.full(len(problems), limits.threshold),
        n_matvec=int(problems.iterations.sum()),
        seconds=seconds,
        backend="cpu",
        method="sinkhorn",
        choice=tuple(chosen(method, steps) for steps in problems.newton_steps),
    )

"""Many right-hand sides on an executor's workers: cut into blocks of columns, one task each.

A block takes along what was analysed here, the matrix included, and brings back its iterates and records. How the
columns are solved is decided here, for all of them at once: no bit depends on the cut.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._errors import InvalidInput
from .._loop import run
from .._place import at
from .._result import Status
from .._scale import reach_of, to_one
from .._tasks import check_executor, run_tasks
from ._many import run_many
from ._singular import once_more, run_or_project
from ._system import trivial

__all__ = ["Job", "check_away", "cut", "names_of", "records_from"]

# Failures behind which a matrix that is not Hermitian may be.
_SUSPECT = Status.INDEFINITE, Status.STAGNATED, Status.STALLED, Status.BREAKDOWN, Status.INCONSISTENT
# Tasks of one call, at most: enough for some workers to be busy to the end, and each carries the matrix.
_MOST_TASKS = 16


@dataclass(slots=True)
class Job:
    """How the systems of one call are solved.

    ``many`` solves several at once, or is None; ``known`` is the NullSpace that A or M says A has, or None; the rest
    is as in ``_iterative.solve``.
    """

    steps: Callable[..., Any]
    many: Callable[..., Any] | None
    hermitian: bool
    finds_null: bool
    known: object

    def records(self, systems, limits):
        """One record per system; x is left in each."""
        if self.many is None:
            records = [trivial(system) or self._alone(system, each) for system, each in zip(systems, limits)]
        else:
            records = self.many(systems, limits)
            if self.finds_null:
                records = [once_more(self.steps, *each, None) for each in zip(systems, limits, records)]
        if self.hermitian:
            for system, record in zip(systems, records):
                _name_the_cause(system, record)
        return records

    def _alone(self, system, limits):
        if self.finds_null:
            return run_or_project(self.steps, system, limits, self.known)
        return run(self.steps, system, limits)

    def width(self, systems):
        """The columns that a task must have a multiple of."""
        if getattr(self.many, "func", None) is not run_many:
            return 1
        first = systems[0]
        # On the device, sums are taken in an order that depends on how many columns there are.
        return len(systems) if first.backend == "gpu" else first.kernels.LANES


def _name_the_cause(system, record):
    """Where a method for Hermitian matrices failed with time enough, say so if the matrix is not Hermitian."""
    if record.status is Status.INDEFINITE and _squares_underflow(system):
        record.status = Status.BREAKDOWN  # a zero that says nothing of A
    failed = record.status in _SUSPECT
    if failed or (record.status is Status.MAXITER and record.iterations >= system.n):
        if not system.is_hermitian():
            record.status = Status.NOT_HERMITIAN


def _squares_underflow(system):
    """Whether r^H z or p^H A p is below the range of numbers, for the residual r = b - A x and z = M r in p's place.

    The power of two that brings b near one is bounded by what x0 leaves, and A has none.
    """
    r, out, put = system.empty(), system.empty(), system.kernels.scale
    size = system.residual(r)
    if not 0.0 < size < math.inf:
        return False
    reach = reach_of(system.dtype)
    put(system.dtype.type(to_one(size, reach)), r, r)
    # Norms are taken before the products: a user's function may write to what it gets.
    unit = system.norm(r)
    z = system.psolve(r, out)
    most = system.norm(z)
    growth = most / unit
    if not 0.0 < growth < math.inf:
        return False
    put(system.dtype.type(to_one(most, reach)), z, r)
    unit = system.norm(r)
    system.matvec(r, out)
    stretch = system.norm(out) / unit
    entries, sums = size * growth * min(1.0, stretch), size * size * growth * min(1.0, growth * stretch)
    # With room for the digits of the last steps; sums are in double precision.
    least, least_sum = (1e6 * float(np.finfo(kind).tiny) for kind in (system.dtype, np.float64))
    return 0.0 < stretch < math.inf and (entries < least or sums < least_sum)


def check_away(executor, callback=None, show=False):
    """Refuse what takes no tasks, and what would follow a solve, before anything is computed."""
    if check_executor(executor, callback) is not None and show:
        raise InvalidInput(
            "`show` must be False where there is an `executor`, whose tasks cannot report, got True; leave one of them "
            "out."
        )


def cut(k, multiple=1):
    """The columns of each task, as slices: of at most that many tasks."""
    width = multiple * -(-k // (multiple * _MOST_TASKS))
    return [slice(begin, min(begin + width, k)) for begin in range(0, k, width)]


def names_of(blocks):
    """What the tasks of these columns are called."""
    return [
        f"column {block.start}" if block.stop - block.start == 1 else f"columns {block.start} to {block.stop - 1}"
        for block in blocks
    ]


def records_from(executor, job, systems, limits, result_of):
    """What ``job.records`` returns, from workers; ``result_of(systems, records, limits)`` is the result of a block."""
    began = time.perf_counter()
    blocks = cut(len(systems), job.width(systems))
    tasks = [(job, systems[block], limits[block]) for block in blocks]

    def shown(task, answer):
        _, some, their_limits = task
        return result_of(some, _taken_back(some, answer), their_limits)

    answers = run_tasks(executor, _solve_block, tasks, names_of(blocks), shown)
    records = [record for task, answer in zip(tasks, answers) for record in _taken_back(task[1], answer)]
    for record in records:
        record.seconds = (time.perf_counter() - began) / len(records)
    return records


# What a solve changes in a system, and what reads it afterwards.
_CHANGED = "x", "x_is_zero", "n_matvec", "outer"


def _solve_block(task):
    job, systems, limits = task
    with at(systems[0].backend, systems[0].b):
        records = job.records(systems, limits)
    changes = [({name: getattr(s, name) for name in _CHANGED}, getattr(s.settings, "told", None)) for s in systems]
    return list(zip(records, changes))


def _taken_back(systems, answer):
    """The records of a block; what came back with them is put into our own systems."""
    for system, (_, (changed, told)) in zip(systems, answer):
        for name, value in changed.items():
            setattr(system, name, value)
        if told is not None:
            system.settings.told = told
    return [record for record, _ in answer]

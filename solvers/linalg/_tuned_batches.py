"""Many sequences of systems at once, each with a policy of its own."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import _checks
from .._errors import UnsupportedType
from .._tasks import check_executor, run_tasks
from .._types import Executor, Seed
from ._tuned import Tuned

__all__ = ["solve_batches"]


def solve_batches(
    tuned: Callable[[Any], Tuned], batches: Iterable[Any], *, rng: Seed | None = None, executor: Executor | None = None
) -> list[tuple[list[Any], Tuned]]:
    """Solve independent sequences, each with a policy of its own.

    Parameters
    ----------
    tuned : callable (rng) -> Tuned
        Makes a new one: ``linalg.TunedSOR`` is ``lambda rng: linalg.TunedSOR(rng=rng)``; it must pickle where the
        executor's tasks run in other processes.
    batches : sequence of sequences of (A, b) or (A, b, context)
    rng : None, int or numpy.random.Generator
        Each batch gets a seed of its own, so that the answers do not depend on the executor.
    executor : concurrent.futures executor, optional
        Threads, processes, Dask's or MPI's; by default the batches run here, one after the other.

    Returns
    -------
    list of (list of results, Tuned)
        In the order of the batches, bitwise the same for every executor.

    Raises
    ------
    TaskError
        If a solve of a batch raised; names that batch, and has the answers of the others.

    Notes
    -----
    A batch is one task, from its first system to its last, for its policy learns from each. Where the task runs in
    another process its systems are sent there, and the results and the Tuned, with what it has learned, come back: all
    of them must pickle, a ``cost`` or a ``solve`` of your own too.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> batch = [(linalg.stencil((10, 10), [4 + c, -1, -1]), np.ones(100), c) for c in (0.0, 0.1, 0.2)]
    >>> answers = linalg.solve_batches(lambda rng: linalg.TunedSOR(rng=rng), [batch, batch], rng=0)
    >>> [tuned for results, tuned in answers]  # doctest: +ELLIPSIS
    [TunedSOR(omega, auto, 3 systems, ... a system), TunedSOR(omega, auto, 3 systems, ... a system)]
    """
    batches, executor = _checked(tuned, batches), check_executor(executor)
    tasks = list(zip([tuned] * len(batches), batches, _checks.spawned(rng, len(batches))))
    return run_tasks(executor, _solve_batch, tasks, [f"batch {k}" for k in range(len(tasks))])


def _checked(tuned, batches):
    if not callable(tuned):
        raise _checks.wrong_kind("tuned", "a function of `rng` that makes a Tuned", tuned)
    ours = isinstance(tuned, type) and issubclass(tuned, Tuned) and tuned.__module__.startswith("solvers.")
    if ours or isinstance(tuned, Tuned):
        kind = (tuned if ours else type(tuned)).__name__
        raise UnsupportedType(
            f"`tuned` must be a function of `rng` that makes a Tuned for each batch, got {kind} itself; pass one that "
            f"returns {kind}(..., rng=rng)."
        )
    batches = _listed("batches", batches, "of sequences of (A, b) or (A, b, context)")
    batches = [_listed(f"batches[{k}]", each, "of (A, b) or (A, b, context)") for k, each in enumerate(batches)]
    for k, batch in enumerate(batches):
        for system in batch:
            if not isinstance(system, list | tuple) or len(system) not in (2, 3):
                raise _checks.wrong_kind(f"batches[{k}]", "a sequence of (A, b) or (A, b, context)", system)
    return batches


def _listed(name, values, of_what):
    if isinstance(values, str | bytes) or not np.iterable(values):
        raise _checks.wrong_kind(name, f"a sequence {of_what}", values)
    return list(values)


def _solve_batch(task):
    make, batch, rng = task
    tuned = make(rng)
    if not callable(tuned):
        raise UnsupportedType(f"`tuned` must make a Tuned, its function made {_checks.brief(tuned)}.")
    return [tuned(A, b, context=rest[0] if rest else None) for A, b, *rest in batch], tuned

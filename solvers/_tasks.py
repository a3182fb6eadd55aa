"""The tasks of a batch on somebody else's workers: threads, processes, Dask's or MPI's, all through ``executor=``.

A batch is cut into tasks in one way, whoever runs them, and the answers are put together in the order of the tasks:
no bit depends on the executor. There is no engine of our own: all that is asked is ``submit`` of
``concurrent.futures``.
"""

import os
import pickle
import uuid
from contextvars import ContextVar

import numpy as np

from . import _backend
from ._errors import InvalidInput, TaskError, UnsupportedType

__all__ = ["check_executor", "only_on_cpu", "run_tasks"]

# Of this interpreter: one that is spawned, here or on another machine, has its own, and one that is forked another pid.
_HERE = uuid.uuid4().hex
# The executors, by id, in whose tasks we are.
_around: ContextVar[tuple[int, ...]] = ContextVar("solvers_around", default=())


def check_executor(executor, callback=None):
    """Refuse what takes no tasks, and a callback, which tasks cannot tell, before anything is computed; returns it."""
    if executor is not None and (isinstance(executor, type) or not callable(getattr(executor, "submit", None))):
        got = f"the class {executor.__name__}" if isinstance(executor, type) else f"a {type(executor).__name__}"
        raise UnsupportedType(
            f"`executor` must be None or an open executor with submit(function, task), got {got}; pass one such as "
            "concurrent.futures.ThreadPoolExecutor()."
        )
    if executor is not None and callback is not None:
        raise InvalidInput(
            f"`callback` must be None where there is an `executor`, whose tasks cannot tell it, got a "
            f"{type(callback).__name__}; leave one of them out."
        )
    return executor


def run_tasks(executor, function, tasks, names, shown=None):
    """Return ``[function(task) for task in tasks]``, computed by the executor, or here where it is None.

    A task that fails does not stop the others: what they returned, and what each failure was, is in the ``TaskError``
    that is raised at the end. ``names`` say which part of the user's batch a task is, and ``shown(task, answer)`` makes
    of an answer what the user sees of it there.

    The function, the tasks and the answers must pickle where the workers are other processes. A task runs on the
    caller's backend and under the caller's ``np.errstate``, and on one thread of our kernels where it has an executor's
    worker for itself. Within a task of the same executor all of them are computed here: they would wait for the worker
    that waits for them.
    """
    if executor is None or id(executor) in _around.get():
        outcomes = [_outcome(function, task) for task in tasks]
    else:
        outcomes = _submitted(executor, _Away(function, _backend.chosen(), executor), tasks)
    failures = {k: outcome for k, (outcome, failed) in enumerate(outcomes) if failed}
    answers = [None if failed else outcome for outcome, failed in outcomes]
    if failures:
        if shown is not None:
            answers = [None if k in failures else shown(tasks[k], answer) for k, answer in enumerate(answers)]
        raise TaskError(names, answers, failures) from next(iter(failures.values()))
    return answers


def only_on_cpu(backend, state):
    """The state of what a task takes along, for ``__getstate__``; on the GPU that must stay in this process."""
    if backend == "gpu":
        raise UnsupportedType(
            "`executor` must run its tasks in threads where these are on a GPU, whose arrays are out of reach of other "
            "processes; pass a ThreadPoolExecutor, or use solvers.backend('cpu')."
        )
    return state


class _Away:
    """The function, in the hands of a worker."""

    def __init__(self, function, backend, executor):
        self.function, self.backend, self.home = function, backend, (_HERE, os.getpid())
        self.around = *_around.get(), id(executor)
        # The other two modes need a function or a file, which need not pickle.
        self.errors = {kind: mode for kind, mode in np.geterr().items() if mode not in ("call", "log")}

    def __call__(self, task):
        at_home = self.home == (_HERE, os.getpid())
        token = _around.set(self.around if at_home else ())
        try:
            with _backend.backend(self.backend), _backend.threads.alone(), np.errstate(**self.errors):
                return self.function(task)
        except SystemExit as error:  # it would end the caller's program, and lose the other answers
            raise RuntimeError(f"SystemExit: {error}") from None
        except Exception as error:
            if at_home or _travels(error):
                raise
            # An error that cannot be unpickled breaks the whole pool of the user's.
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        finally:
            _around.reset(token)


def _travels(error):
    """Whether an exception arrives as it is."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False


def _submitted(executor, function, tasks):
    futures = []
    try:
        for task in tasks:
            try:
                futures.append(executor.submit(function, task))
            except Exception as error:  # shut down, broken by an earlier task, or nothing that it can send
                if not futures and type(error) is RuntimeError:
                    raise InvalidInput(f"`executor` must be open: {str(error).rstrip('.')}.") from error
                futures.append(error)
        return [(future, True) if isinstance(future, Exception) else _outcome(_answer, future) for future in futures]
    except BaseException:
        for future in futures:
            if not isinstance(future, Exception):
                future.cancel()
        raise


def _answer(future):
    return future.result()


def _outcome(function, argument):
    """What it returned and False, or what it raised and True; an interrupt is nobody's outcome."""
    try:
        return function(argument), False
    except Exception as error:
        return error, True

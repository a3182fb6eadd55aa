"""The tasks of a batch on somebody else's workers: threads, processes, Dask's or MPI's, all through ``executor=``.

A batch is cut into tasks in one way, whoever runs them, and the answers are put together in the order of the tasks:
no bit depends on the executor. There is no engine of our own: all that is asked is ``submit`` of
``concurrent.futures``.
"""

from . import _backend
from ._errors import InvalidInput, TaskError, UnsupportedType

__all__ = ["check_executor", "run_tasks"]


def check_executor(executor):
    """Refuse what takes no tasks, before anything is computed; returns it."""
    if executor is not None and (isinstance(executor, type) or not callable(getattr(executor, "submit", None))):
        got = f"the class {executor.__name__}" if isinstance(executor, type) else f"a {type(executor).__name__}"
        raise UnsupportedType(
            f"`executor` must be None or an open executor with submit(function, task), got {got}; pass one such as "
            "concurrent.futures.ThreadPoolExecutor()."
        )
    return executor


def run_tasks(executor, function, tasks, names, shown=None):
    """Return ``[function(task) for task in tasks]``, computed by the executor, or here where it is None.

    A task that fails does not stop the others: what they returned, and what each failure was, is in the ``TaskError``
    that is raised at the end. ``names`` say which part of the user's batch a task is, and ``shown(task, answer)`` makes
    of an answer what the user sees of it there.

    The function, the tasks and the answers must pickle where the workers are other processes. A task runs on the
    caller's backend, and on one thread of our kernels where it has an executor's worker for itself.
    """
    if executor is None:
        outcomes = [_outcome(function, task) for task in tasks]
    else:
        outcomes = _submitted(executor, _Away(function, _backend.chosen()), tasks)
    failures = {k: outcome for k, (outcome, failed) in enumerate(outcomes) if failed}
    answers = [None if failed else outcome for outcome, failed in outcomes]
    if failures:
        if shown is not None:
            answers = [None if k in failures else shown(tasks[k], answer) for k, answer in enumerate(answers)]
        raise TaskError(names, answers, failures) from next(iter(failures.values()))
    return answers


class _Away:
    """The function, in the hands of a worker."""

    def __init__(self, function, backend):
        self.function, self.backend = function, backend

    def __call__(self, task):
        with _backend.backend(self.backend), _backend.threads.alone():
            return self.function(task)


def _submitted(executor, function, tasks):
    futures = []
    try:
        for task in tasks:
            try:
                futures.append(executor.submit(function, task))
            except RuntimeError as error:  # shut down, or broken by an earlier task
                if not futures:
                    raise InvalidInput(f"`executor` must be open: {str(error).rstrip('.')}.") from error
                futures.append(error)
        return [
            (future, True) if isinstance(future, Exception) else _outcome(_answer, future) for future in futures
        ]
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

"""How many CPU threads the kernels may use, and a way to use them for whole tasks. Light: it loads no kernel."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

__all__ = ["alone", "choose", "limit", "spread"]

_chosen: int | None = None
_here = threading.local()


def choose(n: int | None) -> None:
    """Set the limit; None restores the default."""
    global _chosen
    _chosen = n


def limit() -> int:
    """Return the limit: the one chosen, else that of the environment, else the usable processors.

    Within a task of ``spread``, and where one is ``alone``, it is 1: the threads are taken.
    """
    global _chosen
    if getattr(_here, "alone", False):
        return 1
    if _chosen is None:
        _chosen = _default()
    return _chosen


def spread(task, items, stop):
    """Return ``[task(item) for item in items]``, computed on as many threads as there may be.

    ``stop`` is called if the wait is interrupted; it must bring the tasks to an early end.
    """
    with ThreadPoolExecutor(min(limit(), len(items)), "solvers-task", initializer=_be_alone) as pool:
        futures = [pool.submit(task, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def alone():
    """Within it, this thread's kernels run on it alone."""
    before = getattr(_here, "alone", False)
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = before


def _be_alone():
    _here.alone = True


def _default():
    for name in ("SOLVERS_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "")
        if text.isdigit() and int(text) > 0:
            return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

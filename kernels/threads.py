"""How many CPU threads the kernels may use, and a way to use them for whole tasks. Light: it loads no kernel."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

__all__ = ["Choice", "alone", "choose", "limit", "spread", "take_back"]

# The number that was chosen, None for the default; and the default, once it was asked for.
_chosen: int | None = None
_usual: int | None = None
_here = threading.local()


class Choice:
    """A number that was asked for, by which thread, and whether for a block."""

    __slots__ = ("block", "n", "thread")

    def __init__(self, n: int | None, block: bool) -> None:
        self.n, self.block, self.thread = n, block, threading.get_ident()


# What was chosen in this process, the latest last: a block until its end, a plain call until nothing can bring it back.
_choices: list[Choice] = []
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child must not wait for a thread that it does not have
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def choose(n: int | None, block: bool = False) -> Choice:
    """Set the limit; None restores the default. ``take_back`` undoes it."""
    global _chosen, _usual
    new = Choice(n, block)
    with _lock:
        mine = [choice for choice in _choices if choice.thread == new.thread]
        # Of plain calls that follow one another the last alone can come back: a loop over them must not pile them up.
        if len(mine) > 1 and not mine[-1].block and not mine[-2].block:
            _choices.remove(mine[-2])
        _choices.append(new)
        _chosen = n
        if n is None:
            _usual = None  # the environment may have changed
    return new


def take_back(choice: Choice) -> None:
    """Undo a choice; that of a block takes along the plain calls that its thread has made since."""
    global _chosen
    with _lock:
        if choice not in _choices:
            return
        place = _choices.index(choice)
        _choices[place:] = [
            c for c in _choices[place + 1 :] if c.block or not choice.block or c.thread != choice.thread
        ]
        _chosen = _choices[-1].n if _choices else None


def limit() -> int:
    """Return the limit: the one chosen, else that of the environment, else the usable processors.

    Within a task of ``spread``, and where one is ``alone``, it is 1: the threads are taken.
    """
    global _usual
    if getattr(_here, "alone", False):
        return 1
    # Each is read once: another thread may change it in between.
    if (n := _chosen) is not None:
        return n
    if (n := _usual) is None:
        n = _usual = _default()
    return n


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

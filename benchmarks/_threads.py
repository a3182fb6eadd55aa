"""Pin every thread pool that could take part, and say truthfully what was done.

BLAS and OpenMP read their number of threads from the environment when they are loaded, which is
before any of our code runs. So the command starts itself once more with the environment set; only
when it is called from Python instead does it fall back on threadpoolctl, or say that it could not.
"""

import contextlib
import os
import subprocess
import sys

__all__ = ["environment", "pinned", "started_by_another"]

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MARK = "SOLVERS_BENCH_CHILD"


def environment(n):
    """The environment of a process of this command whose BLAS and OpenMP use ``n`` threads."""
    return os.environ | dict.fromkeys(_VARIABLES, str(n)) | {_MARK: "1"}


def started_by_another():
    """Whether a process of the same command has started this one, and has said what there was to say before."""
    return _MARK in os.environ


@contextlib.contextmanager
def pinned(n, argv):
    """Set the threads of our kernels, BLAS and OpenMP to ``n`` for a while; yield a sentence on it."""
    import solvers

    if not _environment_says(n) and argv == sys.argv[1:]:
        _start_again(n)
    with solvers.set_threads(n), contextlib.ExitStack() as stack:
        yield _others(n, stack)


def _others(n, stack):
    """Bind what is not ours to the same number, where that can still be done."""
    if _environment_says(n):
        return f"{n} (compiled kernels, BLAS and OpenMP)"
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return f"{n} (compiled kernels only: BLAS was loaded before it could be told)"
    stack.enter_context(threadpool_limits(limits=n))
    return f"{n} (compiled kernels; BLAS and OpenMP by threadpoolctl)"


def _environment_says(n):
    return all(os.environ.get(name) == str(n) for name in _VARIABLES)


def _start_again(n):
    """Replace this process by the same command with the environment set; Windows has no exec that waits."""
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(sys.executable, sys.orig_argv, environment(n))
    raise SystemExit(subprocess.call([sys.executable, *sys.orig_argv[1:]], env=environment(n)))

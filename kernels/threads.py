"""How many CPU threads the kernels may use. Light: it loads nothing."""

import os

__all__ = ["choose", "limit"]

_chosen: int | None = None


def choose(n: int | None) -> None:
    """Set the limit; None restores the default."""
    global _chosen
    _chosen = n


def limit() -> int:
    """Return the limit: the one chosen, else that of the environment, else the usable processors."""
    global _chosen
    if _chosen is None:
        _chosen = _default()
    return _chosen


def _default():
    for name in ("SOLVERS_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "")
        if text.isdigit() and int(text) > 0:
            return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""``solvers bench transport --sweeps``: milliseconds of one sweep, ours and POT's, in turns on the same costs."""

import time
import warnings

import numpy as np

from ._registry import present
from .transport import assignment

__all__ = ["SIZES", "heading", "line", "measure"]

SIZES = (500, 1000, 2000, 5000)
_EPS = 0.02
# Matrix entries of one timing, and timings of each.
_ENTRIES, _ROUNDS = 2e7, 5
_OURS = ("log", "float32", "scaling")
_POT = ("sinkhorn_log", "sinkhorn")


def measure(n):
    """Least CPU seconds of a sweep by name, of ours, and of POT's where it is there, on n x n costs."""
    C, a, b = assignment(n)
    runs = {"log": _ours("log", C, a, b), "float32": _ours("log", *(x.astype(np.float32) for x in (C, a, b)))}
    runs["scaling"] = _ours("scaling", C, a, b)
    if present("ot"):
        runs |= {name: _pot(name, C, a, b) for name in _POT}
    steps = max(6, int(_ENTRIES / n**2))
    counts = {name: max(3, steps // 20) if name == "sinkhorn_log" else steps for name in runs}
    for run in runs.values():
        run(1)
    spent = {name: ([], []) for name in runs}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            for times, count in zip(spent[name], (1, 1 + counts[name])):
                start = time.process_time()
                run(count)
                times.append(time.process_time() - start)
    # The difference is without what a call costs at its beginning and its end.
    return {name: max(min(long) - min(short), 1e-9) / counts[name] for name, (short, long) in spent.items()}


def _ours(method, C, a, b):
    from solvers import transport

    return lambda steps: transport.sinkhorn(C, a, b, eps=_EPS, method=method, tol=0, maxiter=steps, normalize=True)


def _pot(name, C, a, b):
    import ot

    function = {"sinkhorn": ot.bregman.sinkhorn_knopp}.get(name) or getattr(ot.bregman, name)

    def run(steps):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # POT tests its error in every tenth sweep.
            function(a, b, C, _EPS, numItermax=steps, stopThr=0)

    return run


def heading():
    """The line of headings and the rule below it."""
    text = f"{'n':>6}" + "".join(f"{name:>14}" for name in (*_OURS, *_POT)) + "   ratios: log/POT  f32/log  scaling/POT"
    return f"{text}\n{'-' * len(text)}"


def line(n, seconds):
    """Milliseconds, and how many times faster our sweeps are."""
    cells = "".join(f"{1e3 * seconds[k]:>11.3f} ms" if k in seconds else f"{'':>14}" for k in (*_OURS, *_POT))
    pairs = (("sinkhorn_log", "log", 18), ("log", "float32", 9), ("sinkhorn", "scaling", 13))
    ratios = (f"{seconds[x] / seconds[y]:.2f}" if x in seconds else "" for x, y, _ in pairs)
    return f"{n:>6}{cells}" + "".join(f"{text:>{width}}" for text, (_, _, width) in zip(ratios, pairs))

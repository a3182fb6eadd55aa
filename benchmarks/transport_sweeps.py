"""``solvers bench transport --sweeps``: milliseconds of one sweep, ours and POT's, in turns on the same costs."""

import math
import statistics
import time
import warnings

import numpy as np

from ._registry import present
from .transport import assignment

__all__ = ["SIZES", "heading", "line", "measure"]

SIZES = (500, 1000, 2000, 5000)
# So large that POT's stored kernel does not underflow.
_EPS = 1 / 300
# CPU seconds that one timing should take, the sweeps of the shorter one, limits for what the longer one has more, and
# timings of each.
_SECONDS, _SHORT, _LEAST, _MOST, _ROUNDS, _FEW_ROUNDS = 0.3, 2, 4, 500, 5, 2
_OURS = ("log", "float32", "scaling")
_POT = ("sinkhorn_log", "sinkhorn")


def measure(n):
    """CPU seconds of a sweep by name, of ours, and of POT's where it is there, on n x n costs; None for noise."""
    C, a, b = assignment(n)
    runs = {"log": _ours("log", C, a, b), "float32": _ours("log", *(x.astype(np.float32) for x in (C, a, b)))}
    runs["scaling"] = _ours("scaling", C, a, b)
    if present("ot"):
        runs |= {name: _pot(name, C, a, b) for name in _POT}
    counts = {name: _count(run) for name, run in runs.items()}
    differences = {name: [] for name in runs}
    for turn in range(_ROUNDS):
        for name, run in runs.items():
            if turn >= _FEW_ROUNDS and counts[name] == _LEAST:
                continue  # sweeps so long need no more
            # What a call costs at its beginning and its end is in both.
            short, long = (_seconds(run, steps) for steps in (_SHORT, _SHORT + counts[name]))
            differences[name].append((long - short) / counts[name])
    found = {name: statistics.median(each) for name, each in differences.items()}
    return {name: value if value > 0 else None for name, value in found.items()}


def _seconds(run, steps):
    start = time.process_time()
    run(steps)
    return time.process_time() - start


def _count(run):
    """Sweeps that take long enough to be timed; in tens, as POT tests its error in every tenth."""
    run(1)
    guess = max(_seconds(run, _SHORT + _LEAST) - _seconds(run, _SHORT), 1e-6) / _LEAST
    count = min(_SECONDS / guess, _MOST)
    return max(10 * math.ceil(count / 10), 10) if count > _LEAST else _LEAST


def _ours(method, C, a, b):
    """Sweeps of the kernel itself: a solve would end where rounding does."""
    from solvers.transport._problem import Problem

    def run(steps):
        problem, errors = Problem(C, a, b, _EPS, None, True), np.empty(steps)
        kernels, given = problem.kernels, (problem.cost, problem.inv_eps, problem.a, problem.b, problem.u, problem.v)
        if method == "log":
            taken = kernels.log_chunk(*given, 1.0, errors, 0.0, steps)
        else:
            stored = kernels.scaling(problem.cost, problem.inv_eps, problem.u, problem.v)
            taken = kernels.scaling_chunk(*given, stored, errors, 0.0, steps)
        if taken != steps:
            raise RuntimeError(f"{method!r} took {taken} sweeps of {steps}")

    return run


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
    """Milliseconds, and how many times faster our sweeps are; noise where more sweeps took no longer."""
    cells = "".join(f"{_cell(seconds[k]):>14}" if k in seconds else f"{'':>14}" for k in (*_OURS, *_POT))
    pairs = (("sinkhorn_log", "log", 18), ("log", "float32", 9), ("sinkhorn", "scaling", 13))
    ratios = (f"{seconds[x] / seconds[y]:.2f}" if seconds.get(x) and seconds.get(y) else "" for x, y, _ in pairs)
    return f"{n:>6}{cells}" + "".join(f"{text:>{width}}" for text, (_, _, width) in zip(ratios, pairs))


def _cell(seconds):
    return "noise" if seconds is None else f"{1e3 * seconds:.3f} ms"

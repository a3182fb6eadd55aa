"""Conjugate gradients per iteration, ours against SciPy's, threads and many right-hand sides included.

The marginal cost of an iteration is the difference of two runs with fixed iteration counts, in which
calls, checks and the final verification cancel; whole solves, in which they do not, stand beside it.
Every sample takes ours and theirs in turn, so that a machine that slows down slows both. Each number
of threads runs in a process of its own, because BLAS reads its own number when it is loaded.
"""

import functools
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from solvers import get_threads

from ._registry import UsageError
from ._threads import environment
from .problems import PROBLEMS, make_problem
from .report import heading_of, line_of, ratio
from .startup import child_environment

__all__ = ["CASES", "PerIteration", "heading", "in_children", "line", "measure"]

# Problem, size, right-hand sides. The 5-point Laplacian from 10^2 to 1000^2 points, then rows that
# do not suit us: one dense row, sixty entries a row, no zeros at all; then many right-hand sides.
CASES = (
    *(("poisson2d", size, 1) for size in (10, 30, 100, 300, 1000)),
    ("arrow", 20_000, 1),
    ("random60", 20_000, 1),
    ("dense", 500, 1),
    ("dense", 2000, 1),
    *(("poisson2d", size, 16) for size in (30, 100, 300)),
    ("random60", 20_000, 16),
)
# Iterations of the two runs: few enough that no case has converged, so that each iteration is a full one.
_FEW, _MANY = 4, 24
# Systems of fewer unknowns than this are short runs.
_SHORT = 5000
# Seconds before a long run with several threads: those of BLAS keep a processor busy for a while after their work.
_REST = 0.3
# Whole solves stop here at the latest; what an iteration costs no longer changes.
_WHOLE = 300


@dataclass
class PerIteration:
    """One case: microseconds per iteration of both, or milliseconds per solve with many right-hand sides."""

    problem: str
    size: int
    n: int
    nnz: int
    n_rhs: int
    threads: int
    ours: float
    theirs: float
    ratio: float | None
    whole_ours: float | None
    whole_theirs: float | None
    whole_ratio: float | None
    iterations_ours: int
    iterations_theirs: int
    samples: int

    def to_dict(self):
        return asdict(self)


def measure(case, threads, budget=4.0):
    """Measure one case for about ``budget`` seconds."""
    name, size, n_rhs = case
    problem = make_problem(PROBLEMS[name], size)
    values = _many_sides(problem, n_rhs, budget) if n_rhs > 1 else _one_side(problem, budget)
    return PerIteration(name, size, problem.n, problem.nnz, n_rhs, threads, **values)


def _one_side(problem, budget):
    from scipy.sparse import linalg as theirs

    from solvers import linalg as ours

    A, b = problem.A, problem.b
    runs = [
        functools.partial(solve, A, b, rtol=1e-300, maxiter=count)
        for solve in (ours.cg, theirs.cg)
        for count in (_FEW, _MANY)
    ]
    times = _interleaved(runs, problem.n, budget)
    medians = [statistics.median(t) for t in times]
    few, many = medians[::2], medians[1::2]
    ours_us, theirs_us = (1e6 * (m - f) / (_MANY - _FEW) for f, m in zip(few, many))
    return _rated(ours_us, theirs_us, samples=len(times[0])) | _whole(problem, budget)


def _whole(problem, budget):
    """Microseconds per iteration of complete solves, with the iterations that each took."""
    from scipy.sparse import linalg as theirs

    from solvers import linalg as ours

    options = dict(rtol=1e-8, maxiter=_WHOLE)
    steps = []
    theirs.cg(problem.A, problem.b, callback=lambda _: steps.append(None), **options)
    result = ours.cg(problem.A, problem.b, **options)
    runs = [functools.partial(solve, problem.A, problem.b, **options) for solve in (ours.cg, theirs.cg)]
    seconds = [statistics.median(t) for t in _interleaved(runs, problem.n, budget)]
    counts = int(result.iterations), len(steps)
    whole = [1e6 * s / count for s, count in zip(seconds, counts)]
    return dict(
        whole_ours=whole[0],
        whole_theirs=whole[1],
        whole_ratio=whole[1] / whole[0],
        iterations_ours=counts[0],
        iterations_theirs=counts[1],
    )


def _many_sides(problem, n_rhs, budget):
    """Milliseconds of one call with all right-hand sides, against ours one by one."""
    from solvers import linalg

    B = np.random.default_rng(0).standard_normal((problem.n, n_rhs))
    together = functools.partial(linalg.cg, problem.A, B, rtol=1e-8)

    def one_by_one():
        return [linalg.cg(problem.A, column, rtol=1e-8) for column in B.T]

    most = int(max(together().iterations)), max(int(r.iterations) for r in one_by_one())
    times = _interleaved([together, one_by_one], problem.n, budget)
    both = [1e3 * statistics.median(t) for t in times]
    nothing = dict.fromkeys(("whole_ours", "whole_theirs", "whole_ratio"))
    return _rated(*both, samples=len(times[0])) | nothing | dict(iterations_ours=most[0], iterations_theirs=most[1])


def _rated(ours, theirs, samples):
    """A difference that is not positive was drowned in the machine's other work, and has no ratio."""
    known = ours > 0 and theirs > 0
    return dict(ours=ours, theirs=theirs, ratio=theirs / ours if known else None, samples=samples)


def _interleaved(runs, n, budget, least=5, most=300):
    """Seconds of each run, taken in turn; the first round, which compiles, is not counted.

    A short run is timed the second time in a row: the first finds the processor's caches as the other
    library left them. Before a long one BLAS's threads are given time to fall asleep.
    """
    times = [[] for _ in runs]
    short = n < _SHORT
    for run in runs:
        run()
    end = time.perf_counter() + budget
    while len(times[0]) < least or (time.perf_counter() < end and len(times[0]) < most):
        for run, seconds in zip(runs, times):
            if short:
                run()
            elif get_threads() > 1:
                time.sleep(_REST)
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    return times


def in_children(threads):
    """Yield the cases for each number of threads, measured in a process whose environment says so."""
    for n in threads:
        command = [
            sys.executable,
            "-m",
            "solvers",
            "bench",
            "linalg",
            "--per-iteration",
            "--worker",
            f"--threads={n}",
        ]
        with subprocess.Popen(
            command, env=child_environment(**_only_threads(n)), stdout=subprocess.PIPE, text=True
        ) as child:
            for text in child.stdout:
                yield PerIteration(**json.loads(text))
        if child.returncode:
            raise UsageError(f"The measurement with {n} threads ended with exit code {child.returncode}.")


def _only_threads(n):
    return {name: value for name, value in environment(n).items() if name.endswith("_NUM_THREADS")}


_COLUMNS = (
    ("problem", -10, lambda r: r.problem),
    ("n", 8, lambda r: str(r.n)),
    ("nnz", 8, lambda r: str(r.nnz)),
    ("rhs", 4, lambda r: str(r.n_rhs)),
    ("threads", 7, lambda r: str(r.threads)),
    ("ours us/it", 10, lambda r: _figure(r, r.ours)),
    ("theirs us/it", 12, lambda r: _figure(r, r.theirs)),
    ("ratio", 6, lambda r: ratio(r.ratio)),
    ("whole us/it", 11, lambda r: _figure(r, r.whole_ours)),
    ("theirs", 9, lambda r: _figure(r, r.whole_theirs)),
    ("ratio", 6, lambda r: ratio(r.whole_ratio)),
    ("iter", 5, lambda r: str(r.iterations_ours)),
    ("theirs", 6, lambda r: str(r.iterations_theirs)),
)


def _figure(row, value):
    return "" if value is None else f"{value:.2f}" + (" ms" if row.n_rhs > 1 else "")


def heading():
    """Headings, and what the figures are."""
    return heading_of(_COLUMNS)


def line(row):
    """One row; with many right-hand sides, milliseconds per solve of all, theirs: ours one by one."""
    return line_of(_COLUMNS, row)

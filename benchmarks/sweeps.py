"""``solvers bench sweeps``: what a sweep of SOR costs, ours in natural order and by colours, and PyAMG's.

A sweep of ours computes the norm of the residual on its way; PyAMG's does not. Every sample takes all in turn, so
that a machine that slows down slows all of them; each number of threads runs in a process of its own. PyAMG's sweeps
run on one thread whatever is asked.
"""

import functools
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from . import _threads, options, picture
from ._registry import UsageError, need
from .area import View, show
from .problems import PROBLEMS, make_problem
from .report import ratio
from .run import true_residual
from .startup import child_environment

__all__ = ["CASES", "VIEW", "Sweeps", "bench", "measure"]

# Problem and size: n = 90,000 and 91,125.
CASES = (("poisson2d", 300), ("poisson3d", 45))
_QUICK = (("poisson2d", 100), ("poisson3d", 20))
_OMEGA = 1.9
# Sweeps of the two runs, whose difference is free of what a call costs.
_FEW, _MANY = 2, 22
_EXPLAINED = (
    "us/sweep: microseconds of a sweep over the matrix, the difference of runs with {few} and {many} sweeps, median. "
    "ratio: PyAMG's sweep, on one thread and without a residual / this one, ours with its norm; above 1 is faster. "
    "residual: the true one after {many} sweeps, relative; in natural order it is that of PyAMG's. omega {omega}."
)
_THEIRS = "pyamg:sor"


@dataclass
class Sweeps:
    """One way to sweep over one problem with one number of threads; ``ratio``: PyAMG's microseconds over these.

    Both are None for noise: where more sweeps took no longer.
    """

    problem: str
    n: int
    nnz: int
    threads: int
    method: str
    iterations: int
    microseconds: float | None
    ratio: float | None
    residual: float
    samples: int

    def to_dict(self):
        return asdict(self)


def measure(case, threads, budget=3.0):
    """The rows of one case, measured for about ``budget`` seconds."""
    from pyamg.relaxation.relaxation import sor as theirs

    problem = make_problem(PROBLEMS[case[0]], case[1])
    A, b = problem.A, problem.b
    runs = [functools.partial(_ours, A, b, ordering, count) for ordering in _ORDERINGS for count in (_FEW, _MANY)]
    x = np.zeros_like(b)
    runs += [functools.partial(theirs, A, x, b, _OMEGA, iterations=count) for count in (_FEW, _MANY)]
    times = _in_turn(runs, budget)
    # Of pairs taken one after the other: a slow moment spoils a pair, not the median.
    spent = [
        1e6 * statistics.median(m - f for f, m in zip(few, many)) / (_MANY - _FEW)
        for few, many in zip(times[::2], times[1::2])
    ]
    spent = [each if each > 0 else None for each in spent]
    answers = [_ours(A, b, ordering, _MANY).x for ordering in _ORDERINGS]
    answers.append(np.zeros_like(b))
    theirs(A, answers[-1], b, _OMEGA, iterations=_MANY)
    about = problem.name, problem.n, problem.nnz, threads
    return [
        Sweeps(*about, name, _MANY, each, _over(spent[-1], each), true_residual(A, x, b, 0.0)[0], len(times[0]))
        for name, each, x in zip((*(f"sor {ordering}" for ordering in _ORDERINGS), _THEIRS), spent, answers)
    ]


def _over(theirs, ours):
    return None if theirs is None or ours is None else theirs / ours


_ORDERINGS = ("natural", "colored")


def _ours(A, b, ordering, count):
    from solvers import linalg

    return linalg.sor(A, b, omega=_OMEGA, ordering=ordering, rtol=1e-300, maxiter=count)


def _in_turn(runs, budget, least=5, most=200):
    """Seconds of each run, taken in turn; the first round, which compiles and sorts, is not counted."""
    times = [[] for _ in runs]
    for run in runs:
        run()
    end = time.perf_counter() + budget
    while len(times[0]) < least or (time.perf_counter() < end and len(times[0]) < most):
        for run, seconds in zip(runs, times):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    return times


def bench(args, argv):
    """Carry out the command; return its exit code."""
    options.check_outputs(args)
    need("pyamg", "bench sweeps")
    if args.worker:
        return _worker(args.threads[0], argv, _QUICK if args.quick else CASES)
    threads = args.threads or [1, 2]
    opening = [_EXPLAINED.format(few=_FEW, many=_MANY, omega=_OMEGA)]
    groups = _in_children(threads, args.quick)
    return show(VIEW, groups, args, argv, threads=threads, opening=opening)


def _worker(threads, argv, cases):
    """One number of threads, a line of JSON a case: what the command above reads from its children."""
    with _threads.pinned(threads, argv):
        for case in cases:
            print(json.dumps([row.to_dict() for row in measure(case, threads)]), flush=True)
    return 0


def _in_children(threads, quick):
    for n in threads:
        command = [sys.executable, "-m", "solvers", "bench", "sweeps", "--worker", f"--threads={n}"]
        variables = {name: value for name, value in _threads.environment(n).items() if name.endswith("_NUM_THREADS")}
        with subprocess.Popen(
            command + ["--quick"] * quick, env=child_environment(**variables), stdout=subprocess.PIPE, text=True
        ) as child:
            for text in child.stdout:
                yield [Sweeps(**row) for row in json.loads(text)]
        if child.returncode:
            raise UsageError(f"The measurement with {n} threads ended with exit code {child.returncode}.")


_COLUMNS = (
    ("problem", -10, lambda r: r.problem),
    ("n", 7, lambda r: str(r.n)),
    ("nnz", 8, lambda r: str(r.nnz)),
    ("threads", 7, lambda r: str(r.threads)),
    ("method", -12, lambda r: r.method),
    ("iter", 4, lambda r: str(r.iterations)),
    ("us/sweep", 10, lambda r: "noise" if r.microseconds is None else f"{r.microseconds:.1f}"),
    ("ratio", 6, lambda r: ratio(r.ratio)),
    ("residual", 8, lambda r: f"{r.residual:.1e}"),
    ("samples", 7, lambda r: str(r.samples)),
)
_SIDES = picture.Sides(
    "microseconds", "microseconds of a sweep, logarithmic", "speed relative to the baseline",
    "times as fast as PyAMG's sweep on one thread",
)  # fmt: skip


def _mark(row):
    plural = "s" if row.threads > 1 else ""
    group = f"{row.problem}, n = {row.n:,}, {row.threads} thread{plural}"
    kind, remark = "other" if row.method == _THEIRS else "ours", "" if row.microseconds else "noise"
    return picture.Mark(group, row.method, row.microseconds, row.ratio, kind, remark)


VIEW = View(_COLUMNS, picture.drawn_by(_mark, _SIDES))

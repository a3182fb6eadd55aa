"""``solvers bench sweeps``: what a sweep of SOR costs, ours in natural order and by colours, and PyAMG's.

A sweep of ours computes the norm of the residual on its way; PyAMG's does not. Every sample takes all in turn, so
that a machine that slows down slows all of them; each number of threads runs in a process of its own. PyAMG's sweeps
run on one thread whatever is asked.
"""

import functools
import json
import shlex
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from . import _threads, machine, options, report
from ._registry import UsageError, need
from .problems import PROBLEMS, make_problem
from .report import align, ratio
from .startup import child_environment

__all__ = ["CASES", "Sweeps", "bench", "heading", "line", "measure"]

# Problem and size: n = 90,000 and 91,125.
CASES = (("poisson2d", 300), ("poisson3d", 45))
_QUICK = (("poisson2d", 100), ("poisson3d", 20))
_OMEGA = 1.9
# Sweeps of the two runs, whose difference is free of what a call costs.
_FEW, _MANY = 2, 22
_EXPLAINED = (
    "Microseconds of a sweep over the matrix, the difference of runs with {few} and {many} sweeps, medians. ratio: "
    "PyAMG's sweep, on one thread and without a residual / ours, which has its norm; above 1 is faster. omega {omega}."
)


@dataclass
class Sweeps:
    """One problem with one number of threads; microseconds per sweep."""

    problem: str
    n: int
    nnz: int
    threads: int
    natural: float
    colored: float
    pyamg: float
    ratio_natural: float
    ratio_colored: float
    samples: int

    def to_dict(self):
        return asdict(self)


def measure(case, threads, budget=3.0):
    """Measure one case for about ``budget`` seconds."""
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
    natural, colored, pyamg = spent
    return Sweeps(
        problem.name, problem.n, problem.nnz, threads, *spent, pyamg / natural, pyamg / colored, samples=len(times[0])
    )


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
    refused = "problems methods preconditioners size matrix rhs rtol dtype baseline csv plot steps".split()
    options.check_outputs(args)
    options.refuse(args, "sweeps", refused)
    need("pyamg", "bench sweeps")
    if args.worker:
        return _worker(args.threads[0], argv, _QUICK if args.quick else CASES)
    print(machine.one_line())
    print(report.wrap(_EXPLAINED.format(few=_FEW, many=_MANY, omega=_OMEGA)))
    print(heading(), flush=True)
    rows, code, threads = [], 0, args.threads or [1, 2]
    try:
        for row in _in_children(threads, args.quick):
            rows.append(row)
            print(line(row), flush=True)
    except KeyboardInterrupt:
        code = 130
    if args.json:
        about = {"command": "solvers " + shlex.join(argv), "machine": machine.describe(threads)}
        report.write_json(args.json, rows, **about)
        print(f"written: {args.json}")
    return code


def _worker(threads, argv, cases):
    """One number of threads, a line of JSON a case: what the command above reads from its children."""
    with _threads.pinned(threads, argv):
        for case in cases:
            print(json.dumps(measure(case, threads).to_dict()), flush=True)
    return 0


def _in_children(threads, quick):
    for n in threads:
        command = [sys.executable, "-m", "solvers", "bench", "sweeps", "--worker", f"--threads={n}"]
        variables = {name: value for name, value in _threads.environment(n).items() if name.endswith("_NUM_THREADS")}
        with subprocess.Popen(
            command + ["--quick"] * quick, env=child_environment(**variables), stdout=subprocess.PIPE, text=True
        ) as child:
            for text in child.stdout:
                yield Sweeps(**json.loads(text))
        if child.returncode:
            raise UsageError(f"The measurement with {n} threads ended with exit code {child.returncode}.")


_COLUMNS = (
    ("problem", -10, lambda r: r.problem),
    ("n", 7, lambda r: str(r.n)),
    ("nnz", 8, lambda r: str(r.nnz)),
    ("threads", 7, lambda r: str(r.threads)),
    ("natural us", 10, lambda r: f"{r.natural:.1f}"),
    ("colored us", 10, lambda r: f"{r.colored:.1f}"),
    ("pyamg us", 9, lambda r: f"{r.pyamg:.1f}"),
    ("natural", 8, lambda r: ratio(r.ratio_natural)),
    ("colored", 8, lambda r: ratio(r.ratio_colored)),
    ("samples", 7, lambda r: str(r.samples)),
)


def heading():
    """Headings; the two last but one are the ratios."""
    text = " ".join(align(name, width) for name, width, _ in _COLUMNS)
    return f"{text}\n{'-' * len(text)}"


def line(row):
    """One row of the table."""
    return " ".join(align(fill(row), width) for _, width, fill in _COLUMNS)

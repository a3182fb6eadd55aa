"""Every method on one problem at equal numbers of projections: its squared errors, its seconds, its memory."""

import math
import statistics
import subprocess
import sys
import time
import tracemalloc
from dataclasses import asdict, dataclass

import numpy as np

from ._registry import UsageError
from ._threads import environment
from .sliced_methods import DEFAULT, gaussian
from .startup import child_environment

__all__ = ["PROJECTIONS", "RTOL", "SlicedRow", "memory", "pairwise", "run_problem", "warm_up"]

#: Of each estimate, and the relative error of the distance that seconds are given for.
PROJECTIONS, RTOL = 100, 1e-3
# CPU seconds that the estimates of a row may take, roughly, and how many there are at least and at most.
_SECONDS, _FEWEST, _MOST = 0.4, 12, 100
# Numbers projected for the reference value: points times directions.
_REFERENCE, _LEAST_REFERENCE = 8e7, 4000


@dataclass
class SlicedRow:
    """One method on one problem.

    ``error``: of the distance, relative, the root of the mean square of ``repeats`` estimates;
    ``ratio``: the variance of plain Monte Carlo over the mean squared error of SW_2^2;
    ``at_least``: the reference is no better than that. ``seconds`` of CPU for one estimate; ``to_rtol``: for a standard
    error of RTOL times the distance, ``measured`` where the method itself stops there. ``megabytes``: peak that NumPy
    allocates in one estimate.
    """

    problem: str
    d: int
    n: int
    m: int
    method: str
    projections: int
    repeats: int
    error: float | None = None
    ratio: float | None = None
    at_least: bool = False
    seconds: float | None = None
    to_rtol: float | None = None
    measured: bool = False
    megabytes: float | None = None
    status: str = "done"

    def to_dict(self):
        return asdict(self)


def warm_up(problem, methods):
    """Compile and import before any clock runs."""
    for method in methods:
        if method.d in (None, problem.d):
            _tried(method.timed or method.power, problem)
            _tried(method.power, problem)


def _tried(function, problem):
    """Its answer or its error: a method that cannot be run on a problem fails in its row."""
    try:
        return float(function(problem, PROJECTIONS, 0))
    except (Exception, SystemExit) as error:
        return error


def reference(problem):
    """SW_2^2, its standard error, and the variance of one direction."""
    from solvers import transport

    number = max(_LEAST_REFERENCE, int(_REFERENCE / (len(problem.X) + len(problem.Y)) / (1 + problem.d / 50)))
    result = transport.sliced_wasserstein(problem.X, problem.Y, n_projections=min(number, 40_000), rng=10**6)
    return result.power, result.power_standard_error, float(np.var(result.values, ddof=1))


def run_problem(problem, methods, quick=False):
    """Yield a row for each method that there is in this dimension."""
    truth = reference(problem)
    for method in methods:
        if method.d in (None, problem.d):
            yield _row(problem, method, truth, quick)


def _row(problem, method, truth, quick):
    row = SlicedRow(problem.name, problem.d, len(problem.X), len(problem.Y), method.name, PROJECTIONS, 0)
    failure = _tried(method.power, problem)
    if isinstance(failure, BaseException):
        said = f"{failure}".partition("\n")[0]
        row.status = said if isinstance(failure, ValueError | ImportError) else f"{type(failure).__name__}: {said}"
        return row
    row.seconds = _seconds(method.timed or method.power, problem, repeats=1 if method.timed else 3)
    each = _seconds(method.power, problem, repeats=1)
    row.repeats = int(min(_MOST, max(_FEWEST, (_SECONDS / 4 if quick else _SECONDS) / max(each, 1e-6))))
    power, error, variance = truth
    squared = np.mean([(method.power(problem, PROJECTIONS, seed) - power) ** 2 for seed in range(row.repeats)])
    row.at_least = bool(squared < 4 * error**2)
    squared = max(float(squared), error**2, (1e-15 * power) ** 2)
    row.ratio = variance / PROJECTIONS / squared
    # The error of the distance is that of its square over twice the distance.
    row.error = float(squared**0.5 / (2 * power)) if power > 0 else None
    wanted = 2 * RTOL * power
    row.to_rtol = row.seconds * max(1.0, squared / wanted**2)
    if method.name == DEFAULT:
        row.to_rtol, row.measured = _to_rtol(problem), True
    row.megabytes = _megabytes(method.timed or method.power, problem)
    return row


def _seconds(function, problem, repeats):
    """The median of the CPU seconds."""
    spent = []
    for seed in range(repeats):
        start = time.process_time()
        function(problem, PROJECTIONS, seed)
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def _to_rtol(problem):
    """CPU seconds of ours until it says that its error is small enough."""
    from solvers import transport

    def run(seed):
        start = time.process_time()
        transport.sliced_wasserstein(problem.X, problem.Y, rtol=RTOL, rng=seed).check()
        return time.process_time() - start

    return statistics.median(run(seed) for seed in range(3))


def _megabytes(function, problem):
    tracemalloc.start()
    try:
        function(problem, PROJECTIONS, 0)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def pairwise(k=20, n=2048, d=3, projections=256, sample=10):
    """CPU seconds of all distances between k clouds: ours, POT's from a sample of the pairs, and the difference."""
    import ot

    rng = np.random.default_rng(0)
    clouds = [rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d) for _ in range(k)]
    directions = gaussian(d, projections, rng)
    plain, found = _all_pairs(clouds, directions=directions, control=None)
    default, _ = _all_pairs(clouds, n_projections=projections, rng=0)
    places = rng.choice(np.flatnonzero(np.triu(np.ones((k, k)), 1)), sample, replace=False)
    pairs = [divmod(int(place), k) for place in places]
    start = time.process_time()
    theirs = [ot.sliced_wasserstein_distance(clouds[i], clouds[j], projections=directions.T) for i, j in pairs]
    pot = (time.process_time() - start) * math.comb(k, 2) / sample
    difference = max(float(abs(found[pair] / value - 1)) for pair, value in zip(pairs, theirs))
    about = dict(clouds=k, points=n, d=d, projections=projections, plain=plain, default=default, pot=pot)
    return about | dict(ratio=pot / plain, ratio_default=pot / default, difference=difference)


def _all_pairs(clouds, **options):
    """The median of the CPU seconds, and the distances."""
    from solvers import transport

    times = []
    for turn in range(4):
        start = time.process_time()
        found = transport.pairwise_sliced_wasserstein(clouds, **options)
        times += [time.process_time() - start] if turn else []  # the first compiles
    return statistics.median(times), found


_POT_MEMORY = """
import numpy, ot
from solvers.benchmarks.sliced_speed import _peak, _resident
rng = numpy.random.default_rng(0)
X, Y = rng.standard_normal((2, 100_000, 3))
ot.sliced_wasserstein_distance(X[:200], Y[:200], n_projections=2, seed=0)
before = _resident()
ot.sliced_wasserstein_distance(X, Y, n_projections=25, seed=0)
print(_peak() - before)
"""
_OUR_MEMORY = "from solvers.benchmarks.sliced_speed import peak_memory; print(peak_memory())"


def memory(with_pot):
    """Megabytes beyond two clouds of 100,000 points: ours for 1,000 directions and POT's for 25, each in a process."""
    scripts = {"ours_1000": _OUR_MEMORY} | ({"pot_25": _POT_MEMORY} if with_pot else {})
    return {name: _printed(script) / 1e6 for name, script in scripts.items()}


def _printed(script):
    variables = {name: value for name, value in environment(1).items() if name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=child_environment(**variables), capture_output=True, text=True
    )
    if done.returncode:
        raise UsageError(f"The measurement of memory failed: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)

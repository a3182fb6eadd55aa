"""Every method on one system: iterations, CPU seconds of set-up and solve, the true residual, when a fit is repaid."""

import math
import statistics
import time
import warnings
from dataclasses import asdict, dataclass

import numpy as np

from ._registry import present
from .learned_methods import BASELINE, LACKS_TORCH, LEARNED_MG, LEARNERS
from .run import true_residual

__all__ = ["CAP", "CONVERGED", "NOT_RUN", "WRONG", "LearnedRow", "SeedRow", "run_problem", "run_seeds", "warm_up"]

CONVERGED, CAP, WRONG, NOT_RUN = "converged", "stopped", "WRONG", "not run"

# Solves are repeated within so many seconds, those of set-up included; quick ones more often, up to the first figure.
_MORE, _ONCE = 0.1, 2.0
#: The parameters that a fit has to beat; the probe falls back on the first.
TEXTBOOK = ("mg-textbook", "mg-textbook-25")


@dataclass
class LearnedRow:
    """One method on one system. ``ratio``: the baseline's total over this one's; ``at_least``: one of them was stopped.

    ``repaid``: the solves after which the fit has cost less than the best rival without one, None if ``never``, or if
    nothing was fitted.
    """

    problem: str
    n: int
    grid: list
    method: str
    status: str
    iterations: int | None = None
    setup_seconds: float | None = None
    seconds: float | None = None
    total: float | None = None
    repeats: int = 0
    fit_seconds: float | None = None
    repaid: int | None = None
    never: bool = False
    residual: float | None = None
    ratio: float | None = None
    at_least: bool = False
    message: str = ""

    def to_dict(self):
        return asdict(self)


class _Watch:
    """A callback that ends a solve after so many CPU seconds."""

    def __init__(self, seconds):
        self._end = time.process_time() + seconds

    def on_chunk(self, iteration, norm):
        if time.process_time() > self._end:
            raise StopIteration


def warm_up(methods, problems, rtol):
    """Compile and import what there is on small grids, so that no clock sees it; a fit is not tried."""
    for entry in {problem.dim: problem for problem in problems}.values():
        problem = entry.make(16 if entry.dim == 2 else 8)
        for method in methods:
            if method.fit is None or method.reuse == "systems" and not method.package:
                _attempt(problem, method, None, rtol, 10.0)


def run_problem(problem, methods, rtol, cap, repeats):
    """Yield the rows of all methods, in their order; ratios and what is repaid are known after the last."""
    rows = []
    for method in methods:
        rows.append(row := LearnedRow(problem.name, problem.n, list(problem.grid), method.name, NOT_RUN))
        row.message = _reason(method) or method.refuses(problem)
        if not row.message:
            _measure(row, problem, method, rtol, cap, repeats)
    _compare(rows, {method.name: method for method in methods})
    return rows


def _reason(method):
    if present(method.package):
        return ""
    return LACKS_TORCH if method.package == "torch" else f"needs {method.package}, which is not installed"


def _measure(row, problem, method, rtol, cap, repeats):
    """Fill the row; what a method raises becomes its status, and the others still run."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            row.fit_seconds, fitted = method.fit(problem) if method.fit else (None, None)
            setups, solves = [], []
            while not solves or _again(len(solves), sum(setups) + sum(solves), repeats):
                answer, setup, seconds, M = _attempt(problem, method, fitted, rtol, cap)
                setups.append(setup)
                solves.append(seconds)
    except Exception as error:
        row.status, row.message = "failed", f"{type(error).__name__}: {error}"
        return
    row.setup_seconds, row.seconds, row.repeats = statistics.median(setups), statistics.median(solves), len(solves)
    row.total, row.iterations = row.setup_seconds + row.seconds, answer.iterations
    residual, limit = true_residual(problem.A, answer.x, problem.b, rtol)
    row.residual = residual
    if answer.claimed:
        row.status = CONVERGED if residual <= limit else WRONG
    else:
        row.status = answer.status
    row.message = _note(method, fitted, M) or answer.message
    if not method.reuse:
        row.fit_seconds = None  # a search outside the clock is no fit that a user has to repay


def _again(count, spent, repeats):
    return spent < _ONCE if count < repeats else spent < _MORE and count < 5 * repeats


def _note(method, fitted, M):
    if getattr(M, "choice", "") == "textbook":
        return "the probe chose the textbook's parameters"
    return f"omega = {fitted}" if isinstance(fitted, float) else ""


def _attempt(problem, method, fitted, rtol, cap):
    """One set-up and one solve, and the CPU seconds of both."""
    start = time.process_time()
    M = method.build(problem) if fitted is None else method.build(problem, fitted)
    ready = time.process_time()
    answer = method.solve(problem, M, rtol, _Watch(cap))
    return answer, ready - start, time.process_time() - ready, M


def _compare(rows, methods):
    """Ratios to the baseline, and after how many solves a fit is repaid."""
    base = next((row for row in rows if row.method == BASELINE and row.total), None)
    rivals = [row for row in rows if row.status == CONVERGED and not methods[row.method].fit]
    for row in rows:
        counted = [each for each in (base, row) if each is not None and each.status in (CONVERGED, CAP)]
        if base is not None and row.total and len(counted) == 2 and not base.status == row.status == CAP:
            row.ratio = base.total / row.total
            row.at_least = CAP in (base.status, row.status)
        if row.fit_seconds and row.status == CONVERGED and rivals:
            row.repaid = _repaid(row, rivals, methods[row.method].reuse)
            row.never = row.repaid is None


def _repaid(row, rivals, reuse):
    """The first number of solves at which the fit and they cost less than any rival, or None."""
    if reuse == "systems":  # each solve has a set-up of its own
        saved = min(rival.total for rival in rivals) - row.total
        return math.ceil(row.fit_seconds / saved) if saved > 0 else None
    if any(rival.seconds <= row.seconds for rival in rivals):
        return None
    costs = ((row.fit_seconds - rival.setup_seconds) / (rival.seconds - row.seconds) for rival in rivals)
    return max(1, *(math.ceil(cost) for cost in costs))


# ---- unseen seeds -----------------------------------------------------------------------------------


@dataclass
class SeedRow:
    """Mean iterations over systems of a family that no parameters were fitted to.

    ``ratio``: the learned parameters' mean over that of the better textbook setting, both as they are after the probe;
    ``worst``: the most iterations by which one system takes more than with the textbook's first; ``probe``: on how many
    systems the learned parameters were kept.
    """

    problem: str
    size: int
    seeds: int
    rtol: float
    textbook: list
    learned: float
    ratio: float
    worst: int
    probe: int
    converged: bool

    def to_dict(self):
        return asdict(self)


#: The first seed; those that parameters were fitted to are below 20.
FIRST_SEED = 200


def run_seeds(entry, size, seeds, rtol):
    """The row of a family at one size."""
    counts, kept, converged = [], 0, True
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        problem, found = entry.make(size, seed), []
        for name in (*TEXTBOOK, LEARNED_MG):
            M = LEARNERS[name].build(problem)
            answer = LEARNERS[name].solve(problem, M, rtol, None)
            found.append(answer.iterations)
            converged &= answer.claimed
            kept += M.choice == "learned"
        counts.append(found)
    means = np.mean(counts, axis=0)
    worst = max(found[-1] - found[0] for found in counts)
    ratio = float(means[-1] / means[:-1].min())
    return SeedRow(entry.name, size, seeds, rtol, means[:-1].tolist(), float(means[-1]), ratio, worst, kept, converged)

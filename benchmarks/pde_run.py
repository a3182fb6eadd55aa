"""Every method on one problem: the coarsest level that reaches the error, its seconds, and how far it gets at all.

Levels are searched outside the clock, for rivals as for ours; answers are judged by their distance to the exact
solution at uniform points, whatever the method says of itself.
"""

import contextlib
import math
import statistics
import time
from dataclasses import asdict, dataclass, field

import numpy as np

from .pde_methods import BASELINE, TOL, Answer

__all__ = ["POINTS", "REACHED", "SHORT", "TARGET", "WRONG", "PDERow", "run_problem", "warm_up"]

#: The relative L2 error at which seconds are compared, and the uniform points of each axis in 1, 2, 3 dimensions.
TARGET, POINTS = 1e-9, {1: 300, 2: 300, 3: 60}
REACHED, SHORT, WRONG = "reached", "short of it", "WRONG"

# What says that it has converged, and is further off than this, is wrong.
_WRONG = 100 * TOL
# So many levels are passed over at first; a search ends after so many levels in a row that bring nothing.
_STRIDE, _FUTILE = 4, 2
# Quick solves are measured more often, within so many seconds; slow ones, beyond the second figure, once.
_MORE, _ONCE = 0.3, 2.0


@dataclass
class PDERow:
    """One method on one problem, at the coarsest level that reaches the target, or else at its best.

    ``n`` and ``per_wave``: unknowns of each axis, and for each wavelength of the axis that has the most of them;
    ``error``: the relative L2 error; ``best_error`` and ``best_n``: the least that any level gave; ``ratio``: the
    baseline's seconds over these, None unless both reach the target; ``published``: what others wrote, elsewhere.
    """

    problem: str
    method: str
    status: str
    n: tuple | None = None
    per_wave: float | None = None
    seconds: float | None = None
    repeats: int = 0
    error: float | None = None
    estimate: float | None = None
    best_error: float | None = None
    best_n: tuple | None = None
    ratio: float | None = None
    message: str = ""
    iterations: int | None = None
    published: list = field(default_factory=list)

    @property
    def reached(self):
        """Whether the error is what all are compared at."""
        return self.error is not None and self.error <= TARGET

    def to_dict(self):
        return asdict(self)


@dataclass
class _Trial:
    level: object
    answer: Answer
    error: float
    seconds: float


class _Judge:
    """The exact solution at uniform points, ends included."""

    def __init__(self, problem):
        self._axes = tuple(np.linspace(*side, POINTS[problem.d]) for side in problem.box)
        self._u = np.broadcast_to(problem.u(*np.ix_(*self._axes)), (POINTS[problem.d],) * problem.d)

    def error(self, answer):
        found = np.asarray(answer.at(self._axes))
        if found.shape != self._u.shape or not np.all(np.isfinite(found)):
            return math.inf
        return float(np.linalg.norm(found - self._u) / np.linalg.norm(self._u))


def warm_up(methods, problems):
    """Import what is needed before any clock runs, on the first problem that each method handles."""
    for method in methods:
        for problem in problems:
            if method.handles(problem):
                # It fails in its rows, and only there.
                with contextlib.suppress(Exception):
                    method.solve(problem, method.levels(problem)[0])
                break


def run_problem(problem, methods, cap, repeats, baseline=BASELINE):
    """Rows of all methods that handle a problem; ``cap``: most CPU seconds of the search of one."""
    judge, rows, chosen = _Judge(problem), [], {}
    for method in methods:
        if method.handles(problem):
            trials, message = _search(problem, method, judge, cap)
            trial = _choose(trials)
            rows.append(_row(problem, method.name, trial, trials, message))
            if trial is not None:
                chosen[method.name] = method, trial.level
    timings = _time(problem, chosen, repeats)
    for row in rows:
        spent = timings.get(row.method, [])
        row.seconds, row.repeats = statistics.median(spent) if spent else None, len(spent)
    base = next((row for row in rows if row.method == baseline), None)
    for row in rows:
        if base is not None and base.reached and row.reached and row.seconds and base.seconds:
            row.ratio = base.seconds / row.seconds
    return rows


def _search(problem, method, judge, cap):
    """Go up in strides until the error no longer falls, then back to the coarsest level that reaches the target."""
    levels, trials, spent, futile, message = list(method.levels(problem)), {}, 0.0, 0, ""

    def attempt(index):
        nonlocal spent
        start = time.process_time()
        answer = method.solve(problem, levels[index])
        seconds = time.process_time() - start
        trials[index] = _Trial(levels[index], answer, judge.error(answer), seconds)
        spent += seconds
        return trials[index].error

    try:
        best, stride = math.inf, _STRIDE if len(levels) > 4 * _STRIDE else 1
        for index in range(0, len(levels), stride):
            error = attempt(index)
            futile, best = (0, error) if error < 0.5 * best else (futile + 1, min(error, best))
            # The next level is dearer than this one.
            if (best <= TARGET and futile >= _FUTILE) or spent + 1.5 * trials[index].seconds > cap:
                break
        _back(trials, attempt)
    except (Exception, SystemExit) as error:  # a method's failure is a result, and ends only its search
        message = f"{type(error).__name__}: {error}"
    return list(trials.values()), message


def _back(trials, attempt):
    """Halve the indices between the last level that misses the target and the first that meets it."""
    met = min((index for index, trial in trials.items() if trial.error <= TARGET), default=None)
    if met is None:
        return
    missed = max((index for index in trials if index < met), default=met - 1)
    while met - missed > 1:
        middle = (met + missed) // 2
        if attempt(middle) <= TARGET:
            met = middle
        else:
            missed = middle


def _choose(trials):
    enough = [trial for trial in trials if trial.error <= TARGET]
    if enough:
        return min(enough, key=lambda trial: math.prod(trial.answer.n))
    return min(trials, key=lambda trial: trial.error, default=None)


def _row(problem, name, trial, trials, message):
    if trial is None:
        return PDERow(problem.name, name, "failed", message=message)
    answer, best, waves = trial.answer, min(trials, key=lambda each: each.error), max(problem.waves)
    return PDERow(
        problem.name,
        name,
        _judged(answer.claim, trial.error),
        n=tuple(answer.n),
        per_wave=answer.n[problem.waves.index(waves)] / waves if waves >= 1 else None,
        error=trial.error,
        estimate=answer.estimate,
        best_error=best.error,
        best_n=tuple(best.answer.n),
        message=answer.message or message,
        iterations=answer.iterations,
        published=[asdict(each) for each in problem.published] if name == "gp" else [],
    )


def _judged(claim, error):
    """A failure that is named stays what it is; a success must be one."""
    if claim not in ("", "converged"):
        return claim
    if claim and not error <= _WRONG:
        return WRONG
    return REACHED if error <= TARGET else SHORT


def _time(problem, chosen, repeats):
    """CPU seconds in rounds, so that a machine that slows down slows all of them."""
    timings = {name: [] for name in chosen}
    for turn in range(4 * repeats):
        for name, (method, level) in chosen.items():
            spent = timings[name]
            if turn and (sum(spent) > _ONCE * turn or (turn >= repeats and sum(spent) > _MORE)):
                continue
            start = time.process_time()
            method.solve(problem, level)
            spent.append(time.process_time() - start)
    return timings

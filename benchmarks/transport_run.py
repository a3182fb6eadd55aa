"""Every method on one problem; its plan is judged by what it is, not by what its method says of it."""

import contextlib
import statistics
import time
from dataclasses import asdict, dataclass

import numpy as np

from .transport import Transport
from .transport_methods import BASELINE, CAP, TOL, Outcome

__all__ = ["INACCURATE", "WRONG", "TransportRow", "run_problem", "warm_up"]

WRONG, INACCURATE = "WRONG", "inaccurate"

# A plan that misses its marginals, or the cost that the others agree on, by more than this is wrong.
_WRONG = 1e-3
# POT's test is in L2 and of one marginal; an L1 error of so many times ours passes it.
_LENIENCE = 10
# A row that took longer than this is not measured again.
_AGAIN = 2.0


@dataclass
class TransportRow:
    """One method on one problem.

    ``seconds`` of CPU, the dense plan included; ``marginal_error`` and ``value`` are of the plan, recomputed.
    ``ratio``: the baseline's seconds over these, None unless both plans are right; ``at_least``: the baseline was
    stopped before its end.
    """

    problem: str
    n: int
    eps: float
    method: str
    sweeps: int | None
    newton_steps: int | None
    seconds: float | None
    repeats: int
    marginal_error: float | None
    value: float | None
    status: str
    message: str = ""
    ratio: float | None = None
    at_least: bool = False

    def to_dict(self):
        return asdict(self)


def warm_up(methods):
    """Compile and import on a tiny problem before any clock runs."""
    rng = np.random.default_rng(0)
    weights = np.full(12, 1 / 12)
    for eps in (0.5, 0.005):
        problem = Transport("tiny", rng.random((12, 12)), weights, weights, eps)
        for method in methods:
            # A rival that cannot be imported fails in its rows, and only there.
            with contextlib.suppress(*((Exception, SystemExit) if method.package else ())):
                method.solve(problem, method.prepare(problem, 1.0))


def run_problem(problem, methods, cap, repeats, baseline=BASELINE):
    """Rows of all methods on one problem, in rounds, so that a machine that slows down slows all of them."""
    timings, rows, prepared = {m.name: [] for m in methods}, {}, {}
    for turn in range(repeats):
        for method in methods:
            spent = timings[method.name]
            if turn and (not spent or sum(spent) / turn > _AGAIN):
                continue
            try:
                if not turn:
                    prepared[method.name] = method.prepare(problem, cap)
                start = time.process_time()
                outcome = method.solve(problem, prepared[method.name])
                seconds = time.process_time() - start
                row = _row(problem, method.name, outcome)
                spent.append(seconds)
            except (Exception, SystemExit) as error:  # a rival's failure is a result, and ends only its row
                outcome = Outcome(None, "failed", None, None, f"{type(error).__name__}: {error}")
                row = _row(problem, method.name, outcome)
            if not turn or outcome.plan is None:
                rows[method.name] = row
    for name, row in rows.items():
        row.seconds, row.repeats = statistics.median(timings[name]) if timings[name] else None, len(timings[name])
    found = list(rows.values())
    _compare_costs(found)
    _compare_seconds(found, rows.get(baseline))
    return found


def _row(problem, name, outcome):
    error = value = None
    status = outcome.claim
    if outcome.plan is not None:
        error, value = _measured(problem, outcome.plan)
        status = _judged(outcome.claim, error)
    shape = (problem.name, problem.n, problem.eps, name, outcome.sweeps, outcome.newton_steps)
    return TransportRow(*shape, None, 0, error, value, status, outcome.message)


def _measured(problem, plan):
    """The L1 error of both marginals and the cost, in double precision."""
    plan = np.asarray(plan, dtype=np.float64)
    error = np.abs(plan.sum(axis=1) - problem.a).sum() + np.abs(plan.sum(axis=0) - problem.b).sum()
    return float(error), float(np.vdot(problem.C, plan))


def _judged(claim, error):
    if claim != "converged":
        return claim
    if not error <= _WRONG:
        return WRONG
    return "converged" if error <= _LENIENCE * TOL else INACCURATE


def _compare_costs(rows):
    """The plan is unique: one whose cost is not what the median of them says is wrong as well."""
    agreed = [row.value for row in rows if row.status == "converged"]
    if not agreed:
        return
    median = statistics.median(agreed)
    for row in rows:
        if row.status in ("converged", INACCURATE) and abs(row.value - median) > _WRONG * abs(median):
            row.status, row.message = WRONG, f"its cost is {row.value:.6g}, that of the others {median:.6g}"


def _compare_seconds(rows, base):
    """Only right plans are compared; a baseline that was stopped gives a bound."""
    if base is None or base.status not in ("converged", CAP):
        return
    for row in rows:
        if row.status == "converged":
            row.ratio, row.at_least = base.seconds / max(row.seconds, 1e-9), base.status == CAP

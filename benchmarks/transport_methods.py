"""Who solves the transport problems: ours and POT's, each asked for its plan within a limit of CPU seconds."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._registry import Registry, UsageError, present

__all__ = ["BASELINE", "CAP", "Budget", "Contestant", "Outcome", "TOL", "TRANSPORTERS", "available", "select"]

TRANSPORTERS = Registry("transport method")
BASELINE = "pot:sinkhorn"

#: L1 error of both marginals that ours are asked for. POT tests one marginal, in L2.
TOL, POT_TOL = 1e-8, 1e-9
#: What a method says of itself when it has used up its seconds.
CAP = "cap"
_MOST = 1_000_000


@dataclass
class Outcome:
    """A plan and what its method says about it; ``claim`` is "converged" or the name of a failure."""

    plan: np.ndarray
    claim: str
    sweeps: int
    newton_steps: int | None = None
    message: str = ""


@dataclass(frozen=True)
class Contestant:
    """A registered method: ``solve(problem, plan)`` is timed; ``plan = prepare(problem, cap)`` is not."""

    name: str
    summary: str
    prepare: Callable
    solve: Callable
    package: str = ""


def available(entry):
    """Say whether the method is there."""
    if entry.name != "sns":
        return present(entry.package)
    from solvers import transport

    return hasattr(transport, "sinkhorn_newton_sparse")


def select(text):
    """The contestants of a list, or all that are there; those that were asked for must be."""
    if text is None:
        return [entry for entry in TRANSPORTERS.values() if available(entry)]
    chosen = TRANSPORTERS.asked_for(text)
    for entry in chosen:
        if not available(entry):
            raise UsageError(f"{entry.name!r} is not in this version of the library.")
    return chosen


# ---- ours ------------------------------------------------------------------------------------------


class Budget:
    """A callback that ends a solve after so many CPU seconds."""

    def __init__(self, cap):
        self._end = time.process_time() + cap
        self.spent = False

    def on_chunk(self, iteration, norm):
        self.spent = time.process_time() > self._end
        if self.spent:
            raise StopIteration


def _ours(method):
    def solve(problem, cap):
        from solvers import transport

        budget = Budget(cap)
        common = dict(eps=problem.eps, tol=TOL, maxiter=_MOST, callback=budget)
        if method == "sns":
            res = transport.sinkhorn_newton_sparse(problem.C, problem.a, problem.b, **common)
        else:
            res = transport.sinkhorn(problem.C, problem.a, problem.b, method=method, **common)
        claim = "converged" if res.converged else CAP if budget.spent else str(res.status)
        return Outcome(res.plan, claim, res.iterations, res.newton_steps, "" if res.converged else res.message)

    return solve


for _name, _summary in (
    ("auto", "ours: sweeps, and Newton's method where it will be faster"),
    ("log", "ours: sweeps in the log domain"),
    ("scaling", "ours: sweeps on the scalings of a stored kernel"),
    ("sor", "ours: over-relaxed sweeps, omega from the observed rate"),
    ("newton", "ours: semi-dual sparse Newton, eps followed from large values"),
    ("sns", "ours: Sinkhorn-Newton-Sparse"),
):
    TRANSPORTERS.add(Contestant(_name, _summary, lambda problem, cap: cap, _ours(_name)))


# ---- POT's -----------------------------------------------------------------------------------------


def _pot(name):
    def call(problem, iterations):
        import ot

        function = {"sinkhorn": ot.bregman.sinkhorn_knopp}.get(name) or getattr(ot.bregman, name)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return function(
                problem.a, problem.b, problem.C, problem.eps, numItermax=iterations, stopThr=POT_TOL, log=True
            )

    def prepare(problem, cap):
        """The most iterations that fit in ``cap`` seconds: POT knows no limit of time."""
        import ot  # noqa: F401 - before the clock starts

        count = 2
        while True:
            start = time.process_time()
            _, log = call(problem, count)
            spent = time.process_time() - start
            if _last_error(log) <= POT_TOL or _sweeps(log) < count:
                return _MOST  # it ends by itself
            if spent >= 0.5 * cap:
                return count
            count = int(count * min(10.0, max(2.0, 0.8 * cap / max(spent, 1e-6))))

    def solve(problem, most):
        plan, log = call(problem, most)
        ended = _sweeps(log) >= most and not _last_error(log) <= POT_TOL
        return Outcome(plan, CAP if ended else "converged", _sweeps(log))

    return prepare, solve


def _sweeps(log):
    return log.get("niter", log.get("n_iter")) + 1


def _last_error(log):
    """POT's own; there is none where its first sweep broke down."""
    return log["err"][-1] if log["err"] else np.inf


for _name, _summary in (
    ("sinkhorn", "POT's ot.bregman.sinkhorn_knopp, the baseline"),
    ("sinkhorn_log", "POT's sweeps in the log domain"),
    ("sinkhorn_stabilized", "POT's sweeps with absorption"),
):
    TRANSPORTERS.add(Contestant(f"pot:{_name}", _summary, *_pot(_name), package="ot"))

"""Who solves the sequences: policies that learn omega from the counts, and what they must be compared with."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._registry import Registry
from .sequences import CAP, GRID, RTOL

__all__ = ["RIVALS", "Rival", "in_hindsight"]

RIVALS = Registry("contender")

_STOP = dict(rtol=RTOL, maxiter=CAP)


@dataclass(frozen=True)
class Rival:
    """A registered contender: ``make(sequence, rng)`` gives an object with ``solve(instance)``.

    ``solve`` returns a result with ``iterations`` and ``converged``, and the omega that was used (NaN where it
    changed within the solve). ``comparable``: the solvers whose iterations are of the same kind as its own.
    """

    name: str
    summary: str
    make: Callable
    solvers: tuple
    package: str
    comparable: tuple
    learns: bool


def rival(name, summary, *, solvers=("sor", "ssor_cg"), package="", comparable=("sor", "ssor_cg"), learns=False):
    """Register a function that makes a contender; ``solvers``: of the sequences that it can take part in."""

    def register(make):
        RIVALS.add(Rival(name, summary, make, solvers, package, comparable, learns))
        return make

    return register


# ---- policies --------------------------------------------------------------------------------------


class _Watched:
    """A policy whose time is taken and whose probabilities are looked at in every round."""

    def __init__(self, policy):
        self._policy, self.name = policy, policy.name
        self.seconds, self.deviation, self.value = [], 0.0, math.nan

    probabilities = property(lambda self: self._policy.probabilities)

    def choose(self, context):
        start = time.perf_counter()
        self.value = self._policy.choose(context)
        self._began = time.perf_counter() - start
        deviation = abs(float(self._policy.probabilities.sum()) - 1.0)
        self.deviation = max(self.deviation, deviation if math.isfinite(deviation) else math.inf)
        return self.value

    def observe(self, cost):
        start = time.perf_counter()
        self._policy.observe(cost)
        self.seconds.append(self._began + time.perf_counter() - start)


class _Learner:
    """``Tuned`` around the solver of the sequence; ``blind``: the policy is not told the context."""

    def __init__(self, policy, sequence, blind=False):
        from solvers import linalg

        self.watched, self._blind = _Watched(policy), blind
        self._tuned = linalg.Tuned(getattr(linalg, sequence.solver), grid=GRID, policy=self.watched)

    def solve(self, instance):
        context = None if self._blind else instance.context
        result = self._tuned(instance.A, instance.b, context=context, x0=instance.x0, **_STOP)
        return result, self.watched.value

    def overhead(self):
        """Microseconds of the policy in a step: mean and median."""
        spent = self.watched.seconds
        return 1e6 * statistics.fmean(spent), 1e6 * statistics.median(spent)


@rival("chebyshev", "ours with a context, whose range it learns: one regression over context and omega", learns=True)
def chebyshev(sequence, rng):
    return _learner("chebyshev", sequence, rng)


@rival("chebyshev-blind", "ours without a context: a regression over omega", learns=True)
def chebyshev_blind(sequence, rng):
    return _learner("chebyshev", sequence, rng, blind=True)


@rival("chebcb", "the paper's contextual policy, told the range of the contexts", learns=True)
def chebcb(sequence, rng):
    return _learner("chebcb", sequence, rng, interval=sequence.interval)


@rival("tsallis-inf", "the best single omega, learned whatever comes; sees no context", learns=True)
def tsallis_inf(sequence, rng):
    return _learner("tsallis-inf", sequence, rng)


@rival("tsallis-inf-binned", "one tsallis-inf for each bin of the context, as many as in the paper", learns=True)
def tsallis_inf_binned(sequence, rng):
    from solvers.linalg._policies import Binned, TsallisINF

    policy = Binned(lambda rng: TsallisINF(GRID, rng=rng), sequence.bins, sequence.interval, rng=rng)
    return _Learner(policy, sequence)


@rival("tsallis-inf-released", "tsallis-inf as the paper's code has it, which is not normalised", learns=True)
def tsallis_inf_released(sequence, rng):
    return _learner("tsallis-inf-released", sequence, rng)


def _learner(name, sequence, rng, interval=None, blind=False):
    from solvers.linalg._policies import make_policy

    return _Learner(make_policy(name, GRID, rng, interval=interval), sequence, blind)


# ---- rivals that learn nothing from the counts -----------------------------------------------------


class _ByRule:
    """The solver with an omega that a rule gives."""

    def __init__(self, sequence, rule):
        from solvers import linalg

        self._solve, self._rule = getattr(linalg, sequence.solver), rule

    def solve(self, instance):
        omega = self._rule(instance)
        result = self._solve(instance.A, instance.b, instance.x0, omega=omega, **_STOP)
        return result, math.nan if isinstance(omega, str) else omega


def _young(beta, sequence):
    """Young's omega; for SSOR as a preconditioner what ``ssor_cg`` makes of it."""
    from solvers.linalg._omega import for_ssor, young

    return young(beta) if sequence.solver == "sor" else for_ssor(young(beta))


@rival("young", "Young's formula with the exact Jacobi radius of each instance")
def young(sequence, rng):
    return _ByRule(sequence, lambda instance: _young(instance.beta, sequence))


@rival("lanczos", "Young's formula from one estimate of 30 products, moved with the diagonal")
def lanczos(sequence, rng):
    from solvers import linalg

    share = []  # of the exact radius that the estimate saw

    def rule(instance):
        if not share:
            omega = linalg.omega_optimal(instance.A)
            share.append(math.sqrt(max(0.0, 1.0 - (2.0 / omega - 1.0) ** 2)) / instance.beta)
        return _young(min(share[0] * instance.beta, 1.0 - 1e-15), sequence)

    return _ByRule(sequence, rule)


@rival("hageman-young", "omega adapts within each solve, from ratios of residuals", solvers=("sor",))
def hageman_young(sequence, rng):
    return _ByRule(sequence, lambda instance: "auto")


@rival("lanczos-each", "Young's formula from an estimate for each instance", solvers=("ssor_cg",))
def lanczos_each(sequence, rng):
    return _ByRule(sequence, lambda instance: "auto")


@rival("cg", "conjugate gradients without a preconditioner", comparable=())
def cg(sequence, rng):
    return _Plain()


class _Plain:
    def solve(self, instance):
        from solvers import linalg

        return linalg.cg(instance.A, instance.b, instance.x0, **_STOP), math.nan


@dataclass
class _Counted:
    x: np.ndarray
    iterations: int
    converged: bool


class _Swept:
    """PyAMG's sweeps, which have no stopping test: the residual is taken after each."""

    def solve(self, instance):
        from pyamg.relaxation.relaxation import sor

        from solvers.linalg._omega import young

        A, b, omega = instance.A, instance.b, young(instance.beta)
        x = np.zeros(b.size) if instance.x0 is None else instance.x0.copy()
        limit, k = RTOL * np.linalg.norm(b), 0
        while not (converged := np.linalg.norm(b - A @ x) <= limit) and k < CAP:
            sor(A, x, b, omega)
            k += 1
        return _Counted(x, k, bool(converged)), omega


@rival(
    "pyamg:sor",
    "PyAMG's sweeps with Young's omega, a residual after each",
    package="pyamg",
    comparable=("sor",),
)
def pyamg_sor(sequence, rng):
    return _Swept()


# ---- hindsight -------------------------------------------------------------------------------------

#: What the table of all costs tells afterwards, and how.
HINDSIGHT = {
    "best-fixed": "the single omega of the grid with the fewest iterations in all",
    "best-each": "the best omega of the grid for each instance",
}


def in_hindsight(name, costs):
    """The column of the table, shape (T, d), that this contender chose in each round."""
    if name == "best-each":
        return costs.argmin(axis=1)
    return np.full(len(costs), int(costs.sum(axis=0).argmin()))

"""Who solves the differential equations: ours, with sizes that it finds itself and with sizes that are given to it.

A method is handed a level, which says how fine it is to be, outside the clock: the run looks for the coarsest at which
it reaches the error that all are compared at. Only ``gp`` finds that out by itself, within its seconds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ._registry import Registry

__all__ = ["BASELINE", "PDE_METHODS", "TOL", "Answer", "Solver", "ladder", "select"]

PDE_METHODS = Registry("PDE method")
BASELINE = "chebyshev"

#: What ours is asked for, its default; its estimates lie above the errors by a factor of ten to a hundred.
TOL = 1e-8
# With sizes given, the estimate is not to send it to look for another kernel.
_LOOSE = 0.1
# Each level is so much finer than the one before.
_STEP = 1.03


@dataclass
class Answer:
    """``at(axes)``: the solution on the grid of d coordinate arrays; ``n``: unknowns or nodes of each axis.

    ``claim``: what the method says of itself, "converged" or the name of a failure, or "" if it tests nothing;
    ``iterations``: steps of Newton's method, or of a Krylov method, where there are any.
    """

    n: tuple
    at: Callable
    claim: str = ""
    estimate: float | None = None
    message: str = ""
    iterations: int | None = None


@dataclass(frozen=True)
class Solver:
    """A registered method: ``solve(problem, level)`` is timed; ``levels(problem)`` go from coarse to fine."""

    name: str
    summary: str
    solve: Callable
    levels: Callable
    handles: Callable = lambda problem: True
    package: str = ""


def ladder(first, last):
    """Numbers from ``first`` to ``last``, each a little larger than the one before."""
    count = math.floor(math.log(last / first) / math.log(_STEP)) + 1
    return [first * _STEP**k for k in range(count)]


def select(text):
    """The methods of a list, or all that are there; those that were asked for must be."""
    return PDE_METHODS.installed() if text is None else PDE_METHODS.asked_for(text)


# ---- ours ------------------------------------------------------------------------------------------


def _ours(problem, n, tol):
    from solvers import pde

    sol = pde.solve_gp(problem.op, problem.f, problem.box, problem.bc(), nonlinear=problem.nonlinear, n=n, tol=tol)
    claim, message = ("converged", "") if sol.converged else (str(sol.status), sol.message)
    return Answer(sol.u.shape, sol.predict, claim, sol.error_estimate, message, int(sol.iterations))


def _given(problem, scale):
    """Ours at given sizes: what it then says about a tolerance that is not meant is left out."""
    sizes = tuple(math.ceil(scale * (2 * waves + 10)) for waves in problem.waves)
    answer = _ours(problem, sizes, _LOOSE)
    return Answer(sizes, answer.at, "", answer.estimate, iterations=answer.iterations)


PDE_METHODS.add(
    Solver(
        "gp",
        f"ours: solve_gp, no frequency and no size supplied, tol {TOL:g}",
        lambda problem, level: _ours(problem, "auto", TOL),
        lambda problem: [None],
    )
)
PDE_METHODS.add(Solver("gp-n", "ours: solve_gp with the fewest nodes that do", _given, lambda p: ladder(0.8, 8.0)))

"""How hard marginals are met: sweeps in the log domain, on scalings, over-relaxed, and Newton's method after them.

Over-relaxation is that of Thibault, Chizat, Dossal & Papadakis 2021, https://doi.org/10.3390/a14050143: omega follows
from the rate that is seen, and falls back to 1.
"""

import math

import numpy as np

from ._costs import PointCloud
from ._many import FAR, NEAR, NEAR_COSTS
from ._newton import newton_steps
from ._over_relaxation import Rate, remaining

__all__ = ["NEWTON_COSTS", "STEPS"]


def _log_steps(problem, control):
    """Sweeps in the log domain."""
    yield [_first_error(problem)], None
    while True:
        yield _sweeps(problem, control, 1.0, control.max_steps), None


def _sweeps(problem, control, omega, steps):
    errors = np.empty(steps)
    taken = problem.kernels.log_chunk(
        problem.cost, problem.inv_eps, problem.a, problem.b, problem.u, problem.v, omega, errors, control.threshold,
        steps,
    )  # fmt: skip
    problem.sweeps += taken
    return errors[:taken]


def _first_error(problem):
    """The error at the start; potentials of nothing have no plan worth its name."""
    error = problem.true_norm()
    return error if math.isfinite(error) else 2.0


def _scaling_steps(problem, control):
    """Sweeps on the scalings of a stored kernel."""
    if isinstance(problem.given, PointCloud):
        yield from _log_steps(problem, control)
    yield [_first_error(problem)], None
    stored = problem.kernels.scaling(problem.cost, problem.inv_eps, problem.u, problem.v)
    while True:
        errors = np.empty(control.max_steps)
        taken = problem.kernels.scaling_chunk(
            problem.cost, problem.inv_eps, problem.a, problem.b, problem.u, problem.v, stored, errors,
            control.threshold, control.max_steps,
        )  # fmt: skip
        problem.sweeps += taken
        yield errors[:taken], None


def _sor_steps(problem, control, patience=math.inf):
    """Over-relaxed sweeps; where the error has grown, back to the potentials before and to smaller omega.

    It ends where more sweeps than a finite ``patience`` seem to be left, and where the error has grown.
    """
    yield [_first_error(problem)], None
    rule = Rate()
    while True:
        saved, seen, omega = problem.save(), np.empty(0), rule.omega
        while len(seen) < rule.steps:
            errors = _sweeps(problem, control, rule.omega, min(control.max_steps, rule.steps - len(seen)))
            seen = np.append(seen, errors)
            if len(seen) < rule.steps and np.isfinite(errors[-1]):
                yield errors, None
            else:
                break
        if not rule.observe(seen):
            problem.restore(saved)
            if omega == 1.0 and not np.isfinite(errors[-1]):
                # Smaller steps there are none.
                if patience < math.inf:
                    return
                yield errors, None
            errors = np.where(np.isfinite(errors), errors, 2.0)
        yield errors, None
        # The errors after a change of omega promise too little.
        most = patience if rule.omega < omega + 0.02 else 1.5 * patience
        most *= NEAR_COSTS if seen[-1] < NEAR else 1.0
        if most < math.inf and (rule.omega < omega or remaining(seen, control.threshold, omega) > most):
            return


# Over-relaxed sweeps that a Newton solve costs about as much as (measured).
NEWTON_COSTS = 100


def _auto_steps(problem, control):
    """Over-relaxed sweeps; Newton's method from where they would take longer than that."""
    start = problem.save()
    yield from _sor_steps(problem, control, NEWTON_COSTS)
    if problem.true_norm() > FAR:
        # The path of falling eps begins at large ones, where potentials of this eps are of no use.
        problem.restore(start)
    newton = newton_steps(problem, control)
    next(newton)
    yield from newton


STEPS = {
    "auto": _auto_steps,
    "log": _log_steps,
    "scaling": _scaling_steps,
    "sor": _sor_steps,
    "newton": newton_steps,
}

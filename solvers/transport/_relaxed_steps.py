"""How relaxed problems are solved: sweeps, and Newton's method where their rate says that they will take long."""

import math

import numpy as np

from .._result import Status
from ._many import FAR
from ._newton import newton_steps
from ._relaxed_newton import Whole

__all__ = ["relaxed_auto_steps", "unbalanced_steps"]

# Sweeps between two searches for t: it costs O(n + m), and is soon worth less.
_FIRST, _MOST = 1, 8
# Sweeps before the first guess at how many are left.
_JUDGED = 32
# How often a plan may be lost before a solve is given up, and the sweeps that look for it.
_PATIENCE = 5
_LOG_SWEEPS = 20
# Plain sweeps that a Newton solve costs about as much as.
_NEWTON_COSTS = 150


def _found_again(problem, most):
    """Sweeps in the log domain until the plan can be seen; returns their errors."""
    errors = []
    while len(errors) < min(_LOG_SWEEPS, most):
        problem.log_sweep()
        problem.translate()
        errors.append(problem.true_norm())
        if math.isfinite(errors[-1]):
            break
        # No number, or an infinite one, ends a solve.
        errors[-1] = 2.0 if len(errors) < min(_LOG_SWEEPS, most) else errors[-1]
    return errors


def unbalanced_steps(problem, control, patience=math.inf):
    """Sweeps, and the best translation between them; they end where more than a finite ``patience`` seem left."""
    problem.fill_slack()
    error = problem.true_norm()
    # Of a plan of almost nothing the error is almost infinite, and no scale for errors to come.
    yield [min(error, 2.0) if math.isfinite(error) else 2.0], None
    together, failures, seen, due = _FIRST, 0, [], _JUDGED
    while True:
        errors = np.empty(min(control.max_steps, together))
        taken = problem.kernels.unbalanced_chunk(
            problem.cost, problem.inv_eps, *problem.logs[:2], problem.k, problem.l, problem.logs[2], problem.u,
            problem.v, problem.slack, errors, control.threshold, errors.size,
        )  # fmt: skip
        errors = errors[:taken]
        if not np.isfinite(errors[-1]) and failures < _PATIENCE:
            failures += 1
            errors = np.append(errors[:-1], _found_again(problem, control.max_steps - taken + 1))
        elif errors[-1] > control.threshold:
            problem.translate()
        problem.sweeps += errors.size
        yield errors, None
        together = min(2 * together, _MOST)
        if patience < math.inf:
            seen.extend(errors)
            if len(seen) >= due and _remaining(seen, control.threshold) > patience:
                return
            due = due if len(seen) < due else 2 * due


def _remaining(errors, threshold):
    """Plain sweeps that seem to be left, from the rate over the last half of them."""
    last, half = errors[-1], len(errors) // 2
    if not 0.0 < threshold < last < errors[half]:
        return 0.0 if last <= threshold else math.inf
    return math.log(last / threshold) * (len(errors) - 1 - half) / math.log(errors[half] / last)


def relaxed_auto_steps(problem, control):
    """Sweeps, and Newton's method from where they would take longer; sweeps again where that does not get there."""
    start = problem.save()
    yield from unbalanced_steps(problem, control, _NEWTON_COSTS)
    saved = problem.save()
    error = problem.true_norm()
    if not error <= FAR:
        # The path of falling eps begins at large ones, where potentials of this eps are of no use.
        problem.restore(start)
    whole = Whole(problem)
    newton = newton_steps(whole, control)
    next(newton)
    for errors, status in newton:
        whole.hand_over()
        if status is Status.STAGNATED:
            break
        yield errors, status
    if not problem.true_norm() <= error:
        problem.restore(saved)
    sweeps = unbalanced_steps(problem, control)
    next(sweeps)
    yield from sweeps

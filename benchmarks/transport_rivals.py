"""Newton methods of regot and sweeps of OTT, where these are installed, as rivals of ``solvers bench transport``."""

import time
from functools import cache

import numpy as np

from .transport_methods import CAP, POT_TOL, TRANSPORTERS, Contestant, Outcome

__all__ = ["TRANSPORTERS"]

_MOST = 1_000_000


def _affordable(call, cap):
    """The most iterations that fit in ``cap`` seconds; ``call(count)`` says whether it ended by itself."""
    count = 2
    while True:
        start = time.process_time()
        ended = call(count)
        spent = time.process_time() - start
        if ended:
            return _MOST
        if spent >= 0.5 * cap:
            return count
        count = int(count * min(10.0, max(2.0, 0.8 * cap / max(spent, 1e-6))))


def _regot(name):
    def call(problem, iterations):
        import regot

        function = getattr(regot, f"sinkhorn_{name}")
        C = np.asfortranarray(problem.C)
        return function(C, problem.a, problem.b, problem.eps, tol=POT_TOL, max_iter=iterations)

    def ended(result, iterations):
        return result.niter < iterations or result.mar_errs[-1] <= POT_TOL

    def prepare(problem, cap):
        return _affordable(lambda count: ended(call(problem, count), count), cap)

    def solve(problem, most):
        result = call(problem, most)
        claim = "converged" if ended(result, most) else CAP
        sweeps, newton = (result.niter, None) if name == "bcd" else (0, result.niter)
        return Outcome(np.array(result.plan), claim, sweeps, newton)

    return prepare, solve


@cache
def _compiled(iterations):
    """One function for each count: another wrapper of the same solver would compile again."""
    import jax
    from ott.solvers.linear.sinkhorn import Sinkhorn

    return jax.jit(Sinkhorn(threshold=POT_TOL, max_iterations=iterations, norm_error=1))


def _ott():
    def call(problem, iterations):
        import jax

        jax.config.update("jax_enable_x64", True)
        from ott.geometry.geometry import Geometry
        from ott.problems.linear.linear_problem import LinearProblem

        geometry = Geometry(cost_matrix=jax.numpy.asarray(problem.C), epsilon=problem.eps)
        transport = LinearProblem(geometry, jax.numpy.asarray(problem.a), jax.numpy.asarray(problem.b))
        result = _compiled(iterations)(transport)
        return result, np.asarray(result.matrix)

    def prepare(problem, cap):
        """Iterations in tens, as OTT tests its error; the second call of a count does not compile."""
        spent = 0.0
        for _ in range(2):
            start = time.process_time()
            result, _ = call(problem, 10)
            spent = time.process_time() - start
        if result.converged:
            return 10
        most = max(20, min(_MOST, int(10 * cap / max(spent, 1e-6)) // 10 * 10))
        call(problem, most)
        return most

    def solve(problem, most):
        result, plan = call(problem, most)
        return Outcome(plan, "converged" if result.converged else CAP, int(result.n_iters))

    return prepare, solve


for _name, _summary in (
    ("bcd", "regot's block coordinate descent: sweeps in the log domain"),
    ("ssns", "regot's safe and sparse Newton method"),
    ("splr", "regot's sparse plus low-rank quasi-Newton method"),
):
    TRANSPORTERS.add(Contestant(f"regot:{_name}", _summary, *_regot(_name), package="regot"))
TRANSPORTERS.add(Contestant("ott:sinkhorn", "OTT's sweeps in the log domain, compiled by JAX", *_ott(), package="ott"))

"""Problems that solvers of entropic transport fail on, and a judge that trusts none of our kernels."""

import numpy as np
from scipy.special import logsumexp
from solvers.benchmarks.transport import assignment, images

from solvers import Status, transport

METHODS = ("auto", "log", "scaling", "sor", "newton", "newton_sparse", "top-k")
PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8))
NAMED = {Status.MAXITER, Status.STAGNATED, Status.INFEASIBLE, Status.NONFINITE}


def solve(C, a=None, b=None, *, method="auto", **options):
    """Any method by its name."""
    if method in METHODS[:5]:
        return transport.sinkhorn(C, a, b, method=method, **options)
    rule = "top-k" if method == "top-k" else "safe"
    return transport.sinkhorn_newton_sparse(C, a, b, rule=rule, **options)


def support_only(weights):
    """An image without its floor: most pixels weigh nothing."""
    weights = np.where(weights > 3 * weights.min(), weights - weights.min(), 0.0)
    return weights / weights.sum()


def suite(side=28, n=500):
    """(name, C, a, b, eps) of 5 assignments and 32 pairs of images; eps is relative to the largest cost."""
    for seed in range(5):
        yield f"assignment {seed}", *assignment(n, seed), 1 / 1200
    for pair in PAIRS:
        for power in (1, 2):
            C, a, b = images(power, side, pair)
            for eps in (1e-3, 1e-4):
                yield f"images {pair}, L{power}, {eps}", C, a, b, eps
                yield f"supports {pair}, L{power}, {eps}", C, support_only(a), support_only(b), eps


def error_of(res, C, a, b, eps):
    """The L1 error of both marginals, relative to the mass, of exp((f + g - C) / eps) in log-sum-exps of NumPy."""
    f, g = (np.asarray(p, np.float64) for p in res.potentials)
    C, a, b = (np.asarray(x, np.float64) for x in (C, a, b))
    rows, columns = np.isfinite(f), np.isfinite(g)
    E = (f[rows][:, None] + g[columns] - C[np.ix_(rows, columns)]) / eps
    sums = np.zeros(a.size), np.zeros(b.size)
    with np.errstate(over="ignore", under="ignore"):
        sums[0][rows], sums[1][columns] = np.exp(logsumexp(E, axis=1)), np.exp(logsumexp(E, axis=0))
    return float(np.abs(sums[0] - a).sum() / a.sum() + np.abs(sums[1] - b).sum() / b.sum())


def rounding_of(res, C, eps):
    """What the rounding of potentials in the units of C does to the plan that is made from them."""
    parts = [np.abs(p[np.isfinite(p)]).max(initial=0.0) for p in (*res.potentials, C)]
    unit = float(np.finfo(res.potentials[0].dtype).eps)
    return 16 * unit * (1.0 + float(max(parts)) / eps)


def judge(res, C, a, b, eps, tol=1e-6):
    """Numbers everywhere, a status with a name, and "converged" only of a plan with these marginals."""
    assert res.status is Status.CONVERGED or res.status in NAMED, repr(res)
    for number in (res.value, res.regularized_value, res.dual_value, res.marginal_error):
        assert np.isfinite(number), repr(res)
    P = res.plan.astype(np.float64)
    assert np.isfinite(P).all() and not P[np.isinf(C)].any(), repr(res)
    if not res.converged:
        return
    error = (np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum()) / np.sum(a)
    unit = float(np.finfo(res.plan.dtype).eps)
    assert error <= 1.01 * tol + 16 * unit, (repr(res), error)
    assert error_of(res, C, a, b, eps) <= 1.01 * tol + 2 * rounding_of(res, C, eps), repr(res)

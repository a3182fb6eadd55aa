"""Random calls of ``solvers.transport`` and ``solvers.compat.pot``, and their judges."""

import math
import warnings
from functools import partial

import numpy as np
from soak import Call
from soak_sliced import SLICED
from spoilt import Broken, StopOnChunk, callbacks, disguised, pick

from solvers import Status, transport
from solvers.compat import pot

__all__ = ["make"]

SIZES = (1, 2, 3, 5, 9, 20, 33)


def weights(rng, n, dtype):
    """Weights of total one: even, uneven, with zeros, with tiny ones."""
    w = pick(rng, np.ones(n), rng.random(n), rng.random(n) * (rng.random(n) < 0.6), 10.0 ** rng.uniform(-12, 0, n))
    w = w if w.sum() > 0 else np.ones(n)
    w = (w / w.sum()).astype(dtype)
    return w


def costs(rng, n, m, dtype):
    """Random numbers, distances, of any scale, perhaps negative, perhaps with forbidden pairs."""
    if rng.random() < 0.5:
        C = rng.random((n, m))
    else:
        X, Y = rng.random((n, 1, 2)), rng.random((1, m, 2))
        C = ((X - Y) ** 2).sum(-1)
    if rng.random() < 0.1:
        C = C - 0.5
    if rng.random() < 0.1:
        C[rng.random((n, m)) < 0.2] = np.inf
    if rng.random() < 0.05:
        C[:] = pick(rng, 0.0, 1.0, np.inf)
    scale = 1.0
    if rng.random() < 0.15:
        scale = 10.0 ** rng.uniform(*((-25, 25) if dtype == "f" else (-250, 250)))
        C = C * scale
    return C.astype(dtype), scale


def sums(P):
    P = P.astype(np.longdouble)
    return P.sum(1), P.sum(0)


def marginal_error(P, a, b):
    rows, columns = sums(P)
    return float((np.abs(rows - a).sum() + np.abs(columns - b).sum()) / np.sum(a, dtype=np.longdouble))


def judge_plan(C, a, b, tol, result):
    """Finite numbers; a plan without mass on forbidden pairs; "converged" only of one with these marginals."""
    P = result.plan
    assert (P >= 0).all() and not P[np.isinf(C)].any()
    n, m = C.shape
    single = P.dtype.char == "f"
    coarsest = max(float(np.finfo(w.dtype).eps) for w in (P, a, b) if w is not None)  # totals agree so far
    unit = 16 * coarsest * (1 + math.sqrt(n * m) * single)
    a = np.full(n, 1 / n) if a is None else a.astype(np.longdouble)
    b = np.full(m, 1 / m) if b is None else b.astype(np.longdouble)
    error = marginal_error(P, a, b)
    if result.status is Status.CONVERGED:
        assert error <= 1.01 * tol + unit, error
        assert result.residual <= tol * (1 + 1e-6), result.residual
    if result.status is not Status.INFEASIBLE and math.isfinite(result.marginal_error) and error < 1:
        assert abs(error - result.marginal_error) <= 0.02 * error + unit + 1e-9, (error, result.marginal_error)
    finite = np.where(np.isinf(C), 0, C).astype(np.longdouble)
    value, least = float((finite * P).sum()), 1e-40 * float(np.abs(finite).max(initial=1e-250))
    assert abs(value - result.value) <= 1e-3 * float((np.abs(finite) * P).sum()) * (10 if single else 1e-3) + least


def _problem(rng):
    n, m = pick(rng, *SIZES), pick(rng, *SIZES)
    dtype = pick(rng, "d", "d", "d", "f")
    C, scale = costs(rng, n, m, dtype)
    a, b = weights(rng, n, dtype), weights(rng, m, dtype)
    if dtype == "f":
        a, b = np.full(n, 1 / n, "f"), np.full(m, 1 / m, "f")
    eps = scale * pick(rng, 1.0, 0.1, 0.1, 0.01, 1e-3, 1e-4)
    return C, a, b, eps


def _options(rng, C, a, b, eps, single):
    """What most functions take."""
    options = {"eps": float(eps), "tol": pick(rng, 1e-3, 1e-6) if single else pick(rng, 1e-3, 1e-6, 1e-6, 1e-10)}
    options["maxiter"] = pick(rng, 1, 10, 300, 2000)
    if rng.random() < 0.1:
        options["callback"] = callbacks(rng)
    if rng.random() < 0.15:
        options["x0"] = eps * rng.standard_normal(C.shape[0]), eps * rng.standard_normal(C.shape[1])
    if rng.random() < 0.1:
        options["normalize"] = True
    return options


def cloud(X, Y, cost, solve, **options):
    """A solve between two clouds of points."""
    return getattr(transport, solve)(transport.PointCloud(X, Y, cost), **options)


cloud.covers = ("PointCloud",)


def _balanced(rng):
    C, a, b, eps = _problem(rng)
    single = C.dtype.char == "f"
    options = _options(rng, C, a, b, eps, single)
    newton = rng.random() < 0.25
    if newton:
        options["rule"] = pick(rng, "safe", "top-k")
        options["warmup"], options["max_newton_steps"] = pick(rng, 0, 5, 20), pick(rng, 1, 50)
        if options["rule"] == "top-k":
            options["density"] = pick(rng, None, 0.1, 1.0)
    else:
        options["method"] = pick(rng, "auto", "auto", "log", "scaling", "sor", "newton")
    tol, function = options["tol"], transport.sinkhorn_newton_sparse if newton else transport.sinkhorn
    if rng.random() < 0.15:
        n, m = C.shape
        X, Y = rng.standard_normal((n, pick(rng, 1, 2, 3))), None
        Y = rng.standard_normal((m, X.shape[1]))
        cost = pick(rng, "sqeuclidean", "euclidean", 1.5)
        options |= {"eps": float(pick(rng, 1.0, 0.1, 0.01)), "solve": function.__name__}
        power = {"sqeuclidean": 2, "euclidean": 1}.get(cost, cost)
        C = (((X[:, None] - Y) ** 2).sum(-1)) ** (power / 2)
        options.pop("x0", None)
        judge = partial(judge_plan, C, a, b, tol)
        return Call(cloud, dict(X=X, Y=Y, cost=cost, a=a, b=b, **options), judge, fixed=("solve",), names=("C",))
    given = {"a": disguised(a, rng), "b": disguised(b, rng)}
    if rng.random() < 0.1:
        a, b, given = None, None, {}
    judge = partial(judge_plan, C, a, b, tol)
    return Call(function, {"C": disguised(C, rng), **given, **options}, judge)


def judge_batch(C, a, b, tol, result):
    for i in range(C.shape[0]):
        judge_plan(C[i], a[i] if a.ndim == 2 else a, b[i] if b.ndim == 2 else b, tol, result[i])


def _batch(rng):
    B, n, m = pick(rng, 1, 2, 5), pick(rng, 1, 3, 9), pick(rng, 1, 4, 12)
    C = np.stack([rng.random((n, m)) for _ in range(B)])
    if rng.random() < 0.1:
        C[0, 0, 0] = np.inf
    a = np.stack([weights(rng, n, "d") for _ in range(B)]) if rng.random() < 0.6 else weights(rng, n, "d")
    b = np.stack([weights(rng, m, "d") for _ in range(B)]) if rng.random() < 0.6 else weights(rng, m, "d")
    eps = pick(rng, 0.1, 1e-3, 10.0 ** rng.uniform(-3, 0, B))
    options = dict(
        eps=eps, method=pick(rng, "auto", "log", "sor", "scaling", "newton"), tol=pick(rng, 1e-3, 1e-8), maxiter=500
    )
    if rng.random() < 0.2:
        options["callback"] = StopOnChunk(2, pick(rng, StopIteration, Broken("by the callback")))
    return Call(
        transport.sinkhorn,
        dict(C=disguised(C, rng), a=a, b=b, **options),
        partial(judge_batch, C, a, b, options["tol"]),
    )


def judge_unbalanced(C, a, b, penalties, tol, result):
    """The conditions for the best plan, from the plan and the potentials alone."""
    P, (f, g) = result.plan, result.potentials
    assert (P >= 0).all()
    if result.status is not Status.CONVERGED or not P.sum():
        return
    left = 0.0
    for marginal, w, potential, rho in zip(sums(P), (a, b), (f, g), penalties):
        rho = np.inf if rho is None else rho
        with np.errstate(all="ignore"):
            wanted = np.where(
                w > 0, w * np.exp(np.where(np.isinf(rho), 0.0, -potential.astype(np.longdouble) / rho)), 0
            )
        left += float(np.abs(marginal - wanted).sum())
    assert left <= (1.01 * tol + 1e-9) * float(P.sum()), left / float(P.sum())


def _unbalanced(rng):
    n, m = pick(rng, *SIZES), pick(rng, *SIZES)
    C = rng.random((n, m))
    a, b = weights(rng, n, "d"), pick(rng, 1.0, 3.0, 1e-3) * weights(rng, m, "d")
    rho = pick(rng, 1.0, 0.05, 100.0, (1.0, 0.1), (0.5, rng.uniform(0.1, 1, m)), (1.0, math.inf), (None, 1.0))
    options = dict(eps=pick(rng, 0.1, 0.01, 1.0), marginal_penalty=rho, tol=pick(rng, 1e-4, 1e-8), maxiter=3000)
    options["method"] = pick(rng, "auto", "log")
    pair = rho if isinstance(rho, tuple) else (rho, rho)
    return Call(
        transport.sinkhorn, dict(C=C, a=a, b=b, **options), partial(judge_unbalanced, C, a, b, pair, options["tol"])
    )


def judge_partial(C, a, b, mass, tol, result):
    """P 1 <= a, P^T 1 <= b, sum P = mass."""
    P = result.plan
    assert (P >= 0).all()
    if result.status is Status.CONVERGED and mass:
        rows, columns = sums(P)
        over = np.maximum(rows - a, 0).sum() + np.maximum(columns - b, 0).sum() + abs(P.sum() - mass)
        assert float(over) <= 2.02 * tol * float(mass) + 1e-12, float(over) / float(mass)


def _partial(rng):
    C, a, b, eps = _problem(rng)
    a, b, C = a.astype("d"), pick(rng, 1.0, 2.0, 0.3) * b.astype("d"), C.astype("d")
    most = float(min(a.sum(), b.sum()))
    mass = pick(rng, 0.5, 0.9, 1.0, 0.0, 1e-6) * most
    options = dict(mass=mass, eps=float(eps), tol=pick(rng, 1e-4, 1e-6), maxiter=pick(rng, 10, 2000))
    if rng.random() < 0.1:
        options["callback"] = callbacks(rng)
    return Call(
        transport.partial, dict(C=C, a=a, b=b, **options), partial(judge_partial, C, a, b, mass, options["tol"])
    )


def judge_divergence(result):
    assert result.value >= 0 and result.error >= 0


def _divergence(rng):
    n, m, d = pick(rng, 1, 2, 7, 20), pick(rng, 1, 3, 15), pick(rng, 1, 2, 3)
    scale = pick(rng, 1.0, 1.0, 1e-5, 1e5)
    X, Y = scale * rng.standard_normal((n, d)), scale * rng.standard_normal((m, d))
    cost = pick(rng, "sqeuclidean", "euclidean", 0.5)
    power = {"sqeuclidean": 2, "euclidean": 1}.get(cost, cost)
    options = dict(eps=float(pick(rng, 1.0, 0.1, 0.01) * scale**power), cost=cost, tol=1e-6, maxiter=pick(rng, 5, 1000))
    if rng.random() < 0.4:
        options |= {"a": weights(rng, n, "d"), "b": weights(rng, m, "d")}
    return Call(transport.sinkhorn_divergence, dict(X=disguised(X, rng), Y=Y, **options), judge_divergence)


def pots(name, **arguments):
    """POT's function of that name; its warning of what did not converge is part of the bargain."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sinkhorn did not converge", UserWarning)
        return getattr(pot, name)(**arguments)


def _pot(rng):
    name = pick(rng, "sinkhorn", "sinkhorn2", "sinkhorn_knopp", "sinkhorn_log", "sinkhorn_stabilized")
    C, a, b, eps = _problem(rng)
    arguments = dict(
        a=pick(rng, a, [], a), b=b, M=C, reg=float(eps), numItermax=pick(rng, 5, 500), stopThr=1e-6, warn=True
    )
    if arguments["a"] is not a:
        arguments["a"] = []
    if rng.random() < 0.2:
        arguments["b"] = np.stack([b, b[::-1]], 1)
    if rng.random() < 0.2 and arguments["b"].ndim == 1:
        arguments["warmstart"] = np.zeros(C.shape[0]), np.zeros(C.shape[1])
    names = tuple(arguments)
    return Call(pots, {"name": name, **arguments}, fixed=("name",), names=(*names, "log", "verbose", "C", "eps"))


PARTS = (_balanced,) * 5 + (_batch, _unbalanced, _partial, _divergence, _pot) + (*SLICED,)


def make(rng):
    """One call of the area."""
    return PARTS[int(rng.integers(len(PARTS)))](rng)

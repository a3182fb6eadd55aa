"""Parity of transport: a solve on the device under test beside the same solve on the CPU.

Every answer is held against the truth first: the plan is formed from the potentials in float64 with plain NumPy, and
its marginals are compared with the weights. The best plan is the only one of that form, so that this alone is a proof.
The dual values of two answers may differ by what the marginal errors make of them.
"""

from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from .. import backend, transport
from .._result import Status
from ._target import bits

__all__ = ["cases"]

_DTYPES = ("float32", "float64")
_FORMS = ("matrix", "points", "forbidden", "weights")
# Few rows; several blocks of rows; and so many that every processor of a GPU has a share.
_SIZES = ((33, 40), (257, 300), (3000, 2500))
_EPS = 0.05
# Sweeps may differ by rounding in the last one; over-relaxed ones by a step of the rule that chooses omega.
_COUNTED = {"log": 0.02, "scaling": 0.02, "sor": 0.1}
_METHODS = ("log", "scaling", "sor", "newton", "auto", "sns-safe", "sns-top-k")


@dataclass(frozen=True)
class _Given:
    """What a user has: a matrix or two clouds of points, and weights that sum to 1."""

    costs: tuple
    a: np.ndarray
    b: np.ndarray

    @property
    def dtype(self):
        return self.costs[0].dtype

    @property
    def tol(self):
        return 1e-4 if self.dtype == np.float32 else 1e-10

    def matrix(self):
        """C in float64."""
        wide = [each.astype(np.float64) for each in self.costs]
        if len(wide) == 1:
            return wide[0]
        X, Y = wide
        return sum((X[:, k, None] - Y[:, k]) ** 2 for k in range(X.shape[1]))

    def solve(self, method, move, **options):
        """The result of a method, for arrays as ``move`` gives them."""
        costs = [move(each) for each in self.costs]
        C = costs[0] if len(costs) == 1 else transport.PointCloud(*costs)
        given = C, move(self.a), move(self.b)
        options = {"eps": _EPS, "tol": self.tol} | options
        if method.startswith("sns-"):
            return transport.sinkhorn_newton_sparse(*given, rule=method.removeprefix("sns-"), **options)
        return transport.sinkhorn(*given, method=method, **options)


def cases():
    """Yield (group, id, n, dtype, check)."""
    for method, form, dtype, (n, m) in product(_METHODS, _FORMS, _DTYPES, _SIZES):
        group, check = f"transport:{method}", partial(_agrees, method=method, form=form, dtype=dtype, n=n, m=m)
        yield group, f"{group}-{form}-{dtype}-{n}", n, dtype, check
    for ending, dtype in product(("maxiter", "infeasible"), _DTYPES):
        check = partial(_ends_alike, ending=ending, dtype=dtype)
        yield "transport:log", f"transport:log-{ending}-{dtype}", 33, dtype, check
    for dtype, (n, m) in product(_DTYPES, _SIZES):
        check = partial(_divergences_agree, dtype=dtype, n=n, m=m)
        yield "transport:divergence", f"transport:divergence-{dtype}-{n}", n, dtype, check
    yield "memory", "memory-50-transports", 33, "float64", partial(_leaks_nothing, solves=50)


def _given(form, dtype, n, m):
    rng = np.random.default_rng(17)
    a, b = rng.random(n) + 0.2, rng.random(m) + 0.2
    if form == "points":
        costs = rng.random((n, 3)), rng.random((m, 3))
    else:
        costs = (rng.random((n, m)),)
    if form == "forbidden":
        i, j = np.arange(n)[:, None] / n, np.arange(m) / m
        costs[0][abs(i - j) > 0.5] = np.inf
    if form == "weights":
        a[rng.random(n) < 0.3], b[rng.random(m) < 0.3] = 0.0, 0.0
    return _Given(tuple(each.astype(dtype) for each in costs), *((w / w.sum()).astype(np.float64) for w in (a, b)))


def _runs(target, solve):
    """Results by how the arrays came: ``native``, of the device; ``again``, the same; ``host``; ``cpu``."""
    runs = {"native": solve(target.native), "again": solve(target.native)}
    with backend(target.backend):
        runs["host"] = solve(lambda value: value)
    if target.cpu is not None:
        with backend("cpu"):
            runs["cpu"] = solve(lambda value: value)
    return runs


# ---- checks ------------------------------------------------------------------------------------------


def _agrees(target, method, form, dtype, n, m):
    given = _given(form, dtype, n, m)
    runs = _runs(target, partial(given.solve, method))
    _same_kind_and_bits(target, given, runs)
    C, reference = given.matrix(), runs.get("cpu")
    for how, result in runs.items():
        spread = _is_true(target, given, C, how, result)
        if reference is None:
            continue
        apart = abs(result.dual_value - reference.dual_value)
        allowed = 2 * spread * (given.tol + _noise(given, C, result, target))
        assert apart <= allowed, f"{how}: the dual value is {apart:.1e} off the CPU's"
        if method in _COUNTED:
            most = max(2, _COUNTED[method] * reference.iterations)
            counts = result.iterations, reference.iterations
            assert abs(counts[0] - counts[1]) <= most, f"{how}: {counts[0]} sweeps, {counts[1]} on the CPU"


def _same_kind_and_bits(target, given, runs):
    """An answer is the kind of array that the costs were, and two runs, however these came, have equal bits."""
    kinds = {how: type(result.potentials[0]) for how, result in runs.items()}
    wanted = {"native": type(target.native(given.a)), "again": type(target.native(given.a))}
    for how, result in runs.items():
        assert kinds[how] is wanted.get(how, np.ndarray), f"{how}: the potentials are {kinds[how]}"
        expected = "cpu" if how == "cpu" else target.backend
        assert result.backend == expected, f"{how}: ran on {result.backend}"
        if how != "cpu":
            answers = [(r.residuals, *map(target.host, r.potentials)) for r in (runs["native"], result)]
            assert bits(answers[0]) == bits(answers[1]), f"{how}: other bits than the first run"


def _is_true(target, given, C, how, result):
    """The error of the plan that the potentials stand for, and of the plan itself; returns the potentials' spread."""
    assert result.converged, f"{how}: {result!r}"
    f, g = (target.host(p).astype(np.float64) for p in result.potentials)
    plan, noise = np.exp((f[:, None] + g - C) / _EPS), _noise(given, C, result, target)
    error = sum(np.abs(plan.sum(axis=1 - axis) - w).sum() for axis, w in enumerate((given.a, given.b)))
    assert error <= given.tol + noise, f"{how}: true marginal error {error:.2e}"
    assert abs(result.residual - error) <= 1e-2 * error + noise, f"{how}: says {result.residual:.2e}, is {error:.2e}"
    shown = target.host(result.plan)
    assert shown.dtype == given.dtype and np.abs(shown - plan).max() <= noise * plan.max(), f"{how}: another plan"
    value = plan[plan > 0] @ C[plan > 0]
    assert abs(result.value - value) <= noise * max(value, 1.0), f"{how}: value {result.value}, is {value}"
    return sum(np.ptp(p[np.isfinite(p)]) for p in (f, g))


def _noise(given, C, result, target):
    """What rounding of the potentials, and of the costs over eps, makes of the plan."""
    largest = [np.abs(each[np.isfinite(each)]).max(initial=0.0) for each in (C, *map(target.host, result.potentials))]
    return 8 * float(np.finfo(given.dtype).eps) * (1.0 + sum(largest) / _EPS)


def _ends_alike(target, ending, dtype):
    """The CPU's status after as many sweeps, and finite potentials."""
    given = _given("matrix", dtype, 33, 40)
    options, status = {"eps": 0.003, "maxiter": 7}, Status.MAXITER
    if ending == "infeasible":
        given.costs[0][3] = np.inf
        options, status = {}, Status.INFEASIBLE
    runs = _runs(target, partial(given.solve, "log", **options))
    _same_kind_and_bits(target, given, runs)
    for how, result in runs.items():
        assert result.status is status, f"{how}: {result!r}"
        assert all(np.isfinite(target.host(p)).all() for p in result.potentials), f"{how}: {result!r}"
        if "cpu" in runs:
            assert result.iterations == runs["cpu"].iterations, f"{how}: {result!r}"


def _divergences_agree(target, dtype, n, m):
    given = _given("points", dtype, n, m)

    def solve(move):
        arrays = [move(each) for each in (*given.costs, given.a, given.b)]
        return transport.sinkhorn_divergence(*arrays, eps=_EPS, tol=given.tol).check()

    runs = _runs(target, solve)
    assert runs["native"].value == runs["again"].value == runs["host"].value
    if "cpu" in runs:
        apart = abs(runs["native"].value - runs["cpu"].value)
        allowed = runs["native"].error + runs["cpu"].error + 100 * float(np.finfo(dtype).eps)
        assert apart <= allowed, f"the divergence is {apart:.1e} off the CPU's, allowed {allowed:.1e}"


def _leaks_nothing(target, solves):
    """After many solves the arrays that live hold what they held after the first of each method."""
    given = _given("matrix", "float64", 33, 40)
    arrays = {id(each): target.native(each) for each in (*given.costs, given.a, given.b)}
    for count in range(solves):
        if count == len(_METHODS):
            before = target.used_bytes()
        assert given.solve(_METHODS[count % len(_METHODS)], lambda each: arrays[id(each)]).converged
    after = target.used_bytes()
    assert after == before, f"{after - before} bytes more are held after {solves} solves"

"""Parity of the kernels of transport, beside the same sums over whole plans in plain NumPy."""

from functools import partial
from itertools import product

import numpy as np
from scipy.special import logsumexp

from ._parity_compare import compare

__all__ = ["CHECKS", "cases"]

_DTYPES = ("float32", "float64")
_SIZES = (1, 33, 257, 3000)
_FORMS = ("matrix", "points", "forbidden", "powers")
_INV_EPS, _STEPS, _OMEGA = 8.0, 3, 1.2


def cases():
    """Yield (group, id, n, dtype, check) for every kernel, form of the costs, dtype and size."""
    for kernel, check, forms in CHECKS:
        for form, dtype, n in product(forms, _DTYPES, _SIZES):
            name = f"kernel:{kernel}-{form}-{dtype}-{n}"
            yield f"kernel:{kernel}", name, n, dtype, partial(check, given=partial(_Given, form, np.dtype(dtype), n))


class _Given:
    """Costs and potentials on the host; ``E`` are the exponents and ``P`` the plan in float64."""

    def __init__(self, form, dtype, n):
        rng, m = np.random.default_rng(11), n + n // 5 + 1
        self.dtype, self.costs, self.power = dtype, (rng.random((n, m)),), None
        if form in ("points", "powers"):
            self.costs, self.power = (rng.random((n, 5)), rng.random((m, 5))), 2.0 if form == "points" else 1.5
        if form == "forbidden":
            self.costs[0][rng.random((n, m)) < 0.2] = np.inf
            self.costs[0][:, 0] = self.costs[0][0] = 0.5
        self.costs = tuple(each.astype(dtype) for each in self.costs)
        self.a, self.b = (self._weights(rng, size) for size in (n, m))
        self.u, self.v = (0.3 * rng.standard_normal(size).astype(dtype) for size in (n, m))
        C = [each.astype(np.float64) for each in self.costs]
        if self.power:
            C = [sum((C[0][:, k, None] - C[1][:, k]) ** 2 for k in range(5)) ** (self.power / 2)]
        self.C, self.G = C[0], -_INV_EPS * C[0]
        self.E = self.G + self.u.astype(np.float64)[:, None] + self.v
        self.P = np.exp(self.E)
        # The relative error of an entry: its exponent is rounded, costs of points are made of five squares.
        largest = np.abs(self.G[np.isfinite(self.G)]).max() + np.abs(self.u).max() + np.abs(self.v).max()
        self.relative = 16 * float(np.finfo(dtype).eps) * (1.0 + largest)

    def _weights(self, rng, size):
        w = rng.random(size) + 0.2
        return (w / w.sum()).astype(self.dtype)

    def cost(self, kernels):
        """The kernels' form of the costs."""
        costs = self.sent(kernels, *self.costs)
        return kernels.PointCosts(*costs, self.power) if self.power else kernels.CostMatrix(*costs)

    def sent(self, kernels, *arrays):
        return [kernels.copy_to_device(each, each.dtype) for each in arrays]

    def swept(self, omega):
        """u, v and the errors after some sweeps, with a bound on what rounding makes of each."""
        a, b, u, v = (each.astype(np.float64) for each in (self.a, self.b, self.u, self.v))
        errors = []
        for _ in range(_STEPS):
            u = u + omega * (np.log(a) - logsumexp(self.G + v, axis=1) - u)
            P = np.exp(self.G + u[:, None] + v)
            errors.append(np.abs(P.sum(axis=0) - b).sum() + np.abs(P.sum(axis=1) - a).sum())
            v = v + omega * (np.log(b) - logsumexp(self.G + u[:, None], axis=0) - v)
        bounds = (_STEPS * self.relative * (1.0 + np.abs(each).max()) for each in (u, v))
        return (u, next(bounds)), (v, next(bounds)), (np.array(errors), 2 * _STEPS * self.relative * (1 + a.sum()))


# ---- checks ------------------------------------------------------------------------------------------


def _marginals(target, given):
    g = given()

    def run(kernels):
        rows, columns = (kernels.empty(w.size, np.float64) for w in (g.a, g.b))
        value = kernels.marginals(g.cost(kernels), _INV_EPS, *g.sent(kernels, g.u, g.v), rows, columns)
        return kernels.to_host(rows), kernels.to_host(columns), value

    value = g.P[g.P > 0] @ g.C[g.P > 0]
    sums = g.P.sum(axis=1), g.P.sum(axis=0), value
    compare(target, run, [(each, g.relative * each) for each in sums])


def _log_sums(target, given, columns=False):
    g = given()
    other = g.u if columns else g.v

    def run(kernels):
        out = kernels.empty(g.b.size if columns else g.a.size, g.dtype)
        kernel = kernels.log_sums_columns if columns else kernels.log_sums
        kernel(g.cost(kernels), _INV_EPS, *g.sent(kernels, other), out)
        return (kernels.to_host(out),)

    exponents = g.G + (g.u.astype(np.float64)[:, None] if columns else g.v.astype(np.float64))
    compare(target, run, [(logsumexp(exponents, axis=0 if columns else 1), g.relative)])


def _plan(target, given):
    g = given()

    def run(kernels):
        P = kernels.empty(g.P.shape, g.dtype)
        kernels.plan(g.cost(kernels), _INV_EPS, *g.sent(kernels, g.u, g.v), P)
        return (kernels.to_host(P),)

    compare(target, run, [(g.P, g.relative * g.P)])


def _threshold_plan(target, given):
    """A cut in the widest gap among the larger entries, so that rounding changes no answer."""
    g = given()
    largest = np.sort(g.E, axis=None)[-max(2, g.E.size // 100) :]
    k = int(np.argmax(np.diff(largest)))
    cut = float(np.exp((largest[k] + largest[k + 1]) / 2))

    def run(kernels):
        parts = kernels.threshold_plan(g.cost(kernels), _INV_EPS, *g.sent(kernels, g.u, g.v), cut)
        return tuple(map(kernels.to_host, parts))

    i, j = np.nonzero(g.P >= cut)
    indptr, data = np.searchsorted(i, np.arange(g.a.size + 1)), g.P[i, j]
    compare(target, run, [(indptr, 0), (j, 0), (data, g.relative * data)])


def _log_chunk(target, given, omega=_OMEGA):
    g = given()

    def run(kernels):
        a, b, u, v = g.sent(kernels, g.a, g.b, g.u, g.v)
        errors = np.full(_STEPS, np.nan)
        taken = kernels.log_chunk(g.cost(kernels), _INV_EPS, a, b, u, v, omega, errors, -1.0, _STEPS)
        return kernels.to_host(u), kernels.to_host(v), errors[:taken]

    compare(target, run, g.swept(omega))


def _scaling(target, given):
    g = given()

    def run(kernels):
        return tuple(map(kernels.to_host, kernels.scaling(g.cost(kernels), _INV_EPS, *g.sent(kernels, g.u, g.v))))

    compare(target, run, [(g.P, g.relative * g.P), (g.u, 0), (g.v, 0)])


def _scaling_chunk(target, given):
    g = given()

    def run(kernels):
        a, b, u, v = g.sent(kernels, g.a, g.b, g.u, g.v)
        cost, errors = g.cost(kernels), np.full(_STEPS, np.nan)
        S = kernels.scaling(cost, _INV_EPS, u, v)
        taken = kernels.scaling_chunk(cost, _INV_EPS, a, b, u, v, S, errors, -1.0, _STEPS)
        return kernels.to_host(u), kernels.to_host(v), errors[:taken]

    compare(target, run, g.swept(1.0))


def _point_gradients(target, given):
    g = given()

    def run(kernels):
        parts = [kernels.empty(each.shape, np.float64) for each in g.costs]
        kernels.point_gradients(g.cost(kernels), _INV_EPS, *g.sent(kernels, g.u, g.v), *parts)
        return tuple(map(kernels.to_host, parts))

    X, Y = (each.astype(np.float64) for each in g.costs)
    slopes = g.P * g.power * g.C ** ((g.power - 2.0) / g.power)
    expected = []
    for p, q, S in ((X, Y, slopes), (Y, X, slopes.T)):
        # sum_j S_ij (x_i - y_j), and the sizes of its terms.
        sizes = np.abs(p) * S.sum(axis=1)[:, None] + S @ np.abs(q)
        expected.append((p * S.sum(axis=1)[:, None] - S @ q, 4 * g.relative * sizes))
    compare(target, run, expected)


#: kernel, check, forms
CHECKS = (
    ("log_chunk", _log_chunk, _FORMS),
    ("log_sums", _log_sums, _FORMS),
    ("log_sums_columns", partial(_log_sums, columns=True), _FORMS),
    ("marginals", _marginals, _FORMS),
    ("plan", _plan, _FORMS),
    ("point_gradients", _point_gradients, ("points", "powers")),
    ("scaling", _scaling, ("matrix", "points")),
    ("scaling_chunk", _scaling_chunk, ("matrix", "points")),
    ("threshold_plan", _threshold_plan, _FORMS),
)

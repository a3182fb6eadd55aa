"""Parity of the kernels of sliced distances, beside sorts and quantiles in plain NumPy."""

from functools import partial
from itertools import product

import numpy as np

from ._parity_compare import compare

__all__ = ["CHECKS", "cases"]

_DTYPES = ("float32", "float64")
# Equal sizes, others, and rows of several chunks.
_SIZES = ((1, 1), (33, 33), (257, 180), (9000, 7001))
_DIRECTIONS, _COORDINATES = 5, 11


def cases():
    """Yield (group, id, n, dtype, check) for every kernel, dtype and size, with weights and without."""
    for kernel, check, forms in CHECKS:
        for form, dtype, (n, m) in product(forms, _DTYPES, _SIZES):
            name = f"kernel:{kernel}-{form}-{dtype}-{n}"
            given = partial(_Given, form == "weights", np.dtype(dtype), n, m)
            yield f"kernel:{kernel}", name, n, dtype, partial(check, given=given)


class _Given:
    """Points of few whole coordinates, whose projections are exact and have ties, and directions of small integers."""

    def __init__(self, weighted, dtype, n, m):
        rng = np.random.default_rng(12)
        self.clouds = tuple(rng.integers(-99, 100, (k, _COORDINATES)).astype(dtype) for k in (n, m))
        self.directions = rng.integers(-9, 10, (_DIRECTIONS, _COORDINATES)).astype(np.float64)
        # Whole numbers, of which sums do not round: each a part of their total.
        self.parts = tuple(rng.integers(0, 5, k) + (np.arange(k) == 0) if weighted else np.ones(k, int) for k in (n, m))
        self.masses = tuple(w / w.sum() for w in self.parts) if weighted else (None, None)
        self.weights = rng.standard_normal(_DIRECTIONS)
        self.dtype = dtype

    def sent(self, kernels):
        return [
            None if each is None else kernels.copy_to_device(each, each.dtype) for each in (*self.clouds, *self.masses)
        ]

    def coupled(self, p):
        """The powers, and the derivatives of their weighted sum by the points."""
        X, Y = (Z.astype(np.float64) for Z in self.clouds)
        out, dX, dY = np.empty(_DIRECTIONS), np.zeros(X.shape), np.zeros(Y.shape)
        for l, theta in enumerate(self.directions):
            x, y = X @ theta, Y @ theta
            i, j = (np.argsort(z, kind="stable") for z in (x, y))
            k, q, mass = _coupling(self.parts[0][i], self.parts[1][j])
            gap = x[i][k] - y[j][q]
            out[l] = mass @ np.abs(gap) ** p
            slope = self.weights[l] * p * mass * np.sign(gap) * np.abs(gap) ** (p - 1.0)
            np.add.at(dX, i[k], slope[:, None] * theta)
            np.add.at(dY, j[q], -slope[:, None] * theta)
        return out, dX, dY


def _coupling(a, b):
    """(i, j, mass): which of two sorted clouds' points share how much mass."""
    levels = np.cumsum(a) * b.sum(), np.cumsum(b) * a.sum()
    ends = np.unique(np.concatenate(levels))
    ends = ends[ends > 0]
    starts = np.concatenate([[0], ends[:-1]])
    i, j = (np.searchsorted(w, starts, side="right") for w in levels)
    return i, j, (ends - starts) / ends[-1]


def _sorted_projections(target, given, with_order):
    g = given()

    def run(kernels):
        X, shape = g.sent(kernels)[0], (_DIRECTIONS, len(g.clouds[0]))
        out, index = kernels.empty(shape, g.dtype), kernels.empty(shape, np.int32) if with_order else None
        kernels.sorted_projections(X, g.directions, out, index)
        return (kernels.to_host(out), *([kernels.to_host(index)] if with_order else []))

    products = g.directions @ g.clouds[0].astype(np.float64).T
    order = np.argsort(products, axis=1, kind="stable")
    compare(target, run, [(np.sort(products, axis=1), 0), *([(order, 0)] if with_order else [])])


def _sliced_powers(target, given, p=2.0):
    g = given()

    def run(kernels):
        out = np.full(_DIRECTIONS, np.nan)
        kernels.sliced_powers(*g.sent(kernels), g.directions, p, out)
        return (out,)

    out = g.coupled(p)[0]
    compare(target, run, [(out, 1e-11 * (out + 1.0))])


def _sorted_powers(target, given, p=3.0):
    g = given()

    def run(kernels):
        X, Y, a, b = g.sent(kernels)
        keys, orders = [], []
        for Z in (X, Y):
            shape = _DIRECTIONS, len(Z)
            keys.append(kernels.empty(shape, g.dtype))
            orders.append(None if a is None else kernels.empty(shape, np.int32))
            kernels.sorted_projections(Z, g.directions, keys[-1], orders[-1])
        out = np.full(_DIRECTIONS, np.nan)
        kernels.sorted_powers(*keys, *orders, a, b, p, out)
        return (out,)

    out = g.coupled(p)[0]
    compare(target, run, [(out, 1e-11 * (out + 1.0))])


def _sliced_gradients(target, given, p=2.0):
    g = given()

    def run(kernels):
        out, X, Y = np.full(_DIRECTIONS, np.nan), *(kernels.zeros(Z.shape, np.float64) for Z in g.clouds)
        kernels.sliced_gradients(*g.sent(kernels), g.directions, g.weights, p, out, X, Y)
        return out, kernels.to_host(X), kernels.to_host(Y)

    out, dX, dY = g.coupled(p)
    compare(target, run, [(each, 1e-11 * (np.abs(each).max() + 1.0)) for each in (out, dX, dY)])


_FORMS = ("uniform", "weights")
#: kernel, check, forms
CHECKS = (
    ("sliced_gradients", _sliced_gradients, _FORMS),
    ("sliced_powers", _sliced_powers, _FORMS),
    ("sorted_powers", _sorted_powers, _FORMS),
    ("sorted_projections", partial(_sorted_projections, with_order=True), ("ordered",)),
    ("sorted_projections", partial(_sorted_projections, with_order=False), ("alone",)),
)

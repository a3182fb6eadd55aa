"""Parity of sweeps of transport where they are hard: long rows, exponents out of range, the end at a threshold.

Exponents are rounded by what the costs over eps are large, which is what the bounds scale with.
"""

from functools import partial
from itertools import product

import numpy as np
from scipy.special import logsumexp

from ._parity_compare import compare

__all__ = ["CHECKS", "cases"]

_DTYPES = ("float32", "float64")
# Rows that a warp holds, that a block of either kernel holds, and longer ones.
_SHAPES = ((33, 40), (100, 700), (60, 5000), (40, 13000))
_STEPS = 4


def cases():
    """Yield (group, id, n, dtype, check) for every kernel, form of the costs, dtype and shape."""
    for kernel, what, check, forms in CHECKS:
        for form, dtype, (n, m) in product(forms, _DTYPES, _SHAPES):
            name = f"kernel:{kernel}-{what}-{form}-{dtype}-{n}x{m}"
            given = {"points": form == "points", "shape": (n, m), "dtype": np.dtype(dtype)}
            yield f"kernel:{kernel}", name, n if n * m <= 100_000 else n * m, dtype, partial(check, **given)


class _Problem:
    """Costs, weights and potentials in that precision; the costs once more in float64."""

    def __init__(self, points, shape, dtype):
        rng = np.random.default_rng(shape)
        self.dtype, self.points = dtype, points
        if points:
            self.held = tuple(rng.random((k, 3)).astype(dtype) for k in shape)
            X, Y = (each.astype(np.float64) for each in self.held)
            self.C = sum((x[:, None] - y) ** 2 for x, y in zip(X.T, Y.T, strict=True))
        else:
            self.held = (rng.random(shape).astype(dtype),)
            self.C = self.held[0].astype(np.float64)
        self.a, self.b = ((w / w.sum()).astype(dtype) for w in (rng.random(k) + 0.1 for k in shape))
        self.u, self.v = (rng.random(k).astype(dtype) for k in shape)

    def sent(self, kernels):
        """The operand, a, b, u, v."""
        held = [kernels.copy_to_device(each, self.dtype) for each in self.held]
        cost = kernels.PointCosts(*held, 2.0) if self.points else kernels.CostMatrix(*held)
        return cost, *(kernels.copy_to_device(each, self.dtype) for each in (self.a, self.b, self.u, self.v))

    def swept(self, inv_eps, omega, threshold):
        """u, v and errors after a chunk."""
        G, u, v, errors = -self.C * inv_eps, self.u.astype(float), self.v.astype(float), np.zeros(_STEPS)
        a, b = self.a.astype(float), self.b.astype(float)
        for step in range(_STEPS):
            u = u + omega * (np.log(a) - logsumexp(G + v, axis=1) - u)
            P = np.exp(G + u[:, None] + v)
            errors[step] = np.abs(P.sum(axis=0) - b).sum() + np.abs(P.sum(axis=1) - a).sum()
            if errors[step] <= threshold:
                break
            v = v + omega * (np.log(b) - logsumexp(G + u[:, None], axis=0) - v)
        return u, v, errors


def _compare(target, p, inv_eps, omega, chunk):
    """All sweeps, and those up to a threshold between two errors."""
    errors = p.swept(inv_eps, omega, -1.0)[2]
    limits = -1.0, float(np.sqrt(errors[1] * errors[2]))

    def run(kernels):
        answers = []
        for limit in limits:
            cost, *given = p.sent(kernels)
            found = np.zeros(_STEPS)
            taken = chunk(kernels, cost, inv_eps, *given, found, limit)
            answers += [*(kernels.to_host(each) for each in given[2:]), found, taken]
        return tuple(answers)

    expected, close = [], 16 * float(np.finfo(p.dtype).eps) * (20 + inv_eps * p.C.max())
    for limit in limits:
        u, v, errors = p.swept(inv_eps, omega, limit)
        expected += [(u, close), (v, close), (errors, close * (1 + errors)), (np.count_nonzero(errors), 0)]
    compare(target, run, expected)


def _log_chunk(target, points, shape, dtype, inv_eps, omega):
    def chunk(kernels, cost, inv_eps, a, b, u, v, found, limit):
        return kernels.log_chunk(cost, inv_eps, a, b, u, v, omega, found, limit, _STEPS)

    _compare(target, _Problem(points, shape, dtype), inv_eps, omega, chunk)


def _scaling_chunk(target, points, shape, dtype, inv_eps):
    def chunk(kernels, cost, inv_eps, a, b, u, v, found, limit):
        S = kernels.scaling(cost, inv_eps, u, v)
        return kernels.scaling_chunk(cost, inv_eps, a, b, u, v, S, found, limit, _STEPS)

    _compare(target, _Problem(points, shape, dtype), inv_eps, 1.0, chunk)


_BOTH = ("matrix", "points")
#: The kernel, what of it, the check, and the forms of costs that it takes.
CHECKS = (
    ("log_chunk", "plain", partial(_log_chunk, inv_eps=20.0, omega=1.0), _BOTH),
    ("log_chunk", "relaxed", partial(_log_chunk, inv_eps=20.0, omega=1.3), _BOTH),
    ("log_chunk", "extreme", partial(_log_chunk, inv_eps=5e4, omega=1.0), _BOTH),
    ("scaling_chunk", "plain", partial(_scaling_chunk, inv_eps=20.0), ("matrix",)),
    ("scaling_chunk", "extreme", partial(_scaling_chunk, inv_eps=5e4), ("matrix",)),
)

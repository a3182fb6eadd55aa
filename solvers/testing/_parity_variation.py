"""Parity of the kernels of total variation, beside differences and projections in plain NumPy."""

from functools import partial
from itertools import product

import numpy as np

from ._parity_compare import compare

__all__ = ["CHECKS", "cases"]

_DTYPES = ("float32", "float64")
# (images, components, nz, ny, nx), and the axes of differences.
_SHAPES = (((3, 1, 1, 5, 7), 2), ((2, 2, 1, 20, 9), 2), ((2, 1, 4, 3, 5), 3), ((1, 2, 3, 67, 130), 3))
_MOMENTUM = 0.25


def cases():
    """Yield (group, id, n, dtype, check) for every kernel, dtype and shape."""
    for (kernel, check), dtype, (shape, axes) in product(CHECKS, _DTYPES, _SHAPES):
        name = f"kernel:{kernel}-{dtype}-{'x'.join(map(str, shape))}"
        given = partial(_Given, np.dtype(dtype), shape, axes)
        yield f"kernel:{kernel}", name, int(np.prod(shape)), dtype, partial(check, given=given)


class _Given:
    """Images of whole numbers, dual variables no longer than 1, and all images but the second to work on."""

    def __init__(self, dtype, shape, axes):
        rng = np.random.default_rng(3)
        self.dtype, self.axes = dtype, axes
        self.which = np.array([j for j in range(shape[0]) if j != 1])
        self.weights = (0.5 + np.arange(shape[0])).astype(dtype)
        self.steps = (1 / (4 * axes * self.weights)).astype(dtype)
        self.V = rng.integers(-3, 4, shape).astype(dtype)
        self.P, self.R = (self._dual(rng.integers(-8, 9, (shape[0], axes, *shape[1:])) / 32) for _ in range(2))

    def _dual(self, P):
        for a in range(self.axes):
            P[(slice(None), a, *(slice(None),) * (4 - self.axes + a), -1)] = 0
        return P.astype(self.dtype)

    def gradient(self, R):
        """V - w D^T R and its differences, in double precision."""
        X = self.V.astype(float)
        for a in range(self.axes):
            r, w = R[:, a].astype(float), self.weights.astype(float).reshape(-1, 1, 1, 1, 1)
            X += w * np.diff(r, axis=a - self.axes, prepend=0)
        last = [np.take(X, [-1], axis=a - self.axes) for a in range(self.axes)]
        return X, np.stack([np.diff(X, axis=a - self.axes, append=last[a]) for a in range(self.axes)], axis=1)

    def sent(self, kernels):
        arrays = {"V": self.V, "weights": self.weights, "steps": self.steps, "P": self.P, "R": self.R}
        sent = {name: kernels.copy_to_device(each, self.dtype) for name, each in arrays.items()}
        return sent | {"which": kernels.copy_to_device(self.which, np.int64)}

    def bound(self, many=40):
        return many * np.finfo(self.dtype).eps


def _variation_step(target, given):
    g = given()

    def run(kernels):
        at, S = g.sent(kernels), kernels.copy_to_device(g.R, g.dtype)
        V, weights, steps, P, R, which = at.values()
        kernels.variation_step(V, weights, steps, _MOMENTUM, which, P, R, S)
        return kernels.to_host(P), kernels.to_host(S)

    Q = g.R + g.steps.astype(float).reshape(-1, 1, 1, 1, 1, 1) * g.gradient(g.R)[1]
    Q /= np.maximum(1, np.sqrt((Q**2).sum(axis=(1, 2), keepdims=True)))
    P, S = g.P.astype(float), g.R.astype(float)
    S[g.which] = (Q + _MOMENTUM * (Q - P))[g.which]
    P[g.which] = Q[g.which]
    compare(target, run, [(P, g.bound()), (S, g.bound())])


def _variation_gap(target, given):
    g = given()

    def run(kernels):
        at, X = g.sent(kernels), kernels.copy_to_device(g.V, g.dtype)
        gaps = kernels.variation_gap(at["V"], at["weights"], at["which"], at["P"], X)
        return kernels.to_host(X), gaps

    X, D = g.gradient(g.P)
    slack = np.sqrt((D**2).sum(axis=(1, 2))) - (D * g.P).sum(axis=(1, 2))
    gaps = g.weights.astype(float) * slack.reshape(len(X), -1).sum(axis=1)
    X = np.where(np.isin(np.arange(len(X)), g.which).reshape(-1, 1, 1, 1, 1), X, g.V)
    compare(target, run, [(X, 10 * g.bound()), (gaps[g.which], g.bound() * gaps[g.which])])


#: kernel, check
CHECKS = (("variation_gap", _variation_gap), ("variation_step", _variation_step))

"""LSQR and LSMR with a weight: as damping, or with an L as the rows sqrt(weight) L below A."""

import math

import numpy as np

from .._arrays import module_of
from .._stacks import columns, norms
from ..linalg._golub_kahan import Bidiagonalisation

__all__ = ["Augmented"]


class Augmented:
    """LSQR or LSMR as a method of ``linalg._golub_kahan.drive`` whose ``rnorm`` is that of b - A x.

    Parameters
    ----------
    kind : LSQR or LSMR
    forward, adjoint, R, weight, penalty
        As for ``CGLS``.
    """

    exhausted = False

    def __init__(self, kind, forward, adjoint, R, weight, penalty=None):
        self._weight, self._penalty, self._m = weight, penalty, math.prod(R.shape[1:])
        self._forward, self._adjoint, self._shape = forward, adjoint, R.shape[1:]
        self._penalty_shape, damp = None, np.sqrt(weight)
        if penalty is not None:
            xp, damp = module_of(R), 0.0
            LX = penalty[0](adjoint(R) * 0)
            self._penalty_shape = LX.shape[1:]
            R = xp.concatenate([R.reshape(len(R), self._m), LX.reshape(len(R), math.prod(LX.shape[1:]))], axis=1)
            forward, adjoint = self._apply, self._apply_back
        process = Bidiagonalisation(forward, adjoint, R)
        self._steps = kind(process, process.V * 0, damp)
        self._read()

    def _apply(self, X):
        Y, LX = self._forward(X), self._penalty[0](X)
        LX *= columns(np.sqrt(self._weight), LX)
        return module_of(X).concatenate([Y.reshape(len(X), -1), LX.reshape(len(X), -1)], axis=1)

    def _apply_back(self, Y):
        k, m, xp = len(Y), self._m, module_of(Y)
        X = self._adjoint(xp.ascontiguousarray(Y[:, :m]).reshape(k, *self._shape))
        P = Y[:, m:] * columns(np.sqrt(self._weight), Y)
        X += self._penalty[1](xp.ascontiguousarray(P).reshape(k, *self._penalty_shape))
        return X

    def _read(self):
        steps = self._steps
        self.arnorm, self.failed, self.mismatch = steps.arnorm, steps.failed, steps.mismatch
        self.xnorm = steps.xnorm if self._penalty is None else norms(self._penalty[0](steps.X))
        self.rnorm = np.sqrt(np.maximum(steps.rnorm**2 - self._weight * self.xnorm**2, 0.0))

    def step(self):
        self._steps.step()
        self._read()

    def answer(self, rows):
        return self._steps.answer(rows)

    def keep(self, rows):
        self._weight = self._weight[rows]
        self._steps.keep(rows)
        self._read()

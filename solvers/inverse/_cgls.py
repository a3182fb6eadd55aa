"""Conjugate gradients for least squares on stacks.

Hestenes and Stiefel 1952, section 10; Björck, Numerical methods for least squares problems (SIAM 1996), algorithm
7.4.1. Each step's x is the filtered solution whose filter the Krylov space of the data makes: few steps regularise,
many do not. A weight adds ``weight |L x|^2`` to what is minimised.
"""

import numpy as np

from .._arrays import module_of
from .._stacks import columns, inner_rows, norms, ratio, taken_rows

__all__ = ["CGLS"]


class CGLS:
    """The recurrence in its usual letters: a method of ``linalg._golub_kahan.drive``.

    Parameters
    ----------
    forward, adjoint : function
        From a stack to a new one: the products with A and with A^H.
    R : array, shape (k, ...)
        The data, which becomes the residual.
    weight : ndarray, shape (k,)
    penalty : (function, function), optional
        The products with L and with L^H; the identity by default.
    probe : array, shape (1, ...), optional
        Random data of signs, to which the filter of each row is applied beside its own data; this doubles the work.

    Attributes
    ----------
    rnorm, xnorm, arnorm : ndarray, shape (k,)
        The norms of b - A x, of L x (x by default), and of the gradient.
    mismatch : ndarray, shape (k,)
        By how much the adjoint has been seen to be wrong, relative to the norms of what was multiplied.
    trace : ndarray, shape (k,)
        An estimate, without bias, of the trace of I - (the matrix that takes b to A x), if there is a probe.
    """

    exhausted = False

    def __init__(self, forward, adjoint, R, weight, penalty=None, probe=None):
        self._forward, self._adjoint, self._penalty = forward, adjoint, penalty
        self._weight, self._probe = weight, probe
        k = self._k = len(R)
        self._R = R if probe is None else _stacked(R, [probe] * k)
        self._S = adjoint(self._R)
        self._P, self.X = self._S.copy(), self._S * 0
        self._LX = None if penalty is None else penalty[0](self.X)
        self._gamma = inner_rows(self._S, self._S)[:k]
        self.rnorm, self.arnorm, self.xnorm = norms(R[:k]), np.sqrt(self._gamma), np.zeros(k)
        self.failed, self.mismatch, self._A = ~np.isfinite(self._gamma), np.zeros(k), np.zeros(k)
        self.trace = None if probe is None else np.full(k, float(probe.size))

    def step(self):
        X, R, P, k = self.X, self._R, self._P, self._k
        Q = self._forward(P)
        LP = P if self._penalty is None else self._penalty[0](P)
        q2 = inner_rows(Q[:k], Q[:k])
        self._compare_adjoint(Q, LP, np.sqrt(q2))
        delta = q2 + self._weight * inner_rows(LP[:k], LP[:k])
        alpha = ratio(self._gamma, delta)
        self.failed = ~np.isfinite(alpha) | ~np.isfinite(delta)
        alpha = self._for_all(np.where(self.failed, 0.0, alpha))
        X += P * columns(alpha, P)
        R -= Q * columns(alpha, Q)
        if self._penalty is not None:
            self._LX += LP * columns(alpha, LP)
        S = self._gradient()
        last, self._gamma = self._gamma, inner_rows(S, S)[:k]
        self.failed |= ~np.isfinite(self._gamma)
        P *= columns(self._for_all(ratio(self._gamma, last)), P)
        P += S
        self._read(np.sqrt(self._gamma))

    def _compare_adjoint(self, Q, LP, size):
        """<A P, R> - weight <L P, L X> is <P, S> with the true adjoint, and that is gamma in this recurrence."""
        k = self._k
        product = inner_rows(Q[:k], self._R[:k])
        if self._weight.any():
            product -= self._weight * inner_rows(LP[:k], (self.X if self._LX is None else self._LX)[:k])
        length = norms(self._P[:k])
        self._A = np.maximum(self._A, ratio(size, length))
        most = self._A * length * np.maximum(self.rnorm, np.sqrt(self._weight) * self.xnorm)
        self.mismatch = np.fmax(self.mismatch, ratio(abs(product - self._gamma), most))

    def _gradient(self):
        """A^H R - weight L^H L X."""
        S = self._adjoint(self._R)
        if self._weight.any():
            LX = self.X if self._penalty is None else self._penalty[1](self._LX)
            S -= LX * columns(self._for_all(self._weight), LX)
        return S

    def _read(self, arnorm):
        k, go = self._k, ~self.failed
        self.rnorm, self.arnorm = np.where(go, norms(self._R[:k]), self.rnorm), np.where(go, arnorm, self.arnorm)
        self.xnorm = np.where(go, norms(self.X[:k] if self._LX is None else self._LX[:k]), self.xnorm)
        if self._probe is not None:
            self.trace = inner_rows(_stacked(self._R[:0], [self._probe] * k), self._R[k:])

    def _for_all(self, scalars):
        return scalars if self._probe is None else np.concatenate([scalars, scalars])

    def answer(self, rows):
        return taken_rows(self.X, rows)

    def keep(self, rows):
        both = rows if self._probe is None else np.concatenate([rows, rows + self._k])
        self.X, self._R, self._P = (taken_rows(Y, both) for Y in (self.X, self._R, self._P))
        self._LX = None if self._LX is None else taken_rows(self._LX, both)
        self._k = len(rows)
        for name in ("_weight", "_gamma", "_A", "rnorm", "arnorm", "xnorm", "failed", "mismatch", "trace"):
            value = getattr(self, name)
            setattr(self, name, None if value is None else value[rows])


def _stacked(first, rest):
    return module_of(first).concatenate([first, *rest])

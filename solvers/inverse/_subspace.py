"""Tikhonov regularisation with a general L in a growing subspace, the weight chosen at every step.

Lampe, Reichel and Voss, Linear Algebra Appl. 436 (2012) 2845-2865: the problem is projected on span V, with the factors
A V = Q_A R_A and L V = Q_L R_L kept up to date, and V grows by the gradient at the projected solution. The small
problem is made diagonal by the generalised singular values of R_A and R_L. Step k costs one product with A, A^H, L and
L^H each and some 6 k (m + n + p) more; memory is k (m + n + p).
"""

import math

import numpy as np

from .._arrays import module_of
from .._stacks import columns, inner_rows, normalise, norms, ratio, taken_rows
from ..linalg._golub_kahan import mismatch
from ._hybrid import Bases, settle
from ._weights import Small, choose

__all__ = ["Subspace"]

# The first steps go along the Krylov space of A alone: in one or two dimensions no rule finds a weight.
_FIRST = 6


class Subspace:
    """The method for ``linalg._golub_kahan.drive``; parameters and attributes are those of ``_hybrid.Hybrid``.

    Parameters
    ----------
    penalty : (function, function)
        The products with L and with L^H.
    """

    def __init__(self, forward, adjoint, penalty, R, rule, targets=None):
        self._forward, self._adjoint, self._penalty = forward, adjoint, penalty
        self._outside, k = R, len(R)
        self._rule, self._targets = rule, np.full(k, np.nan) if targets is None else targets
        self._weights = np.full(k, np.nan) if isinstance(rule, str) else np.broadcast_to(rule, (k,))
        self.rnorm, self.xnorm = norms(R), np.zeros(k)
        self._bnorm = self.rnorm.copy()
        self._V = adjoint(R)
        self.arnorm = normalise(self._V)
        self._shape, self._bases, self.mismatch = R.shape[1:], None, None
        self._A = self._L = None
        self.failed = ~np.isfinite(self.arnorm)
        self.weight, self.settled = self._weights.copy(), np.zeros(k, bool)
        self._ys, self._calm = [np.zeros(0)] * k, np.zeros(k, int)

    def step(self):
        AV, LV = self._forward(self._V), self._penalty[0](self._V)
        if self.mismatch is None:
            self._begin(AV, LV)
        else:
            self._bases.append(self._V)
        self._A.append(AV)
        self._L.append(LV)
        self._A.project(self._outside)
        G, most = self._gradients()
        self.failed = ~np.isfinite(self.arnorm)
        # At the solution of the small problem the gradient is orthogonal to V: what is not is the adjoint's error.
        within = [np.linalg.norm(taken) for taken in self._bases.orthogonalise(G)]
        self.mismatch = np.fmax(self.mismatch, ratio(within, most))
        normalise(G)
        self._V = G

    def _begin(self, AV, LV):
        self.mismatch = ratio(mismatch(inner_rows(self._outside, AV), self.arnorm, AV), self.rnorm)
        self._bases, self._A, self._L = Bases(self._V), _Factor(AV), _Factor(LV)

    def _gradients(self):
        """Solve the small problem of each row; the gradients of the large one there, and what their terms may be."""
        R, P, weights = self._outside.copy(), [], np.zeros(len(self._outside))
        for j in range(len(R)):
            if not np.isfinite(self._A.columns[j][-1]).all():
                self.arnorm[j] = np.inf
                P.append(None)
                continue
            y, used = self._solve(j)
            along = self._bases.count <= _FIRST and isinstance(self._rule, str)
            weights[j] = 0.0 if along else used
            RA = self._A.triangle(j)
            z = np.linalg.lstsq(RA, self._A.data[j], rcond=None)[0] if along else y
            R[j] += self._A.Q.combine(j, self._A.data[j] - RA @ z).reshape(self._shape)
            P.append(self._L.Q.combine(j, self._L.triangle(j) @ z))
        G = self._adjoint(R)
        near = math.sqrt(np.finfo(R.dtype).eps)
        most = self._A.largest() * (norms(R) + near * self._bnorm)
        if weights.any():
            shape = next(p.shape for p in P if p is not None)
            stack = self._L.empty(len(P), shape)
            for j, p in enumerate(P):
                stack[j] = 0 if p is None else p
            LP = self._penalty[1](stack)
            G -= LP * columns(weights, LP)
            sizes = np.array([np.linalg.norm(y) for y in self._ys])
            most = most + weights * self._L.largest() * (norms(stack) + near * self._L.largest() * sizes)
        found = norms(G)
        self.arnorm = np.where(np.isinf(self.arnorm), np.inf, found)
        return G, most

    def _solve(self, j):
        """y in the basis of the row, and the weight used: that of the rule, or 0 as long as it finds none."""
        RA, RL = self._A.triangle(j), self._L.triangle(j)
        # A common scale, so that neither factor drowns in the rounding of the other.
        scale = (np.linalg.norm(RA) / np.linalg.norm(RL) if RL.any() else 1.0) or 1.0
        Q, R = np.linalg.qr(np.vstack([RA, scale * RL]))
        k = len(R)
        U, c, Wh = np.linalg.svd(Q[:k])
        s = np.linalg.norm(Q[k:] @ Wh.conj().T, axis=0)
        small = Small(c, s, U.conj().T @ self._A.data[j], float(norms(self._outside[j : j + 1])[0]))
        weight = self._weights[j] / scale**2
        if isinstance(self._rule, str):
            weight = choose(small, self._rule, self._targets[j])
        used = 0.0 if weight is None else weight
        y = np.linalg.lstsq(R, Wh.conj().T @ small.y(used), rcond=None)[0]
        self.xnorm[j] = small.size(used) / scale
        settle(self, j, y, None if weight is None else weight * scale**2, small.misfit(used))
        return y, used * scale**2

    @property
    def exhausted(self):
        """Whether the basis spans all there is."""
        return self._bases is not None and self._bases.count >= math.prod(self._V.shape[1:])

    def answer(self, rows):
        X = taken_rows(self._V, rows)
        for i, j in enumerate(rows):
            X[i] = self._bases.combine(j, self._ys[j]) if len(self._ys[j]) else 0
        return X

    def keep(self, rows):
        self._V, self._outside = taken_rows(self._V, rows), taken_rows(self._outside, rows)
        self._ys = [self._ys[j] for j in rows]
        for part in (self._bases, self._A, self._L):
            if part is not None:
                part.keep(rows)
        for name in ("_bnorm", "_targets", "_weights", "_calm", "mismatch", *_READ):
            value = getattr(self, name)
            setattr(self, name, None if value is None else value[rows])


_READ = ("rnorm", "xnorm", "arnorm", "failed", "weight", "settled")


class _Factor:
    """Q and R of a product with V, for each row of a stack, one column more at a time."""

    def __init__(self, first):
        self.Q, self.columns, self.data = None, [[] for _ in first], [[] for _ in first]
        self._like = first[:0]

    def append(self, W):
        """One more column of the product; W is overwritten."""
        if self.Q is None:
            above, sizes = [np.zeros(0)] * len(W), normalise(W)
            self.Q = Bases(W)
        else:
            before = norms(W)
            above, sizes = self.Q.orthogonalise(W), norms(W)
            sizes = np.where(sizes > 1e-14 * before, sizes, 0.0)  # within the span: what is left is rounding
            W *= columns(ratio(1.0, sizes), W)
            self.Q.append(W)
        for own, column, size in zip(self.columns, above, sizes, strict=True):
            own.append(np.append(column, size))

    def project(self, outside):
        """Move what the newest column explains of the data from ``outside``, in place, to ``data``."""
        for j, d in enumerate(self.Q.project_last(outside)):
            self.data[j] = np.append(self.data[j], d)

    def largest(self):
        """The largest norm of a column, of each row: a bound from below of that of the operator."""
        return np.array([max(map(np.linalg.norm, own)) for own in self.columns])

    def triangle(self, j):
        k = len(self.columns[j])
        R = np.zeros((k, k), np.result_type(*self.columns[j]))
        for i, column in enumerate(self.columns[j]):
            R[: i + 1, i] = column
        return R

    def empty(self, k, shape):
        return module_of(self._like).zeros((k, *shape), self._like.dtype)

    def keep(self, rows):
        self.Q.keep(rows)
        self.columns, self.data = [self.columns[j] for j in rows], [self.data[j] for j in rows]

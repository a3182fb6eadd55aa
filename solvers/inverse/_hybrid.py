"""Hybrid Golub-Kahan-Tikhonov: regularisation within the Krylov space, with the weight chosen at every step.

O'Leary and Simmons, SIAM J. Sci. Stat. Comput. 2 (1981) 474-489; Chung, Nagy and O'Leary, ETNA 28 (2008) 149-167. The
bases are kept and reorthogonalised, so that the small problem is the projection of the large one: step k costs one
product with A, one with A^H and 4 k (m + n) more; memory is k (m + n).

The function of generalised cross validation is that of the projected problem, with k + 1 data. With the m data of the
large one it would drift to smaller weights as k grows, since what the Krylov space has not reached counts as noise.
"""

import math

import numpy as np

from .. import _backend
from .._arrays import kinds
from .._stacks import taken_rows
from ..linalg._golub_kahan import Bidiagonalisation
from ._weights import Small, choose

__all__ = ["Bases", "Hybrid", "settle"]

# The weight is settled when the solution has changed by less than this in so many steps running, and the misfit has not
# fallen below this share of the last: without noise it would go on falling.
_CHANGE, _STEPS, _STEADY = 0.005, 3, 0.9


class Bases:
    """The columns so far, for each row of a stack, as rows of one array that grows."""

    def __init__(self, W):
        self._kernels = _backend.kernels("gpu" if kinds[type(W)] == "gpu" else "cpu")
        self.count, self._shape = 0, W.shape[1:]
        self._all = self._kernels.empty((len(W), 4, math.prod(W.shape[1:])), W.dtype)
        self.append(W)

    def append(self, W):
        """One more column in each row."""
        k, room, n = self._all.shape
        if self.count == room:
            grown = self._kernels.empty((k, 2 * room, n), self._all.dtype)
            grown[:, :room] = self._all
            self._all = grown
        self._all[:, self.count] = W.reshape(k, n)
        self.count += 1

    def orthogonalise(self, W):
        """Free each row of W, in place, from its columns so far; twice is enough (Kahan). Returns what was taken."""
        taken = []
        for basis, w in zip(self._all, W):
            w = w.reshape(-1)
            first = self._kernels.project(basis[: self.count], w)
            self._kernels.combine(-first, basis[: self.count], w)
            second = self._kernels.project(basis[: self.count], w)
            self._kernels.combine(-second, basis[: self.count], w)
            taken.append(first + second)
        return taken

    def project_last(self, W):
        """Free each row of W, in place, from its last column; returns what was taken."""
        taken = []
        for basis, w in zip(self._all, W):
            last, w = basis[self.count - 1 : self.count], w.reshape(-1)
            taken.append(self._kernels.project(last, w))
            self._kernels.combine(-taken[-1], last, w)
        return taken

    def combine(self, row, y):
        """The sum of y_j times column j, in the shape of one row."""
        out = self._kernels.zeros(self._all.shape[2], self._all.dtype)
        self._kernels.combine(y.astype(self._all.dtype), self._all[row, : len(y)], out)
        return out.reshape(self._shape)

    def keep(self, rows):
        self._all = taken_rows(self._all, rows)


class _Reorthogonalised(Bidiagonalisation):
    """The process with all its columns kept orthogonal to one another."""

    def __init__(self, forward, adjoint, R):
        super().__init__(forward, adjoint, R)
        self.bases = {"U": Bases(self.U), "V": Bases(self.V)}

    def _orthogonal_to_all(self, name, W):
        self.bases[name].orthogonalise(W)

    def step(self):
        super().step()
        self.bases["U"].append(self.U)
        self.bases["V"].append(self.V)

    def keep(self, rows):
        super().keep(rows)
        for basis in self.bases.values():
            basis.keep(rows)


class Hybrid:
    """The method for ``linalg._golub_kahan.drive``.

    Parameters
    ----------
    forward, adjoint, R
        As for ``Bidiagonalisation``; R is overwritten.
    rule : {"gcv", "discrepancy", "l-curve"} or ndarray of shape (k,)
        How the weight is chosen, or the weights.
    targets : ndarray of shape (k,), optional
        The misfits that the discrepancy principle asks for.

    Attributes
    ----------
    weight : ndarray, shape (k,)
        The weight of each row, NaN before there is one.
    settled : ndarray of bool, shape (k,)
        Whether the weight and the solution no longer change.
    exhausted : bool
        Whether the subspace is the whole space.
    """

    def __init__(self, forward, adjoint, R, rule, targets=None):
        self._process = process = _Reorthogonalised(forward, adjoint, R)
        k = len(process.alpha)
        self._rule, self._targets = rule, np.full(k, np.nan) if targets is None else targets
        self._weights = np.full(k, np.nan) if isinstance(rule, str) else np.broadcast_to(rule, (k,))
        self._first, self._alphas, self._betas = process.beta, [process.alpha], []
        self.rnorm, self.xnorm, self.arnorm = process.beta.copy(), np.zeros(k), process.alpha * process.beta
        self.failed = ~np.isfinite(process.alpha * process.beta)
        self.weight, self.settled = self._weights.copy(), np.zeros(k, bool)
        self._ys, self._calm = [np.zeros(0)] * k, np.zeros(k, int)

    @property
    def mismatch(self):
        return self._process.mismatch

    def step(self):
        process = self._process
        process.step()
        self.failed = ~np.isfinite(process.alpha + process.beta)
        self._betas.append(process.beta)
        alphas, betas = np.array(self._alphas), np.array(self._betas)
        for j in np.flatnonzero(~self.failed):
            self._solve(j, alphas[:, j], betas[:, j])
        self._alphas.append(process.alpha)

    def _solve(self, j, alpha, beta):
        """The small problem of one row: min |B y - beta_1 e_1|^2 + weight |y|^2."""
        k = len(alpha)
        B = np.zeros((k + 1, k))
        B[np.arange(k), np.arange(k)], B[np.arange(1, k + 1), np.arange(k)] = alpha, beta
        P, c, Qh = np.linalg.svd(B)
        d = self._first[j] * P[0]
        small = Small(c, np.ones(k), d[:k], abs(d[k]))
        weight = self._weights[j] if not isinstance(self._rule, str) else choose(small, self._rule, self._targets[j])
        used = 0.0 if weight is None else weight
        y = Qh.T @ small.y(used)
        settle(self, j, y, weight, small.misfit(used))
        self.xnorm[j] = np.linalg.norm(y)
        self.arnorm[j] = self._process.alpha[j] * beta[-1] * abs(y[-1])

    @property
    def exhausted(self):
        """Whether the bases span all there is."""
        U, V = self._process.U, self._process.V
        return len(self._betas) >= min(math.prod(U.shape[1:]), math.prod(V.shape[1:]))

    def answer(self, rows):
        X = taken_rows(self._process.V, rows)
        for i, j in enumerate(rows):
            X[i] = self._process.bases["V"].combine(j, self._ys[j])
        return X

    def keep(self, rows):
        self._process.keep(rows)
        self._alphas, self._betas = ([each[rows] for each in values] for values in (self._alphas, self._betas))
        self._ys = [self._ys[j] for j in rows]
        for name in ("_first", "_targets", "_weights", "_calm", *_READ):
            setattr(self, name, getattr(self, name)[rows])


_READ = ("rnorm", "xnorm", "arnorm", "failed", "weight", "settled")


def settle(method, j, y, weight, misfit):
    """Note the new solution of a row in its orthonormal basis, its misfit, and whether they still change."""
    last = np.zeros_like(y)
    last[: len(method._ys[j])] = method._ys[j]
    calm = weight is not None and np.linalg.norm(y - last) <= _CHANGE * np.linalg.norm(y)
    calm = calm and misfit >= _STEADY * method.rnorm[j]
    method.rnorm[j] = misfit
    method._calm[j] = method._calm[j] + 1 if calm else 0
    method._ys[j], method.weight[j] = y, np.nan if weight is None else weight
    method.settled[j] = method._calm[j] >= _STEPS

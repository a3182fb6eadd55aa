"""One coordinate: its nodes, a basis of features that is orthonormal on them, and its two ends."""

import math
from functools import lru_cache

import numpy as np
import scipy.linalg

__all__ = ["Axis", "nodes_of"]

# Directions of features below this part of the largest are rounding.
_RANK = 1e-13


class Axis:
    """A basis for functions on an interval.

    Parameters
    ----------
    low, high : float
    n : int
        Nodes.
    kernel : object with ``features``
    ends : list of (side, derivative)
        The ends where data is given: side 0 or 1, and the order of the derivative, 0 or 1.
    orders : list of int
        Derivatives in use.
    grid : "legendre" or "uniform"

    Attributes
    ----------
    band : float
        The frequency up to which the kernel has all.
    x, w : ndarray, shape (n,)
        Nodes and quadrature weights.
    r : int
        Functions of the basis; deviations (r,) are their prior standard deviations.
    D : dict, order to ndarray of shape (r, r)
        Derivatives, projected on the basis.
    B : ndarray, shape (k, r)
        The data at the ends, as functionals of the coefficients.
    Z : ndarray, shape (r, r - k)
        An orthonormal basis of what is zero there.
    lift : ndarray, shape (r, k)
        The coefficients of least prior norm with given data at the ends: B lift = I.
    """

    def __init__(self, low, high, n, kernel, ends, orders, grid):
        self.low, self.high, self.n, self.ends = low, high, n, ends
        self.x, self.w = nodes_of(low, high, n, grid)
        limit = math.pi * n / (high - low)
        self.omegas, deviations = kernel.features(high - low, limit)
        self.band = kernel.band_limit(high - low, limit)
        self.root = np.sqrt(self.w)
        waves = self._waves(self.x)
        U, s, Vt = scipy.linalg.svd(
            self.root[:, None] * self._features(waves, 0) * np.tile(deviations, 2), full_matrices=False
        )
        keep = s > _RANK * s[0]
        self._combine = (np.tile(deviations, 2)[:, None] * Vt[keep].T) / s[keep]
        self.deviations, self.Q = s[keep], np.ascontiguousarray(U[:, keep])
        self.r = len(self.deviations)
        self.orders = sorted(set(orders))
        # E[k] takes coefficients to the k-th derivative at the nodes, times the root of the weights.
        higher = {k: self.root[:, None] * (self._features(waves, k) @ self._combine) for k in self.orders if k}
        self.E = {0: self.Q} | higher
        self.D = {k: self.Q.T @ E for k, E in self.E.items()}
        self._split()
        self._free = {}

    def _split(self):
        points = [(self.low, self.high)[side] for side, _ in self.ends]
        rows = [self.at(np.array([p]), k)[0] for p, (_, k) in zip(points, self.ends, strict=True)]
        self.B = np.array(rows).reshape(len(rows), self.r)
        k = len(rows)
        self.Z = scipy.linalg.qr(self.B.T)[0][:, k:] if k else np.eye(self.r)
        weighted = self.B * self.deviations**2
        self.lift = np.linalg.solve(weighted @ self.B.T, weighted).T if k else np.zeros((self.r, 0))

    def _waves(self, x):
        phase = np.multiply.outer(np.asarray(x, dtype=np.float64) - 0.5 * (self.low + self.high), self.omegas)
        return np.cos(phase), np.sin(phase)

    def _features(self, waves, order):
        c, s = waves
        if order:
            # The derivatives of a cosine and a sine, without a shift of phase, which would cost digits.
            size = self.omegas**order
            c, s = c * size, s * size
        first, second = ((c, s), (-s, c), (-c, -s), (s, -c))[order % 4]
        return np.concatenate([first, second], axis=1)

    def at(self, x, order=0):
        """The basis, or its derivative of that order, at points x: shape (points, r)."""
        return self._features(self._waves(x), order) @ self._combine

    def at_all(self, x, orders):
        """The same for some orders, by order."""
        waves = self._waves(x)
        return {k: self._features(waves, k) @ self._combine for k in orders}

    def free(self, order):
        """E of what is zero at the ends: E[order] Z, shape (n, r - k)."""
        if order not in self._free:
            self._free[order] = self.E[order] @ self.Z
        return self._free[order]

    def inside(self, order):
        """D of what is zero at the ends: Z^T D[order] Z, shape (r - k, r - k)."""
        if ("inside", order) not in self._free:
            self._free["inside", order] = self.Z.T @ self.D[order] @ self.Z
        return self._free["inside", order]

    @property
    def project(self):
        """The rows that take values at the nodes to coefficients: shape (r, n)."""
        return self.Q.T * self.root

    @property
    def between(self):
        """A point in each gap between the nodes and at the ends, shape (n + 1,).

        Not the middles: a wave too short for the nodes looks the same on them, with another phase.
        """
        edges = np.concatenate([[self.low], self.x, [self.high]])
        return edges[:-1] + np.diff(edges) * np.random.default_rng(self.n).uniform(0.1, 0.9, self.n + 1)


@lru_cache(maxsize=64)
def _legendre(n):
    from scipy.special import roots_legendre

    x, w = roots_legendre(n)
    x.flags.writeable = w.flags.writeable = False
    return x, w


def nodes_of(low, high, n, grid):
    """Nodes and weights on an interval: Gauss and Legendre's, or equal steps from end to end (trapezoidal rule)."""
    half = 0.5 * (high - low)
    if grid == "legendre":
        x, w = _legendre(n)
        return low + half * (x + 1.0), half * w
    x, step = np.linspace(low, high, n, retstep=True)
    w = np.full(n, step)
    w[[0, -1]] *= 0.5
    return x, w

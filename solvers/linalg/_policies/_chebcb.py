"""ChebCB (Khodak, Chow, Balcan, Talwalkar, Learning to Relax, ICLR 2024, https://arxiv.org/abs/2310.02246).

SquareCB over a regression of each value's iterations on Chebyshev polynomials of the context. What differs from the
released code: least squares go on from the normal equations and the last solution instead of anew from all
observations (microseconds a round instead of milliseconds), and the smallest cost is that of the rounds so far; the
released one is 0 until the last round, as it is taken over an array padded with zeros.
"""

import math
import operator

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.blas import dger

from ... import _checks
from ..._errors import InvalidInput
from ._base import Policy
from ._chebyshev import features
from ._interval import grow, place, span_of

__all__ = ["ChebCB"]

# The ridge of the regressions, relative to a squared feature: it only makes the first few solvable.
_RIDGE = 1e-6
# Of coordinate descent within the bounds, a round: each value's next round goes on from there.
_SWEEPS = 2


class ChebCB(Policy):
    """The contextual policy of the paper; ``Chebyshev`` learns faster.

    Parameters
    ----------
    grid : array_like, shape (d,)
        The values, increasing.
    interval : pair of floats, optional
        The range of the contexts; one outside is taken as the nearest end. Learned if not given: what was learned
        is then forgotten each time that the range grows.
    degrees : int, default 6
        Polynomials in the context (the paper's m).
    rng : None, int or Generator
        Where the draws come from.
    """

    name = "chebcb"

    def __init__(self, grid: ArrayLike, interval: ArrayLike | None = None, *, degrees: int = 6, rng=None):
        super().__init__(grid, rng)
        self._span = span_of(interval)
        self._learns_span = interval is None
        self._m = _checks.count("degrees", degrees, each=64)
        self._shape = 1.0 / np.maximum(np.arange(self._m), 1)
        self._largest, self._smallest, self._t = 1.0, math.inf, 0
        self._moments = np.zeros(3)  # sums of prediction^2, prediction * cost, cost^2
        self._eta = 0.0
        self._start()

    def _start(self):
        d, m = self.grid.size, self._m
        self._theta = np.zeros((d, m))
        self._P = np.tile(np.eye(m) / _RIDGE, (d, 1, 1))
        self._free = np.zeros((d, m))  # the solutions without bounds
        self._G, self._h = np.tile(np.eye(m) * _RIDGE, (d, 1, 1)), np.zeros((d, m))

    def _weigh(self, context):
        if context is None:
            raise InvalidInput("`context` must be a number for the policy 'chebcb', got None.")
        if self._learns_span and grow(self._span, context):
            self._start()
        self._f = features(place(self._span, context), self._m)
        K, _, N = self._bounds()
        self._y = y = self._theta.dot(self._f) / (K * N)
        best = y.argmin()
        p = 1.0 / (y.size + self._eta * (y - y[best]))
        p[best] = 0.0
        p[best] = 1.0 - p.sum()
        return p

    def _bounds(self):
        """The paper's K, (b - a) L and N."""
        K = self._largest
        spread = K - min(self._smallest, K)
        return K, spread, 2.0 + 4.0 * spread / K * (1.0 + math.log(self._m))

    def _learn(self, arm, cost):
        self._t += 1
        wider = cost > self._largest or cost < self._smallest
        self._largest, self._smallest = max(self._largest, cost), min(self._smallest, cost)
        f, P, free, loss = self._f, self._P[arm], self._free[arm], max(cost - 1.0, 0.0)
        g = P.dot(f)
        g_s = g / (1.0 + float(f.dot(g)))
        free += g_s * (loss - float(f.dot(free)))
        dger(-1.0, g, g_s, a=P.T, overwrite_a=1)
        dger(1.0, f, f, a=self._G[arm].T, overwrite_a=1)
        self._h[arm] += loss * f
        K, spread, _ = self._bounds()
        bound = self._shape * (2.0 * spread)
        bound[0] = K
        for each in range(self.grid.size) if wider else (arm,):
            if (np.abs(self._free[each]) <= bound).all():
                self._theta[each] = self._free[each]
            else:
                self._theta[each] = _descend(self._G[each], self._h[each], self._theta[each], bound)
        prediction = float(self._y[arm])
        self._moments += prediction * prediction, prediction * cost, cost * cost
        self._explore_less()

    def _explore_less(self):
        """eta grows as the rounds do, the slower the worse the predictions were (the paper's corollary)."""
        K, spread, N = self._bounds()
        t, m, scale = self._t, self._m, K * N
        alpha = (math.pi + 2.0 / math.pi * math.log(2 * m + 1)) / (2.0 * scale * (m + 1)) * spread
        pp, pc, cc = self._moments.tolist()
        R = max(pp - 2.0 * pc / scale + cc / scale**2, 0.0)
        self._eta = 2.0 * t * math.sqrt(self.grid.size * t / max(R + 2.0 * alpha * alpha * t, 1e-12))


def _descend(G, h, theta, bound):
    """Coordinate descent on theta' G theta / 2 - h' theta, |theta_j| <= bound_j; on lists, as m is small."""
    rows, h, theta, bound = G.tolist(), h.tolist(), theta.tolist(), bound.tolist()
    for _ in range(_SWEEPS):
        for j, row in enumerate(rows):
            slope = sum(map(operator.mul, row, theta)) - h[j]
            theta[j] = min(max(theta[j] - slope / row[j], -bound[j]), bound[j])
    return theta

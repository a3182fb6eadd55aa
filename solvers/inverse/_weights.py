"""The weight of a small Tikhonov problem: by generalised cross validation, the discrepancy principle, or the L-curve.

The problem is diagonal: min over y of sum |c_i y_i - d_i|^2 + rest^2 + weight sum |s_i y_i|^2, which is what the
singular values (s = 1) or the generalised ones make of it. Hansen, Discrete inverse problems (SIAM 2010), sections
5.2 to 5.4.
"""

import math

import numpy as np

__all__ = ["Small", "choose"]

# Points of a search over the weight, which are refined around the best one.
_POINTS = 160


class Small:
    """A diagonal problem.

    Parameters
    ----------
    c, s : ndarray, shape (k,), >= 0
    d : ndarray, shape (k,)
        The data in that basis, real or complex.
    rest : float
        The norm of the data outside of it, which no y reduces.
    """

    def __init__(self, c, s, d, rest):
        self.c, self.s, self.d, self.rest = c, s, d, rest
        self._d2 = abs(d) ** 2

    def y(self, weight):
        """The minimiser."""
        below = self.c**2 + weight * self.s**2
        return np.where(below > 0, self.c * self.d / np.where(below > 0, below, 1.0), 0.0)

    def misfit(self, weights):
        """The norm of the residual at each weight."""
        return np.sqrt((self._left(weights) ** 2 * self._d2).sum(axis=-1) + self.rest**2)

    def size(self, weights):
        """The norm that the weight is put on."""
        below = self.c**2 + np.multiply.outer(weights, self.s**2)
        parts = self.s * self.c / np.where(below > 0, below, np.inf)
        return np.sqrt((parts**2 * self._d2).sum(axis=-1))

    def gcv(self, weights):
        """The function of Golub, Heath and Wahba for the projected problem, whose data have k + 1 entries."""
        return self.misfit(weights) / (1.0 + self._left(weights).sum(axis=-1))

    def _left(self, weights):
        """1 - f_i, the share of each component that the weight leaves in the residual."""
        push = np.multiply.outer(weights, self.s**2)
        below = self.c**2 + push
        return np.where(below > 0, push / np.where(below > 0, below, 1.0), 1.0)

    def range(self):
        """Between which weights anything changes: squares of the smallest and the largest generalised value."""
        met = self.s > 1e-14 * self.s.max(initial=0.0)
        values = self.c[met] / self.s[met]
        largest = values.max(initial=0.0)
        smallest = max(values.min(initial=np.inf), np.finfo(float).eps * largest)
        within = 1e-2 * smallest**2, 1e2 * largest**2
        return within if 0 < within[0] and within[1] < np.inf else None


def choose(small, rule, target=None):
    """The weight by "gcv", "discrepancy" (the misfit is ``target``) or "l-curve"; None where there is none."""
    within = small.range()
    if within is None:
        return None
    weights = np.geomspace(*within, _POINTS)
    if rule == "discrepancy":
        return _discrepancy(small, target, within)
    if rule == "gcv":
        return _refined(small.gcv, weights)
    return weights[_corner(np.log(small.misfit(weights)), np.log(np.maximum(small.size(weights), 1e-300)))]


def _discrepancy(small, target, within):
    """The misfit grows with the weight: bisection."""
    if small.misfit(0.0) > target:
        return None
    low, high = math.log(within[0]), math.log(within[1])
    if small.misfit(math.exp(low)) > target:
        return 0.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if small.misfit(math.exp(middle)) <= target else (low, middle)
    return math.exp(low)


def _refined(function, weights):
    """The minimiser: the best point, and twice a finer search around it."""
    for _ in range(3):
        best = int(np.argmin(function(weights)))
        low, high = weights[max(best - 1, 0)], weights[min(best + 1, len(weights) - 1)]
        weights = np.geomspace(low, high, 16)
    return float(weights[np.argmin(function(weights))])


def _corner(x, y):
    """The place of the largest curvature of a curve that runs right and down, sampled evenly in a parameter."""
    dx, dy = np.gradient(x), np.gradient(y)
    ddx, ddy = np.gradient(dx), np.gradient(dy)
    speed = np.hypot(dx, dy)
    curvature = np.where(speed > 1e-9, (dx * ddy - dy * ddx) / np.where(speed > 1e-9, speed, 1.0) ** 3, -np.inf)
    return int(np.argmax(curvature[2:-2])) + 2

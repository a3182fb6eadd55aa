"""Omega chosen within one solve (L. A. Hageman, D. M. Young, Applied Iterative Methods, Academic Press 1981, ch. 9).

What differs from the book: norms of residuals instead of differences of iterates; when a ratio is believed; and what
is done where omega was too large from the start, or where no large omega converges.
"""

import math

import numpy as np

from ._omega import young

__all__ = ["HagemanYoung"]


class HagemanYoung:
    """A rule that changes omega from the ratios of residual norms.

    Parameters
    ----------
    symmetric : bool, default False
        Whether a sweep is one forward and one backward. No formula holds for these: an omega with which residuals fall
        half as fast as with the one before is taken back.

    Below the best omega the ratio tends to the largest eigenvalue lambda of the iteration, and that to the Jacobi
    radius beta by (lambda + omega - 1)^2 = lambda omega^2 beta^2; Young's formula gives the next omega. Beyond the
    best one the ratio is omega - 1 and says nothing more.

    Attributes
    ----------
    omega : float
        For the next sweeps.
    steps : int
        How many of them.

    Notes
    -----
    For sweeps in one direction over consistently ordered matrices (5- and 7-point stencils, block tridiagonal
    ones), and near the best for what resembles them.
    """

    # Measured on Poisson problems in one and two dimensions, 40 to 40,000 unknowns: within 20% of the sweeps at the
    # best omega as a rule.
    _START, _FEWEST, _SETTLED, _SHARE = 1.5, 8, 0.2, 0.8

    def __init__(self, symmetric=False):
        self.omega, self.steps, self._most = self._START, self._FEWEST, math.inf
        self._symmetric, self._earlier = symmetric, None  # the omega before, and its ratio

    def observe(self, norms):
        """Learn from the norms after the sweeps with this omega; False if these were in vain."""
        if not np.isfinite(norms[-1]):
            return self._give_up()
        if len(norms) < 3 or not np.all(norms > 0):
            return True
        ratio, before = norms[-1] / norms[-2], norms[-2] / norms[-3]
        mean = (norms[-1] / norms[0]) ** (1.0 / (len(norms) - 1))
        if not mean < 1.0 and not ratio < 1.0:
            return self._give_up()
        if self._earlier is not None and ratio > math.sqrt(self._earlier[1]):
            self._most, self.omega, self.steps = self.omega, self._earlier[0], self._FEWEST
            self._earlier = None
        elif self.omega <= self._START and mean <= self.omega - 0.95:
            self.omega = self._lower()  # beyond the best, where no formula says how far
        elif abs(ratio - before) > self._SETTLED * (1.0 - ratio):
            self.steps = max(4, self.steps // 2)
        elif ratio > max(self.omega - 1.0, 0.0) ** self._SHARE:
            beta = (ratio + self.omega - 1.0) / (self.omega * math.sqrt(ratio))
            self._earlier = (self.omega, ratio) if self._symmetric else None
            self._raise(young(min(beta, 1.0 - 1e-12)))
        else:
            self.steps = self._FEWEST
        return True

    def _raise(self, omega):
        self.omega = min(max(self.omega, omega), 1.0 + 0.75 * (self._most - 1.0))
        # Until p (omega - 1)^(p - 1), by which the double eigenvalue at the best omega decays, is small.
        p = self._FEWEST
        while p * (self.omega - 1.0) ** (p - 1) > 0.5 and p < 500:
            p += 1
        self.steps = p

    def _give_up(self):
        """No omega as large as this one converges: the matrix is not symmetric, or not definite."""
        if self.omega <= 1.0:
            return True
        self._most, self.omega, self.steps = self.omega, self._lower(), self._FEWEST
        return False

    def _lower(self):
        """Half of the way back to Gauss-Seidel, and all of it from where little is left."""
        return 1.0 + (self.omega - 1.0) / 2.0 if self.omega > 1.1 else 1.0

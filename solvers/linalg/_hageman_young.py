"""Omega chosen within one solve (L. A. Hageman, D. M. Young, Applied Iterative Methods, Academic Press 1981, ch. 9).

As long as omega is too small, the dominant eigenvalue lambda of the sweep is real and simple, residuals fall by it
from sweep to sweep, and Young's relation (lambda + omega - 1)^2 = lambda omega^2 beta^2 gives the Jacobi radius beta,
hence the best omega. What differs from the book: norms of residuals instead of differences of iterates, and when a
ratio is believed.
"""

import math

from ._omega import young

__all__ = ["HagemanYoung"]

# Omega is too small where a sweep reduces the residual by less than (omega - 1)^_SHARE; the best one gives omega - 1.
_SHARE = 0.8
# Three successive ratios R that differ by less than this times 1 - R have settled.
_SETTLED = 0.1
# Sweeps: before the first look, the fewest after a change of omega, between looks.
_FIRST, _FEWEST, _MORE = 5, 6, 2


class HagemanYoung:
    """A rule that raises omega from the ratios of residual norms.

    Parameters
    ----------
    start : float, default 1
        The first omega. 1.5 saves a tenth of the iterations where the best is near, and costs as much as it gives
        on diagonally dominant systems.

    Attributes
    ----------
    omega : float
        For the next sweeps.
    steps : int
        How many of them until ``observe``.

    Notes
    -----
    For sweeps in one direction over consistently ordered matrices (5- and 7-point stencils, block tridiagonal
    ones), and near the best for what resembles them. Where the residual has grown it starts again from 1.
    """

    def __init__(self, start: float = 1.0):
        self.omega, self.steps = float(start), _FIRST
        self._norms = []  # since omega last changed

    def observe(self, norm: float, norms) -> None:
        """Take in the norm before the sweeps, and those after each of them."""
        h, w = self._norms, self.omega
        if not h:
            h.append(float(norm))
        h.extend(float(each) for each in norms)
        self.steps = _MORE
        if h[-1] > h[0] and w > 1.0:
            return self._change(1.0)
        if len(h) < 4 or not min(h[-4:]) > 0.0:
            return
        R, r, s = h[-1] / h[-2], h[-2] / h[-3], h[-3] / h[-4]
        if not R < 1.0 or R <= max(w - 1.0, 0.0) ** _SHARE or max(abs(R - r), abs(r - s)) > _SETTLED * (1.0 - R):
            return
        beta = (R + w - 1.0) / (w * math.sqrt(R))
        if beta < 1.0 and young(beta) > w:
            self._change(young(beta))

    def _change(self, omega):
        """Set omega and wait until p (omega - 1)^(p - 1), by which the double eigenvalue decays, is small."""
        p = _FEWEST
        while p * (omega - 1.0) ** (p - 1) > 0.5 and p < 100:
            p += 1
        self.omega, self.steps, self._norms = omega, p, self._norms[-1:]

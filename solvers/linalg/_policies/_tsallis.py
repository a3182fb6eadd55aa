"""Tsallis-INF (Zimmert & Seldin, JMLR 22 (2021) no. 28): a bandit for costs that need not be drawn from anything.

What differs from the code released with Learning to Relax (Khodak, Chow, Balcan, Talwalkar, ICLR 2024): Newton's
iteration for the normalising x starts where it is monotone. Released, it starts at -1 and lands beyond the pole
once the smallest sum of costs exceeds some 20; its "probabilities" then reach 1e12 and more, and it plays the
smallest sum. ``released=True`` does that.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from ... import _checks
from ._base import Policy

__all__ = ["TsallisINF"]

ESTIMATORS = ("reduced-variance", "importance-weighted")


class TsallisINF(Policy):
    """The best single value, learned whatever the order of the costs; contexts are ignored.

    Parameters
    ----------
    grid : array_like, shape (d,)
        The values, increasing.
    rng : None, int or Generator
        Where the draws come from.
    eta : float, optional
        The learning rate is eta / sqrt(t); 4 for the reduced-variance estimator, 2 for the other, as in theory.
    estimator : {"reduced-variance", "importance-weighted"}
        How the cost of the values that were not played is estimated. The first subtracts the mean cost where the
        probability allows it; measured, it needs 2 to 3% fewer iterations.
    released : bool, default False
        Reproduce the released code: ``probabilities`` then holds numbers that do not sum to 1, and the draw is
        from what they are when divided by their sum. It is importance-weighted.

    Notes
    -----
    Costs are counted from 1, as a first iteration is always needed, and divided by their running mean.
    """

    name = "tsallis-inf"

    def __init__(
        self,
        grid: ArrayLike,
        *,
        rng=None,
        eta: float | None = None,
        estimator: str = "reduced-variance",
        released: bool = False,
    ):
        super().__init__(grid, rng)
        self.estimator = _checks.choice("estimator", estimator, ESTIMATORS)
        if _checks.flag("released", released):
            self.name, self.estimator = "tsallis-inf-released", "importance-weighted"
        default = 4.0 if self.estimator == "reduced-variance" else 2.0
        self.eta = default if eta is None else _checks.positive("eta", eta)
        self._K = np.zeros(self.grid.size)
        self._mean, self._t = 0.0, 0
        self._gap = 1.0  # min K - x of the round before, in units of 1 / eta_t

    def _weigh(self, context):
        # The mean is 0 as long as every solve took one iteration: then all sums are 0 and any scale will do.
        eta = self.eta / math.sqrt(self._t + 1) / (self._mean or 1.0)
        if self.name == "tsallis-inf-released":
            return self._released(eta)
        u = eta * (self._K - self._K.min())
        p, self._gap = _normalised(u, self._gap)
        return p

    def _released(self, eta):
        K, x = eta * self._K, -eta * (self._mean or 1.0)
        with np.errstate(all="ignore"):
            for _ in range(20):
                p = 4.0 * (K - x) ** -2.0
                x -= (p.sum() - 1.0) / (p**1.5).sum()
        return p if np.isfinite(p.sum()) and p.sum() > 0.0 else np.full(K.size, 1.0 / K.size)

    def _draw(self, p):
        if self.name == "tsallis-inf-released":
            p = p / p.sum()
        return super()._draw(p)

    def _learn(self, arm, cost):
        loss, p = max(cost - 1.0, 0.0), self.probabilities
        if self.estimator == "reduced-variance":
            rate = self.eta / math.sqrt(self._t + 1)
            baseline = self._mean * (p >= rate * rate)
            self._K += baseline
            self._K[arm] += (loss - baseline[arm]) / p[arm]
        else:
            self._K[arm] += loss / p[arm]
        self._t += 1
        self._mean += (loss - self._mean) / self._t


def _normalised(u, gap):
    """p_i = 4 / (u_i + gap)^2, u >= 0 with minimum 0, gap such that they sum to 1; returns p, gap.

    The sum is convex and falls in the gap, and is >= 1 at gap = 2: from there Newton's iteration is monotone.
    From beyond the solution its first step falls short of it, to 2 at the least, and the rest is monotone.
    """
    for _ in range(60):
        root = 2.0 / (u + gap)
        p = root * root
        total = float(root.dot(root))
        if abs(total - 1.0) < 1e-9:  # the division does the rest
            break
        gap = max(gap + (total - 1.0) / float(p.dot(root)), 2.0)
    return p / np.add.reduce(p), gap

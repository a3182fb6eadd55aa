"""Regression of the iterations on the context and the value by Chebyshev polynomials, explored by its own doubt.

Learning to Relax (Khodak, Chow, Balcan, Talwalkar, ICLR 2024) regresses the cost of each value on the context
alone (``ChebCB``). Here the values share one regression:

    log(1 + iterations) = sum over i, j of theta_ij T_i(context) T_j(value) + noise,

since neighbouring values need about as many iterations, in relative terms above all. theta has a normal prior
whose variances fall with the degree, and rank-one updates keep its posterior. The next value is drawn with
probabilities proportional to exp(-gap^2 / variance), from the mean and variance that the posterior gives to the
gap between a value and the best (Maillard sampling: Bian & Jun, AISTATS 2022, with a factor of 2 less exploration).

Three things help where the model is wrong. What is fitted is the logarithm of the *mean* count: a count twice as
large as the prediction weighs as 1, not as log 2. The noise is measured, so that a context that explains
nothing is found out. And where the noise grows to several times its usual size, the model has ceased to hold: what
was learned stays as a guess, all certainty in it is given up.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.blas import dger

from ... import _checks
from ..._errors import InvalidInput
from ._base import Policy
from ._interval import grow, place, span_of

__all__ = ["Chebyshev", "features"]

# Of theta_ij: the standard deviation _DECAY^(i + j) in units of the logarithm; of the level: a factor of 20.
_DECAY, _LEVEL = 0.7, 3.0
# The noise (a standard deviation) that is assumed at first, the least, and the rounds over which it is measured.
# Counts are not exact to better than the least: they are integers, and the polynomials have an error.
_NOISE, _LEAST_NOISE, _WINDOW = 0.5, 0.1, 50
# The variance of the noise has grown by this factor: the model does not hold any more.
_CEASED = 9.0
# A count beyond e^2 times the prediction is a prediction gone wrong, in the first rounds or after a change: it is
# taken by its logarithm. So are rare outliers, and the mean then is one without them.
_FAR = 2.0
# Observations that are kept to be learned anew when a context lies outside the interval that was learned.
_KEPT = 1000


class Chebyshev(Policy):
    """The best value as a smooth function of the context, or a single one where no context is given.

    Parameters
    ----------
    grid : array_like, shape (d,)
        The values, increasing. More of them cost no more to learn. The polynomials take them as equally spaced.
    interval : pair of floats, optional
        The range of the contexts; one outside is taken as the nearest end. Learned if not given.
    degrees : pair of ints, default (6, 6)
        Polynomials in the context and in the value. An update costs the square of their product.
    rng : None, int or Generator
        Where the draws come from.

    Notes
    -----
    A context comes in every round or in none. It works for costs that change little between neighbouring values and
    contexts, or by about the same factor, and makes no promise against costs that are chosen to mislead it:
    ``TsallisINF`` does. A context that explains nothing costs some 8% over the best fixed value; in one run of
    twenty (1500 rounds) the first rounds misled it, and it cost a quarter.
    """

    name = "chebyshev"
    _by_context = None  # Settled by the first round

    def __init__(self, grid: ArrayLike, interval: ArrayLike | None = None, *, degrees=(6, 6), rng=None):
        super().__init__(grid, rng)
        self._span = span_of(interval)
        self._learns_span = interval is None
        try:
            self._m, q = (_checks.count("degrees", each) for each in degrees)
        except (TypeError, ValueError):
            raise InvalidInput(f"`degrees` must be two integers >= 1, got {degrees!r}.") from None
        # By rank, not by value: a grid is finer where its author expects the cost to change more.
        ranks = np.linspace(-1.0, 1.0, self.grid.size)
        self._Phi = np.array([features(rank, min(q, self.grid.size)) for rank in ranks])
        self._ones = np.ones(self._Phi.shape[1])
        self._level = math.nan  # log(1 + iterations) of the first round, from which the others are counted

    def expected(self, context: float | None = None) -> np.ndarray:
        """Return the iterations that each value should need, as far as was learned; NaN before the first round."""
        if math.isnan(self._level):
            return np.full(self.grid.size, np.nan)
        f = features(place(self._span, context) if self._by_context else 0.0, self._m)
        return np.expm1(self._level + self._Phi.dot(f.dot(self._theta.reshape(self._m, -1))))

    def _weigh(self, context):
        self._settle(context)
        if context is not None and self._learns_span and grow(self._span, context):
            self._learn_anew()
        self._f = f = features(0.0 if context is None else place(self._span, context), self._m)
        if math.isnan(self._level):
            p = np.zeros(self.grid.size)
            p[(p.size - 1) // 2] = 1.0
            return p
        Phi, m, q = self._Phi, self._m, self._Phi.shape[1]
        # A method of these small arrays takes a third of the operator's time.
        mean = Phi.dot(f.dot(self._theta.reshape(m, q)))
        best = mean.argmin()
        S = f.dot(f.dot(self._P.reshape(m, -1)).reshape(q, m, q))
        D = Phi - Phi[best]
        variance = np.maximum((D.dot(S) * D).dot(self._ones), 1e-12)
        gap = mean - mean[best]
        p = np.exp(-gap * gap / variance)
        return p / p.sum()

    def _learn(self, arm, cost):
        y = math.log1p(cost)
        if math.isnan(self._level):
            self._level = y
        y -= self._level
        if self._learns_span and self._by_context:
            self._memory[self._rounds % _KEPT] = self._context, arm, y
        self._rounds += 1
        self._update(self._f, arm, y)

    def _update(self, f, arm, y):
        x = np.multiply.outer(f, self._Phi[arm]).ravel()
        g = self._P.dot(x)
        r, v = y - float(x.dot(self._theta)), max(float(x.dot(g)), 0.0)
        if abs(r) < _FAR:
            r = math.expm1(r)
        self._fitted += 1
        weight = max(1.0 / (self._fitted + 4), 1.0 / _WINDOW)
        surprise = min(r * r * self._noise / (self._noise + v), 10.0)
        self._noise = max(self._noise + weight * (surprise - self._noise), _LEAST_NOISE**2)
        g_s = g / (v + self._noise)
        self._theta += g_s * r
        dger(-1.0, g, g_s, a=self._P.T, overwrite_a=1)  # P -= g g_s', in place: P.T is in Fortran's order
        self._doubt()

    def _doubt(self):
        """Give up all certainty where the noise is several times what it was."""
        if self._fitted >= _WINDOW:
            usual = min(self._usual, self._noise)
            self._usual = usual + (self._noise - usual) / 1000
            if self._noise > _CEASED * self._usual:
                self._forget()

    def _settle(self, context):
        by_context = context is not None
        self._context = context if by_context else 0.0
        if self._by_context is None:
            self._by_context = by_context
            if not by_context:
                self._m = 1
            self._memory = np.zeros((_KEPT if by_context and self._learns_span else 0, 3))
            self._theta = np.zeros(self._m * self._Phi.shape[1])
            self._forget()
        elif self._by_context != by_context:
            raise InvalidInput(
                f"`context` must be given in every round or in none, got {'one' if by_context else 'None'} after "
                f"rounds {'without' if by_context else 'with one'}."
            )

    def _forget(self):
        m, q = self._m, self._Phi.shape[1]
        deviation = _DECAY ** np.add.outer(np.arange(m), np.arange(q))
        deviation[0, 0] = _LEVEL
        self._P = np.diag(deviation.ravel() ** 2)
        self._noise, self._usual = _NOISE**2, math.inf
        self._fitted = self._rounds = 0

    def _learn_anew(self):
        """The same observations on the wider interval."""
        n = self._rounds
        order = np.arange(n) if n <= _KEPT else np.arange(n, n + _KEPT) % _KEPT
        rows = self._memory[order]
        self._theta[:] = 0.0
        self._forget()
        self._rounds = n
        for context, arm, y in rows:
            self._update(features(place(self._span, context), self._m), int(arm), y)


_ORDERS = np.arange(64.0)


def features(x, m):
    """T_0(x), ..., T_{m-1}(x) for x in [-1, 1]."""
    return np.cos(math.acos(x) * (_ORDERS[:m] if m <= 64 else np.arange(float(m))))

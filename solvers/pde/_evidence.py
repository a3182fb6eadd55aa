"""Noise, and the prior's scale, by the evidence: what the data's own probability says of them.

In modes the data are independent, z_k = g_k c_k + noise with c_k ~ N(0, alpha p_k) and noise ~ N(0, s^2 d_k), so that
log p(z) = -1/2 sum_k [log v_k + z_k^2 / v_k], v_k = alpha g_k^2 p_k + s^2 d_k: one pass over the modes an evaluation.
What of the data no mode can represent is noise alone, and where there is enough of it, s is its: a prior that is wrong
about some modes would else be made up for by more noise.
"""

import math
from dataclasses import dataclass

import numpy as np

from .._tensors import outer, outer_sum

__all__ = ["DECAYS", "Fit", "Rest", "fit"]

# The prior's variances fall with a power of the sum of the lambda_i, and with one of their product, the best of these.
# The last is of a source that does not vanish at the sides: its sine coefficients fall with each index by itself.
DECAYS = ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (2, 1))
_STEPS, _SMALL, _LONGEST, _HALVINGS, _STARTS = 60, 1e-5, 2.0, 20, 12
_LEAST = 1e-120
# Data as small as this are zero.
_NOTHING = 1e-100
# Degrees of freedom of the rest that tell the noise to a tenth.
_ENOUGH = 50


@dataclass(frozen=True)
class Rest:
    """What no mode represents: a sum of squares, its degrees of freedom, and their mean variance for unit noise."""

    squares: float
    count: float
    variance: float


@dataclass(frozen=True)
class Fit:
    """The fitted prior and noise.

    Attributes
    ----------
    scale : float
        alpha, no less than its standard error if it were zero: data without a signal do not prove that there is none.
    noise : float
        s.
    decay : tuple of float
        The powers of the sum and of the product of the lambda_i.
    prior : ndarray
        The variances alpha p_k.
    evidence : float
        log p(z).
    steps : int
    converged : bool
    """

    scale: float
    noise: float
    decay: tuple
    prior: np.ndarray
    evidence: float
    steps: int
    converged: bool


def fit(z, gain, prior, lambdas, d, rest, noise=None, decays=DECAYS):
    """Maximise the evidence over alpha, s (unless it is known) and the rate of decay.

    Parameters
    ----------
    z, gain, prior, d : ndarray, shape (k_1, ..., k_d)
        Data, what a mode is multiplied by in them, its variance in the prior, and its noise.
    lambdas : list of ndarray, shapes (k_i,)
    rest : Rest
    noise : float, optional
        s, where it is known.
    decays : sequence of pairs
    """
    # In units of the data, whose squares and theirs are then in the range of float64.
    size = float(np.abs(z).max(initial=0.0))
    unit = size * float(np.sqrt(np.mean(np.square(z / size)))) if size > _NOTHING else 1.0
    z, rest = z / unit, Rest(rest.squares / unit**2, rest.count, rest.variance)
    noise = None if noise is None else noise / unit
    if noise is None and rest.count >= _ENOUGH:
        noise = max(math.sqrt(rest.squares / (rest.count * rest.variance)), _LEAST**0.5)
    # The constant, of lambda zero, is as likely as the longest wave.
    relative = [np.maximum(values / values[1], values[0] / values[1] or 1.0) for values in lambdas]
    together, each = outer_sum(relative).ravel() / len(relative), outer(relative).ravel()
    y, gain2, best, steps = np.square(z).ravel(), np.square(gain).ravel(), None, 0
    for decay in decays:
        shape = prior.ravel() * together ** -float(decay[0]) * each ** -float(decay[1])
        found = _Ascent(y, gain2 * shape, d.ravel(), rest, noise)
        found.run()
        steps += found.steps
        if best is None or found.value > best[0].value:
            best = found, decay, shape
    found, decay, shape = best
    scale = max(found.alpha, found.uncertainty) * unit**2
    variances = (scale * shape).reshape(z.shape)
    evidence = found.value - (z.size + rest.count) * math.log(unit)
    return Fit(scale, unit * math.sqrt(found.s2), decay, variances, evidence, steps, found.converged)


class _Ascent:
    """Fisher's scoring in log alpha and log s^2, with steps that are halved until the evidence rises."""

    def __init__(self, y, a, d, rest, noise):
        self._y, self._a, self._d, self._rest, self._known = y, a, d, rest, noise
        self.s2 = noise**2 if noise is not None else self._first_noise()
        self.alpha, self.steps, self.converged = self._first_scale(), 0, False
        self.value = self._evidence(self.alpha, self.s2)

    def _first_noise(self):
        if self._rest.count > 0:
            return max(self._rest.squares / (self._rest.count * self._rest.variance), _LEAST)
        # The half of the modes in which the prior has least.
        half = self._a <= np.median(self._a)
        return max(float(np.mean(self._y[half] / self._d[half])), _LEAST)

    def _first_scale(self):
        """The best of some, from what is hardly told from zero to what explains the largest of the data."""
        low = self.uncertainty
        high = max(float(np.max(self._y / self._a)), 10.0 * low)
        return float(max(np.geomspace(low, high, _STARTS), key=lambda alpha: self._evidence(alpha, self.s2)))

    @property
    def uncertainty(self):
        """The standard error of alpha where it is zero."""
        with np.errstate(over="ignore"):
            return max(math.sqrt(2.0 / float(np.sum(np.square(self._a / (self.s2 * self._d))))), 1e-150)

    def _evidence(self, alpha, s2):
        v = alpha * self._a + s2 * self._d
        rest = self._rest
        value = float(np.sum(np.log(v) + self._y / v))
        if rest.count > 0:
            v = s2 * rest.variance
            value += rest.count * math.log(v) + rest.squares / v
        return -0.5 * (value + (self._y.size + rest.count) * math.log(2 * math.pi))

    def _scores(self):
        """The gradient and Fisher's information in (log alpha, log s^2)."""
        v = self.alpha * self._a + self.s2 * self._d
        signal, excess = self.alpha * self._a / v, self._y / v - 1.0
        noise = 1.0 - signal
        rest = self._rest
        gradient = 0.5 * np.array([signal @ excess, noise @ excess])
        information = 0.5 * np.array([[signal @ signal, signal @ noise], [signal @ noise, noise @ noise]])
        if rest.count > 0:
            gradient[1] += 0.5 * (rest.squares / (self.s2 * rest.variance) - rest.count)
            information[1, 1] += 0.5 * rest.count
        if self._known is not None:
            gradient[1], information[0, 1], information[1, 0], information[1, 1] = 0.0, 0.0, 0.0, 1.0
        return gradient, information

    def run(self):
        while self.steps < _STEPS and not self.converged:
            self.steps += 1
            gradient, information = self._scores()
            information[np.diag_indices(2)] *= 1.0 + 1e-9
            information[np.diag_indices(2)] += 1e-12
            step = np.linalg.solve(information, gradient)
            step *= min(1.0, _LONGEST / max(float(np.abs(step).max()), _LEAST))
            self.converged = float(np.abs(step).max()) <= _SMALL or not self._search(step)
            # Below its standard error alpha is no longer told from zero.
            if step[0] < 0 and abs(step[1]) < _SMALL and self.alpha < 0.01 * self.uncertainty:
                self.converged = True

    def _search(self, step):
        for halving in range(_HALVINGS):
            with np.errstate(over="ignore", under="ignore"):
                alpha, s2 = np.array([self.alpha, self.s2]) * np.exp(0.5**halving * step)
            if not (_LEAST < alpha < 1 / _LEAST and _LEAST < s2 < 1 / _LEAST):
                continue
            value = self._evidence(alpha, s2)
            if value > self.value:
                self.alpha, self.s2, self.value = float(alpha), float(s2), value
                return True
        # The evidence no longer rises beyond its rounding.
        return False

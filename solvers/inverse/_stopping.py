"""When an iteration that regularises by its number of steps is to stop.

- The discrepancy principle (Morozov 1966): at the first misfit of at most ``tau noise_norm``.
- Generalised cross validation (Golub, Heath and Wahba 1979): at the least misfit per trace(I - H_k), where H_k takes b
  to A x_k. The trace is not m - k, with which the rule never stops, but is estimated by the same filter applied to a
  random vector of signs (Girard 1989; Santos and De Pierro 2003, for iterations).
- The L-curve (Hansen and O'Leary 1993): at the largest curvature of log |x_k| over log |b - A x_k|, from the steps k/2,
  k and 2 k, so that the small steps of late iterations do not count as corners.
"""

import math

import numpy as np

__all__ = ["DISCREPANCY", "GCV", "LCURVE", "TOLERANCE", "AtSteps", "Rule"]

DISCREPANCY, TOLERANCE, GCV, LCURVE = 1, 2, 3, 4
_OF = {None: 0, "settled": 0, "discrepancy": DISCREPANCY, "gcv": GCV, "l-curve": LCURVE}
# The cross validation has risen for so long, or the curvature fallen, that the best step is behind us.
_PATIENCE = 4
_FEWEST = 8


class Rule:
    """A ``judge`` for ``linalg._golub_kahan.drive``.

    Parameters
    ----------
    stop : {None, "discrepancy", "gcv", "l-curve", "settled"}
        "settled" is for hybrid methods, which say so themselves.
    code : int
        For rows that a hybrid method has settled.
    targets : ndarray of shape (k,)
        The misfits of the discrepancy principle.
    rtol : float
    bnorm, reference : ndarray of shape (k,)
        The norms of b and of A^H b, which the residual and the gradient are compared with.

    Attributes
    ----------
    kept : dict
        By row: the step and the iterate to be returned instead of the last.
    found : ndarray, shape (k,)
        The weights that a hybrid method has found.
    corner : ndarray of int, shape (k,)
        The step at the corner of the L-curve, 0 where there is none yet.
    """

    def __init__(self, stop, targets, rtol, bnorm, reference, code=0):
        self._stop, self._code, self._targets, self._rtol = stop, code, targets, rtol
        self._bnorm, self._reference = bnorm, reference
        self.kept, self.corner, self.found = {}, np.zeros(len(bnorm), int), np.full(len(bnorm), np.nan)
        self._least = np.full(len(bnorm), np.inf)
        self._curves = [[] for _ in bnorm]

    def __call__(self, method, live, taken):
        done = self._done(method, live)
        ends = np.where(done, TOLERANCE, 0)
        if self._stop == "discrepancy":
            ends = np.where(method.rnorm <= self._targets[live], DISCREPANCY, ends)
        elif self._stop == "settled" and taken:
            self.found[live] = method.weight
            ends = np.where(np.isnan(method.weight), ends, np.where(done | method.settled, self._code, 0))
        elif self._stop == "gcv" and taken:
            rising = [self._is_behind(method, i, row, taken) for i, row in enumerate(live)]
            ends = np.where(rising, GCV, ends)
        elif self._stop == "l-curve" and taken:
            turned = [self._has_turned(method.rnorm[i], method.xnorm[i], row, taken) for i, row in enumerate(live)]
            ends = np.where(turned, LCURVE, ends)
        return ends

    def _done(self, method, live):
        """Whether the tolerance is met; where a misfit is asked for, whether no step will reduce it any more."""
        gradient, bnorm = self._reference[live], self._bnorm[live]
        if method.exhausted:
            return np.ones(live.size, bool)
        if DISCREPANCY in (self._code, _OF[self._stop]):
            return method.arnorm * bnorm <= self._rtol * gradient * method.rnorm
        return (method.arnorm <= self._rtol * gradient) | (method.rnorm <= self._rtol * bnorm)

    def _is_behind(self, method, i, row, taken):
        """Whether the least value of the cross validation is some steps old."""
        value = method.rnorm[i] / method.trace[i] if method.trace[i] > 0 else np.inf
        if value < self._least[row]:
            self._least[row] = value
            self.kept[row] = taken, method.answer([i])[0]
        return row in self.kept and taken - self.kept[row][0] >= _PATIENCE + self.kept[row][0] // 4

    def _has_turned(self, rnorm, xnorm, row, taken):
        """Whether the corner is so far behind that the curve after it is seen, too."""
        curve = self._curves[row]
        curve.append((_log(rnorm), _log(xnorm)))
        if taken % 2 == 0 and taken >= 4:
            bend = _curvature(*(np.array(curve[j - 1]) for j in (taken // 4, taken // 2, taken)))
            if bend > 0 and -bend < self._least[row]:
                self._least[row], self.corner[row] = -bend, taken // 2
        return taken >= _FEWEST and 0 < 3 * self.corner[row] <= taken


class AtSteps:
    """Each row ends after a number of steps of its own."""

    def __init__(self, steps):
        self._steps = steps

    def __call__(self, method, live, taken):
        return np.where(taken >= self._steps[live], LCURVE, 0)


def _curvature(first, middle, last):
    """Of the circle through three points, positive where the way turns as at the corner of an L from right to left."""
    u, v = middle - first, last - middle
    sides = np.linalg.norm(u) * np.linalg.norm(v) * np.linalg.norm(u + v)
    return 2 * (u[1] * v[0] - u[0] * v[1]) / sides if sides > 0 else 0.0


def _log(value):
    return math.log(max(value, 1e-300))

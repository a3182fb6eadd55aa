"""Omega for over-relaxed sweeps, and how many of them are left, from the errors seen so far.

Each stands here for one problem and for many at once: on arrays of one the latter takes nine times as long, which a
small problem would feel (85 us a round, where a whole solve takes 600). A test holds the two against each other.
"""

import math

import numpy as np

__all__ = ["LOST", "Rate", "Rates", "remaining", "remaining_of_many"]

# A plan that over-relaxation has taken apart has an error of 2, which grows no more.
LOST = 1.9


class Rate:
    """Omega from the rate of convergence of plain sweeps: theta per sweep gives 2 / (1 + sqrt(1 - theta)).

    Far from the solution a large omega can diverge. After that omega stays below a bound until the error has halved;
    then each run that went well lets the bound rise.
    """

    FIRST, MOST, RISE, GROWTH = 12, 1.98, 0.7, 2.0

    def __init__(self):
        self.omega, self.steps, self._most = 1.0, self.FIRST, self.MOST
        self._best, self._risen_from = math.inf, 0.0

    def observe(self, errors):
        """Learn from the errors of a run with this omega; False if they grew."""
        # With omega the rows, too, are off: by so much more at the same distance from the solution.
        allowed = self.GROWTH * min(errors[0], self._best * self.omega / (2.0 - self.omega))
        lost = self.omega > 1.0 and errors.min() >= LOST
        if not np.isfinite(errors[-1]) or errors[-1] > allowed or lost:
            self._most, self._risen_from = 1.0 + 0.5 * (self.omega - 1.0), 0.5 * min(self._best, errors[0])
            self.omega, self.steps = 1.0, self.FIRST
            return False
        self._best = min(self._best, float(errors.min()))
        if self._best <= self._risen_from:
            self._most = min(2.0 - self.RISE * (2.0 - self._most), self.MOST)
        if len(errors) >= 6 and errors[-1] > 0:
            rate = (errors[-1] / errors[-6]) ** 0.2
            if self.omega - 1.0 < rate < 1.0:
                # Young's relation for an over-relaxed sweep; theta is the rate of plain ones.
                theta = min((rate + self.omega - 1.0) ** 2 / (rate * self.omega**2), 1.0)
                self.omega = max(self.omega, min(2.0 / (1.0 + math.sqrt(1.0 - theta)), self._most))
        self.steps = max(self.FIRST, int(2.0 / (2.0 - self.omega)))
        return True


class Rates:
    """``Rate`` for many problems at once."""

    def __init__(self, count):
        self.omega, self.steps = np.ones(count), np.full(count, Rate.FIRST)
        self._most, self._best = np.full(count, Rate.MOST), np.full(count, np.inf)
        self._risen_from = np.zeros(count)

    def observe(self, which, errors, taken):
        """Learn from the sweeps of a run; returns where the error grew."""
        first, last = errors[:, 0], errors[np.arange(len(taken)), taken - 1]
        omega, best = self.omega[which], self._best[which]
        seen = np.where(np.arange(errors.shape[1]) < taken[:, None], errors, np.inf)
        grew = ~(last <= Rate.GROWTH * np.minimum(first, best * omega / (2.0 - omega)))
        grew |= (omega > 1.0) & (seen.min(axis=1) >= LOST)
        self._most[which[grew]] = 1.0 + 0.5 * (omega[grew] - 1.0)
        self._risen_from[which[grew]] = 0.5 * np.minimum(best, first)[grew]
        self._best[which] = best = np.where(grew, best, np.minimum(best, seen.min(axis=1)))
        rises = which[~grew & (best <= self._risen_from[which])]
        self._most[rises] = np.minimum(2.0 - Rate.RISE * (2.0 - self._most[rises]), Rate.MOST)
        rate = (last / errors[np.arange(len(taken)), np.maximum(taken - 6, 0)]) ** 0.2
        learns = ~grew & (taken >= 6) & (last > 0) & (omega - 1.0 < rate) & (rate < 1.0)
        theta = np.minimum((rate + omega - 1.0) ** 2 / (rate * omega**2), 1.0)
        better = np.minimum(2.0 / (1.0 + np.sqrt(1.0 - theta)), self._most[which])
        omega = np.where(grew, 1.0, np.where(learns, np.maximum(omega, better), omega))
        self.omega[which] = omega
        self.steps[which] = np.maximum(Rate.FIRST, (2.0 / (2.0 - omega)).astype(np.int64))
        return grew


def remaining(errors, threshold, omega):
    """Over-relaxed sweeps that seem to be left, from the rate of the last sweeps with this omega."""
    half = len(errors) // 2
    if len(errors) < 4 or not np.all(errors > 0):
        return 0.0
    rate = (errors[-1] / errors[half]) ** (1.0 / (len(errors) - 1 - half))
    if not 0.0 < rate < 1.0:
        return math.inf
    digits = max(0.0, math.log(errors[-1] / max(threshold, 1e-300)))
    if omega > 1.0:
        return -digits / math.log(rate)
    # Over-relaxation turns a rate of 1 - d into one of 1 - 2 sqrt(d), at its best.
    return 0.75 * digits / math.sqrt(-math.log(rate))


def remaining_of_many(errors, taken, thresholds, omega):
    """``remaining`` for many problems at once."""
    places, half = np.arange(len(taken)), taken // 2
    first, last = errors[places, half], errors[places, taken - 1]
    log_rate = np.log(last / first) / (taken - 1 - half)
    digits = np.maximum(0.0, np.log(last / np.maximum(thresholds, 1e-300)))
    left = np.where(omega > 1.0, -digits / log_rate, 0.75 * digits / np.sqrt(-log_rate))
    positive = np.where(np.arange(errors.shape[1]) < taken[:, None], errors > 0, True).all(axis=1)
    return np.where((taken < 4) | ~positive, 0.0, np.where(log_rate < 0.0, left, math.inf))

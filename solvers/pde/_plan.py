"""Which grids and kernels are tried, one after the other."""

import math

import numpy as np

from .. import _checks
from .._errors import InvalidInput
from ._kernels import Automatic
from ._memory import fits, refuse_too_large
from ._sampling import SAMPLES, peaks, spectrum
from ._source import sizes_of

__all__ = ["Plan", "side_lines"]

# Nodes for each wavelength of the highest peak, and at the least; each refinement has so many times as many.
_PER_WAVELENGTH, _LEAST, _GROWTH = 2.5, 24, 1.35
_MOST = {1: 6000, 2: 1200, 3: 256}
_BANDS, _ROUNDS = (20, 32, 48, 72, 100, 140), 8
# Data at the sides below this part of f (times the square of a length) is rounding.
_NOISE = 1e-13
# With N(u), peaks of f below this part of the highest may be N's own, which balance it and which u does not have.
_OWN = 1e-3
# Grids in a row without a solution, after which none is expected on a finer one.
_FAILURES = 4


class Plan:
    """An iterator over (sizes, kernels) that learns from what came of the last.

    Parameters
    ----------
    box, terms, boundary : as in Grid
    source : Source
    n, kernels : what the user asked for; None for automatic kernels
    nonlinear : bool

    Attributes
    ----------
    fixed : tuple of int or None
        The one grid there is.
    """

    def __init__(self, box, terms, boundary, source, n, kernels, nonlinear=False):
        self._box, self._boundary, self._source, self._kernels = box, boundary, source, kernels
        self._d = len(box)
        self._terms, self._krylov = terms, self._d > 1 and (nonlinear or not terms.separable)
        self.fixed = source.shape
        if isinstance(n, str):
            _checks.choice("n", n, ("auto",))
        else:
            self.fixed = sizes_of(n, self._d)
            if source.shape not in (None, self.fixed):
                raise InvalidInput(f"`n` must be the shape of `f`, {source.shape}, or 'auto', got {_checks.brief(n)}.")
        if self.fixed is not None:
            refuse_too_large(self.fixed, terms, self._krylov)
        self._all = self._each_axis(0.0)
        self._peaks = self._each_axis(_OWN) if nonlinear and self.fixed is None else self._all
        self._now = self.fixed or tuple(self._first(axis) for axis in range(self._d))
        self._round, self._failed, self._done = 0, 0, False

    def _each_axis(self, lowest):
        """The peaks of each axis; two axes whose peaks differ by rounding have the same ones, and one basis."""
        found = []
        for axis in range(self._d):
            own = self._periodogram(axis, lowest)
            same = (other for k, other in enumerate(found) if self._box[k] == self._box[axis] and _equal(other, own))
            before = next(same, None)
            found.append(own if before is None else before)
        return found

    def _periodogram(self, axis, lowest):
        """Peaks along an axis of f on some lines, and of the data at the sides that contain the axis."""
        low, high = self._box[axis]
        gridded = self._source.shape is not None
        inside = [self._source(None)] if gridded else self._source.lines(axis)
        sides = side_lines(self._boundary, self._box, axis)
        # What is zero but for rounding has a periodogram too.
        least = _NOISE * max(float(np.ptp(values)) for values in inside) * (high - low) ** 2
        sides = [values for values in sides if np.ptp(values) > least]
        spectra = [spectrum(values) for values in (sides if gridded else (*inside, *sides))]
        found = peaks([np.where(own > lowest * own.max(), own, 0.0) for own in spectra], high - low)
        return np.concatenate([self._source.frequencies(axis), found]) if gridded else found

    def _first(self, axis):
        low, high = self._box[axis]
        top = self._peaks[axis].max(initial=0.0) * (high - low) / (2 * math.pi)
        return min(_MOST[self._d], max(_LEAST, math.ceil(_PER_WAVELENGTH * (top + 4))))

    def __iter__(self):
        return self

    def __next__(self):
        if self._done or self._round >= _ROUNDS:
            raise StopIteration
        band = _BANDS[min(self._round, len(_BANDS) - 1)]
        kernels = self._kernels or [Automatic(found, band) for found in self._peaks]
        self._round += 1
        return self._now, kernels

    def learn(self, attempt):
        """Refine after an attempt that was not enough."""
        if self.fixed is not None:
            # The same grid with another kernel may do; with the user's kernel nothing is left to try.
            self._done = self._kernels is not None or self._round >= 3
            return
        self._failed = self._failed + 1 if not attempt.solved else 0
        most = _MOST[self._d]
        if (
            self._failed >= _FAILURES
            or all(size >= most for size in self._now)
            or attempt.estimate.rounding > 0.5 * attempt.estimate.error
        ):
            self._done = True
            return
        grown = tuple(min(most, math.ceil(_GROWTH * size)) for size in self._now)
        if self._peaks is not self._all:
            self._peaks = self._all
            grown = tuple(max(size, self._first(axis)) for axis, size in enumerate(grown))
        self._done = not fits(grown, self._terms, self._krylov)
        self._now = grown


def _equal(some, others):
    return len(some) == len(others) and np.allclose(np.sort(some), np.sort(others), rtol=1e-7, atol=0.0)


def side_lines(boundary, box, axis):
    """The data of the sides that contain an axis, along it on a line of samples."""
    low, high = box[axis]
    line = low + (high - low) * (np.arange(SAMPLES) + 0.5) / SAMPLES
    sides = []
    for other, side in boundary.data:
        if other != axis:
            coordinates = [
                line if i == axis else np.array([a + 0.37 * (b - a)]) for i, (a, b) in enumerate(box) if i != other
            ]
            sides.append(boundary.values(other, side, coordinates).ravel())
    return sides

"""Sums of a kernel's translates, which the published optimisation ends with, as GPSolution wants functions."""

import numpy as np

from .._errors import InvalidInput
from .._tensors import mode_products
from ._gram import toeplitz

__all__ = ["BETWEEN", "Translates"]

# Where between two nodes the estimate looks: nowhere near a node, the middle or a third.
BETWEEN = 0.382


class Translates:
    """A grid whose basis functions are the kernel's translates k(x - x_j), as GPSolution wants one."""

    def __init__(self, box, lines, mixtures):
        self.box, self.d = box, len(lines)
        self.sizes = tuple(line.n for line in lines)
        self.axes = [_Axis(line, mixture) for line, mixture in zip(lines, mixtures, strict=True)]
        self.frequencies = tuple(mixture.frequencies for mixture in mixtures)

    def between(self, alpha, orders):
        """A derivative at one point of each cell."""
        return mode_products([axis.between(k) for axis, k in zip(self.axes, orders, strict=True)], alpha)


class _Axis:
    def __init__(self, line, mixture):
        self.x, self._mixture = line.x, mixture

    def at(self, x, order=0):
        """The functions, or a derivative of theirs, at points x: shape (points, n)."""
        if order > 2:
            raise InvalidInput(f"`derivative` must have orders up to 2 after method='adam', got {order}.")
        return self._mixture.curve(np.subtract.outer(np.asarray(x, dtype=np.float64), self.x), order)

    @property
    def kernel(self):
        return self._mixture.as_kernel()

    def between(self, order):
        n = len(self.x)
        lags = (np.arange(1 - n, n) + BETWEEN) * (self.x[1] - self.x[0])
        return toeplitz(self._mixture.curve(lags, order))[:-1]

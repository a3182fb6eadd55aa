"""The costs of transport: a matrix, or computed from two clouds of points where they are needed."""

from collections import namedtuple

import numpy as np

from ._device import TYPES

__all__ = ["COSTS", "CostMatrix", "LOG2E", "PointCosts", "WARP", "cost_arguments", "shape", "slabs_for"]

CostMatrix = namedtuple("CostMatrix", "C")  # (n, m), C-contiguous; inf forbids a pair
PointCosts = namedtuple("PointCosts", "X Y power")  # (n, d), (m, d); |x_i - y_j|^power

LOG2E = 1.4426950408889634
#: Threads of a warp.
WARP = 32
#: The template arguments of kernels for real numbers.
COSTS = tuple((each,) for each in TYPES.values() if each in ("float", "double"))


def shape(cost):
    """(n, m)."""
    return (len(cost.X), len(cost.Y)) if isinstance(cost, PointCosts) else cost.C.shape


def cost_arguments(cost):
    """What a kernel of costs gets: the matrix, its rows and columns; or both clouds, their points, d, the power."""
    n, m = map(np.int64, shape(cost))
    if isinstance(cost, PointCosts):
        return cost.X, cost.Y, n, m, np.int32(cost.X.shape[1]), np.float64(cost.power)
    return cost.C, n, m


def slabs_for(pieces, longest, workers):
    """Into how many slabs sums are cut so that each worker has some; ``longest`` is the most that makes sense."""
    return np.int32(max(1, min(-(-2 * workers // max(pieces, 1)), longest)))

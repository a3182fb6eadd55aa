"""The costs of transport, row by row: from a matrix, or computed from two clouds of points where they are needed."""

from collections import namedtuple

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import FLAGS, jit
from .exponential import LOG2E, exp2, log

__all__ = ["CostMatrix", "PointCosts", "costs", "prepare", "row_blocks", "shape"]

# Partial column sums are kept for at most so many blocks of rows, of at least so many rows, a multiple of four.
_MOST_BLOCKS, _LEAST_ROWS, _TOGETHER = 16, 64, 4

CostMatrix = namedtuple("CostMatrix", "C")  # (n, m), C-contiguous; inf forbids a pair
PointCosts = namedtuple("PointCosts", "X Y power")  # (n, d), (m, d); |x_i - y_j|^power
# What the loops read: the coordinates of Y one after the other, so that a loop over its points vectorises.
_Points = namedtuple("_Points", "X T power")  # (n, d), (d, m)


def row_blocks(n):
    """The rows at which the blocks begin, shape (blocks + 1,)."""
    size = max(_LEAST_ROWS, -(-n // (_TOGETHER * _MOST_BLOCKS)) * _TOGETHER)
    return np.append(np.arange(0, max(n, 1), size), n)


def shape(cost):
    """(n, m)."""
    return (len(cost.X), len(cost.Y)) if isinstance(cost, PointCosts) else cost.C.shape


def prepare(cost):
    """The operand as the compiled loops read it; nothing of size n m is made."""
    if isinstance(cost, PointCosts):
        return _Points(np.ascontiguousarray(cost.X), np.ascontiguousarray(cost.Y.T), float(cost.power))
    return cost


def costs(cost, i, lo, hi, out):
    """C[i, lo:hi], in ``out`` where it has to be computed; called from compiled code."""
    raise NotImplementedError("called from compiled code only")


@overload(costs, jit_options=FLAGS)
def _costs(cost, i, lo, hi, out):
    if not isinstance(cost, types.BaseNamedTuple):
        return None
    if cost.instance_class is CostMatrix:
        return lambda cost, i, lo, hi, out: cost.C[i, lo:hi]
    return lambda cost, i, lo, hi, out: _distances(cost, i, lo, hi, out)


@jit
def _distances(cost, i, lo, hi, out):
    x, T, power = cost.X[i], cost.T, cost.power
    c = out[: hi - lo]
    first = x.size % 2
    # Two coordinates at a time halve the passes over c.
    if first:
        y = T[0, lo:hi]
        for j in range(c.size):
            c[j] = (x[0] - y[j]) * (x[0] - y[j])
    else:
        y, z = T[0, lo:hi], T[1, lo:hi]
        for j in range(c.size):
            c[j] = (x[0] - y[j]) * (x[0] - y[j]) + (x[1] - z[j]) * (x[1] - z[j])
    for k in range(2 - first, x.size, 2):
        y, z = T[k, lo:hi], T[k + 1, lo:hi]
        for j in range(c.size):
            c[j] += (x[k] - y[j]) * (x[k] - y[j]) + (x[k + 1] - z[j]) * (x[k + 1] - z[j])
    if power == 1.0:
        for j in range(c.size):
            c[j] = np.sqrt(c[j])
    elif power != 2.0:
        for j in range(c.size):
            square = np.float64(c[j])
            # The polynomials ask for a normal number.
            c[j] = exp2(0.5 * power * LOG2E * log(max(square, 1e-300))) if square > 1e-300 else 0.0
    return c

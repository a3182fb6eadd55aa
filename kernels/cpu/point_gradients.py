"""The derivatives of a transport cost with respect to the points, summed over the plan row by row."""

from functools import partial

import numpy as np

from ._jit import jit
from ._team import even_shares, launch
from .clouds import costs, prepare, row_blocks, shape
from .exponential import LOG2E, exp2, log

__all__ = ["point_gradients"]

# An exponential, a logarithm, and two multiply-adds for each of a few coordinates.
_WORK = 24


def point_gradients(cost, inv_eps, u, v, dX, dY):
    """dX_i = sum_j P_ij d|x_i - y_j|^p / dx_i and dY_j = sum_i P_ij d|x_i - y_j|^p / dy_j.

    A pair of equal points adds nothing, whatever the power.

    Parameters
    ----------
    cost : PointCosts, shape (n, m)
    inv_eps : float
    u, v : ndarray, shapes (n,) and (m,)
        P_ij = exp(u_i + v_j - |x_i - y_j|^p inv_eps).
    dX, dY : ndarray of float64, shapes (n, d) and (m, d)
    """
    n, m = shape(cost)
    edges = row_blocks(n)
    blocks = edges.size - 1
    parts = np.empty((blocks, dX.shape[1], m))
    w = np.multiply(v, LOG2E, dtype=np.float64)
    arguments = prepare(cost), edges, inv_eps * LOG2E, u, w, dX, parts
    launch(_point_gradients, _WORK * n * m, blocks, partial(even_shares, blocks), *arguments)
    np.negative(np.sum(parts, axis=0).T, out=dY)


@jit
def _point_gradients(cost, edges, inv_eps, u, w, dX, parts, flags, share, member, team):
    c, slope = np.empty(w.size, u.dtype), np.empty(w.size)
    for block in range(share[member], share[member + 1]):
        part = parts[block]
        part[:] = 0
        for i in range(edges[block], edges[block + 1]):
            _slopes(costs(cost, i, 0, w.size, c), cost.power, inv_eps, np.float64(u[i]) * LOG2E, w, slope)
            for k in range(part.shape[0]):
                x, y, sums, s = np.float64(cost.X[i, k]), cost.T[k], part[k], 0.0
                for j in range(w.size):
                    t = slope[j] * (x - np.float64(y[j]))
                    sums[j] += t
                    s += t
                dX[i, k] = s


@jit
def _slopes(row, power, inv_eps, u, w, slope):
    """P_ij p |x_i - y_j|^(p - 2), by which x_i - y_j is multiplied; the row holds |x_i - y_j|^p."""
    for j in range(w.size):
        slope[j] = power * exp2((u + w[j]) - np.float64(row[j]) * inv_eps)
    if power == 1.0:
        for j in range(w.size):
            c = np.float64(row[j])
            slope[j] = slope[j] / c if c > 0.0 else 0.0
    elif power != 2.0:
        exponent = (power - 2.0) / power
        for j in range(w.size):
            c = np.float64(row[j])
            # The polynomials ask for a normal number.
            slope[j] *= exp2(exponent * LOG2E * log(max(c, 1e-300))) if c > 1e-300 else 0.0

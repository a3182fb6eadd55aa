"""The derivatives of a transport cost with respect to the points, summed over the plan."""

import numpy as np

from ._device import Source, blocks, type_of
from .clouds import COSTS, LOG2E, WARP, cost_arguments

__all__ = ["point_gradients"]

_source = Source("point_gradients", ("common", "transport"), point_gradients=COSTS)


def point_gradients(cost, inv_eps, u, v, dX, dY):
    """dX_i = sum_j P_ij d|x_i - y_j|^p / dx_i and dY_j = sum_i P_ij d|x_i - y_j|^p / dy_j.

    A pair of equal points adds nothing, whatever the power. Costs are computed anew for each four coordinates.

    Parameters
    ----------
    cost : PointCosts, shape (n, m)
    inv_eps : float
    u, v : cupy.ndarray, shapes (n,) and (m,)
        P_ij = exp(u_i + v_j - |x_i - y_j|^p inv_eps).
    dX, dY : cupy.ndarray of float64, shapes (n, d) and (m, d)
    """
    X, Y, n, m, d, power = cost_arguments(cost)
    scale = np.float64(inv_eps * LOG2E)
    for P, Q, p, q, own, other, out in ((X, Y, n, m, u, v, dX), (Y, X, m, n, v, u, dY)):
        grid = blocks(int(p) * WARP)
        _source.launch("point_gradients", type_of(u), grid, P, Q, p, q, d, power, scale, own, other, out)

"""Derivatives with respect to the points: of a regularised value, and of a Sinkhorn divergence.

At the optimum the value changes with the costs as if the plan stood still (Danskin's theorem), so that no linear
system has to be solved: d value / dx_i = sum_j P_ij d|x_i - y_j|^p / dx_i.
"""

import numpy as np

from .._errors import InvalidInput

__all__ = ["divergence_gradients", "point_gradients"]


def point_gradients(problem):
    """(dX, dY) of the regularised value of a checked and solved problem, zero rows where there is no weight."""
    cost, kernels = problem.cost, problem.kernels
    if not hasattr(cost, "X"):
        raise InvalidInput("`C` must be a PointCloud to have `grad_points`, got a matrix; use `grad_cost`.")
    with problem.place():
        dimensions = cost.X.shape[1]
        parts = tuple(kernels.empty((len(w), dimensions), np.float64) for w in (problem.a, problem.b))
        kernels.point_gradients(cost, problem.inv_eps, problem.u, problem.v, *parts)
        return tuple(_in_place(problem, part, axis) for axis, part in enumerate(parts))


def _in_place(problem, part, axis):
    """The rows with weight in the user's places, of the user's kind."""
    keep = problem.rows if axis == 0 else problem.columns
    whole = problem.kernels.zeros((problem.shape[axis], part.shape[1]), problem.dtype)
    whole[slice(None) if keep is None else keep] = part * problem.mass
    return problem.leave(whole)


def divergence_gradients(xy, xx, yy):
    """(dX, dY) of S = OT(X, Y) - OT(X, X) / 2 - OT(Y, Y) / 2 from the results of the three problems."""
    (dX, dY), own_X, own_Y = xy.grad_points, xx.grad_points, yy.grad_points
    return dX - 0.5 * (own_X[0] + own_X[1]), dY - 0.5 * (own_Y[0] + own_Y[1])

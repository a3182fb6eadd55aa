"""The symmetric (weak) form: eigenfunctions of each axis, in which an operator of second order is a sum of numbers.

On an axis with values or derivatives known at both ends, K = Z'^T w Z' is the matrix of -d^2/dx^2 by parts, exactly
symmetric, and its eigenvectors are orthonormal in the quadrature's inner product. A sum of a_i d^2/dx_i^2 and a number
c is then diagonal on the box: c - sum_i a_i lambda_i. Nothing can be lost to eigenvectors that are nearly parallel, and
variances go through the operator element by element; the price is an error that does not fall below some 1e-9, since
weak derivatives square the condition of the basis, of which fewer directions are kept here.
"""

import math

import numpy as np
import scipy.linalg

from .._errors import UnsupportedType
from .._tensors import mode_products, outer, outer_sum
from ._axis import nodes_of

__all__ = ["Modes", "Weak", "refusal", "require", "smooth_lifts"]

# Directions of the basis below this part of the largest would bring derivatives that are rounding.
_RANK = 1e-8
# Nodes of the rule that the inner products are taken by, to one of the axis.
_FINER = 1.5
_SINGULAR = 1e-14


class Modes:
    """Orthonormal functions on a grid with orthogonal derivatives: products of those of its axes.

    Parameters
    ----------
    grid : Grid
    at_nodes : bool
        Orthonormal in the sum over the nodes with the weights of their rule, so that noise is white in them; or in the
        integral, so that few nodes to a wavelength do.

    Attributes
    ----------
    values : list of ndarray, shapes (k_i,)
        lambda_i: the mean squares of the derivatives.
    T : list of ndarray, shapes (r_i, k_i)
        Coefficients of the modes in the basis of each axis.
    test : list of ndarray, shapes (r_i, k_i)
        The transposed of what takes such coefficients to inner products with the modes.
    prior : ndarray, shape (k_1, ..., k_d)
        Their variances under the kernel: its spectral density at the root of lambda, as in [1]_.

    References
    ----------
    .. [1] A. Solin, S. Sarkka, Hilbert space methods for reduced-rank Gaussian process regression, Statistics and
       Computing 30, 2020, doi:10.1007/s11222-019-09886-w.
    """

    def __init__(self, grid, at_nodes):
        self.grid = grid
        axes = [_AxisModes(axis, at_nodes) for axis in grid.axes]
        self.values, self.T, self.test = ([getattr(a, name) for a in axes] for name in ("values", "T", "test"))
        self.shape = tuple(len(values) for values in self.values)
        self.prior = outer([a.prior for a in axes])
        self._analyse = [a.analyse for a in axes]

    def analyse(self, values):
        """Coefficients of values at the nodes: shape (k_1, ..., k_d)."""
        return mode_products(self._analyse, values)

    def coefficients(self, C):
        """The coefficients in the grid's basis of a function given in modes."""
        return mode_products(self.T, C)

    def symbol(self, constant):
        """What an operator without first or mixed derivatives multiplies each mode by."""
        parts = [np.zeros(k) for k in self.shape]
        for index, c in constant.items():
            i = int(np.argmax(index))
            parts[i] = parts[i] + c * (-self.values[i] if index[i] else 1.0)
        return outer_sum(parts)

    def at(self, points, orders):
        """The modes, or derivatives of them, at points of each axis: matrices of shapes (m_i, k_i)."""
        pairs = zip(self.grid.axes, points, orders, self.T, strict=True)
        return [axis.at(x, k) @ T for axis, x, k, T in pairs]

    def noise(self):
        """The variance of each mode when the values at the nodes have independent noise of variance one."""
        return outer([np.sum(A * A, axis=1) for A in self._analyse])


class _AxisModes:
    """Of one axis: lambda_i, T, what takes values at the nodes and coefficients to inner products, and the prior."""

    def __init__(self, axis, at_nodes):
        keep = int(np.sum(axis.deviations > _RANK * axis.deviations[0]))
        B = axis.B[:, :keep]
        Z = scipy.linalg.qr(B.T)[0][:, len(B) :] if len(B) else np.eye(keep)
        # The products of two functions of the basis are beyond the axis' own rule.
        x, w = _finer(axis)
        root = np.sqrt(w)[:, None]
        values, slopes = root * (axis.at(x)[:, :keep] @ Z), root * (axis.at(x, 1)[:, :keep] @ Z)
        ratio = _weights(axis) / axis.w
        at = np.sqrt(ratio)[:, None] * (axis.Q[:, :keep] @ Z) if at_nodes else values
        self.values, V = scipy.linalg.eigh(slopes.T @ slopes, at.T @ at)
        self.values = np.maximum(self.values, 0.0)
        self.T = np.zeros((axis.r, len(V)))
        self.T[:keep] = Z @ V
        self.analyse = (self.T.T @ axis.Q.T) * (ratio * axis.root)
        self.test = np.zeros_like(self.T)
        self.test[:keep] = (root * axis.at(x)[:, :keep]).T @ (values @ V)
        self.prior = self._prior(axis)

    def _prior(self, axis):
        """The variances under the prior of the axis, given zeros at its ends."""
        variance = axis.deviations[:, None] ** 2 * self.test
        at_ends = axis.B @ variance
        known = np.linalg.solve((axis.B * axis.deviations**2) @ axis.B.T, at_ends) if axis.ends else at_ends
        prior = np.sum(self.test * variance, axis=0) - np.sum(at_ends * known, axis=0)
        return np.maximum(prior, np.finfo(float).eps * prior.max(initial=1e-300))


def _finer(axis):
    return nodes_of(axis.low, axis.high, math.ceil(_FINER * axis.n) + 8, "legendre")


def _weights(axis):
    """Gauss and Legendre's weights; on equal steps those of Gregory's rule of fourth order.

    What is tested does not vanish at the ends, and the trapezoidal rule would see that more than it sees the noise.
    """
    w = axis.w.copy()
    if axis.x[0] == axis.low and axis.n >= 8:
        w[:3] = w[-3:][::-1] = np.array([3 / 8, 7 / 6, 23 / 24]) * w[3]
    return w


def smooth_lifts(grid):
    """For each axis the coefficients of the functions of least curvature with given data at its ends.

    Those of least prior norm are as narrow as the band permits, and the operator makes more of them than of the noise.
    """
    lifts = []
    for axis in grid.axes:
        keep = int(np.sum(axis.deviations > _RANK * axis.deviations[0]))
        x, w = _finer(axis)
        length, B = axis.high - axis.low, axis.B[:, :keep]
        bent, high = (np.sqrt(w)[:, None] * axis.at(x, k)[:, :keep] for k in (2, 0))
        H = length**4 * bent.T @ bent + 1e-6 * high.T @ high
        lift = np.zeros((axis.r, len(B)))
        if len(B):
            half = np.linalg.solve(H, B.T)
            lift[:keep] = np.linalg.solve((B @ half).T, half.T).T
        lifts.append(lift)
    return lifts


class Weak:
    """An operator on a grid in the symmetric form, with the interface of Linear.

    Parameters
    ----------
    grid : Grid
    coefficients : dict, multi-index to number
    """

    name, n_matvec, iterations = "weak", 0, 0
    defect, unsolved, free = 0.0, 0.0, False
    lifts = staticmethod(smooth_lifts)

    def __init__(self, grid, coefficients):
        self.grid, self.modes = grid, Modes(grid, at_nodes=False)
        self.symbol = self.modes.symbol(coefficients)
        size = np.abs(self.symbol)
        self.singular = bool(size.min() <= _SINGULAR * size.max())
        self._there = [test.T @ axis.Z for axis, test in zip(grid.axes, self.modes.test, strict=True)]
        self._back = [axis.Z.T @ T for axis, T in zip(grid.axes, self.modes.T, strict=True)]

    def solve(self, right, rtol=None):
        """C of a function that is zero at the sides, for a right-hand side as ``Grid.test`` gives it."""
        if self.grid.d == 1:
            axis = self.grid.axes[0]
            right = axis.Z.T @ (axis.Q.T @ right)
        return self.solve_function(right)

    def solve_function(self, coefficients):
        """The same for a right-hand side that is itself a function given by its coefficients C."""
        return mode_products(self._back, mode_products(self._there, coefficients) / self.symbol)


def refusal(terms, boundary, nonlinear):
    """What keeps a problem from the symmetric form, as the end of a sentence, or None."""
    if nonlinear is not None:
        return "a nonlinear term"
    if terms.varying:
        return f"a coefficient that varies, op[{next(iter(terms.varying))}]"
    for index in terms.constant:
        if np.count_nonzero(index) > 1 or sum(index) not in (0, 2):
            return f"the term {index}"
    for i, ends in enumerate(boundary.ends):
        if len(ends) < 2 and any(index[i] for index in terms.constant):
            return f"a side of axis {i} without data"
    return None


def require(what, terms, boundary, nonlinear):
    """Raise if the symmetric form does not exist; ``what`` needs it."""
    reason = refusal(terms, boundary, nonlinear)
    if reason:
        raise UnsupportedType(
            f"`{what}` must go with an operator of u and its unmixed second derivatives with constant coefficients, "
            f"and with data at both sides, got {reason}; leave `{what}` at its default."
        )

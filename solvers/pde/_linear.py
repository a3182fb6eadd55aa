"""L u = f on a grid, tested by the functions that are zero at the sides."""

import numpy as np
import scipy.linalg

from .. import _backend
from .._loop import parts
from .._tensors import outer
from ..linalg import LinearOperator, gmres
from ._sylvester import KroneckerSum

__all__ = ["Linear"]

# A sum of factors whose smallest eigenvalue is this part of the largest has none to speak of; and the reciprocal
# condition of least squares, whose columns are scaled: 1e-5 and above where there is one solution, 1e-13 and below
# where not.
_SINGULAR, _SINGULAR_LINE = 1e-14, 1e-12
_RESTART, _KRYLOV_STEPS = 80, 800


class Linear:
    """A linear operator on a grid, factorised where its terms allow it.

    On a line the equations at all nodes are solved by least squares. In two and three dimensions with constant
    coefficients and no mixed derivative the operator is a sum of factors, one for each axis, and is solved by their
    Schur forms; all others by GMRES with such a sum as preconditioner, that of the mean coefficients.

    Parameters
    ----------
    grid : Grid
    coefficients : dict, multi-index to number or array of the grid's shape

    Attributes
    ----------
    name : str
        What solves it: "least squares", "sylvester" or "gmres".
    n_matvec, iterations : int
    singular : bool
    free : bool
        Whether a constant may be added to every solution: derivatives are given on all sides, and u itself has no
        term. Right-hand sides are then projected on the range, and solutions have mean zero.
    defect : float
        The largest part of a right-hand side that was outside the range.
    unsolved : float
        The largest residual that GMRES left, relative to the right-hand side.
    """

    def __init__(self, grid, coefficients):
        self.grid, self.coefficients = grid, coefficients
        self.n_matvec = self.iterations = 0
        self.defect = self.unsolved = 0.0
        self.free = self._has_constants()
        if grid.d == 1:
            self.name, self._sum = "least squares", None
            self._factorise()
        else:
            direct = all(np.ndim(c) == 0 and np.count_nonzero(index) <= 1 for index, c in coefficients.items())
            self.name = "sylvester" if direct else "gmres"
            factors, reaction = self._mean_factors()
            self._sum = KroneckerSum(factors, reaction)
            self.singular = self._sum.gap <= _SINGULAR and not self.free
            if self.free:
                # Of nothing but derivatives: there is no reaction.
                self._outside = outer([_left_null(M) for M in factors])

    def _has_constants(self):
        axes = self.grid.axes
        known = [(side, order) for axis in axes for side, order in axis.ends]
        reaction = self.coefficients.get((0,) * self.grid.d, 0.0)
        free = len(known) == 2 * len(axes) and all(order for _, order in known) and not np.any(reaction)
        if free:
            one = self.grid.inner(self.grid.project(np.ones(self.grid.sizes)))
            self._one = one / np.linalg.norm(one)
        return free

    def _factorise(self):
        axis = self.grid.axes[0]
        A = sum(np.broadcast_to(c, (axis.n,))[:, None] * axis.free(k) for (k,), c in self.coefficients.items())
        self._size = np.linalg.norm(A, axis=0)
        self._size[self._size == 0] = 1.0
        A = A / self._size
        if self.free:
            self._outside = axis.Q @ (axis.Z @ _left_null(axis.Z.T @ (axis.Q.T @ A)))
            A = np.vstack([A, self._one / self._size * np.linalg.norm(self._size)])
        self._QR = scipy.linalg.qr(A, mode="economic")
        R = self._QR[1]
        # R is its own LU factorisation; `trcon`, made for triangles, is in SciPy since 1.15.
        self.singular = (
            len(R) < A.shape[1] or scipy.linalg.lapack.dgecon(R, np.linalg.norm(R, 1))[0] <= _SINGULAR_LINE
        )

    def _mean_factors(self):
        """Each axis' terms with their mean coefficients, and that of u itself."""
        factors, reaction = [np.zeros((n, n)) for n in self.grid.shape], 0.0
        for index, c in self.coefficients.items():
            if not any(index):
                reaction = float(np.mean(c))
            if np.count_nonzero(index) != 1:
                continue
            i = int(np.argmax(index))
            axis = self.grid.axes[i]
            factors[i] += float(np.mean(c)) * axis.inside(index[i])
        return factors, reaction

    def solve(self, right, rtol=1e-12):
        """C of a function that is zero at the sides, for a tested right-hand side; rtol is GMRES's."""
        if self.free:
            right = self._in_range(right)
        if self.grid.d == 1:
            Q, R = self._QR
            return scipy.linalg.solve_triangular(R, Q[: len(right)].T @ right) / self._size
        C = self._inverse(right) if self.name == "sylvester" else self._krylov(right, rtol)
        return C - self._one * np.vdot(self._one, C) if self.free else C

    def _in_range(self, right):
        outside = np.vdot(self._outside, right)
        self.defect = max(self.defect, float(abs(outside) / max(np.linalg.norm(right), 1e-300)))
        return right - outside * self._outside

    def _inverse(self, right):
        """By the sum of factors; where a constant is free, what is in its range."""
        if not self.free:
            return self._sum.solve(right)
        C = self._sum.solve(right - np.vdot(self._outside, right) * self._outside)
        return C - self._one * np.vdot(self._one, C)

    def solve_function(self, coefficients):
        """The same for a right-hand side that is itself a function given by its coefficients C."""
        if self.grid.d == 1:
            axis = self.grid.axes[0]
            return self.solve(axis.Q @ (axis.Z @ coefficients))
        return self.solve(coefficients)

    def _product(self, C):
        self.n_matvec += 1
        return self.grid.tested(self.coefficients, self.grid.outer(C))

    def _krylov(self, right, rtol):
        shape = self.grid.shape
        N = int(np.prod(shape))
        A = LinearOperator((N, N), matvec=lambda c: self._product(c.reshape(shape)).ravel(), dtype=np.float64)
        M = LinearOperator((N, N), matvec=lambda r: self._inverse(r.reshape(shape)).ravel(), dtype=np.float64)
        # Vectors stay on the host also where the products of the grid's size run on a device.
        with _backend.backend("cpu"), parts():
            result = gmres(A, right.ravel(), M=M, rtol=rtol, restart=_RESTART, maxiter=_KRYLOV_STEPS // _RESTART)
        self.iterations += int(result.iterations)
        if not result.converged:
            self.unsolved = max(self.unsolved, float(result.residual / max(np.linalg.norm(right), 1e-300)))
        return result.x.reshape(shape)


def _left_null(M):
    """The unit vector y of the least |y^T M|."""
    return scipy.linalg.svd(M)[0][:, -1]

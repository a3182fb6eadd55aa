"""L u = f on a grid, tested by the functions that are zero at the sides."""

import numpy as np
import scipy.linalg

from ..linalg import LinearOperator, gmres
from ._sylvester import KroneckerSum

__all__ = ["Linear"]

# A sum of factors whose smallest eigenvalue is this part of the largest has none to speak of.
_SINGULAR = 1e-14
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
    """

    def __init__(self, grid, coefficients):
        self.grid, self.coefficients = grid, coefficients
        self.n_matvec = self.iterations = 0
        if grid.d == 1:
            self.name, self._sum = "least squares", None
            self._factorise()
        else:
            direct = all(np.ndim(c) == 0 and np.count_nonzero(index) <= 1 for index, c in coefficients.items())
            self.name = "sylvester" if direct else "gmres"
            self._sum = KroneckerSum(self._mean_factors())
            self.singular = self._sum.gap <= _SINGULAR

    def _factorise(self):
        axis = self.grid.axes[0]
        A = sum(np.broadcast_to(c, (axis.n,))[:, None] * (axis.E[k] @ axis.Z) for (k,), c in self.coefficients.items())
        self._size = np.linalg.norm(A, axis=0)
        self._size[self._size == 0] = 1.0
        self._QR = scipy.linalg.qr(A / self._size, mode="economic")
        diagonal = np.abs(np.diag(self._QR[1]))
        self.singular = len(self._QR[1]) < A.shape[1] or diagonal.min() <= _SINGULAR * diagonal.max()

    def _mean_factors(self):
        """Each axis' terms with their mean coefficients; those of u itself go with the first."""
        factors = [np.zeros((n, n)) for n in self.grid.shape]
        for index, c in self.coefficients.items():
            if np.count_nonzero(index) > 1:
                continue
            i = int(np.argmax(index))
            axis = self.grid.axes[i]
            factors[i] += float(np.mean(c)) * (axis.Z.T @ axis.D[index[i]] @ axis.Z)
        return factors

    def solve(self, right, rtol=1e-12):
        """C of a function that is zero at the sides, for a tested right-hand side; rtol is GMRES's."""
        if self.grid.d == 1:
            Q, R = self._QR
            return scipy.linalg.solve_triangular(R, Q.T @ right) / self._size
        return self._sum.solve(right) if self.name == "sylvester" else self._krylov(right, rtol)

    def solve_function(self, coefficients):
        """The same for a right-hand side that is itself a function given by its coefficients C."""
        if self.grid.d == 1:
            axis = self.grid.axes[0]
            return self.solve(axis.Q @ (axis.Z @ coefficients))
        return self.solve(coefficients)

    def _product(self, C):
        self.n_matvec += 1
        return self.grid.test(self.grid.apply(self.coefficients, self.grid.outer(C)))

    def _krylov(self, right, rtol):
        shape = self.grid.shape
        N = int(np.prod(shape))
        A = LinearOperator((N, N), matvec=lambda c: self._product(c.reshape(shape)).ravel(), dtype=np.float64)
        M = LinearOperator((N, N), matvec=lambda r: self._sum.solve(r.reshape(shape)).ravel(), dtype=np.float64)
        result = gmres(A, right.ravel(), M=M, rtol=rtol, restart=_RESTART, maxiter=_KRYLOV_STEPS // _RESTART)
        self.iterations += int(result.iterations)
        return result.x.reshape(shape)

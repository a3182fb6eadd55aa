"""Matrices that are analysed once for many solves, and operators without a matrix."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .. import _backend, _checks
from .._arrays import enter
from .._errors import InvalidInput, UnsupportedType
from .._matrices import check_indices
from .._place import at
from .._types import MatrixLike
from ._operator import Matrix, PreparedOperator, analyse, is_matrix

__all__ = ["StencilOperator", "prepare", "stencil"]


class StencilOperator(PreparedOperator):
    """What ``stencil`` returns: a constant 5- or 7-point operator without storage."""

    def _matvec(self, v):
        v = np.ravel(v)
        dtype = np.result_type(self.dtype, v.dtype)
        y = np.empty(self.shape[0], dtype=dtype)
        kernels = _backend.kernels("cpu")
        kernels.matvec(self._matrix.operand(dtype, "cpu"), np.ascontiguousarray(v, dtype=dtype), y)
        return y

    def _matmat(self, X):
        return np.stack([self._matvec(column) for column in X.T], axis=1) if X.shape[1] else np.empty(X.shape)

    def _adjoint(self):
        return self if self.dtype.kind == "f" else StencilOperator(_conjugate(self._matrix), None)


def prepare(A: MatrixLike) -> PreparedOperator:
    """Analyse a matrix once for many solves.

    Parameters
    ----------
    A : ndarray, sparse array or LinearOperator, shape (n, n)
        It is copied: later changes to A are not seen.

    Returns
    -------
    PreparedOperator
        A LinearOperator of the same shape and dtype. The solvers of this module skip the checks, the
        conversion and the choice of storage when they get it; SciPy's take it as any operator.

    Raises
    ------
    InvalidInput
        If A is not square, or its index arrays do not fit its shape.
    UnsupportedType
        If A is no matrix or operator, or has no dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.prepare(np.array([[4.0, 1.0], [1.0, 3.0]]))
    >>> [linalg.cg(A, b).iterations for b in np.eye(2)]
    [2, 2]
    """
    if isinstance(A, PreparedOperator):
        return A
    A = enter("A", A)
    backend = _backend.pick(A=A)
    with at(backend, A):
        matrix = analyse(A)
        if matrix.explicit:
            A = A if is_matrix(A) else A.A
            check_indices(A, "A")  # A bad matrix is refused before it is copied.
            A = A.copy()
            matrix = analyse(A)
        if matrix.dtype is None:
            raise UnsupportedType("`A` must have a dtype to be prepared; wrap it in a LinearOperator with dtype=.")
        if matrix.explicit:
            matrix.operand(matrix.dtype, backend)
    return PreparedOperator(matrix, A)


def stencil(grid: Sequence[int], weights: ArrayLike) -> StencilOperator:
    """Make the constant-coefficient 5-point (2D) or 7-point (3D) operator on a grid, without a matrix.

    (A u)_i = weights[0] u_i + sum over axes k of weights[1 + k] (u_{i - e_k} + u_{i + e_k}), with u = 0
    outside the grid (homogeneous Dirichlet values one step beyond it).

    Parameters
    ----------
    grid : sequence of int, length 1 to 3
        The points along each axis; unknowns are numbered in C order (last axis fastest), n = prod(grid).
    weights : array_like, shape (len(grid) + 1,)
        The centre, then the neighbours along each axis.

    Returns
    -------
    StencilOperator
        A LinearOperator of shape (n, n). A product reads one vector and writes one.

    Raises
    ------
    InvalidInput
        If the grid has no size, or the weights do not go with it.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = linalg.stencil((50, 50), [4, -1, -1])
    >>> linalg.cg(A, np.ones(2500), rtol=1e-8).converged
    True
    """
    if not isinstance(grid, tuple | list) or not 1 <= len(grid) <= 3:
        raise InvalidInput(f"`grid` must be a sequence of 1 to 3 sizes, got {_checks.brief(grid)}.")
    grid = [_checks.count("grid", size) for size in grid]
    weights = _checks.finite("weights", _checks.array("weights", weights))
    _checks.shape_is("weights", weights, [(len(grid) + 1,)], "(the centre and one weight per axis)")
    n = math.prod(grid)
    if n >= 2**48:
        raise InvalidInput(f"`grid` must have fewer than 2^48 points, got {n}.")
    return StencilOperator(Matrix(n, weights.dtype, stencil=(grid, weights.copy())), None)


def _conjugate(matrix):
    shape, weights = matrix.stencil
    return Matrix(matrix.n, matrix.dtype, stencil=(shape, weights.conj()))

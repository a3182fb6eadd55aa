"""Conjugate gradients on stacks: the regularised normal equations, and any other Hermitian system of images.

Each row of a stack is a system of its own with its own scalars, so that one product with ``A`` serves all of them. The
inner products are those of float64, the first argument conjugated; on complex data only their real parts matter, since
the operators are Hermitian.
"""

import numpy as np

from .._arrays import module_of
from .._stacks import inner_rows
from ._operator import applied

__all__ = ["conjugate_gradients", "solve_normal"]


def solve_normal(A, rhs, *, shift=0.0, weight=1.0, x0=None, maxiter=20, rtol=0.0, more=None):
    """Solve (shift I + weight A^H A + more) X = rhs by conjugate gradients.

    Parameters
    ----------
    A : ImagingOperator
    rhs : array, shape (k, *A.image_shape)
        Of NumPy or CuPy.
    shift, weight : float or array of shape (k,), >= 0
    x0 : array like rhs, optional
        The start; zeros by default. It is not written to.
    maxiter : int
        Steps at most.
    rtol : float
        A row is done when its residual is at most ``rtol``, or ten units of rounding if that is more, times the norm
        of its right-hand side.
    more : function, optional
        Another positive semidefinite Hermitian operator, from a stack to a new stack; it sees all rows at each step.

    Returns
    -------
    X : array, shape (k, *A.image_shape)
        A new array. A row stops at a residual of zero, at a curvature that is not positive, and at a NaN or an
        infinity, with the iterate before that.
    iterations : ndarray of int, shape (k,)
    n_matvec : int
        Products with A and with A^H, a stack counted once for each of its rows.
    """
    xp = module_of(rhs)
    dtype = np.result_type(A.dtype, rhs.dtype, rhs.dtype if x0 is None else x0.dtype)
    shift, weight = (_columns(xp, value, rhs.ndim, dtype) for value in (shift, weight))

    def product(P):
        Q = applied(A, A.adjoint_stack, applied(A, A.forward_stack, P))
        Q = weight * Q + shift * P
        return Q if more is None else Q + more(P)

    X, iterations, n_products = conjugate_gradients(product, rhs, x0=x0, maxiter=maxiter, rtol=rtol, dtype=dtype)
    return X, iterations, 2 * n_products * len(rhs)


def conjugate_gradients(product, rhs, *, x0=None, maxiter=20, rtol=0.0, dtype=None):
    """Solve product(X) = rhs, a Hermitian positive definite system for each row; rows that are done are frozen.

    Parameters
    ----------
    product : function
        From a stack like rhs to a new stack, each row of which depends on that row alone.
    rhs, x0, maxiter, rtol
        As in `solve_normal`, for a stack of any shape (k, ...).
    dtype : dtype, optional
        Of the iterates; that of rhs by default.

    Returns
    -------
    X : array like rhs
    iterations : ndarray of int, shape (k,)
    n_products : int
        Calls of ``product``.
    """
    xp, column = module_of(rhs), (-1,) + (1,) * (rhs.ndim - 1)
    r = rhs.astype(dtype or rhs.dtype, order="C", copy=True)
    real = np.finfo(r.dtype).dtype
    x = xp.zeros_like(r) if x0 is None else x0.astype(r.dtype, order="C", copy=True)
    # Below the rounding of the right-hand side there is only noise, which a singular system would blow up.
    threshold = (max(rtol, 10 * np.finfo(r.dtype).eps) * np.sqrt(inner_rows(r, r))) ** 2
    iterations, n_products = np.zeros(len(r), int), 0
    if x0 is not None:
        with np.errstate(invalid="ignore"):  # a row that is not finite is not begun
            r -= product(x)
        n_products = 1
    rho = inner_rows(r, r)
    active = np.isfinite(rho) & (rho > threshold)
    p = xp.where(xp.asarray(active).reshape(column), r, 0)
    with np.errstate(all="ignore"):  # a row whose scalars are not finite is stopped below
        for _ in range(maxiter):
            if not active.any():
                break
            q = product(p)
            n_products += 1
            curvature = inner_rows(p, q)
            alpha = np.divide(rho, curvature, out=np.zeros_like(rho), where=curvature > 0).astype(real)
            active &= (curvature > 0) & np.isfinite(alpha)
            alpha = xp.asarray(np.where(active, alpha, 0)).reshape(column)
            still = xp.asarray(active).reshape(column)
            x += alpha * p
            r -= xp.where(still, alpha * q, 0)
            last, rho = rho, np.where(active, inner_rows(r, r), rho)
            iterations += active
            active &= np.isfinite(rho) & (rho > threshold)
            beta = np.divide(rho, last, out=np.zeros_like(rho), where=active)
            p = xp.where(still, r + xp.asarray(beta, real).reshape(column) * p, 0)
    return x, iterations, n_products


def _columns(xp, value, ndim, dtype):
    """A number or one for each row, so that it multiplies a stack in its own precision."""
    with np.errstate(over="ignore"):  # an infinite weight stops its row
        value = xp.asarray(value, np.finfo(dtype).dtype)
    return value if value.ndim == 0 else value.reshape((-1,) + (1,) * (ndim - 1))

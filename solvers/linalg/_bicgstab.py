"""BiCGSTAB (van der Vorst 1992, https://doi.org/10.1137/0913035), right-preconditioned as in SciPy.

What differs from SciPy's: the breakdown tests are relative to the vectors and not absolute, so that a scaled
system takes the same path; the true residual is recomputed before "converged" is said.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from .._result import Status
from .._types import Callback, Executor, MatrixLike
from ._iterative import solve
from ._result import LinearResult

__all__ = ["bicgstab"]


def bicgstab(
    A: MatrixLike,
    b: ArrayLike,
    x0: ArrayLike | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: MatrixLike | None = None,
    callback: Callback | None = None,
    executor: Executor | None = None,
) -> LinearResult:
    """Solve A x = b for a general square A by the stabilised bi-conjugate gradient method.

    Parameters
    ----------
    A : ndarray, sparse array, LinearOperator or callable, shape (n, n)
        Real or complex.
    b : array_like, shape (n,), (n, 1) or (n, k)
        One right-hand side, or k of them, solved one after the other, or by ``executor``.
    x0 : array_like, shape of b, or "Mb", optional
        Starting guess; zero by default.
    rtol, atol : float, default 1e-5 and 0
        The tolerance: ``norm(b - A @ x) <= max(atol, rtol * norm(b))``.
    maxiter : int, default 10 n
        Most iterations, of two products with A each.
    M : ndarray, sparse array, LinearOperator or callable, shape (n, n), optional
        Approximation of the inverse of A.
    callback : callable, or object with ``on_chunk``, optional
        Called as ``callback(xk)`` after each iteration with a copy of the iterate.
    executor : concurrent.futures executor, optional
        Where the columns of b are solved, without ``callback``; see ``cg``.

    Returns
    -------
    x, info : LinearResult
        SciPy's pair with the attributes of ``solvers.Result``.

    Raises
    ------
    InvalidInput, UnsupportedType
        A ValueError and a TypeError: see ``cg``.

    Notes
    -----
    An iteration costs two products with A and two with M; memory is 7 vectors. It can end early in a
    half step. Use cg where A is Hermitian positive definite; gmres where this one breaks down.

    References
    ----------
    .. [1] H. A. van der Vorst, Bi-CGSTAB: a fast and smoothly converging variant of Bi-CG, SIAM J. Sci.
       Stat. Comput. 13 (1992) 631-644, https://doi.org/10.1137/0913035

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import linalg
    >>> A = np.array([[4.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 2.0]])
    >>> linalg.bicgstab(A, np.ones(3), rtol=1e-10).iterations
    3
    """
    return solve(_steps, "bicgstab", A, b, x0, M, rtol, atol, maxiter, callback, executor=executor)


def _steps(system, control):
    x, axpy, scale = system.x, system.kernels.axpy, system.kernels.scale

    def scalar(value):
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the dtype's range: named as not finite
            return system.dtype.type(value)

    r, p, v, t, p_hat, s_hat = (system.empty() for _ in range(6))
    r_norm = r0_norm = system.residual(r)
    yield [r_norm], None
    r_tilde = r.copy()
    rho = alpha = omega = None
    while True:
        rho_last, rho = rho, system.inner(r_tilde, r)
        if not _finite(rho):
            yield [], Status.NONFINITE
        if abs(rho) <= system.eps**2 * r0_norm * r_norm or omega == 0:
            yield [], Status.BREAKDOWN
        if rho_last is None:
            p[:] = r
        else:
            axpy(scalar(-omega), v, p)
            with np.errstate(over="ignore", invalid="ignore"):
                scale(scalar((rho / rho_last) * (alpha / omega)), p, p)
            axpy(scalar(1.0), r, p)
        y = system.psolve(p, p_hat)
        system.matvec(y, v)
        sigma = system.inner(r_tilde, v)
        alpha = _ratio(rho, sigma)
        if alpha is None:
            yield [], Status.BREAKDOWN if sigma == 0 else Status.NONFINITE
        axpy(scalar(-alpha), v, r)  # r is now the paper's s
        s_norm = system.norm(r)
        if s_norm <= control.threshold:
            axpy(scalar(alpha), y, x)
            yield [s_norm], None
        z = system.psolve(r, s_hat)
        Az = system.product(z, t)
        t_norm = system.norm(Az)
        omega = _projection(system, Az, r, t_norm)
        if omega is None:
            axpy(scalar(alpha), y, x)
            yield [s_norm], Status.BREAKDOWN if t_norm == 0 else Status.NONFINITE
        axpy(scalar(alpha), y, x)
        axpy(scalar(omega), z, x)
        axpy(scalar(-omega), Az, r)
        r_norm = system.norm(r)
        yield [r_norm], None


def _projection(system, t, s, t_norm):
    """t^H s / t^H t, also where the square of t would over- or underflow; None where it is no finite number."""
    if 1e-140 < t_norm < 1e140:
        return _ratio(system.inner(t, s), t_norm * t_norm)
    if t_norm == 0 or not math.isfinite(t_norm):
        return None
    unit = system.empty()
    system.kernels.scale(system.dtype.type(1.0 / t_norm), t, unit)
    return _ratio(system.inner(unit, s), t_norm)


def _finite(z):
    return math.isfinite(z.real) and math.isfinite(z.imag)


def _ratio(numerator, denominator):
    """The quotient, or None where it is no finite number."""
    if denominator == 0 or not _finite(denominator) or not _finite(numerator):
        return None
    with np.errstate(over="ignore"):
        quotient = numerator / denominator
    return quotient if _finite(quotient) else None

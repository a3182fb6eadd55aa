"""The best omega by Young's formula, from an estimate of the spectrum before the solve."""

import math

import numpy as np

from .. import _backend, _checks
from .._arrays import enter
from .._errors import InvalidInput
from .._place import at
from .._types import MatrixLike
from ._operator import analyse, source
from ._sweeps import diagonal_of

__all__ = ["for_ssor", "in_range", "omega_of", "omega_optimal", "spectrum_of", "young"]


def young(beta):
    """omega = 2 / (1 + sqrt(1 - beta^2)), beta the spectral radius of the Jacobi iteration, < 1."""
    return 2.0 / (1.0 + math.sqrt(max(0.0, 1.0 - beta * beta)))


def omega_optimal(A: MatrixLike, *, n_steps: int = 30) -> float:
    """Estimate the omega at which ``sor`` converges fastest.

    omega = 2 / (1 + sqrt(1 - beta^2)), where beta is the spectral radius of I - D^-1 A, estimated from below by
    Lanczos steps.

    Parameters
    ----------
    A : ndarray, sparse array or stencil, shape (n, n)
        Hermitian positive definite; the formula is exact for consistently ordered matrices (5- and 7-point
        stencils, block tridiagonal matrices), and near the best for what resembles them.
    n_steps : int, default 30
        Most Lanczos steps, of a product with A each.

    Returns
    -------
    float
        In [1, 2).

    Raises
    ------
    InvalidInput
        If the diagonal is not positive.

    References
    ----------
    .. [1] D. M. Young, Iterative Solution of Large Linear Systems, Academic Press, 1971, chapter 6.

    Examples
    --------
    >>> from solvers import linalg
    >>> round(linalg.omega_optimal(linalg.stencil((10, 10), [4, -1, -1])), 4)
    1.5604
    """
    n_steps = _checks.count("n_steps", n_steps)
    A = enter("A", A)
    backend = _backend.pick(A=source(A))
    with at(backend, source(A)):
        matrix = analyse(A)
        return omega_of(matrix, matrix.dtype, backend, n_steps)


def omega_of(matrix, dtype, backend, steps=30):
    """``omega_optimal`` of an analysed matrix."""
    low, high = spectrum_of(matrix, dtype, backend, steps)
    return young(min(max(1.0 - low, high - 1.0), 1.0 - 1e-15))


def spectrum_of(matrix, dtype, backend, steps=30):
    """The smallest and the largest eigenvalue of D^-1 A, from within, by Lanczos steps from a random vector."""
    kernels = _backend.kernels(backend)
    d = kernels.to_host(diagonal_of(matrix, dtype, backend))
    if np.any(d.real <= 0):
        raise InvalidInput(
            f"`A` must have a positive diagonal for an estimate of its spectrum, got {float(d.real.min())!r}; use "
            "gmres or minres, or give the numbers that are estimated here."
        )
    weights = kernels.to_device(1 / np.sqrt(d.real), np.finfo(dtype).dtype)
    T = _tridiagonal(matrix.operand(dtype, backend), weights, dtype, kernels, min(steps, matrix.n))
    ritz = np.linalg.eigvalsh(T) if np.isfinite(T).all() and T.size else np.ones(1)
    return float(ritz[0]), float(ritz[-1])


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is for who asked to tell
def _tridiagonal(operand, weights, dtype, kernels, steps):
    """Lanczos' matrix of D^-1/2 A D^-1/2."""
    n = weights.size
    start = np.random.default_rng(0).standard_normal(n).astype(dtype)
    v = kernels.copy_to_device(start / np.linalg.norm(start), dtype)
    last, u, w = kernels.zeros(n, dtype), kernels.empty(n, dtype), kernels.empty(n, dtype)
    alphas, betas, beta = [], [], 0.0
    for _ in range(steps):
        kernels.multiply(weights, v, u)
        kernels.matvec(operand, u, w)
        kernels.multiply(weights, w, w)
        kernels.axpy(dtype.type(-beta), last, w)
        alpha = kernels.inner(v, w).real
        kernels.axpy(dtype.type(-alpha), v, w)
        beta = math.sqrt(max(0.0, kernels.inner(w, w).real))
        alphas.append(alpha)
        betas.append(beta)
        if not math.isfinite(alpha + beta) or beta <= 10 * np.finfo(dtype).eps:
            break
        last, v, w = v, w, last
        kernels.scale(dtype.type(1.0 / beta), v, v)
    return np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1)


def for_ssor(omega):
    """A good omega for SSOR as a preconditioner, from that for SOR.

    2 - omega is 2 to 2.4 times as large there (measured on Poisson problems in 2D and 3D, 2,000 to 10^6 unknowns),
    and the iterations change little around it.
    """
    return max(1.0, 2.0 - 2.2 * (2.0 - omega))


def in_range(omega):
    """Refuse what is neither "auto" nor a number in (0, 2)."""
    if isinstance(omega, str):
        if omega != "auto":
            raise InvalidInput(f"`omega` must be a number or 'auto', got {omega!r}.")
    elif not 0.0 < _checks.number("omega", omega) < 2.0:
        raise InvalidInput(f"`omega` must be > 0 and < 2, outside of which nothing converges, got {omega!r}.")

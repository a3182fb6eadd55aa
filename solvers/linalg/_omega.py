"""The best omega: Young's formula, from an estimate before the solve or from the residuals within it."""

import math

import numpy as np

from .. import _backend, _checks
from .._arrays import enter
from .._errors import InvalidInput
from ._operator import analyse, source
from ._sweeps import diagonal_of

__all__ = ["Adaptive", "for_ssor", "in_range", "omega_of", "omega_optimal", "spectrum_of"]


def young(beta):
    """omega = 2 / (1 + sqrt(1 - beta^2)), beta the spectral radius of the Jacobi iteration, < 1."""
    return 2.0 / (1.0 + math.sqrt(max(0.0, 1.0 - beta * beta)))


def omega_optimal(A, *, steps: int = 30) -> float:
    """Estimate the omega at which ``sor`` converges fastest.

    omega = 2 / (1 + sqrt(1 - beta^2)), where beta is the spectral radius of I - D^-1 A, estimated from below by
    Lanczos steps.

    Parameters
    ----------
    A : ndarray, sparse array or stencil, shape (n, n)
        Hermitian positive definite; the formula is exact for consistently ordered matrices (5- and 7-point
        stencils, block tridiagonal matrices), and near the best for what resembles them.
    steps : int, default 30
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
    steps = _checks.count("steps", steps)
    A = enter("A", A)
    matrix = analyse(A)
    return omega_of(matrix, matrix.dtype, _backend.pick(A=source(A)), steps)


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


class Adaptive:
    """Omega chosen within a solve, from the ratios of residual norms (Hageman & Young 1981, chapter 9).

    Below the best omega the ratio tends to the largest eigenvalue lambda of the iteration, and that to the Jacobi
    radius beta by (lambda + omega - 1)^2 = lambda omega^2 beta^2; Young's formula gives the next omega. Beyond the
    best one the ratio is omega - 1 and says nothing more.

    Attributes
    ----------
    omega : float
        For the next sweeps.
    steps : int
        How many of them.
    """

    # Measured on shifted Poisson problems of 100 unknowns: within 11% of the sweeps at the best omega.
    _START, _FEWEST, _SETTLED = 1.5, 8, 0.2

    def __init__(self):
        self.omega, self.steps, self._most = self._START, self._FEWEST, 2.3

    def observe(self, norms):
        """Learn from the norms after the sweeps with this omega; False if these were in vain."""
        if not np.isfinite(norms[-1]) and self.omega > 1.0:
            self._most, self.omega, self.steps = self.omega, self._lower(), self._FEWEST
            return False
        if len(norms) < 3 or not np.all(norms > 0) or not np.isfinite(norms[-1]):
            return True
        ratio, before = norms[-1] / norms[-2], norms[-2] / norms[-3]
        mean = (norms[-1] / norms[0]) ** (1.0 / (len(norms) - 1))
        if self.omega > 1.0 and not mean < 1.0 and not ratio < 1.0:
            # No omega as large as this one converges: the matrix is not symmetric, or not definite.
            self._most, self.omega, self.steps = self.omega, self._lower(), self._FEWEST
            return False
        if self.omega <= self._START and mean <= self.omega - 0.95:
            self.omega = self._lower()  # beyond the best, where no formula says how far
        elif abs(ratio - before) > self._SETTLED * (1.0 - ratio):
            self.steps = max(4, self.steps // 2)
        elif ratio > self.omega - 1.0:
            beta = (ratio + self.omega - 1.0) / (self.omega * math.sqrt(ratio))
            self.omega = min(max(self.omega, young(min(beta, 1.0 - 1e-12))), 1.0 + 0.75 * (self._most - 1.0))
            # The new ratio takes some 1 / (2 - omega) sweeps to settle.
            self.steps = max(self._FEWEST, int(1.0 / (2.0 - self.omega)))
        return True

    def _lower(self):
        """Half of the way back to Gauss-Seidel, and all of it from where little is left."""
        return 1.0 + (self.omega - 1.0) / 2.0 if self.omega > 1.1 else 1.0

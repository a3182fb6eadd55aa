"""What a Gaussian mixture knows of x0 given x = x0 + sigma n, and the parts of mixtures that are plain numbers."""

import math

import numpy as np

from .. import _checks
from .._arrays import enter, kinds, module_of
from .._errors import InvalidInput

__all__ = ["Tweedie", "eigen", "host_operator", "images_of", "normals", "on_host"]


class Tweedie:
    """The mean and the covariance of x0 for each row of a stack X of x0 + sigma n.

    Parameters
    ----------
    parts : tuple of log-weights (K,), means (K, n), variances (K, n), eigenvectors (K, n, n) or None
        Where X lives.
    X : array, shape (k, ...)
    sigma : float
        The variances plus its square are > 0.
    """

    def __init__(self, parts, X, sigma):
        xp = module_of(X)
        logs, centres, variances, self._basis = parts
        dtype = np.result_type(X.dtype, centres.dtype)
        half = 0.5 if dtype.kind == "f" else 1.0
        self._dtype, self._shape, self._sigma = X.dtype if X.dtype.kind == dtype.kind else dtype, X.shape, sigma
        D = X.reshape(1, len(X), -1) - centres[:, None]
        spread = variances + sigma**2
        self._gains = (variances / spread)[:, None]
        Z = D if self._basis is None else D @ self._basis.conj()
        scores = (logs - half * xp.log(spread).sum(axis=1))[:, None]
        scores = scores - half * (xp.abs(Z) ** 2 / spread[:, None]).sum(axis=2)
        top = scores.max(axis=0)
        shares = xp.exp(scores - top)
        total = shares.sum(axis=0)
        self._shares = (shares / total)[:, :, None]
        self.log_density = top + xp.log(total) - half * centres.shape[1] * math.log(math.pi / half)
        means = self._back(Z * self._gains) + centres[:, None]
        mean = (self._shares * means).sum(axis=0)
        self._offsets = means - mean
        self.mean = mean.reshape(X.shape).astype(self._dtype, copy=False)

    def _back(self, Z):
        return Z if self._basis is None else Z @ self._basis.swapaxes(1, 2)

    def covariance_product(self, V):
        """Cov[x0 | x] v, a row of V for each row of x."""
        V = V.reshape(1, len(V), -1)
        Z = V if self._basis is None else V @ self._basis.conj()
        along = (self._offsets.conj() * V).sum(axis=2, keepdims=True)
        out = (self._shares * (self._sigma**2 * self._back(Z * self._gains) + self._offsets * along)).sum(axis=0)
        return out.reshape(self._shape).astype(self._dtype, copy=False)


def normals(generators, shape, dtype):
    """Standard normal numbers, a row of each generator; complex ones are circular with E|n|^2 = 1."""
    out = np.empty((len(generators), *shape), dtype)
    for row, generator in zip(out, generators, strict=True):
        if out.dtype.kind == "c":
            parts = generator.standard_normal((2, *shape)) * math.sqrt(0.5)
            row[...] = parts[0] + 1j * parts[1]
        else:
            row[...] = generator.standard_normal(shape)
    return out


def eigen(covariances, shape):
    """Eigenvalues (K, n) and eigenvectors (K, n, n), or None for diagonal ones."""
    count, n = shape[0], math.prod(shape[1:])
    if covariances.shape in ((count,), shape):
        if covariances.dtype.kind == "c" or not (covariances >= 0).all():
            raise InvalidInput(f"`covariances` must hold variances >= 0, got {_short(covariances)}.")
        flat = covariances.reshape(count, -1).astype(float)
        return np.broadcast_to(flat, (count, n)), None
    _checks.shape_is("covariances", covariances, [(count,), shape, (count, n, n)], "to match `means`")
    covariances = covariances.astype(np.result_type(covariances, np.float64))
    size = np.abs(covariances).max(axis=(1, 2), initial=0.0)
    if (np.abs(covariances - covariances.conj().swapaxes(1, 2)).max(axis=(1, 2)) > 1e-6 * size).any():
        raise InvalidInput("`covariances` must be Hermitian; pass (C + C^H)/2.")
    values, vectors = np.linalg.eigh((covariances + covariances.conj().swapaxes(1, 2)) / 2)
    if (values.min(axis=1) < -1e-6 * size).any():
        raise InvalidInput(f"`covariances` must be positive semidefinite, got an eigenvalue of {values.min():.1e}.")
    return np.maximum(values, 0.0), vectors


def _short(array):
    return array.tolist() if array.size < 9 else f"one with a minimum of {array.real.min():.2g}"


def images_of(name, x, shape):
    """A stack (k, *shape) of an image or a stack; flat forms would be ambiguous for flat images."""
    if x.shape != shape and x.shape[1:] != shape:
        raise InvalidInput(f"`{name}` must have shape {shape} or (k, {str(shape)[1:]}, got {x.shape}.")
    return x.reshape(-1, *shape)


def on_host(name, value):
    """Anything array-like as NumPy's."""
    value = _checks.real_array(name, enter(name, value))
    return value.get() if hasattr(value, "get") else value


def host_operator(A):
    """A matrix of CuPy's brought over, all else as it is."""
    return A.get() if kinds[type(A)] == "gpu" and hasattr(A, "get") else A

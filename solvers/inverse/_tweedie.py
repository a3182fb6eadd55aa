"""What a Gaussian mixture knows of x0 given x = x0 + sigma n, and the parts of mixtures that are plain numbers."""

import math

import numpy as np

from .. import _checks
from .._arrays import enter, module_of, on_host
from .._errors import InvalidInput

__all__ = ["Tweedie", "eigen", "images_of", "normals", "values_on_host"]


_NEGLIGIBLE = 1e-17
# Of a logarithm of a density, whose square distances may overflow.
_LOWEST = -1e300


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
        dtype, variance = np.result_type(X.dtype, centres.dtype), float(sigma * np.float64(sigma))
        half = 0.5 if dtype.kind == "f" else 1.0
        self._dtype, self._shape, self._variance = X.dtype if X.dtype.kind == dtype.kind else dtype, X.shape, variance
        flat = X.reshape(len(X), centres.shape[1])
        spread = xp.maximum(variances + variance, np.finfo(float).tiny)
        self._gains = variances / spread
        scores, along = xp.empty((len(logs), len(X))), []
        for j, centre in enumerate(centres):
            along.append(self._forth(j, flat - centre))
            scores[j] = logs[j] - half * (xp.log(spread[j]).sum() + (xp.abs(along[j]) ** 2 / spread[j]).sum(axis=1))
        scores = xp.where(scores > _LOWEST, scores, _LOWEST)
        top = scores.max(axis=0)
        shares = xp.exp(scores - top)
        total = shares.sum(axis=0)
        shares /= total
        self.log_density = top + xp.log(total) - half * centres.shape[1] * math.log(math.pi / half)
        # What belongs to a row by less than rounding is left out: at little noise that is all but one component.
        self._members = [xp.flatnonzero(share > _NEGLIGIBLE) for share in shares]
        self._shares = [share[rows, None] for share, rows in zip(shares, self._members, strict=True)]
        means = [self._back(j, along[j][rows] * self._gains[j]) + centres[j] for j, rows in enumerate(self._members)]
        mean = self._summed(means, flat.shape)
        self._offsets = [each - mean[rows] for each, rows in zip(means, self._members, strict=True)]
        self.mean = mean.reshape(X.shape).astype(self._dtype, copy=False)

    def covariance_product(self, V):
        """sigma^2 times the derivative of the mean in the direction v: a row of V for each row of x.

        For real images that is Cov[x0 | x] v. Complex ones are not circular between the components, and the derivative
        has E[d d^T | x] conj(v), d = x0 - E[x0 | x], as well: both together are the covariance of the parts.
        """
        flat, terms = V.reshape(len(V), math.prod(V.shape[1:])), []
        for j, (rows, offset) in enumerate(zip(self._members, self._offsets, strict=True)):
            v = flat[rows]
            own = self._back(j, self._forth(j, v) * self._gains[j])
            along = (offset.conj() * v).sum(axis=1, keepdims=True)
            along = along if along.dtype.kind == "f" else 2 * along.real
            terms.append(self._variance * own + offset * along)
        return self._summed(terms, flat.shape).reshape(self._shape).astype(self._dtype, copy=False)

    def _summed(self, terms, shape):
        """The sum over the components, each with its share and at its rows."""
        out = module_of(terms[0]).zeros(shape, np.result_type(*(term.dtype for term in terms)))
        for rows, share, term in zip(self._members, self._shares, terms, strict=True):
            out[rows] += share * term
        return out

    def _forth(self, j, D):
        return D if self._basis is None else D @ self._basis[j].conj()

    def _back(self, j, Z):
        return Z if self._basis is None else Z @ self._basis[j].T


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


def values_on_host(name, value):
    """Anything array-like as NumPy's."""
    value = _checks.array(name, enter(name, value))
    return on_host(value)

"""Gaussians and mixtures of them: priors whose denoiser, its Jacobian and whose posterior are known in closed form.

With x = x0 + sigma n and component j of mean m_j and covariance C_j, the mean of x0 given x and j is
m_j + C_j (C_j + sigma^2 I)^-1 (x - m_j), and the shares of the components are those of N(x; m_j, C_j + sigma^2 I). The
Jacobian of the denoiser times sigma^2 is the covariance of x0 given x (Tweedie's formula of second order). Each C_j is
kept as its eigenvectors and eigenvalues, so that every sigma costs two products with them.

Complex images are circular: E|n|^2 = 1 for each entry, and densities lack the factor 1/2 in the exponent.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _backend, _checks
from .._arrays import enter, leaving, module_of, on_host
from .._errors import InvalidInput
from .._loop import fitted, told
from .._place import at
from .._types import Callback, MatrixLike, Seed
from ._measurement import Measurement
from ._mixture_fit import fit_mixture
from ._posterior import mixture_posterior
from ._tweedie import Tweedie, eigen, images_of, normals, values_on_host

__all__ = ["GaussianMixture"]


class GaussianMixture:
    """A mixture of Gaussians as the prior of images.

    Parameters
    ----------
    weights : array_like, shape (K,)
        Nonnegative; they are divided by their sum.
    means : array_like, shape (K, *image_shape)
    covariances : array_like
        Of each component: a variance, shape (K,); one for each entry, shape (K, *image_shape); or a matrix between
        flattened images, shape (K, n, n), Hermitian and positive semidefinite.

    Attributes
    ----------
    image_shape : tuple of int
    weights : ndarray, shape (K,)
    means : ndarray, shape (K, *image_shape)
    covariances : ndarray, shape (K, n, n)
    mean : ndarray, shape image_shape
        Of the whole mixture, as are the next two.
    covariance : ndarray, shape (n, n)
    std : ndarray, shape image_shape
        The root of the diagonal of ``covariance``.

    Raises
    ------
    InvalidInput
        If shapes do not match, or a covariance is not Hermitian and positive semidefinite.

    Notes
    -----
    ``denoise`` is the denoiser of least mean square error and may be passed to ``pnp`` and ``sample`` as such; passed
    as ``prior=``, ``sample`` also uses the exact Jacobian and the exact posterior. Memory: K n^2 numbers for full
    covariances; a denoising costs at most 2 K n^2 multiplications an image.

    Examples
    --------
    >>> from solvers import inverse
    >>> prior = inverse.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.01, 0.01])
    >>> prior.denoise([0.7], sigma=0.1).round(2).tolist()
    [0.85]
    >>> round(float(prior.std[0]), 3)
    1.005
    """

    def __init__(self, weights: ArrayLike, means: ArrayLike, covariances: ArrayLike):
        weights, means, covariances = (
            _checks.finite(name, values_on_host(name, value))
            for name, value in (("weights", weights), ("means", means), ("covariances", covariances))
        )
        if means.ndim < 2 or means.size == 0:
            raise InvalidInput(f"`means` must have shape (K, *image_shape), got {means.shape}.")
        _checks.shape_is("weights", weights, [means.shape[:1]], "to match `means`")
        if weights.dtype.kind == "c" or not (weights >= 0).all() or not weights.any():
            raise InvalidInput(f"`weights` must be real and >= 0 with a positive sum, got {weights.tolist()}.")
        self.image_shape = means.shape[1:]
        self._variances, self._basis = eigen(covariances, means.shape)
        dtype = np.complex128 if "c" in (means.dtype.kind, covariances.dtype.kind) else np.float64
        self._centres = means.reshape(len(means), -1).astype(dtype)
        shares = weights.astype(float) / weights.max()  # whose sum is finite
        self.weights: NDArray[np.float64] = shares / shares.sum()
        self._there = {}
        self.weights.flags.writeable = self._centres.flags.writeable = False

    def __getstate__(self):
        return self.__dict__ | {"_there": {}}  # copies for a device are of no use elsewhere

    @classmethod
    def fit(
        cls, images: ArrayLike, n_components: int, *, rng: Seed | None = None, regularization: float = 1e-2,
        maxiter: int = 100, tol: float = 1e-3, callback: Callback | None = None,
    ) -> "GaussianMixture":  # fmt: skip
        """Fit a mixture to images by expectation maximisation.

        Parameters
        ----------
        images : array_like, shape (N, *image_shape)
            Real or complex.
        n_components : int
            K, at most N.
        rng : None, int or numpy.random.Generator
            For the k-means++ start.
        regularization : float, default 0.01
            This part of the mean variance of an entry is added to the diagonal of each covariance.
        maxiter : int, default 100
        tol : float, default 1e-3
            It ends when the mean log-likelihood of an image grows by less.
        callback : callable, or object with ``on_chunk(iteration, growth)``, optional
            Called as ``callback(mixture)`` after each iteration with the mixture so far; ``on_chunk`` with that growth,
            infinite at first. StopIteration ends the fit, and the mixture so far is returned.

        Returns
        -------
        GaussianMixture

        Examples
        --------
        >>> import numpy as np
        >>> from solvers import inverse
        >>> images = np.repeat([[0.0, 4.0], [8.0, 0.0]], 50, axis=0)
        >>> images += 0.1 * np.random.default_rng(0).standard_normal((100, 2))
        >>> prior = inverse.GaussianMixture.fit(images, 2, rng=0)
        >>> sorted(abs(prior.means.round()).tolist())
        [[0.0, 4.0], [8.0, 0.0]]
        """
        images = _checks.finite("images", values_on_host("images", images))
        _checks.function("callback", callback)
        report = lambda iteration, growth, found: told(callback, iteration, growth, lambda: GaussianMixture(*found))
        found = fit_mixture(images, n_components, _checks.generator(rng), regularization, maxiter, tol, report)
        return fitted(callback, GaussianMixture(*found))

    @property
    def means(self) -> NDArray[Any]:
        return self._centres.reshape(-1, *self.image_shape)

    @property
    def covariances(self) -> NDArray[Any]:
        n = self._centres.shape[1]
        if self._basis is None:
            return self._variances[:, :, None] * np.eye(n)
        return (self._basis * self._variances[:, None]) @ self._basis.conj().swapaxes(1, 2)

    @property
    def mean(self) -> NDArray[Any]:
        return (self.weights @ self._centres).reshape(self.image_shape)

    @property
    def covariance(self) -> NDArray[Any]:
        D = self._centres - self.mean.ravel()
        return np.tensordot(self.weights, self.covariances, 1) + D.T @ (self.weights[:, None] * D.conj())

    @property
    def std(self) -> NDArray[Any]:
        D = self._centres - self.mean.ravel()
        own = self._variances
        if self._basis is not None:
            own = np.einsum("kij,kj->ki", np.abs(self._basis) ** 2, own)
        return np.sqrt(self.weights @ (own + np.abs(D) ** 2)).reshape(self.image_shape)

    def denoise(self, x: ArrayLike, sigma: float) -> NDArray[Any]:
        """Return E[x0 | x] for x = x0 + sigma n.

        Parameters
        ----------
        x : array_like
            An image or a stack (k, *image_shape), of NumPy, CuPy or through DLPack.
        sigma : float
            The standard deviation of the noise in each entry, > 0.

        Returns
        -------
        ndarray like x
        """
        return self._at(x, sigma, lambda tweedie: tweedie.mean)

    def jacobian_product(self, x: ArrayLike, sigma: float, v: ArrayLike) -> NDArray[Any]:
        """Return the derivative of ``denoise`` at x in the direction v: Cov[x0 | x] v / sigma^2 for real images.

        Parameters
        ----------
        x, v : array_like
            As in ``denoise``, both of one shape.
        sigma : float

        Returns
        -------
        ndarray like x
        """
        v = _checks.shape_is("v", _checks.array("v", enter("v", v)), [np.shape(x)], "of `x`")
        sigma = _checks.positive("sigma", sigma)
        V = self._stack("v", v)
        return self._at(x, sigma, lambda tweedie: tweedie.covariance_product(V) / sigma**2)

    def log_density(self, x: ArrayLike, sigma: float = 0.0) -> float | Any:
        """Return the logarithm of the density of x0 + sigma n at each image of x.

        Parameters
        ----------
        x : array_like
            As in ``denoise``.
        sigma : float, default 0
            > 0 where a covariance is singular.

        Returns
        -------
        ndarray, shape (k,), or float for one image
        """
        x = _checks.finite("x", values_on_host("x", x))
        sigma = _checks.deviation("sigma", sigma) if _checks.tolerance("sigma", sigma) else 0.0
        if not (self._variances.min() + sigma**2) > 0:
            raise InvalidInput("`sigma` must be > 0 where a covariance is singular, which has no density, got 0.0.")
        logs = self._known(self._stack("x", x), sigma).log_density
        return float(logs[0]) if x.shape == self.image_shape else logs

    def sample(self, n_samples: int, *, rng: Seed | None = None) -> NDArray[Any]:
        """Draw images.

        Parameters
        ----------
        n_samples : int
        rng : None, int or numpy.random.Generator
            Each sample has its own generator spawned from it: the first ones do not depend on ``n_samples``.

        Returns
        -------
        ndarray, shape (n_samples, *image_shape)
        """
        n_samples = _checks.count("n_samples", n_samples, each=1000)
        return self.draws(_checks.spawned(rng, n_samples))

    def posterior(self, A: MatrixLike, b: ArrayLike, *, noise_level: float) -> "GaussianMixture":
        """Return the exact posterior given b = A x + e, a mixture again.

        Parameters
        ----------
        A : matrix, LinearOperator or ImagingOperator
            It is applied to every unit image: this is for small images.
        b : array_like
            One data set, shaped or flat.
        noise_level : float
            Standard deviation of the entries of e, > 0 (of complex e: the root of E|e_i|^2).

        Returns
        -------
        GaussianMixture
            With ``weights``, ``mean``, ``covariance``, ``std`` and ``sample``.

        Examples
        --------
        >>> import numpy as np
        >>> from solvers import inverse
        >>> prior = inverse.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.01, 0.01])
        >>> prior.posterior(np.eye(1), [0.1], noise_level=0.5).weights.round(3).tolist()
        [0.317, 0.683]
        """
        noise_level = _checks.deviation("noise_level", noise_level)
        kernels = _backend.kernels("cpu")
        problem = Measurement(on_host(A), values_on_host("b", b), noise_level, kernels, self)
        if len(problem.B) > 1:
            raise InvalidInput(f"`b` must be one data set for a posterior, got {len(problem.B)}.")
        return self.given(problem, 0)

    def given(self, problem: Any, j: int) -> "GaussianMixture":
        """For samplers: the posterior for data set j of a ``Measurement``."""
        return GaussianMixture(*mixture_posterior(self, problem, j))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._centres.dtype

    def components(self) -> Any:
        """For samplers: a flat mean (n,) and a root F of the covariance F F^H, shape (n, n), for each component."""
        n = self._centres.shape[1]
        for j, (mean, variances) in enumerate(zip(self._centres, self._variances, strict=True)):
            yield mean, (np.eye(n) if self._basis is None else self._basis[j]) * np.sqrt(variances)

    def _at(self, x, sigma, answer):
        sigma = _checks.positive("sigma", sigma)
        backend = _backend.pick(x=x)
        leave, x = leaving(x), _checks.array("x", enter("x", x))
        with at(backend, x):
            x = _backend.kernels(backend).to_device(x, x.dtype)
            X = self._stack("x", _checks.finite("x", x))
            return leave(answer(self._known(X, sigma)).reshape(x.shape))

    def _stack(self, name, x):
        return images_of(name, x, self.image_shape)

    def _known(self, X, sigma):
        with np.errstate(all="ignore"):  # far from all components, a square distance overflows
            return Tweedie(self.arrays(X), X, sigma)

    def tweedie(self, X: NDArray[Any], sigma: float) -> tuple[NDArray[Any], Any]:
        """For samplers: E[x0 | x] of a stack, and a function for sigma^2 times products with the Jacobian."""
        known = self._known(X, sigma)
        return known.mean, known.covariance_product

    def arrays(self, X: Any) -> Any:
        """For samplers: log-weights, means, variances and eigenvectors where X lives."""
        key = getattr(getattr(X, "device", None), "id", None)
        if key not in self._there:
            xp = module_of(X)
            logs = np.log(self.weights, out=np.full(len(self.weights), -np.inf), where=self.weights > 0)
            arrays = (logs, self._centres, self._variances, self._basis)
            self._there[key] = tuple(None if a is None else xp.asarray(a) for a in arrays)
        return self._there[key]

    def draws(self, generators: Any) -> NDArray[Any]:
        """For samplers: one image of each generator."""
        ends = np.cumsum(self.weights)
        which = np.minimum([np.searchsorted(ends, g.random() * ends[-1], "right") for g in generators], len(ends) - 1)
        Z = normals(generators, self._centres.shape[1:], self._centres.dtype) * np.sqrt(self._variances[which])
        if self._basis is not None:
            for j in np.unique(which):
                Z[which == j] = Z[which == j] @ self._basis[j].T
        return (Z + self._centres[which]).reshape(-1, *self.image_shape)

    def __repr__(self):
        return f"<{type(self).__name__} of {len(self.weights)} component(s) on images of shape {self.image_shape}>"

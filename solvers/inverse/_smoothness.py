"""Gaussian priors that are given by what they penalise: a precision L^H L instead of a covariance."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _backend, _checks
from .._arrays import enter, kinds, leaving, module_of, on_host
from .._errors import InvalidInput
from .._matrices import check_indices
from .._place import at
from .._types import MatrixLike
from ._gaussian import Gaussian
from ._measurement import Measurement, there
from ._normal import solve_normal
from ._operator import ImagingOperator, applied
from ._posterior import data_of, dense_of, host_array
from ._tweedie import images_of, values_on_host
from ._wrapped import as_imaging_operator

__all__ = ["Smoothness"]

_MAXITER, _RTOL = 1000, 1e-8


class Smoothness:
    """The Gaussian prior of density proportional to exp(-|L (x - mean)|^2 / 2).

    Parameters
    ----------
    L : matrix, LinearOperator or ImagingOperator
        What is penalised, in units of its standard deviation: ``3 * inverse.Gradient(shape)`` says that neighbours
        differ by about 1/3. It may have a null space, such as constants; the data must then see that.
    mean : float or array_like, default 0
        A number, or an image, whose shape is then that of the prior. A complex one (0j) makes the images complex and
        circular, with a density exp(-|L (x - mean)|^2).

    Notes
    -----
    For ``sample(..., method="gaussian")``, which needs products with L only. ``denoise`` solves a system by conjugate
    gradients; ``posterior`` is by dense algebra, for small images.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> prior = inverse.Smoothness(np.diff(np.eye(5), axis=0))
    >>> post = prior.posterior(np.eye(5)[[0, 4]], [0.0, 4.0], noise_level=0.01)
    >>> post.mean.round(2).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """

    def __init__(self, L: MatrixLike, mean: ArrayLike = 0.0) -> None:
        L = enter("L", L)
        check_indices(L, "L")
        L = L.copy() if hasattr(L, "copy") else L  # a matrix: the caller's may change
        self.L, self._given, self._sent = as_imaging_operator(L, "L"), L, None
        self.mean = np.array(_checks.finite("mean", values_on_host("mean", mean)))
        self.image_shape = self.mean.shape or self.L.image_shape
        if math.prod(self.image_shape) != self.L.shape[1]:
            raise InvalidInput(
                f"`mean` must be of the {self.L.shape[1]} entries that `L` takes, got {self.mean.shape}."
            )
        is_complex = "c" in (self.L.dtype.kind, self.mean.dtype.kind)
        self.dtype = np.dtype(np.complex128 if is_complex else np.float64)

    def __getstate__(self):
        return self.__dict__ | {"_sent": None}  # a copy for a device is of no use elsewhere

    def denoise(self, x: ArrayLike, sigma: float) -> NDArray[Any]:
        """Return E[x0 | x] for x = x0 + sigma n.

        Parameters
        ----------
        x : array_like, shape image_shape or (k, *image_shape)
        sigma : float
            The standard deviation of the noise in each entry, > 0.

        Returns
        -------
        ndarray like x
        """
        sigma = _checks.positive("sigma", sigma)
        backend = _backend.pick(x=x)
        leave, x = leaving(x), _checks.finite("x", _checks.array("x", enter("x", x)))
        with at(backend, x):
            x = _backend.kernels(backend).to_device(x, np.result_type(x.dtype, np.dtype(self.dtype.kind + "8")))
            return leave(self.tweedie(images_of("x", x, self.image_shape), sigma)[0].reshape(x.shape))

    def posterior(self, A: MatrixLike, b: ArrayLike, *, noise_level: float) -> Gaussian:
        """Return the exact posterior given b = A x + e.

        Parameters
        ----------
        A : matrix, LinearOperator or ImagingOperator
            It is applied to every unit image: this is for small images.
        b : array_like
            One data set.
        noise_level : float
            Standard deviation of the entries of e, > 0.

        Returns
        -------
        Gaussian

        Raises
        ------
        InvalidInput
            If neither the data nor the prior see some direction.
        """
        problem = Measurement(
            on_host(A),
            values_on_host("b", b),
            _checks.positive("noise_level", noise_level),
            _backend.kernels("cpu"),
            self,
        )
        if len(problem.B) > 1:
            raise InvalidInput(f"`b` must be one data set for a posterior, got {len(problem.B)}.")
        return self.given(problem, 0)

    def given(self, problem: Any, j: int) -> Gaussian:
        """For samplers: the posterior for data set j of a ``Measurement``."""
        dense, y = dense_of(problem) / problem.noise_level, data_of(problem, j) / problem.noise_level
        centre = np.broadcast_to(self.mean, self.image_shape).ravel()
        unit = module_of(problem.B).eye(len(centre), dtype=dense.dtype).reshape(-1, *problem.A.image_shape)
        precision = dense.conj().T @ dense + host_array(self.precision_product(unit).reshape(len(unit), -1).T)
        values, vectors = np.linalg.eigh(precision)
        if not values[0] > 1e-13 * values[-1]:
            raise InvalidInput("`A` must see what `L` does not penalise; their common null space has no posterior.")
        covariance = (vectors / values) @ vectors.conj().T
        mean = centre + covariance @ (dense.conj().T @ (y - dense @ centre))
        return Gaussian(mean.reshape(self.image_shape), covariance)

    def tweedie(self, X: NDArray[Any], sigma: float) -> tuple[NDArray[Any], Any]:
        """For samplers: E[x0 | x] of a stack, and a function for the products with Cov[x0 | x]."""
        shape = X.shape[1:]
        L = self.penalty(X, shape)
        options = {"shift": 1 / sigma**2, "maxiter": _MAXITER, "rtol": _RTOL}
        centre = self.centre(X, shape, X.dtype)
        change, _, _ = solve_normal(L, (X - centre) / sigma**2, **options)
        return centre + change, lambda V: solve_normal(L, V, **options)[0]

    def precision_product(self, X: NDArray[Any]) -> NDArray[Any]:
        """For samplers: L^H L x for a stack."""
        L = self.penalty(X, X.shape[1:])
        return applied(L, L.adjoint_stack, applied(L, L.forward_stack, X))

    def penalty(self, like: Any, shape: tuple[int, ...]) -> ImagingOperator:
        """For samplers: L as an operator from images of this shape, where an array lives."""
        L = self.L
        if kinds[type(like)] == "gpu":
            if self._sent is None:
                self._sent = as_imaging_operator(there(self._given, _backend.kernels("gpu"), "L"), "L")
            L = self._sent
        return L if L.image_shape == shape else _Reshaped(L, shape)

    def centre(self, like: Any, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """For samplers: the mean as a stack of one, where an array lives."""
        mean = np.broadcast_to(self.mean.reshape(shape) if self.mean.ndim else self.mean, shape)
        return module_of(like).asarray(mean.astype(dtype)).reshape(1, *shape)

    def __repr__(self):
        return f"<Smoothness of images of shape {self.image_shape} by {self.L!r}>"


class _Reshaped(ImagingOperator):
    """An operator from images of another shape with as many entries."""

    def __init__(self, L, image_shape):
        super().__init__(L.dtype, image_shape, L.data_shape)
        self._L = L

    def forward_stack(self, X):
        return self._L.forward_stack(X.reshape(len(X), *self._L.image_shape))

    def adjoint_stack(self, Y):
        return self._L.adjoint_stack(Y).reshape(len(Y), *self.image_shape)

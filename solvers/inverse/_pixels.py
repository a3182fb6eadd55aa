"""Operators that look at pixels: inpainting, downsampling, and the differences of neighbours.

They are real and of single precision, so that a product has the precision of what they are applied to.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._arrays import module_of
from .._errors import InvalidInput
from ._constants import Constants
from ._operator import ImagingOperator
from ._shapes import boolean, sizes

__all__ = ["Downsampling", "Gradient", "Inpainting"]


class Inpainting(ImagingOperator):
    """The known pixels of an image.

    Parameters
    ----------
    mask : array_like of bool, shape (...)
        True where a pixel is known, in the shape of the images.

    Notes
    -----
    The data are the values of the known pixels, in C order, of shape (n_known,): those of an image x are ``x[mask]``.
    The adjoint puts them back and zeros elsewhere, in a vector as SciPy's products have it; solvers make images of
    such data.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> A = inverse.Inpainting([[True, False], [True, True]])
    >>> A @ np.array([[1.0, 2.0], [3.0, 4.0]])
    array([1., 3., 4.])
    >>> A.H @ np.array([1.0, 3.0, 4.0])
    array([1., 0., 3., 4.])
    """

    def __init__(self, mask: ArrayLike) -> None:
        self.mask: NDArray[np.bool_] = boolean("mask", mask)
        index = np.flatnonzero(self.mask)
        super().__init__(np.float32, self.mask.shape, (index.size,))
        self._constants = Constants(index=index, known=self.mask)

    def forward_stack(self, X: NDArray[Any]) -> NDArray[Any]:
        return module_of(X).take(X.reshape(len(X), -1), self._constants("index", X), axis=1)

    def adjoint_stack(self, Y: NDArray[Any]) -> NDArray[Any]:
        X = module_of(Y).zeros((len(Y), self.shape[1]), Y.dtype)
        X[:, self._constants("index", Y)] = Y
        return X.reshape(len(Y), *self.image_shape)

    def normal_inverse(self, R: NDArray[Any], shift: Any) -> NDArray[Any]:
        """(shift I + A^H A)^-1 R for a stack R and ``shift``, positive, of shape (k, 1, ...): here it is diagonal."""
        return R / (shift + self._constants("known", R))


class Downsampling(ImagingOperator):
    """The means of boxes of pixels.

    Parameters
    ----------
    image_shape : tuple of int
        The fine image; each size must be a multiple of its factor.
    factor : int or tuple of int
        Pixels of a box along every axis, or along each.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> A = inverse.Downsampling((4, 4), 2)
    >>> A @ np.arange(16.0).reshape(4, 4)
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def __init__(self, image_shape: Sequence[int], factor: int | Sequence[int]) -> None:
        image_shape = sizes("image_shape", image_shape)
        self.factor = _factors(factor, image_shape)
        coarse = tuple(n // f for n, f in zip(image_shape, self.factor, strict=True))
        super().__init__(np.float32, image_shape, coarse)

    def forward_stack(self, X: NDArray[Any]) -> NDArray[Any]:
        boxes = (size for pair in zip(self.data_shape, self.factor, strict=True) for size in pair)
        axes = tuple(range(2, 2 * len(self.factor) + 1, 2))
        return X.reshape(len(X), *boxes).sum(axis=axes) * X.dtype.type(1 / math.prod(self.factor))

    def adjoint_stack(self, Y: NDArray[Any]) -> NDArray[Any]:
        xp, Y = module_of(Y), Y * Y.dtype.type(1 / math.prod(self.factor))
        for axis, f in enumerate(self.factor, 1):
            Y = xp.repeat(Y, f, axis=axis)
        return Y


class Gradient(ImagingOperator):
    """The differences of each pixel's next neighbours and itself, along several axes.

    Parameters
    ----------
    image_shape : tuple of int
    boundary : {"neumann", "periodic"}, default "neumann"
        The difference at the far end of an axis is zero, or that to the first pixel.
    axes : sequence of int, optional
        The axes to take differences along, all by default.

    Notes
    -----
    The data have shape (d, *image_shape), one image of differences for each axis. The adjoint is minus the divergence.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> inverse.Gradient((3,)) @ np.array([1.0, 4.0, 6.0])
    array([3., 2., 0.])
    >>> (inverse.Gradient((2, 3), boundary="periodic", axes=[1]) @ np.array([[1.0, 4.0, 6.0], [0.0, 0.0, 1.0]])).shape
    (1, 2, 3)
    """

    def __init__(
        self, image_shape: Sequence[int], boundary: str = "neumann", *, axes: Sequence[int] | None = None
    ) -> None:
        image_shape = sizes("image_shape", image_shape)
        self.boundary = _checks.choice("boundary", boundary, ("neumann", "periodic"))
        self.axes = _axes(axes, len(image_shape))
        super().__init__(np.float32, image_shape, (len(self.axes), *image_shape))

    def forward_stack(self, X: NDArray[Any]) -> NDArray[Any]:
        Y = module_of(X).zeros((len(X), *self.data_shape), X.dtype)
        for each, axis in enumerate(self.axes):
            low, high, first, last = _ends(axis + 1, X.ndim)
            D = Y[:, each]
            D[low] = X[high] - X[low]
            if self.boundary == "periodic":
                D[last] = X[first] - X[last]
        return Y

    def adjoint_stack(self, Y: NDArray[Any]) -> NDArray[Any]:
        X = module_of(Y).zeros((len(Y), *self.image_shape), Y.dtype)
        for each, axis in enumerate(self.axes):
            low, high, first, last = _ends(axis + 1, X.ndim)
            D = Y[:, each]
            X[high] += D[low]
            X[low] -= D[low]
            if self.boundary == "periodic":
                X[first] += D[last]
                X[last] -= D[last]
        return X


def _ends(axis, ndim):
    """All but the last along an axis, all but the first, the first, the last."""
    at = (slice(None),) * axis
    return tuple((*at, part) for part in (slice(None, -1), slice(1, None), slice(0, 1), slice(-1, None)))


def _factors(factor, image_shape):
    alone = np.ndim(factor) == 0 and not hasattr(factor, "tocsr")
    factors = sizes("factor", (factor,) * len(image_shape) if alone else factor)
    if len(factors) != len(image_shape) or any(n % f for n, f in zip(image_shape, factors, strict=True)):
        raise InvalidInput(
            f"`factor` must divide each size of `image_shape` {image_shape}, got {factors}; crop or pad the image."
        )
    return factors


def _axes(axes, ndim):
    if axes is None:
        return tuple(range(ndim))
    chosen = tuple(_checks.count("axes", axis, -ndim) for axis in np.atleast_1d(axes))
    if not chosen or len({axis % ndim for axis in chosen}) < len(chosen) or not all(-ndim <= a < ndim for a in chosen):
        raise InvalidInput(f"`axes` must be different axes of images of {ndim} dimensions, got {_checks.brief(axes)}.")
    return tuple(axis % ndim for axis in chosen)

"""A Gaussian as a prior: a mixture of one component."""

from numpy.typing import ArrayLike

from .._errors import InvalidInput, UnsupportedType
from ._priors import GaussianMixture
from ._tweedie import values_on_host

__all__ = ["Gaussian"]


class Gaussian(GaussianMixture):
    """A Gaussian as the prior of images.

    Parameters
    ----------
    mean : array_like, shape image_shape
    covariance : float or array_like
        A variance for all entries; one for each, of ``image_shape``; or a matrix between flattened images, shape
        (n, n). For a prior given by what it penalises, such as differences, see ``Smoothness``.

    Notes
    -----
    Everything that ``GaussianMixture`` has: ``denoise``, ``jacobian_product``, ``log_density``, ``sample``,
    ``posterior``.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> prior = inverse.Gaussian(np.zeros(3), 4.0)
    >>> prior.denoise([5.0, 0.0, -5.0], sigma=1.0).tolist()
    [4.0, 0.0, -4.0]
    """

    def __init__(self, mean: ArrayLike, covariance: ArrayLike):
        mean, covariance = (values_on_host(name, value) for name, value in (("mean", mean), ("covariance", covariance)))
        if mean.ndim == 0:
            raise InvalidInput("`mean` must have the shape of an image, got a number; fill an image with it.")
        try:
            super().__init__([1.0], mean[None], covariance[None])
        except (InvalidInput, UnsupportedType) as error:  # of a mixture's parameters, by their names
            words = str(error).replace("`means`", "`mean`").replace("`covariances`", "`covariance`")
            raise type(error)(words) from None

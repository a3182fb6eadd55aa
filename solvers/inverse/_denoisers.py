"""Classical denoisers: the proximal operator of total variation, and non-local means.

A denoiser is any function ``denoiser(x, sigma)`` of a stack of images, shape (k, *image_shape), NumPy's or CuPy's, and
the standard deviation of the noise in them; these two make one.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _backend, _checks
from .._arrays import kinds, module_of, on_host
from .._errors import InvalidInput
from .._stacks import inner_rows
from ._shapes import sizes

__all__ = ["nlm", "tv"]

# Iterations between two looks at the duality gap.
_CHUNK = 10
# Noise, by the largest entry, at which all patches are alike; its square is within single precision.
_ALL_ALIKE = 1e8


def tv(
    weight: float = 1.0, *, power: int = 2, image_shape: Sequence[int] | None = None, tol: float = 1e-3,
    maxiter: int = 200,
) -> Callable[[Any, Any], NDArray[Any]]:  # fmt: skip
    """Make a denoiser by total variation: ``denoiser(x, sigma)`` minimises ``|u - x|^2 / 2 + w TV(u)``.

    Parameters
    ----------
    weight : float, >= 0, default 1
        w = weight * sigma**power.
    power : {2, 1, 0}, default 2
        With 2 the denoiser is the proximal step of the prior exp(-weight TV(u)) for noise of variance sigma^2, which is
        what ``pnp`` needs to minimise ``|A x - b|^2 / (2 noise_level^2) + weight TV(x)``. With 1 the smoothing follows
        the level of noise, whatever the scale of the images, which is what ``sample`` needs. With 0, w = weight.
    image_shape : tuple of int, optional
        Where the images of ``A`` are flat, the shape they have.
    tol : float, default 1e-3
        The error of u at most, relative to the norm of x.
    maxiter : int, default 200
        Most iterations; the best u so far is returned.

    Returns
    -------
    callable
        ``denoiser(x, sigma)`` for stacks x of shape (k, *image_shape), of up to three axes; ``denoiser.proximal`` says
        whether it is the proximal operator of sigma^2 times a function, as it is with power 2.

    Notes
    -----
    TV(u) is isotropic, the sum over the pixels of the length of (u's differences with its next neighbours); complex
    images have those of both parts in one length, so that it does not depend on their phase. The dual problem is solved
    by the fast gradient projection method of A. Beck and M. Teboulle, IEEE Trans. Image Process. 18 (2009), one fused
    kernel an iteration, until sqrt(2 gap), which bounds the error, is small enough. Each image stops by itself.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> noisy = np.array([[0.0, 0.1, -0.1, 1.1, 0.9, 1.0]])
    >>> inverse.tv(0.1, power=0, tol=1e-8)(noisy, 0.0).round(3).tolist()
    [[0.033, 0.033, 0.033, 0.967, 0.967, 0.967]]
    """
    weight, power = _checks.number("weight", weight, 0), _checks.choice("power", _checks.brief(power), ("0", "1", "2"))
    tol, maxiter = _checks.positive("tol", tol), _checks.count("maxiter", maxiter)
    image_shape = None if image_shape is None else sizes("image_shape", image_shape)

    # Of functions of the module, so that it can be pickled.
    options = {"weight": weight, "power": int(power), "image_shape": image_shape, "tol": tol, "maxiter": maxiter}
    denoiser = partial(_by_variation, **options)
    denoiser.proximal = power == "2"
    return denoiser


def _by_variation(x, sigma, *, weight, power, image_shape, tol, maxiter):
    x, sigma = _checks.array("x", x), _checks.number("sigma", sigma, 0)
    images = _shaped(x, image_shape)
    if images.ndim > 4:
        raise InvalidInput(f"`denoiser` must get images of up to three axes, got a stack of shape {images.shape}.")
    with np.errstate(over="ignore"):
        weight *= float(np.float64(sigma) ** power)
    return _proximal(images, weight, tol, maxiter).reshape(x.shape)


def _proximal(images, weight, tol, maxiter):
    """The proximal points of weight TV for a stack of real or complex images, each found to its tolerance."""
    xp, kernels = module_of(images), _backend.kernels("gpu" if kinds[type(images)] == "gpu" else "cpu")
    if images.size == 0 or not weight > 0:
        return images.copy()
    # With this much every image is its mean: its deviations from that, summed, are a bound on the dual variable.
    weight = min(weight, 2.0 * images.size * float(abs(images).max()) or weight)
    V = _planes(xp, images)
    d = 3 if V.shape[2] > 1 else 2
    thresholds = (tol * np.sqrt(inner_rows(images, images))) ** 2 / 2
    active = np.flatnonzero(thresholds > 0)
    weights = kernels.to_device(np.full(len(V), weight), V.dtype)
    # |D|^2 <= 4 for each axis with differences.
    axes = max(1, sum(n > 1 for n in V.shape[2:]))
    steps = kernels.to_device(np.full(len(V), 1 / (4 * axes * weight)), V.dtype)
    P, R, S = (kernels.zeros((len(V), d, *V.shape[1:]), V.dtype) for _ in range(3))
    X, momentum, taken = V.copy(), 1.0, 0
    while active.size and taken < maxiter:
        which = kernels.to_device(active, np.int64)
        for _ in range(min(_CHUNK, maxiter - taken)):
            following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
            kernels.variation_step(V, weights, steps, (momentum - 1) / following, which, P, R, S)
            R, S, momentum, taken = S, R, following, taken + 1
        gaps = kernels.variation_gap(V, weights, which, P, X)
        active = active[gaps > thresholds[active]]
    return _images(X, images)


def _planes(xp, images):
    """The parts of images as (k, 1 or 2, nz, ny, nx)."""
    shape = (1,) * (4 - images.ndim) + images.shape[1:]
    parts = [images.real, images.imag] if images.dtype.kind == "c" else [images]
    return xp.stack([xp.ascontiguousarray(part).reshape(len(images), *shape) for part in parts], axis=1)


def _images(X, like):
    if like.dtype.kind == "c":
        return (X[:, 0] + 1j * X[:, 1]).astype(like.dtype, copy=False).reshape(like.shape)
    return X.reshape(like.shape)


def nlm(
    strength: float = 0.8, *, patch_size: int = 5, patch_distance: int = 6, fast: bool = True,
    image_shape: Sequence[int] | None = None,
) -> Callable[[Any, Any], NDArray[Any]]:  # fmt: skip
    """Make a denoiser by non-local means, through scikit-image.

    Parameters
    ----------
    strength : float, > 0, default 0.8
        The cut-off of the patches' distances is ``strength * sigma``.
    patch_size, patch_distance : int, default 5 and 6
        Pixels of a patch's side, and how far patches are sought.
    fast : bool, default True
        Whether the weights are computed from integral images, with flat patches; else with Gaussian ones.
    image_shape : tuple of int, optional
        Where the images of ``A`` are flat, the shape they have.

    Returns
    -------
    callable
        ``denoiser(x, sigma)`` for stacks x of shape (k, *image_shape), of two or three axes.

    Raises
    ------
    ImportError
        If scikit-image is missing.

    Notes
    -----
    A. Buades, B. Coll and J.-M. Morel, CVPR 2005; ``skimage.restoration.denoise_nl_means``. The two parts of complex
    images are channels of one image, so that patches are compared by both; the expected distance of two patches of
    noise is subtracted. Works on the CPU; CuPy's images are brought there and back. The denoiser is no proximal
    operator: ``pnp`` must be told a noise level.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> image = np.kron(np.eye(2), np.ones((16, 16)))
    >>> noisy = image + 0.1 * np.random.default_rng(0).standard_normal(image.shape)
    >>> denoised = inverse.nlm()(noisy[None], 0.1)[0]
    >>> bool(np.std(denoised - image) < 0.3 * np.std(noisy - image))
    True
    """
    strength, fast = _checks.positive("strength", strength), _checks.flag("fast", fast)
    patch_size = _checks.count("patch_size", patch_size)
    patch_distance = _checks.count("patch_distance", patch_distance)
    for name, pixels in (("patch_size", patch_size), ("patch_distance", patch_distance)):
        if pixels >= 2**15:
            raise InvalidInput(f"`{name}` must be below {2**15} pixels, got {_checks.brief(pixels)}.")
    image_shape = None if image_shape is None else sizes("image_shape", image_shape)
    _restoration()
    patches = {"strength": strength, "patch_size": patch_size, "patch_distance": patch_distance, "fast": fast}
    return partial(_by_patches, image_shape=image_shape, **patches)


def _by_patches(x, sigma, *, image_shape, **patches):
    x, sigma = _checks.array("x", x), _checks.number("sigma", sigma, 0)
    images = _shaped(x, image_shape)
    if images.ndim not in (3, 4):
        raise InvalidInput(
            f"`denoiser` must get images of two or three axes, got a stack of shape {images.shape}; pass `image_shape`."
        )
    values = on_host(images)
    if not values.size:
        return x.copy()
    found = [_non_local(each, sigma, **patches) for each in values]
    return module_of(x).asarray(np.stack(found)).reshape(x.shape)


def _non_local(image, sigma, strength, patch_size, patch_distance, fast):
    """One image, on the scale of its largest entry: patches are compared by squares."""
    scale = float(np.abs(image).max(initial=0.0))
    if not 0 < sigma or scale == 0 or not math.isfinite(scale):
        return image.copy()
    parts = (image / scale).astype(image.dtype, copy=False)
    if image.dtype.kind == "c":
        parts = np.stack([parts.real, parts.imag], axis=-1)
        sigma /= math.sqrt(2)  # of each part
    found = _restoration().denoise_nl_means(
        parts,
        patch_size=patch_size,
        patch_distance=patch_distance,
        h=min(strength * sigma / scale, _ALL_ALIKE),
        sigma=min(sigma / scale, _ALL_ALIKE),
        fast_mode=fast,
        channel_axis=-1 if image.dtype.kind == "c" else None,
    )
    if image.dtype.kind == "c":
        found = found[..., 0] + 1j * found[..., 1]
    return (found * scale).astype(image.dtype)


def _restoration():
    try:
        from skimage import restoration
    except ModuleNotFoundError as error:
        raise ImportError("`nlm` needs scikit-image: pip install scikit-image") from error
    return restoration


def _shaped(x, image_shape):
    if x.ndim == 0:
        raise InvalidInput("`x` must be a stack of images, of shape (k, ...), got a number.")
    if image_shape is None:
        return x
    if math.prod(image_shape) != math.prod(x.shape[1:]):
        raise InvalidInput(f"`image_shape` must fit images of shape {x.shape[1:]}, got {image_shape}.")
    return x.reshape(len(x), *image_shape)

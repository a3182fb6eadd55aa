"""Filtered back-projection, the closed formula for many parallel views without noise.

The ramp filter is band-limited in space and transformed, as Kak and Slaney (Principles of Computerized Tomographic
Imaging, 1988, equation 61 of chapter 3) do: sampled in frequency, its zero at the origin would shift all values.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import next_fast_len

from .. import _backend, _checks
from .._arrays import enter, leaving, module_of
from .._errors import UnsupportedType
from .._place import at
from ._fourier import fft_of
from ._operator import applied, stack_of
from ._tomography import ParallelBeam

__all__ = ["fbp"]

# Lines within a pixel.
_LINES = 4
# What the ramp is multiplied by, at a frequency in units of the highest one.
_WINDOWS = {
    "ramp": np.ones_like,
    "shepp-logan": lambda f: np.sinc(f / 2),
    "cosine": lambda f: np.cos(np.pi * f / 2),
    "hamming": lambda f: 0.54 + 0.46 * np.cos(np.pi * f),
    "hann": lambda f: 0.5 + 0.5 * np.cos(np.pi * f),
}


def fbp(A: ParallelBeam, b: ArrayLike, *, filter: str = "ramp") -> NDArray[Any]:
    """Reconstruct an image from its sinogram by filtered back-projection.

    Parameters
    ----------
    A : ParallelBeam
        Of angles that are spread evenly over half a turn, or over whole ones.
    b : array, shape (n_angles, n_detectors), or a stack of such, or flat
    filter : {"ramp", "shepp-logan", "cosine", "hamming", "hann"}, default "ramp"
        From the sharpest to the smoothest.

    Returns
    -------
    array, shape ``A.image_shape``, or a stack of such, or flat as b

    Raises
    ------
    InvalidInput, UnsupportedType
        If A is no `ParallelBeam`, b has another shape or is not finite, or there is no such filter.

    Notes
    -----
    It costs as much as one product with the adjoint. With few views or noise, `least_squares` with a stopping rule or
    `pnp` are nearer to the truth, and with angles that leave out a part of the half turn nothing else is right.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> A = inverse.ParallelBeam((32, 32), angles=60)
    >>> x = np.zeros((32, 32))
    >>> x[8:20, 10:25] = 1.0
    >>> inverse.fbp(A, A @ x)[12:16, 15:20].round(1).mean()
    np.float64(1.0)
    """
    if not isinstance(A, ParallelBeam):
        raise UnsupportedType(
            f"`A` must be a ParallelBeam, got {type(A).__name__}; least_squares inverts any operator."
        )
    window = _WINDOWS[_checks.choice("filter", filter, tuple(_WINDOWS))]
    backend = _backend.pick(b=b)
    leave, b = leaving(b), _checks.array("b", enter("b", b))
    fine, factor = _finer(A)
    with at(backend, b):
        kernels = _backend.kernels(backend)
        b = _checks.finite("b", kernels.to_device(b, np.result_type(A.dtype, b.dtype)))
        B, form = stack_of("b", b, A.data_shape, shaped=True)
        return leave(form(applied(A, lambda Y: fine.adjoint_stack(_filtered(A, Y, window, factor)), B), A.image_shape))


def _finer(A):
    """The same lines and several between any two, of which every pixel has about the same share.

    Of lines a pixel or more apart some pixels are next to two and others to one; in the adjoint that is right, in an
    integral over the angles it is an error of some percent.
    """
    n, factor = A.data_shape[1], math.ceil(_LINES * A.detector_spacing / A.pixel_size)
    spacing, first = A.detector_spacing / factor, A.offset - (n - 1) / 2 * A.detector_spacing
    offset = first + (n * factor - 1) / 2 * spacing
    options = {"detector_spacing": spacing, "pixel_size": A.pixel_size, "offset": offset, "dtype": A.dtype}
    return ParallelBeam(A.image_shape, A.angles, n * factor, **options), factor


def _filtered(A, Y, window, factor):
    """Each view convolved with the ramp, interpolated, and scaled so that the adjoint integrates over the angles."""
    n = A.data_shape[1]
    size = next_fast_len(2 * n - 1, real=True)
    gap = np.minimum(np.arange(size), size - np.arange(size))
    ramp = np.where(gap % 2 == 1, -1 / (np.pi * np.maximum(gap, 1)) ** 2, 0.0)
    ramp[0] = 0.25
    response = np.fft.rfft(ramp).real * window(np.fft.rfftfreq(size, 0.5))
    # The adjoint's weights at a pixel have the sum pixel^2 / spacing, and the finer lines make up for the factor that
    # the longer transform divides by.
    response *= math.pi / len(A.angles) / A.pixel_size**2
    xp, fft = module_of(Y), fft_of(Y)
    spectrum = fft.rfft(Y, size, axis=-1) * xp.asarray(response, dtype=Y.dtype)
    return xp.ascontiguousarray(fft.irfft(spectrum, factor * size, axis=-1)[..., : factor * n])

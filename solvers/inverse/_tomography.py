"""Computed tomography: integrals of an image along parallel lines, or along lines that meet in a source.

Both directions use the weights of Joseph (IEEE Trans. Med. Imaging 1, 1982), so that the adjoint is exact, which the
back-projections of most packages are not. The geometry is that of the ASTRA toolbox and of scikit-image.
"""

import math
import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _backend, _checks
from .._arrays import kinds
from .._errors import InvalidInput, UnsupportedType
from ._constants import Constants
from ._operator import ImagingOperator

__all__ = ["FanBeam", "ParallelBeam"]

# Positions within so many pixels are exact to a thousandth of a pixel in the kernels, and more.
_FARTHEST = 1e9
# Angles beyond it are degrees, most likely, and as radians they would make another image without a word.
_ONE_TURN = 2 * math.pi + 1e-6
_MOST_DETECTORS = 2**31 - 1


class _Tomography(ImagingOperator):
    """Lines through an image, in the views that the kernels take."""

    def __init__(self, dtype: DTypeLike, image_shape, views, n_detectors: int, pixel_size: float) -> None:
        if not np.abs(views).max() <= _FARTHEST:
            raise InvalidInput(
                f"`pixel_size` must be such that source and detector lie within {_FARTHEST:.0e} pixels of the image, "
                f"got {_checks.brief(pixel_size)}; all lengths must be in one unit."
            )
        super().__init__(dtype, image_shape, (len(views), n_detectors))
        self._constants, self.pixel_size = Constants(views=views), pixel_size

    def forward_stack(self, X: NDArray[Any]) -> NDArray[Any]:
        kernels = _kernels_of(X)
        Y = kernels.empty((len(X), *self.data_shape), X.dtype)
        kernels.line_integrals(self._constants("views", X, np.float64), self.pixel_size, X, Y)
        return Y

    def adjoint_stack(self, Y: NDArray[Any]) -> NDArray[Any]:
        kernels = _kernels_of(Y)
        X = kernels.empty((len(Y), *self.image_shape), Y.dtype)
        kernels.back_projection(self._constants("views", Y, np.float64), self.pixel_size, Y, X)
        return X


class ParallelBeam(_Tomography):
    """Computed tomography with parallel lines: an image becomes its integrals, a sinogram.

    Parameters
    ----------
    image_shape : (int, int)
        (ny, nx). The slices of a volume are a stack (k, ny, nx).
    angles : int or array, shape (n_angles,)
        Radians; an integer stands for so many equispaced ones in [0, pi). From -2 pi to 2 pi, since larger numbers
        would be degrees as a rule: of a scan of several turns pass ``angles % (2 * numpy.pi)``, the same directions.
    n_detectors : int, optional
        By default as many as the image's diagonal needs.
    detector_spacing : float, optional
        Distance of neighbouring detectors; a pixel's by default.
    pixel_size : float, default 1
        The side of a pixel. Integrals are in the unit of this length.
    offset : float, default 0
        How far the middle of the detector is off the axis of rotation.
    dtype : {float32, float64}, default float32
        The least precision of a product, which is formed in ``np.result_type(dtype, x.dtype)``: by default the data
        decide.

    Raises
    ------
    InvalidInput
        If a size, a length or an angle is none.

    Notes
    -----
    Pixel (i, j) has its centre at x = (j - (nx - 1) / 2) p and y = ((ny - 1) / 2 - i) p for the pixel size p: the
    first row is the top of the image. Entry (a, d) of the sinogram is the integral along

        x cos(theta_a) + y sin(theta_a) = s_d,   s_d = (d - (n_detectors - 1) / 2) detector_spacing + offset,

    as in ASTRA's ``parallel`` geometry with its ``linear`` projector, and, transposed, in scikit-image's ``radon``,
    whose axis is half a pixel farther right and down if a size is even. A line nearer to the vertical is sampled where
    it crosses the rows of pixel centres, another where it crosses the columns, each sample interpolated linearly
    between two pixels, and taken with the line's length within a row.

    A product costs one interpolation for each line and row: about 10 ms for 256 x 256 pixels and 180 angles on one
    core, and its adjoint as long; in stacks of eight images a third of that for each. No matrix is stored. The number
    of threads does not change a bit.

    References
    ----------
    P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging 1 (1982),
    https://doi.org/10.1109/TMI.1982.4307572

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> A = inverse.ParallelBeam((2, 3), 2, n_detectors=3)
    >>> A @ np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    array([[ 5. ,  7. ,  9. ],
           [ 7.5, 10.5,  3. ]])
    >>> A.H
    <adjoint of <ParallelBeam from (2, 3) to (2, 3), float32>>
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        angles: int | ArrayLike,
        n_detectors: int | None = None,
        *,
        detector_spacing: float | None = None,
        pixel_size: float = 1.0,
        offset: float = 0.0,
        dtype: DTypeLike = np.float32,
    ):
        shape, dtype = _image_shape(image_shape), _real(dtype)
        self.angles = _angles(angles, math.pi)
        pixel_size = _checks.positive("pixel_size", pixel_size)
        self.detector_spacing = _spacing(detector_spacing, pixel_size)
        self.offset = _length("offset", offset)
        if n_detectors is None:
            n_detectors = _enough(pixel_size * math.hypot(*shape), self)
        n_detectors = _checks.count("n_detectors", n_detectors)
        c, s = _unit(self.angles)
        beginning = self.offset - (n_detectors - 1) / 2 * self.detector_spacing
        views = np.column_stack(
            [
                *_places(beginning * c, beginning * s, shape, pixel_size),
                *_directions(self.detector_spacing * c / pixel_size, self.detector_spacing * s / pixel_size),
                *_directions(-s, c),
                np.zeros(c.size),
            ]
        )
        super().__init__(dtype, shape, views, n_detectors, pixel_size)


class FanBeam(_Tomography):
    """Computed tomography with a point source and a flat detector, which turn about the image.

    Parameters
    ----------
    image_shape : (int, int)
        (ny, nx). The slices of a volume are a stack (k, ny, nx).
    angles : int or array, shape (n_angles,)
        Radians, as for ``ParallelBeam``; an integer stands for so many equispaced ones in [0, 2 pi).
    n_detectors : int, optional
        By default as many as see the whole image from all sides.
    source_distance : float
        From the source to the axis of rotation; the source must lie outside of the image at every angle.
    detector_distance : float
        From the axis of rotation to the detector; 0 puts it into the middle of the image, as many formulas do.
    detector_spacing : float, optional
        Distance of neighbouring detectors; by default a pixel's, magnified as one in the middle of the image is.
    pixel_size, offset, dtype
        As in `ParallelBeam`.

    Raises
    ------
    InvalidInput
        If a size, a length or an angle is none, or the source can come into the image.

    Notes
    -----
    Pixels lie as in `ParallelBeam`. At angle theta the source is at ``source_distance`` (sin(theta), -cos(theta)), and
    detector d at ``detector_distance`` (-sin(theta), cos(theta)) + s_d (cos(theta), sin(theta)), as in ASTRA's
    ``fanflat`` geometry; entry (a, d) is the integral along the line through both. Each line is sampled along the axis
    that it is nearer to, so that a view may have lines of both kinds.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers import inverse
    >>> A = inverse.FanBeam((64, 64), 90, source_distance=100.0, detector_distance=50.0)
    >>> A
    <FanBeam from (64, 64) to (90, 102), float32>
    >>> float((A @ np.ones((64, 64)))[0, 50:52].mean().round(2))
    64.0
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        angles: int | ArrayLike,
        n_detectors: int | None = None,
        *,
        source_distance: float,
        detector_distance: float,
        detector_spacing: float | None = None,
        pixel_size: float = 1.0,
        offset: float = 0.0,
        dtype: DTypeLike = np.float32,
    ):
        shape, dtype = _image_shape(image_shape), _real(dtype)
        self.angles = _angles(angles, 2 * math.pi)
        pixel_size = _checks.positive("pixel_size", pixel_size)
        self.source_distance = _outside(source_distance, shape, pixel_size)
        self.detector_distance = _checks.number("detector_distance", detector_distance, least=0)
        far = self.source_distance + _length("detector_distance", self.detector_distance)
        self.detector_spacing = _spacing(detector_spacing, pixel_size * far / self.source_distance)
        self.offset = _length("offset", offset)
        if n_detectors is None:
            radius = pixel_size * math.hypot(*shape) / 2
            width = 2 * far * radius / math.sqrt((self.source_distance - radius) * (self.source_distance + radius))
            n_detectors = _enough(width, self)
        n_detectors = _checks.count("n_detectors", n_detectors)
        c, s = _unit(self.angles)
        beginning = self.offset - (n_detectors - 1) / 2 * self.detector_spacing
        x, y = beginning * c - self.detector_distance * s, beginning * s + self.detector_distance * c
        views = np.column_stack(
            [
                *_places(x, y, shape, pixel_size),
                *_directions(self.detector_spacing * c / pixel_size, self.detector_spacing * s / pixel_size),
                *_directions((beginning * c - far * s) / pixel_size, (beginning * s + far * c) / pixel_size),
                np.ones(c.size),
            ]
        )
        super().__init__(dtype, shape, views, n_detectors, pixel_size)


def _kernels_of(X):
    return _backend.kernels("gpu" if kinds[type(X)] == "gpu" else "cpu")


def _places(x, y, shape, pixel_size):
    """Columns and rows of points, of which y points upwards."""
    return (shape[1] - 1) / 2 + x / pixel_size, (shape[0] - 1) / 2 - y / pixel_size


def _directions(x, y):
    return x, -y


def _unit(angles):
    """Cosines and sines; what is rounding of zero is zero, so that lines along an axis are exactly that."""
    return tuple(np.where(np.abs(part) < 1e-15, 0.0, part) for part in (np.cos(angles), np.sin(angles)))


def _image_shape(value):
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise InvalidInput(
            f"`image_shape` must be two integers, (ny, nx), got {_checks.brief(value)}; a volume's slices are a stack "
            "of images."
        )
    ny, nx = (_checks.count("image_shape", each) for each in value)
    if not (ny + 3) * (nx + 3) < 2**32:  # with their margins, pixels have numbers of 32 bits
        raise InvalidInput(f"`image_shape` must have fewer than 2^32 pixels, got {_checks.brief(value)}.")
    return ny, nx


def _angles(value, span):
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return _read_only(np.arange(_checks.count("angles", value, each=200)) * (span / value))
    angles = _checks.array("angles", value)
    if not isinstance(angles, np.ndarray) or angles.dtype.kind == "c":
        raise UnsupportedType("`angles` must be an integer or a NumPy array of real numbers, in radians.")
    if angles.ndim != 1 or not angles.size:
        got = f"an array of shape {angles.shape}" if angles.ndim else f"{angles[()]}; pass an integer, or [angle]"
        raise InvalidInput(f"`angles` must be an integer or radians of shape (n_angles,), got {got}.")
    angles = _checks.finite("angles", angles).astype(np.float64)
    furthest = float(angles[np.argmax(np.abs(angles))])
    if abs(furthest) > _ONE_TURN:
        raise InvalidInput(
            f"`angles` must be radians between -2 pi and 2 pi, got {furthest:g}; pass numpy.deg2rad(angles) if they "
            "are degrees, angles % (2 * numpy.pi) if they are radians of several turns."
        )
    return _read_only(angles)


def _read_only(array):
    array.flags.writeable = False
    return array


def _real(dtype):
    try:
        dtype = np.dtype(dtype)
    except TypeError:
        raise _checks.wrong_kind("dtype", "float32 or float64", dtype) from None
    if dtype.char not in "fd":
        raise UnsupportedType(f"`dtype` must be float32 or float64, got {dtype}; complex images are taken by both.")
    return dtype


def _spacing(value, default):
    return default if value is None else _checks.positive("detector_spacing", value)


def _length(name, value):
    value = _checks.number(name, value)
    if math.isinf(value):
        raise InvalidInput(f"`{name}` must be finite, got {value!r}.")
    return value


def _outside(distance, shape, pixel_size):
    """With a pixel to spare, in which the neighbours of the image's own pixels lie."""
    least = pixel_size * math.hypot(shape[0] + 2, shape[1] + 2) / 2
    distance = _length("source_distance", distance)
    if not distance > least:
        raise InvalidInput(
            f"`source_distance` must exceed {least:.6g}, half the diagonal of the image and a pixel, got {distance!r}: "
            "the source must lie outside."
        )
    return distance


def _enough(width, given):
    """As many detectors as cover this width about the axis."""
    n = (width + 2 * abs(given.offset)) / given.detector_spacing
    if not n <= _MOST_DETECTORS:
        raise InvalidInput(
            f"`detector_spacing` must be larger than {given.detector_spacing!r}, with which {n:.3g} detectors cover "
            "the image; or say `n_detectors`."
        )
    return math.ceil(n)

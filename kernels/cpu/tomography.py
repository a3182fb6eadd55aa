"""Integrals of an image along lines, and their adjoint: the matched pair of Joseph (IEEE Trans. Med. Imaging 1, 1982).

A line crosses each row of pixel centres once, or each column if it is nearer to the horizontal; there the image is
interpolated linearly between the two neighbours, and is 0 outside. Weights are computed by the same arithmetic in both
directions. The rows of an image are owned by one thread each in the adjoint, so that nothing is added atomically.
"""

import math
from functools import partial

import numpy as np

from ._jit import jit, strict
from ._team import even_shares, launch

__all__ = ["back_projection", "line_integrals"]

# Bytes of the image that stay in the second-level cache while all lines of all views pass through them.
_BYTES = 2**18
# Multiply-adds that a sample, the interpolation of one image in one row, is worth.
_WORK = 4
# A zero before each row of pixels and two behind it: the neighbours of whatever is within half a rounding of the image.
_BEFORE, _BESIDE = 1, 3
# Intercepts beyond this are of lines that miss every image.
_FAR = 1e9


def line_integrals(views, pixel, X, Y):
    """Y[k, v, d] = the integral of image k along line d of view v.

    Parameters
    ----------
    views : ndarray of float64, shape (n_views, 7)
        (p, q, p', q', u, v, t): in units of pixels, line d passes through the column p + d p' and the row q + d q' in
        the direction (u + d t p', v + d t q'); t is 0 for parallel lines, 1 for lines that meet in a point.
    pixel : float
        The side of a pixel, in which lengths are measured.
    X : ndarray, shape (k, ny, nx)
        float32 or float64.
    Y : ndarray, shape (k, n_views, n_lines)
        In the dtype of X.
    """
    for image, sums in zip(X, Y, strict=True):
        sides = _padded(image), _padded(image.T)
        blocks = len(views)
        arguments = views, pixel, *sides, sums
        launch(_integrate, _work(views, image), blocks, partial(even_shares, blocks), *arguments)


def back_projection(views, pixel, Y, X):
    """The adjoint of ``line_integrals``: each pixel of X[k] gets the data Y[k], by the weights that it has there."""
    for sums, image in zip(Y, X, strict=True):
        steep, others = (np.zeros((n, m + _BESIDE), X.dtype) for n, m in (image.shape, image.T.shape))
        height = max(1, _BYTES // (max(steep.shape[1], others.shape[1]) * X.itemsize))
        blocks = sum(image.shape)
        arguments = views, pixel, sums, steep.reshape(-1), others.reshape(-1), image.shape, height
        launch(_spread, _work(views, image), blocks, partial(even_shares, blocks), *arguments)
        np.add(_inner(steep), _inner(others).T, out=image)


def _padded(image):
    padded = np.zeros((image.shape[0], image.shape[1] + _BESIDE), image.dtype)
    _inner(padded)[...] = image
    return padded


def _inner(padded):
    return padded[:, _BEFORE : padded.shape[1] - _BESIDE + _BEFORE]


def _work(views, image):
    return _WORK * len(views) * image.size


@strict  # to the bit the same in both directions, where a line at 45 degrees can go either way
def _line(view, d, pixel):
    """Whether line d is nearer to the vertical; where it crosses row 0, how far it moves a row, and a row's length.

    The position is a column in the padded row. For a line nearer to the horizontal, rows and columns are exchanged.
    """
    along, down = view[4] + d * view[6] * view[2], view[5] + d * view[6] * view[3]
    x, y = view[0] + d * view[2], view[1] + d * view[3]
    steep = abs(down) >= abs(along)
    if not steep:
        along, down, x, y = down, along, y, x
    slope = along / down
    return steep, x - y * slope + _BEFORE, slope, pixel * math.sqrt(1.0 + slope * slope)


@jit
def _crossed(start, slope, first, last, columns):
    """The rows, of those from first to last, that a line crosses within a pixel of the image."""
    top = columns + 1.0
    if not abs(start) <= _FAR:
        return first, first
    if slope == 0.0:
        return first, (last if 0.0 < start < top else first)
    one, other = -start / slope, (top - start) / slope
    low = min(max(min(one, other), first), last)
    high = min(max(max(one, other), first - 1.0), last - 1.0)
    return int(math.ceil(low)), int(math.floor(high)) + 1


@jit
def _sum_along(image, start, slope, low, high, s):
    for i in range(low, high):
        at = start + slope * i
        j = np.int32(at)
        k = np.uint32(j)
        left = image[np.uint32(i), k]
        s += left + type(s)(at - j) * (image[np.uint32(i), k + np.uint32(1)] - left)
    return s


@jit
def _integrate(views, pixel, rows, columns, sums, flags, share, member, team):
    zero = sums.dtype.type(0)
    for v in range(share[member], share[member + 1]):
        for d in range(sums.shape[1]):
            steep, start, slope, length = _line(views[v], d, pixel)
            image = rows if steep else columns
            low, high = _crossed(start, slope, 0, image.shape[0], image.shape[1] - _BESIDE)
            s = _sum_along(image, start, slope, low, high, zero)
            sums[v, d] = sums.dtype.type(length) * s


@jit
def _spread(views, pixel, sums, steep_rows, other_rows, shape, height, flags, share, member, team):
    """A share is of the rows of the image, which take the steep lines, and then of its columns."""
    place, right = np.empty(height, np.uint32), np.empty(height, sums.dtype)
    before = 0
    for side in range(2):
        rows, width = shape[side], shape[1 - side] + _BESIDE
        last = min(share[member + 1] - before, rows)
        for first in range(max(share[member] - before, 0), last, height):
            end = min(first + height, last)
            image = (steep_rows if side == 0 else other_rows)[first * width :]
            for v in range(views.shape[0]):
                for d in range(sums.shape[1]):
                    steep, start, slope, length = _line(views[v], d, pixel)
                    if steep == (side == 0):
                        low, high = _crossed(start, slope, first, end, width - _BESIDE)
                        y = sums.dtype.type(length) * sums[v, d]
                        _add_along(image, width, start, slope, low, low - first, high - low, y, place, right)
        before += rows


@jit
def _add_along(image, width, start, slope, low, offset, count, y, place, right):
    """Two loops: the positions are computed several at a time, and only the sums one by one."""
    for i in range(count):
        at = start + slope * (low + i)
        j = np.int32(at)
        place[i] = np.uint32((offset + i) * width + j)
        right[i] = image.dtype.type(at - j) * y
    for i in range(count):
        k, part = place[i], right[i]
        image[k] += y - part
        image[k + np.uint32(1)] += part
